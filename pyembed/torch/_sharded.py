"""Modules whose weight is what one process has of a table that several share."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import torch

from pyembed import _checks, _core
from pyembed._core import BackwardCall
from pyembed.initializers import RandomNormal
from pyembed.sharding import Calls, ShardedTable, Together, exchange, ranks_of
from pyembed.sharding.agreement import gathered, refuse
from pyembed.sharding.lookup import ShardedLookup
from pyembed.torch import _tables
from pyembed.torch._memory import can_be_table, dtype_name, why_unfit


class Shard(NamedTuple):
    """What a module must know of a table that its weight has some rows of."""

    ranks: Together
    rows: int  # of the whole table
    padding_idx: int | None  # in the whole table
    sum_by: str
    number: int  # drawn by rank 0

    @classmethod
    def of(cls, comm: Any, rows: int, dim: int, sum_by: str, options: dict[str, Any]) -> Shard:
        """Return the share that a rank of `comm` has; collective.

        Raises
        ------
        TypeError
            If `comm` is no communicator.
        ValueError
            If an argument's value is not allowed, or differs from rank to rank.
        """
        ranks = ranks_of(comm)
        assert isinstance(ranks, Together)

        def checked() -> dict[str, Any]:
            _checks.one_of(sum_by, "sum_by", ("rank", "position"))
            given = {"num_embeddings": _checks.integer(rows, "num_embeddings", 1)}
            padding_idx = options.get("padding_idx")
            if padding_idx is not None:
                _checks.integer(padding_idx, "padding_idx", -rows, rows - 1)
            return given | {"embedding_dim": dim, "sum_by": sum_by, **options}

        ranks.agree_on("a module with a comm", checked)
        padding_idx = options.get("padding_idx")
        drawn = gathered(ranks.comm, torch.randint(1 << 62, (1,)).numpy())
        return cls(
            ranks,
            rows,
            None if padding_idx is None else padding_idx % rows,
            sum_by,
            int(drawn[0, 0]),
        )

    @property
    def numbers(self) -> range:
        """Which rows of the table are here."""
        return range(self.ranks.comm.rank, self.rows, self.ranks.comm.size)

    @property
    def share(self) -> tuple[int, int, int]:
        """The same, as `Table` has it."""
        return self.ranks.comm.rank, self.ranks.comm.size, self.rows

    @property
    def own_padding_idx(self) -> int | None:
        """Where the padding is among the rows that are here, if it is."""
        if self.padding_idx is None or self.padding_idx not in self.numbers:
            return None
        return self.numbers.index(self.padding_idx)

    def weight(self, given: torch.Tensor | None, dim: int, device: Any, dtype: Any) -> torch.Tensor:
        """Return the rows that are here: of the given ones, or new ones; collective."""
        return self.ranks.agreed(lambda: self._weight(given, dim, device, dtype))

    def _weight(
        self, given: torch.Tensor | None, dim: int, device: Any, dtype: Any
    ) -> torch.Tensor:
        own = len(self.numbers), dim
        if given is None:
            like = torch.empty(0, device=device, dtype=dtype)
            if not can_be_table(like):
                raise TypeError(f"with comm, a weight cannot be {like.dtype} on {like.device}")
            made = torch.from_numpy(_core.zeros(own, dtype_name(like.dtype), promised=True))
            self.fill(made)
            return made
        if not isinstance(given, torch.Tensor):
            raise TypeError(f"_weight must be a tensor, not {type(given).__name__}")
        if given.shape == (self.rows, dim):
            given = given[self.numbers.start :: self.numbers.step].contiguous()
        if given.shape != own:
            raise ValueError(
                f"_weight has shape {tuple(given.shape)}, but must have shape {(self.rows, dim)}, "
                f"or {own} of the rows of rank {self.ranks.comm.rank}"
            )
        why = why_unfit(given)
        if why is not None:
            raise TypeError(f"with comm, the weight must lie as a table does: {why}")
        return given

    def fill(self, weight: torch.Tensor) -> None:
        """Fill a weight with normal numbers, as they are with any number of ranks."""
        rows = RandomNormal(0.0, 1.0, seed=self.number)(
            tuple(weight.shape),
            dtype=dtype_name(weight.dtype),
            first_row=self.numbers.start,
            row_step=self.numbers.step,
            total_rows=self.rows,
        )
        with torch.no_grad():
            weight.copy_(torch.from_numpy(rows))
            if self.own_padding_idx is not None:
                weight[self.own_padding_idx].fill_(0.0)

    def lookup(self, part: _tables.WeightTable, how: tuple[Any, ...]) -> ShardedLookup:
        """Return a lookup in the whole table, of which a weight's table is the part here."""
        whole = ShardedTable(
            self.ranks.comm, self.number, part, self.sum_by, self.rows, self.padding_idx, "raise"
        )
        return ShardedLookup(whole, *how)

    def refuse(self, error: BaseException) -> NoReturn:
        """Raise an error on all ranks, which are about to look up."""
        refuse(self.ranks.comm, error)


def received(lookup: ShardedLookup, given: tuple[Any, ...]) -> list[BackwardCall]:
    """Return the gradient of the rows that are here, of all ranks' lookups; collective.

    Parameters
    ----------
    lookup : ShardedLookup
    given : tuple
        What `lookup.call` takes, of this rank's.
    """
    # Where rows must be seen again, to call is collective itself, and raises on all ranks.
    seen = [lookup.call(*given)] if lookup.needs_table else None

    def calls() -> Calls:
        return {lookup.table: [lookup.call(*given)] if seen is None else seen}

    return exchange.received(lookup.table.comm, calls, [lookup.table])[lookup.table]
