"""What `Embedding` and `EmbeddingBag` add to torch's modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch

from pyembed import _core
from pyembed.torch import _graphs, _tables
from pyembed.torch._errors import RefusedTypeError, as_torchs
from pyembed.torch._lookup import look_up
from pyembed.torch._memory import can_be_table, dtype_name
from pyembed.torch._optimizer import SparseOptimizer
from pyembed.torch._own_memory import keep_apart
from pyembed.torch._sharded import Shard
from pyembed.torch._watch import watch

MakeOptimizer = SparseOptimizer | Callable[[Iterable[torch.Tensor]], SparseOptimizer]


# Of so many ids, torch's own function is as fast as any that is called from Python. Its rows and
# sparse gradients are the same bits; so are dense ones, of as many as are always summed one after
# the other.
_FEW = 8192
_FEW_IN_DENSE = 256
_IDS_OF_TORCH = torch.int64, torch.int32


class TableModule(torch.nn.Module):
    """Lookups in a weight, and perhaps its update in the backward pass."""

    if TYPE_CHECKING:  # TorchScript would take these for its own
        weight: torch.Tensor
        padding_idx: int | None
        max_norm: float | None
        norm_type: float
        scale_grad_by_freq: bool
        sparse: bool
        optimizer: SparseOptimizer | None
        num_embeddings: int
        _shard: Shard | None
        _held: _tables.Held | None

    optimizer = None
    _shard = None
    _held = None
    _rows_may_lag = False  # a graph that is compiled reads this, and is made anew where it changes

    def __init__(
        self,
        rows: int,
        dim: int,
        *,
        _weight: torch.Tensor | None,
        device: Any,
        dtype: Any,
        optimizer: MakeOptimizer | None,
        comm: Any = None,
        sum_by: str = "rank",
        **options: Any,
    ) -> None:
        if comm is not None:
            self._init_shard(
                Shard.of(comm, rows, dim, sum_by, options), dim, _weight, device, dtype, options
            )
            if optimizer is not None:
                self.fuse(optimizer)
            return
        made = _new_weight(rows, dim, device, dtype) if _weight is None else None
        weight = _weight if made is None else made
        super().__init__(rows, dim, _weight=weight, device=device, dtype=dtype, **options)
        if made is not None:
            self.reset_parameters()
        if optimizer is not None:
            self.fuse(optimizer)

    def _init_shard(
        self,
        shard: Shard,
        dim: int,
        given: torch.Tensor | None,
        device: Any,
        dtype: Any,
        options: dict[str, Any],
    ) -> None:
        """Hold the rows of a table that this process has."""
        weight = shard.weight(given, dim, device, dtype)
        own = {**options, "padding_idx": shard.own_padding_idx}
        super().__init__(len(weight), dim, _weight=weight, **own)
        self._shard, self.num_embeddings, self.padding_idx = shard, shard.rows, shard.padding_idx

    def reset_parameters(self) -> None:
        """Fill the weight as a new one; with a `comm`, with the same numbers again."""
        if self._shard is None:
            super().reset_parameters()  # type: ignore[misc]
        else:
            self._shard.fill(self.weight)

    def fuse(self, optimizer: MakeOptimizer) -> None:
        """Update rows in the backward pass from now on: the weight gets no gradient.

        There is one step for each ``backward()``, at its end, however often the table was looked up
        in it.

        Parameters
        ----------
        optimizer : callable or optimizer
            What makes an optimizer of `pyembed.torch` of parameters, a class or a partial; or one
            that has this module's weight, such as another module's, with which it is shared.

        Raises
        ------
        TypeError
            If it is none of `pyembed.torch`.
        ValueError
            If it does not train this module's weight.
        """
        made = optimizer if isinstance(optimizer, SparseOptimizer) else optimizer([self.weight])
        if not isinstance(made, SparseOptimizer):
            raise TypeError(
                f"optimizer must be one of pyembed.torch, or make one, not {type(made).__name__}"
            )
        if all(p is not self.weight for group in made.param_groups for p in group["params"]):
            raise ValueError("optimizer does not train this module's weight")
        self.optimizer = made
        watch(self)

    def accumulate(self) -> AbstractContextManager[None]:
        """Add the gradients of several backward passes up for one step, in a `with` statement.

        The step, at its end, is that of all tables which share the optimizer: see its `accumulate`.

        Raises
        ------
        RuntimeError
            If rows are not updated in the backward pass.
        """
        if self.optimizer is None:
            raise RuntimeError("accumulate() is of a module with an optimizer: call fuse() first")
        return self.optimizer.accumulate()

    def _look_up(
        self,
        weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        mode: str | None = None,
        include_last_offset: bool = False,
    ) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return self._look_up_compiled(weights, ids, offsets, mode, include_last_offset)
        if self._shard is not None:
            how = mode, include_last_offset, self.scale_grad_by_freq
            return self._look_up_with_all(self._shard, weights, ids, offsets, how)
        if mode is None:
            few = self._look_up_few(ids)
            if few is not None:
                return few
        weight = self.weight  # read once: where it is parametrized, each time makes another
        if _graphs.must_be_torchs(weight, ids, offsets, weights):
            return self._look_up_by_torch(weight, weights, ids, offsets)
        if _graphs.are_watched() and self._why_not_torchs(weights) is None:
            return self._look_up_by_torch(weight, weights, ids, offsets)
        held = _tables.hold(
            self._held,
            weight,
            self._table_options(),
            (mode, include_last_offset, self.scale_grad_by_freq),
        )
        if held is not self._held:
            self._hold(held)
        if held is None:
            return self._look_up_by_torch(weight, weights, ids, offsets)
        if mode is None:
            held.parameter = self._parameters.get("weight")
            held.keeps_apart = self.sparse and weight.requires_grad and keep_apart(weight)
        if weights is not None and weights.dtype is not weight.dtype:
            raise RefusedTypeError(
                f"per_sample_weights must have the weight's dtype {weight.dtype}, not "
                f"{weights.dtype}"
            )
        try:
            return look_up(weight, weights, ids, offsets, held.lookup, self.sparse, self.optimizer)
        except (IndexError, TypeError, ValueError) as error:
            raise as_torchs(error) from None

    def _look_up_with_all(
        self,
        shard: Shard,
        weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        how: tuple[Any, ...],
    ) -> torch.Tensor:
        """Look up in a table of several ranks, which do this together."""
        weight = self.weight
        try:
            if _graphs.must_be_torchs(weight, ids, offsets, weights):
                raise self._no_operations(self._why_not_torchs(weights))
            held = _tables.hold(self._held, weight, self._table_options(), how)
            if held is None:
                unfit = _tables.why_not_held(weight, self._table_options())
                raise self._no_operations(self._why_not_torchs(weights), unfit)
        except BaseException as error:
            shard.refuse(error)
        if held is not self._held:
            held.lookup = shard.lookup(held.table, how)
            self._hold(held)
        lookup = held.lookup
        try:
            return look_up(weight, weights, ids, offsets, lookup, self.sparse, self.optimizer)
        except (IndexError, TypeError, ValueError) as error:
            raise as_torchs(error) from None

    def _table_options(self) -> tuple[Any, ...]:
        max_norm, shard = self.max_norm, self._shard
        norm_type = 2.0 if max_norm is None else self.norm_type
        if shard is None:
            return self.padding_idx, max_norm, norm_type, None
        return shard.own_padding_idx, max_norm, norm_type, shard.share

    def _look_up_few(self, ids: torch.Tensor) -> torch.Tensor | None:
        """Return rows by torch's own function, where that has the same bits and is as fast.

        None where it has not, in a module's first lookup, and where torch refuses: `look_up` says
        better why.
        """
        held, weight = self._held, self._parameters.get("weight")
        if held is None or held.parameter is not weight or weight is None:
            return None
        if weight.data_ptr() != held.memory[0] or _graphs.tracing_state() is not None:
            return None
        if self.max_norm is not None or self.scale_grad_by_freq or self._rows_may_lag:
            return None
        sparse, most = self.sparse, _FEW
        trains = weight.requires_grad and torch.is_grad_enabled()
        if trains:
            if self.optimizer is not None or (sparse and not held.keeps_apart):
                return None
            if not sparse:
                most = _FEW_IN_DENSE
        if type(ids) is not torch.Tensor or ids.numel() > most or ids.dtype not in _IDS_OF_TORCH:
            return None
        if ids.dim() == 0:  # whose sparse gradient with a padding_idx torch cannot make
            return None
        padding_idx = -1 if self.padding_idx is None else self.padding_idx
        if trains and sparse:
            ids = ids.clone()  # the gradient's own
        try:
            return torch.embedding(weight, ids, padding_idx, False, sparse)
        except (IndexError, RuntimeError):
            return None

    def _hold(self, held: _tables.Held | None) -> None:
        self._held = held
        if held is not None:
            held.table.modules.add(self)
            if held.table.may_lag:
                self._rows_may_lag = True

    def _look_up_compiled(self, *given: Any) -> torch.Tensor:
        """Look up in code that is compiled or exported: by what a graph has, where that will do."""
        weights, ids, offsets, *_ = given
        why = self._why_not_torchs(weights)
        if why is None and not self._rows_may_lag:
            return self._forward_of_torch(ids, offsets, weights)
        if torch.compiler.is_dynamo_compiling():
            return self._look_up_outside(*given)
        if why is None:
            return self._look_up_by_torch(self.weight, weights, ids, offsets)
        raise self._no_operations(why)

    @_graphs.outside_graphs
    def _look_up_outside(self, *given: Any) -> torch.Tensor:
        """Look up outside of the graph that is being compiled: the kernels are none of its own."""
        return self._look_up(*given)

    def _look_up_by_torch(
        self,
        weight: torch.Tensor,
        weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
    ) -> torch.Tensor:
        """Look up by torch's own operations, as torch's module does."""
        _graphs.check_is_tensor(ids, "input")
        for value, name in ((offsets, "offsets"), (weights, "per_sample_weights")):
            if value is not None:
                _graphs.check_is_tensor(value, name)
        why = self._why_not_torchs(weights)
        if why is not None:
            unfit = None
            if _graphs.has_memory(weight):
                unfit = _tables.why_not_held(weight, self._table_options())
            raise self._no_operations(why, unfit)
        if _graphs.has_memory(weight):
            _tables.settle(weight)
        return self._forward_of_torch(ids, offsets, weights)

    def _why_not_torchs(self, weights: torch.Tensor | None) -> str | None:
        """Return why torch's own operations cannot do what a lookup does, or None."""
        if self._shard is not None:
            return "its rows are with several ranks"
        if self.optimizer is not None and torch.is_grad_enabled() and self.weight.requires_grad:
            return "its optimizer updates rows in the backward pass (no_grad() is enough)"
        return None

    def _no_operations(self, why: str | None, unfit: str | None = None) -> RuntimeError:
        name = type(self).__name__
        if unfit is not None:
            message = f"the weight cannot be looked up where it lies: {unfit}"
            return RefusedTypeError(f"{message}; nor by torch: {why}")
        return RuntimeError(
            f"{name} cannot be traced, exported, transformed or looked up by torch's own "
            f"operations: {why}"
        )

    def _forward_of_torch(
        self,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        raise NotImplementedError

    def __prepare_scriptable__(self) -> Any:
        """Return what `torch.jit.script` compiles: this, as `forward` knows."""
        why = self._why_not_torchs(None)
        if why is not None:
            raise self._no_operations(why)
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        _tables.settle(self.weight)  # its memory may be left behind, and what rows lack with it
        self._held = None  # which would keep that memory
        apply: Any = super()._apply
        return apply(fn, recurse)

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        _tables.settle(self.weight)
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        _tables.settle(self.weight)  # what rows are behind by must not be made up for later
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        if self._shard is not None:
            raise TypeError(
                "a module with a comm cannot be copied or pickled: each rank saves its state_dict()"
            )
        _tables.settle(self.weight)
        state = dict(self.__dict__)
        for name in ("_held", "_rows_may_lag"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.optimizer is not None:
            watch(self)


def _new_weight(rows: int, dim: int, device: Any, dtype: Any) -> torch.Tensor | None:
    """Return zeros on huge pages, where a table can be; None where torch must make the weight."""
    like = torch.empty(0, device=device, dtype=dtype)
    if not can_be_table(like) or min(rows, dim) < 0:
        return None
    return torch.from_numpy(_core.zeros((rows, dim), dtype_name(like.dtype), promised=True))
