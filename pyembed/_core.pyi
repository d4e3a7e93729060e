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
        max_norm: float | None = None,
        norm_type: float = 2.0,
        writeable: bool = True,
    ) -> None: ...
    @property
    def array(self) -> NDArray[Any]: ...
    def gather(
        self,
        ids: ArrayLike,
        out: NDArray[Any] | None = None,
        dropout: float = 0.0,
        key: int = 0,
        renormalise: bool = True,
    ) -> NDArray[Any]: ...
    def gather_bag(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None,
        per_sample_weights: ArrayLike | None,
        mode: str,
        include_last_offset: bool = False,
        out: NDArray[Any] | None = None,
        renormalise: bool = True,
    ) -> NDArray[Any]: ...
    def weight_gradient(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None,
        per_sample_weights: ArrayLike | None,
        mode: str,
        include_last_offset: bool = False,
    ) -> NDArray[Any]: ...
    def resolve(self, ids: ArrayLike) -> NDArray[np.int64]: ...
    def freeze(self, rows: ArrayLike) -> None: ...
    def unfreeze(self, rows: ArrayLike | None = None) -> None: ...
    def frozen_rows(self) -> NDArray[np.int64]: ...
    def assign(self, values: ArrayLike) -> None: ...
    def grow(self, array: NDArray[Any], state: NDArray[Any] | None = None) -> None: ...
    def attach_moments(
        self,
        state: NDArray[Any],
        beta_1: float,
        beta_2: float,
        epsilon: float,
        terms: int,
        horizon: int,
        t: int,
    ) -> None: ...
    def detach_moments(self) -> None: ...
    def settle(self) -> None: ...
    def stamps(self) -> NDArray[np.int64]: ...

def restore_table(*state: Any) -> Table: ...
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
        *,
        table: Table | None = None,
        by_frequency: bool = False,
        dropout: float = 0.0,
        key: int = 0,
        gradient_name: str = "grad_output",
    ) -> None: ...
    def scaled(self, factor: float) -> BackwardCall: ...

@final
class SortedGradient:
    def __init__(
        self,
        table: Table,
        calls: tuple[BackwardCall, ...],
        *,
        for_step: bool = False,
        l1: float = 0.0,
        l2: float = 0.0,
        norm: tuple[float, float, float] | None = None,
        non_negative: bool = False,
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
    def step_adagrad(
        self, state: NDArray[Any], learning_rate: float, decay: float, epsilon: float
    ) -> None: ...
    def step_row_wise_adagrad(
        self, state: NDArray[Any], learning_rate: float, decay: float, epsilon: float
    ) -> None: ...
    def step_rms_prop(
        self,
        state: NDArray[Any],
        learning_rate: float,
        decay: float,
        rho: float,
        epsilon: float,
        epsilon_outside: float = 0.0,
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
    def step_exact_adam(
        self,
        learning_rate: float,
        decay: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        correction: float,
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
def follow_num_threads(n: int) -> None: ...
def config() -> dict[str, Any]: ...
def release_memory() -> None: ...
