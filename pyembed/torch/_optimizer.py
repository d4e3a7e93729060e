"""What every optimizer does around its rule."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from numpy.typing import NDArray

from pyembed._core import BackwardCall, SortedGradient, Table
from pyembed.torch import _tables
from pyembed.torch._gradients import call_of
from pyembed.torch._graphs import outside_graphs
from pyembed.torch._memory import why_unfit
from pyembed.torch._state import Form, check_state, state_rows
from pyembed.torch._threads import follow_torch


class Update(NamedTuple):
    """One parameter's share of a step, checked: applying it cannot fail."""

    group: dict[str, Any]
    p: torch.Tensor
    table: Table
    gradient: SortedGradient


class Taken(dict[torch.Tensor, list[BackwardCall]]):
    """The gradients that one backward pass gives to its fused step, by weight."""

    __slots__ = ("__weakref__",)


# A group, its parameter, and the gradient: a tensor, or calls
Having = tuple[dict[str, Any], torch.Tensor, torch.Tensor | None, list[BackwardCall]]


class SparseOptimizer(torch.optim.Optimizer):
    """Base of the optimizers. A subclass has `_check_group` and `_apply`.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
    defaults : dict
        Of the param groups.
    """

    _dense_peer: ClassVar[str]  # who takes dense gradients
    # By the number of the pass, which owns it: what a pass that fails has taken goes with it.
    _passes: weakref.WeakValueDictionary[int, Taken]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
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
        applies = [self._prepare(*having) for having in self._having_gradients(_taken)]
        # From here on nothing can be refused.
        for apply in applies:
            apply()
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

    def _having_gradients(self, taken: Taken | None) -> Iterator[Having]:
        """Yield the parameters of a step: a fused one has no business with any ``grad``."""
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

    def _prepare(
        self,
        group: dict[str, Any],
        p: torch.Tensor,
        grad: torch.Tensor | None,
        calls: list[BackwardCall],
    ) -> Callable[[], None]:
        """Return what applies a parameter's gradient: `grad`, or that of calls."""
        if grad is not None and not grad.is_sparse:
            raise RuntimeError(
                f"{type(self).__name__} does not support dense gradients, please consider "
                f"{self._dense_peer} instead"
            )
        if grad is not None and (grad.shape, grad.dtype) != (p.shape, p.dtype):
            raise RuntimeError(
                f"a gradient of shape {tuple(grad.shape)} and dtype {grad.dtype} does not fit a "
                f"parameter of shape {tuple(p.shape)} and dtype {p.dtype}"
            )
        why = why_unfit(p)
        leading = 1 if grad is None else grad.sparse_dim()
        if why is None and leading > 1 and not p.is_contiguous():
            why = "it is not contiguous"
        if why is not None:
            return self._prepare_unfit(group, p, grad, why)
        if grad is not None:
            calls = [call_of(grad)]
        share = self._share(group, p)
        factor = -share if group["maximize"] else share
        if factor != 1.0:
            calls = [call.scaled(factor) for call in calls]
        table = _tables.table_of(p, leading)
        self._check_step(group, p)
        check_state(self.state.get(p, {}), self._state_names(group), self._form(p, table))
        gradient = SortedGradient(table, tuple(calls), for_step=True, l2=share * self._l2(group))
        update = Update(group, p, table, gradient)
        return lambda: self._update(update)

    def _prepare_unfit(
        self, group: dict[str, Any], p: torch.Tensor, grad: torch.Tensor | None, why: str
    ) -> Callable[[], None]:
        """Return what applies a gradient to a parameter that is no table where it lies."""
        raise RuntimeError(
            f"{type(self).__name__} cannot train a parameter of shape {tuple(p.shape)}: {why}"
        )

    def _update(self, update: Update) -> None:
        if not self._is_exact(update.group):
            _tables.let_go(update.table)
        self._apply(update)
        # A tensor saved for backward that is changed now must be noticed, as in torch's own steps.
        torch.autograd.graph.increment_version(update.p)

    def _is_exact(self, group: dict[str, Any]) -> bool:
        """Return whether this optimizer moves rows without a gradient too."""
        return False

    def _apply(self, update: Update) -> None:
        raise NotImplementedError

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError where an option's value is not allowed."""
        raise NotImplementedError

    def _check_step(self, group: dict[str, Any], p: torch.Tensor) -> None:
        """Raise ValueError where options, which may have changed, do not go together."""

    def _share(self, group: dict[str, Any], p: torch.Tensor) -> float:
        """Return what the gradient, and its penalty, are multiplied by."""
        return 1.0

    def _l2(self, group: dict[str, Any]) -> float:
        """Return the factor of the penalty ``l2 * sum(w**2)`` on touched rows."""
        return 0.5 * float(group["weight_decay"])

    def _state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        raise NotImplementedError

    def _form(self, p: torch.Tensor, table: Table) -> Form:
        rows, dim = table.array.shape
        return Form(rows, dim, p.shape, p.dtype)

    def _state_rows(self, update: Update, initial: float = 0.0) -> NDArray[Any]:
        """Return a parameter's state, (rows, arrays, dim)."""
        names = self._state_names(update.group)
        return state_rows(self.state[update.p], names, self._form(update.p, update.table), initial)

    def _refuse(self, kind: str, why: str, is_one: Callable[[torch.Tensor], bool]) -> None:
        found = [
            [number, at]
            for number, group in enumerate(self.param_groups)
            for at, p in enumerate(group["params"])
            if is_one(p)
        ]
        if found:
            raise ValueError(f"{kind} params at indices {found}: {type(self).__name__} {why}")


def check_rate(group: dict[str, Any]) -> None:
    """Raise ValueError where a learning rate, a number or a tensor of one, is not >= 0."""
    lr = group["lr"]
    if isinstance(lr, torch.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check(group, "lr", "learning rate", low=0.0)


def check(
    group: dict[str, Any], name: str, words: str, *, low: float = 0.0, below: float = float("inf")
) -> None:
    """Raise ValueError where an option is not in [low, below)."""
    if not low <= group[name] < below:
        raise ValueError(f"Invalid {words}: {group[name]}")


def next_step(state: dict[str, Any]) -> int:
    """Count one more step in `state`, in a tensor as torch does, and return its number."""
    step = state.get("step")
    if not isinstance(step, torch.Tensor):
        step = state["step"] = torch.tensor(float(step or 0), dtype=torch.float32)
    step += 1
    return int(step)


Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]
