"""What a new table starts from, under Keras's names.

An initializer is called with a shape and a dtype and returns an array. The random ones draw every
element from a counter-based generator (Philox4x32-10) keyed by (seed, row, column): the same table
at any number of threads, and any range of its rows can be made alone. (`Orthogonal` cannot: there
every row depends on all others.)

These are Keras 3's initializers but for STFT, which makes kernels of convolutions.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

from pyembed import _arrays
from pyembed._registry import Registry, make
from pyembed.initializers.base import Initializer
from pyembed.initializers.constants import Constant, Identity, Ones, Zeros, matrix_of
from pyembed.initializers.qr import Orthogonal
from pyembed.initializers.random import Random, RandomNormal, RandomUniform, TruncatedNormal
from pyembed.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]

_REGISTRY = Registry[Initializer](
    [
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        Identity,
        LecunNormal,
        LecunUniform,
        Ones,
        Orthogonal,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    ],
    "embeddings_initializer",
    {
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "normal": RandomNormal,
        "one": Ones,
        "uniform": RandomUniform,
        "zero": Zeros,
    },
)

# Keras's second names.
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

InitializerLike: TypeAlias = (
    str | dict[str, Any] | type[Initializer] | Initializer | Callable[..., Any] | NDArray[Any]
)

is_builtin = _REGISTRY.is_builtin
serialize = _REGISTRY.serialize


def get(
    identifier: InitializerLike, seed: int | None = None, name: str | None = None
) -> Callable[..., Any]:
    """Return the initializer that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, Initializer, type, callable or array
        A name (``"uniform"``, ``"RandomUniform"`` …), what `serialize` or Keras's returned, a
        class, or an object, which is returned as it is. An array stands for `Constant` of it.
    seed : int, optional
        For a random initializer made here without a seed of its own.
    name : str, optional
        The argument that errors name.

    Raises
    ------
    ValueError
        If it is none of these, or an array that is no matrix.
    TypeError
        If it is an array, but not of real numbers.
    """
    given: Any = identifier
    if _arrays.is_array(given):
        return Constant(matrix_of(given, name or "embeddings_initializer"))

    def seeded(cls: Callable[..., Any], config: Mapping[str, Any]) -> Callable[..., Any]:
        is_random = isinstance(cls, type) and issubclass(cls, Random)
        if is_random and config.get("seed") is None:
            config = {**config, "seed": seed}
        return make(cls, config)

    return _REGISTRY.made(identifier, name, seeded)
