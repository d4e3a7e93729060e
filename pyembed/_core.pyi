# In the order of csrc/bindings.cpp, which checks the arguments; the public functions say what they
# mean.
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

@final
class Table:
    def __init__(
        self,
        array: NDArray[Any],
        *,
        out_of_range: str = "raise",
        padding_idx: int | None = None,
        writeable: bool = True,
    ) -> None: ...
    @property
    def array(self) -> NDArray[Any]: ...
    def gather(self, ids: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def gather_bag(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None,
        per_sample_weights: ArrayLike | None,
        mode: str,
        include_last_offset: bool = False,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]: ...

def gather(
    table: NDArray[Any], ids: ArrayLike, out: NDArray[Any] | None = None
) -> NDArray[Any]: ...
def gather_bag(
    table: NDArray[Any],
    ids: ArrayLike,
    offsets: ArrayLike | None,
    per_sample_weights: ArrayLike | None,
    mode: str,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...

@final
class BackwardCall:
    def __init__(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        dim: int,
        dtype: str,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        mode: str | None = None,
        include_last_offset: bool = False,
        gradient_name: str = "grad_output",
    ) -> None: ...
    def scaled(self, factor: float) -> BackwardCall: ...

@final
class SortedGradient:
    def __init__(
        self, table: Table, calls: tuple[BackwardCall, ...], for_step: bool = False
    ) -> None: ...
    def coalesce(self) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
    def step_sgd(self, learning_rate: float, decay: float) -> None: ...
    def step_momentum(
        self,
        state: NDArray[Any],
        learning_rate: float,
        decay: float,
        momentum: float,
        nesterov: bool,
    ) -> None: ...
    def step_adam(
        self,
        state: NDArray[Any],
        learning_rate: float,
        decay: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        corrections: NDArray[np.float64],
        row_steps: NDArray[np.int64] | None = None,
    ) -> None: ...

def expand(
    table: Table, calls: tuple[BackwardCall, ...]
) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
def to_dense(
    table: Table, calls: tuple[BackwardCall, ...], out: NDArray[Any], method: str
) -> None: ...
def coalesce(call: BackwardCall, rows: int) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
def scatter_add(dst: NDArray[Any], ids: ArrayLike, rows: ArrayLike, method: str) -> None: ...
def zeros(shape: tuple[int, ...], dtype: str) -> NDArray[Any]: ...
def fill_uniform(
    array: NDArray[Any], seed: int, first_row: int, low: float, high: float
) -> None: ...
def fill_normal(
    array: NDArray[Any], seed: int, first_row: int, mean: float, stddev: float
) -> None: ...
def fill_truncated_normal(
    array: NDArray[Any], seed: int, first_row: int, mean: float, stddev: float
) -> None: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def config() -> dict[str, Any]: ...
def release_memory() -> None: ...
