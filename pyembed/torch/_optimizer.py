"""What every optimizer does around its rule."""

from __future__ import annotations

import copy
import functools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from numpy.typing import NDArray

from pyembed import _core
from pyembed._core import BackwardCall, Rule, State
from pyembed.table import Table
from pyembed.torch import _tables
from pyembed.torch._gradients import call_of
from pyembed.torch._graphs import outside_graphs
from pyembed.torch._memory import dtype_name, why_unfit
from pyembed.torch._state import Form, state_rows
from pyembed.torch._threads import follow_torch


class Share(NamedTuple):
    """One parameter's share of a step, checked."""

    p: torch.Tensor
    table: _core.Table
    rule: Rule
    state: State
    made: dict[str, torch.Tensor]  # of `state`, where the parameter's own lay otherwise
    done: int  # steps before
    update: _core.Update


class Taken(dict[torch.Tensor, list[BackwardCall]]):
    """The gradients that one backward pass gives to its fused step, by weight."""

    __slots__ = ("__weakref__",)


class SparseOptimizer(torch.optim.Optimizer):
    """Base of the optimizers: a subclass has options, names of state, and a rule."""

    _dense_peer: ClassVar[str]  # who takes dense gradients
    _nonnegative: ClassVar[tuple[str, ...]]  # options, which are finite too
    _steps_are: ClassVar[type[int] | type[torch.Tensor] | None] = None  # counted in the state
    _is_row_wise: ClassVar[bool] = False  # its state is one element a row
    _decays_rows: ClassVar[bool] = False  # weight_decay is decoupled
    # By the number of the pass, which owns it: what a pass that fails has taken goes with it.
    _passes: weakref.WeakValueDictionary[int, Taken]

    def __init__(self, params: Any, **defaults: Any) -> None:
        self._check_group(defaults)
        super().__init__(params, defaults)
        self._passes = weakref.WeakValueDictionary()
        self._refuse("Sparse", "requires dense parameter tensors", lambda p: p.is_sparse)
        self._refuse("Complex", "does not support complex parameters", lambda p: p.is_complex())

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with options of its own.

        Parameters
        ----------
        param_group : dict
            ``params``, and what shall differ from the optimizer's defaults.

        Raises
        ------
        ValueError
            If an option's value is not allowed.
        """
        if isinstance(param_group, dict):
            self._check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @torch.no_grad()
    @outside_graphs
    def step(self, closure: Callable[[], Any] | None = None, *, _taken: Taken | None = None) -> Any:
        """Update the rows that gradients touch.

        Gradients are read where they lie, uncoalesced as they are: nothing is copied.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model again, and returns the loss.

        Returns
        -------
        object
            The loss, where there is a closure.

        Raises
        ------
        RuntimeError
            If a gradient is dense, or does not fit its parameter any more.
        IndexError
            If a gradient's index is outside its parameter. Whatever is raised, nothing has been
            written.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        follow_torch()
        shares: list[Share] = []
        others: list[Callable[[], None]] = []
        for group, p, grad, calls in self._having_gradients(_taken):
            why = self._why_unfit(p, grad)
            if why is None:
                shares.append(self._share(group, p, grad, calls))
            else:
                others.append(self._step_of_unfit(group, p, grad, why))
        self._update(shares)
        for step in others:
            step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the state of an optimizer of the same rule, perhaps torch's.

        Parameters
        ----------
        state_dict : dict
            Its tensors are copied.
        """
        super().load_state_dict({**state_dict, "state": copy.deepcopy(state_dict["state"])})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._passes = weakref.WeakValueDictionary()
        for group in self.param_groups:  # saved by torch's optimizer, perhaps
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    def _having_gradients(self, taken: Taken | None) -> Iterator[tuple[Any, ...]]:
        """Yield groups, parameters, and the gradient of each: a tensor, or calls.

        A fused step has no business with any ``grad``.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if taken is None and p.grad is not None:
                    yield group, p, p.grad, []
                elif taken is not None and p in taken:
                    yield group, p, None, taken[p]

    def _take(self, p: torch.Tensor, call: BackwardCall, table: Table) -> None:
        """Take the gradient of a lookup in `table`, for a step at the end of the running pass."""
        if all(p is not own for group in self.param_groups for own in group["params"]):
            raise RuntimeError(
                "the weight is no longer the one that its optimizer trains: call fuse() again"
            )
        known = _tables.known_table(p)
        if known is None:
            raise RuntimeError("the weight's memory was replaced between a lookup and its backward")
        if known is not table:
            raise _tables.modules_differ("is updated in the backward pass")
        running = torch._C._current_graph_task_id()
        taken = self._passes.get(running)
        if taken is None:
            taken = self._passes[running] = Taken()
            step = functools.partial(self.step, _taken=taken)
            torch.autograd.Variable._execution_engine.queue_callback(step)
        taken.setdefault(p, []).append(call)

    def _why_unfit(self, p: torch.Tensor, grad: torch.Tensor | None) -> str | None:
        """Return why a parameter is no table where it lies; raise where its gradient is unfit."""
        if grad is None:
            return why_unfit(p)
        if not grad.is_sparse:
            raise RuntimeError(
                f"{type(self).__name__} does not support dense gradients, please consider "
                f"{self._dense_peer} instead"
            )
        if (grad.shape, grad.dtype) != (p.shape, p.dtype):
            raise RuntimeError(
                f"a gradient of shape {tuple(grad.shape)} and dtype {grad.dtype} does not fit a "
                f"parameter of shape {tuple(p.shape)} and dtype {p.dtype}"
            )
        why = why_unfit(p)
        if why is None and grad.sparse_dim() > 1 and not p.is_contiguous():
            return "it is not contiguous"
        return why

    def _step_of_unfit(
        self, group: dict[str, Any], p: torch.Tensor, grad: torch.Tensor | None, why: str
    ) -> Callable[[], None]:
        """Return what applies a gradient to a parameter that is no table where it lies."""
        raise RuntimeError(
            f"{type(self).__name__} cannot train a parameter of shape {tuple(p.shape)}: {why}"
        )

    def _share(
        self,
        group: dict[str, Any],
        p: torch.Tensor,
        grad: torch.Tensor | None,
        calls: list[BackwardCall],
    ) -> Share:
        """Return the share of a fit parameter, whose gradient is `grad`, or that of calls."""
        if grad is not None:
            calls = [call_of(grad)]
        factor = self._factor(group, p)
        signed = -factor if group["maximize"] else factor
        if signed != 1.0:
            calls = [call.scaled(signed) for call in calls]
        table = _tables.table_of(p, 1 if grad is None else grad.sparse_dim())
        self._check_step(group, p)
        starts = self._starts(group)
        rows, dim = table.array.shape
        form = Form(rows, dim, p.shape, p.dtype)
        if self._is_row_wise:
            form = Form(rows, 1, torch.Size([rows]), p.dtype)
        held = self.state.get(p, {})
        array, made = state_rows(held, starts, form)
        done = int(held.get("step") or 0)
        rule = self._rule(group, dtype_name(p.dtype))
        state = self._state_of(table, rule, array, done)
        decay = float(group.get("weight_decay", 0.0))
        rate = self._rate(group, done)
        update = _core.Update(
            table,
            calls,
            rule,
            state,
            rate,
            1.0 - rate * decay if self._decays_rows else 1.0,
            l2=0.0 if self._decays_rows else 0.5 * factor * decay,
        )
        return Share(p, table, rule, state, made, done, update)

    def _update(self, shares: Sequence[Share]) -> None:
        """Make a step, of all parameters or of none."""
        for share in shares:
            self._take_over(share)  # which changes nothing that lookups read
        try:
            _core.step([share.update for share in shares])
        finally:  # a Ctrl-C meanwhile is raised once all rows are updated
            for share in shares:
                if share.state.t != share.done:
                    self._note(share)

    def _note(self, share: Share) -> None:
        """Note a step that was made where torch looks for it."""
        if share.made or self._steps_are is not None:
            self.state[share.p].update(share.made)
        if self._steps_are is int:
            self.state[share.p]["step"] = share.state.t
        elif self._steps_are is torch.Tensor:
            _count(self.state[share.p])
        # A tensor saved for backward that is changed now must be noticed, as in torch's own steps.
        torch.autograd.graph.increment_version(share.p)

    def _take_over(self, share: Share) -> None:
        """Bring all rows up to date for good, if another optimizer left them behind."""
        if isinstance(share.table, Table):
            share.table.let_go()

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError where an option's value is not allowed."""
        if isinstance(group["lr"], torch.Tensor) and group["lr"].numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name in ("lr", *self._nonnegative):
            if not 0.0 <= group[name] < math.inf:
                raise ValueError(f"Invalid {_WORDS.get(name, f'{name} value')}: {group[name]}")

    def _check_step(self, group: dict[str, Any], p: torch.Tensor) -> None:
        """Raise ValueError where options, which may have changed, do not go together."""
        if self._decays_rows and float(group["lr"]) * group["weight_decay"] >= 1.0:
            raise ValueError(
                f"lr={float(group['lr']):g} times weight_decay={group['weight_decay']:g} must be "
                "< 1"
            )

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        raise NotImplementedError

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        """Return the names of the tensors of state, and what they start from."""
        raise NotImplementedError

    def _rate(self, group: dict[str, Any], done: int) -> float:
        """Return the learning rate of a parameter that made so many steps."""
        return float(group["lr"])

    def _factor(self, group: dict[str, Any], p: torch.Tensor) -> float:
        """Return what the gradient, and its penalty, are multiplied by."""
        return 1.0

    def _state_of(self, table: _core.Table, rule: Rule, array: NDArray[Any], done: int) -> State:
        return State(array, done)

    def _refuse(self, kind: str, why: str, is_one: Callable[[torch.Tensor], bool]) -> None:
        found = [
            [number, at]
            for number, group in enumerate(self.param_groups)
            for at, p in enumerate(group["params"])
            if is_one(p)
        ]
        if found:
            raise ValueError(f"{kind} params at indices {found}: {type(self).__name__} {why}")


_WORDS = {"lr": "learning rate", "eps": "epsilon value"}


def check_rate(lr: float | torch.Tensor) -> None:
    """Raise ValueError where a learning rate is not above 0."""
    if not lr > 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_betas(group: dict[str, Any]) -> None:
    """Raise ValueError where one of an option's two betas is not in [0, 1)."""
    for index, beta in enumerate(group["betas"]):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")


def _count(state: dict[str, Any]) -> None:
    """Count one more step in `state`, in a tensor as torch does."""
    step = state.get("step")
    if not isinstance(step, torch.Tensor):
        step = state["step"] = torch.tensor(float(step or 0), dtype=torch.float32)
    step += 1


Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]
