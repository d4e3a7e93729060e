# In the order of the bindings in csrc/python/, which check the arguments; the public functions say
# what they mean.
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Result = TypeVar("_Result")

__version__: str
elements: tuple[str, ...]
modes: tuple[str, ...]
selecting_modes: tuple[str, ...]
policies: tuple[str, ...]

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
    def resolve(self, ids: ArrayLike) -> NDArray[np.int64]: ...
    def freeze(self, rows: ArrayLike) -> None: ...
    def unfreeze(self, rows: ArrayLike | None = None) -> None: ...
    def reserve_frozen(self) -> None: ...
    def frozen_rows(self) -> NDArray[np.int64]: ...
    def assign(self, values: ArrayLike) -> None: ...
    def grow(
        self,
        array: NDArray[Any],
        state: State | None = None,
        larger_state: State | None = None,
    ) -> None: ...
    def settle(self) -> None: ...
    def detach(self) -> None: ...
    def restart(self, t: int) -> None: ...
    def stamps(self) -> NDArray[np.int64]: ...

@final
class Holding:
    def __init__(self, tables: tuple[Table, ...], *, alone: bool) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...

class Lookup:
    def __init__(
        self,
        table: Table,
        mode: str | None = None,
        include_last_offset: bool = False,
        by_frequency: bool = False,
    ) -> None: ...
    @property
    def table(self) -> Table: ...
    @property
    def mode(self) -> str | None: ...
    @property
    def include_last_offset(self) -> bool: ...
    @property
    def by_frequency(self) -> bool: ...
    def gather(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]: ...
    def gather_dropping(
        self, ids: ArrayLike, dropout: float, key: int, out: NDArray[Any] | None = None
    ) -> NDArray[Any]: ...
    def gather_as_is(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        dropout: float = 0.0,
        key: int = 0,
    ) -> NDArray[Any]: ...
    def call(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> BackwardCall: ...
    def call_dropping(
        self, ids: ArrayLike, grad_output: ArrayLike, dropout: float, key: int
    ) -> BackwardCall: ...
    def weight_gradient(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
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
        rows: ArrayLike,
        dim: int,
        dtype: str,
        gradient_name: str = "grad_output",
    ) -> None: ...
    def scaled(self, factor: float) -> BackwardCall: ...

def expand(
    table: Table, calls: Sequence[BackwardCall]
) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
def coalesce(
    table: Table, calls: Sequence[BackwardCall]
) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
def to_dense(
    table: Table, calls: Sequence[BackwardCall], out: NDArray[Any] | None, method: str
) -> NDArray[Any]: ...
def coalesce_rows(call: BackwardCall, rows: int) -> tuple[NDArray[np.int64], NDArray[Any]]: ...
def scatter_add(dst: NDArray[Any], ids: ArrayLike, rows: ArrayLike, method: str) -> None: ...

@final
class Rule:
    def __init__(self, name: str, **numbers: float) -> None: ...
    @property
    def name(self) -> str: ...
    def state_shape(self, dim: int) -> tuple[int, int]: ...
    def attach(self, table: Table, state: State) -> None: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

@final
class State:
    t: int
    def __init__(
        self, array: NDArray[Any], t: int = 0, row_steps: NDArray[np.int64] | None = None
    ) -> None: ...
    @property
    def array(self) -> NDArray[Any]: ...
    @property
    def row_steps(self) -> NDArray[np.int64] | None: ...

@final
class Update:
    def __init__(
        self,
        table: Table,
        calls: Sequence[BackwardCall],
        rule: Rule,
        state: State,
        learning_rate: float,
        decay: float = 1.0,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        norm: tuple[float, float, float] | None = None,
        non_negative: bool = False,
    ) -> None: ...

def step(updates: Sequence[Update]) -> None: ...
def zeros(shape: tuple[int, ...], dtype: str, promised: bool = False) -> NDArray[Any]: ...
def fill_uniform(
    array: NDArray[Any], seed: int, first_row: int, low: float, high: float
) -> None: ...
def fill_normal(
    array: NDArray[Any], seed: int, first_row: int, mean: float, stddev: float
) -> None: ...
def fill_truncated_normal(
    array: NDArray[Any], seed: int, first_row: int, mean: float, stddev: float
) -> None: ...
def call_apart(
    start: Callable[[Callable[[], None], tuple[()]], Any], function: Callable[[], _Result]
) -> _Result: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def follow_num_threads(n: int) -> None: ...
def config() -> dict[str, Any]: ...
def release_memory() -> None: ...
