"""What `Embedding` and `EmbeddingBag` add to torch's modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from pyembed import _core
from pyembed.torch import _tables
from pyembed.torch._graphs import outside_graphs
from pyembed.torch._lookup import look_up
from pyembed.torch._memory import can_be_table, dtype_name
from pyembed.torch._optimizer import SparseOptimizer

MakeOptimizer = SparseOptimizer | Callable[[Iterable[torch.Tensor]], SparseOptimizer]


class TableModule(torch.nn.Module):
    """Lookups in a weight, and perhaps its update in the backward pass."""

    weight: torch.Tensor
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    scale_grad_by_freq: bool
    sparse: bool
    optimizer: SparseOptimizer | None = None
    reset_parameters: Callable[[], None]

    def __init__(
        self,
        rows: int,
        dim: int,
        *,
        _weight: torch.Tensor | None,
        device: Any,
        dtype: Any,
        optimizer: MakeOptimizer | None,
        **options: Any,
    ) -> None:
        made = _new_weight(rows, dim, device, dtype) if _weight is None else None
        weight = _weight if made is None else made
        super().__init__(rows, dim, _weight=weight, device=device, dtype=dtype, **options)
        if made is not None:
            self.reset_parameters()
        if optimizer is not None:
            self.fuse(optimizer)

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

    def _look_up(
        self,
        weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        mode: str | None = None,
        include_last_offset: bool = False,
    ) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return self._look_up_outside(weights, ids, offsets, mode, include_last_offset)
        weight = self.weight  # read once: where it is parametrized, each time makes another
        lookup = _tables.module_lookup(
            weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            mode,
            include_last_offset,
            self.scale_grad_by_freq,
        )
        return look_up(weight, weights, ids, offsets, lookup, self.sparse, self.optimizer)

    @outside_graphs
    def _look_up_outside(self, *given: Any) -> torch.Tensor:
        """Look up outside of the graph that is being compiled: the kernels are none of its own."""
        return self._look_up(*given)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        _tables.settle(self.weight)  # its memory may be left behind, and what rows lack with it
        apply: Any = super()._apply
        return apply(fn, recurse)

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        _tables.settle(self.weight)
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        _tables.settle(self.weight)  # what rows are behind by must not be made up for later
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        _tables.settle(self.weight)
        return self.__dict__


def _new_weight(rows: int, dim: int, device: Any, dtype: Any) -> torch.Tensor | None:
    """Return zeros on huge pages, where a table can be; None where torch must make the weight."""
    like = torch.empty(0, device=device, dtype=dtype)
    if not can_be_table(like):
        return None
    return torch.from_numpy(_core.zeros((rows, dim), dtype_name(like.dtype), promised=True))
