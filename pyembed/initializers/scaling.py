"""Initializers whose scale depends on the table's shape."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed.initializers.random import Random

# The standard deviation of a standard normal distribution cut at -2 and 2.
_CUT_STDDEV = 0.87962566103423978


class VarianceScaling(Random):
    """Draws with mean 0 and variance ``scale / n``; n depends on the table's shape.

    A table (rows, dim) has fan_in = rows and fan_out = dim.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {'fan_in', 'fan_out', 'fan_avg'}
        What n is; at least 1.
    distribution : {'truncated_normal', 'untruncated_normal', 'uniform'}
        The first is cut at two standard deviations. (``'normal'`` stands for it, as in Keras.)
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    input_axes, output_axes : sequence of int, optional
        Both or none: fan_in and fan_out are the products of the table's lengths along these.
    """

    _arguments: ClassVar[tuple[str, ...]] = (
        "scale",
        "mode",
        "distribution",
        "seed",
        "input_axes",
        "output_axes",
    )
    _is_of_matrices: ClassVar[bool] = True

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = _checks.real(scale, "scale", 0.0)
        if self.scale == 0.0:
            raise ValueError(f"scale={scale!r} must be above 0")
        self.mode = _checks.one_of(mode, "mode", ("fan_in", "fan_out", "fan_avg"))
        if distribution == "normal":
            distribution = "truncated_normal"
        self.distribution = _checks.one_of(
            distribution, "distribution", ("truncated_normal", "untruncated_normal", "uniform")
        )
        self.input_axes = _axes(input_axes, "input_axes")
        self.output_axes = _axes(output_axes, "output_axes")
        if (self.input_axes is None) != (self.output_axes is None):
            raise ValueError(
                f"input_axes={input_axes!r} and output_axes={output_axes!r} must be given together"
            )

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        variance = self.scale / max(1.0, self._fan((total_rows, rows.shape[1])))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            _core.fill_uniform(rows, self.seed, numbers.start, numbers.step, -limit, limit)
        elif self.distribution == "untruncated_normal":
            _core.fill_normal(
                rows, self.seed, numbers.start, numbers.step, 0.0, math.sqrt(variance)
            )
        else:
            stddev = math.sqrt(variance) / _CUT_STDDEV
            _core.fill_truncated_normal(rows, self.seed, numbers.start, numbers.step, 0.0, stddev)

    def _fan(self, shape: tuple[int, int]) -> float:
        fan_in, fan_out = shape
        if self.input_axes is not None and self.output_axes is not None:
            fan_in = math.prod(shape[axis] for axis in self.input_axes)
            fan_out = math.prod(shape[axis] for axis in self.output_axes)
        return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[
            self.mode
        ]


class _Named(VarianceScaling):
    """One setting of `VarianceScaling`, with a name of its own."""

    _arguments = ("seed", "input_axes", "output_axes")
    _scale: ClassVar[float]
    _mode: ClassVar[str]
    _distribution: ClassVar[str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(self._scale, self._mode, self._distribution, seed, input_axes, output_axes)


class GlorotUniform(_Named):
    """Uniform with variance 2 / (fan_in + fan_out); arguments as in `VarianceScaling`.

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010).
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Named):
    """Truncated normal with variance 2 / (fan_in + fan_out); see `GlorotUniform`."""

    _scale, _mode, _distribution = 1.0, "fan_avg", "truncated_normal"


class LecunUniform(_Named):
    """Uniform with variance 1 / fan_in; arguments as in `VarianceScaling`.

    LeCun, Bottou, Orr & Müller, "Efficient BackProp" (1998).
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_Named):
    """Truncated normal with variance 1 / fan_in; see `LecunUniform`."""

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"


class HeUniform(_Named):
    """Uniform with variance 2 / fan_in; arguments as in `VarianceScaling`.

    He, Zhang, Ren & Sun, "Delving deep into rectifiers" (2015).
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "uniform"


class HeNormal(_Named):
    """Truncated normal with variance 2 / fan_in; see `HeUniform`."""

    _scale, _mode, _distribution = 2.0, "fan_in", "truncated_normal"


def _axes(value: Sequence[int] | None, name: str) -> list[int] | None:
    """Return checked axes of a table."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}={value!r} must be None or a list of axes")
    return [_checks.integer(axis, name, -2, 1) for axis in value]
