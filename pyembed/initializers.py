"""What a new table starts from, under Keras's names.

An initializer is called with a shape and a dtype and returns an array. The random ones draw every
element from a counter-based generator (Philox4x32-10) keyed by (seed, row, column): the same table
at any number of threads, and any range of its rows can be made alone.
"""

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeGuard

from numpy.typing import DTypeLike, NDArray

from pyembed import _checks, _core

__all__ = [
    "Constant",
    "Initializer",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "Zeros",
    "get",
    "serialize",
]


class Initializer:
    """Base of all: a subclass fills rows in place."""

    def __call__(
        self, shape: Sequence[int], dtype: DTypeLike = "float32", *, first_row: int = 0
    ) -> NDArray[Any]:
        """Return a new array of the given shape.

        Parameters
        ----------
        shape : sequence of int
        dtype : {'float32', 'float64'}
        first_row : int
            The row of a larger table that this array's first row is, for a table made in parts.

        Returns
        -------
        ndarray
        """
        first_row = _checks.integer(first_row, "first_row", 0)
        array = _core.zeros(tuple(shape), _checks.float_dtype(dtype))
        rows = math.prod(array.shape[:-1])
        self._fill(array.reshape(rows, array.shape[-1] if array.ndim else 1), first_row)
        return array

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Zeros(Initializer):
    """All zeros; memory is taken only where rows are written later.

    On Linux that is by huge pages (2 MiB) where the system grants them: they make lookups in a
    large table faster.
    """

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        pass


class Constant(Initializer):
    """All one value.

    Parameters
    ----------
    value : float
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = _checks.real(value, "value")

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        rows.fill(self.value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"value": self.value}


class Ones(Initializer):
    """All ones."""

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        rows.fill(1.0)


class _Random(Initializer):
    """Keeps the seed; without one, draws it once, so that one object makes one table."""

    def __init__(self, seed: int | None) -> None:
        if seed is None:
            seed = secrets.randbits(63)
        self.seed = _checks.integer(seed, "seed", 0, 2**64 - 1)


class RandomUniform(_Random):
    """Uniform between two bounds.

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = _checks.real(minval, "minval")
        self.maxval = _checks.real(maxval, "maxval")
        if self.minval > self.maxval:
            raise ValueError(f"minval={minval!r} must not be above maxval={maxval!r}")
        if not math.isfinite(self.maxval - self.minval):
            raise ValueError(f"minval={minval!r} and maxval={maxval!r} are too far apart")

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        _core.fill_uniform(rows, self.seed, first_row, self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(_Random):
    """Normal, by the method of Box and Muller.

    It uses the logarithm, sine and cosine of the system's C library, on which its last bits depend.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = _checks.real(mean, "mean")
        self.stddev = _checks.real(stddev, "stddev", 0.0)

    def _fill(self, rows: NDArray[Any], first_row: int) -> None:
        _core.fill_normal(rows, self.seed, first_row, self.mean, self.stddev)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


_CLASSES: tuple[type[Initializer], ...] = (Zeros, Ones, Constant, RandomUniform, RandomNormal)
_ALIASES: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "uniform": RandomUniform,
    "random_uniform": RandomUniform,
    "normal": RandomNormal,
    "random_normal": RandomNormal,
    **{cls.__name__: cls for cls in _CLASSES},
}

InitializerLike: TypeAlias = (
    str | dict[str, Any] | type[Initializer] | Initializer | Callable[..., Any]
)


def get(identifier: InitializerLike, seed: int | None = None) -> Callable[..., Any]:
    """Return the initializer that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Initializer, type or callable
        A name (``"uniform"``, ``"RandomUniform"`` …), what `serialize` returned, or an object,
        which is returned as it is.
    seed : int, optional
        For an initializer made here by name.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(identifier, dict):
        known = _ALIASES.get(str(identifier.get("class_name")))
        if known is None:
            raise ValueError(f"embeddings_initializer={identifier!r} has no known 'class_name'")
        return known(**identifier.get("config", {}))
    if isinstance(identifier, str):
        if identifier not in _ALIASES:
            names = ", ".join(sorted(_ALIASES))
            raise ValueError(f"embeddings_initializer={identifier!r} is none of {names}")
        identifier = _ALIASES[identifier]
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier(seed=seed) if issubclass(identifier, _Random) else identifier()
    if callable(identifier):
        return identifier
    raise ValueError(
        f"embeddings_initializer={identifier!r} must be a name, a configuration or a callable"
    )


def is_builtin(initializer: object) -> TypeGuard[Initializer]:
    """Return whether this is of one of the classes here, and not of one made from them."""
    return type(initializer) in _CLASSES


def serialize(initializer: Callable[..., Any]) -> Any:
    """Return what `get` makes the same initializer from: a dict, or the callable itself."""
    if is_builtin(initializer):
        return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
    return initializer
