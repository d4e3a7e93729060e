"""What every optimizer does around its rule."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from numpy.typing import NDArray

from pyembed import _core
from pyembed._core import BackwardCall, Rule, State
from pyembed._uninterrupted import uninterrupted
from pyembed.table import Table
from pyembed.torch import _tables
from pyembed.torch._gradients import call_of, call_of_all, call_of_sum
from pyembed.torch._graphs import outside_graphs
from pyembed.torch._memory import dtype_name, why_unfit
from pyembed.torch._options import check_torchs
from pyembed.torch._state import Form, Laid, apart, moving, state_rows
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
    """The gradients that backward passes give to their fused step, by weight."""

    __slots__ = ("__weakref__", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()


# Each subclass names torch's class as a base beside this one. Were it a base of this one, those who
# list its subclasses (pykeen) would take ours for torch's own, which are not all named otherwise.
if TYPE_CHECKING:
    from torch.optim import Optimizer as _Base
else:
    _Base = object


class SparseOptimizer(_Base):
    """Base of the optimizers: a subclass has options, names of state, and a rule."""

    _dense_peer: ClassVar[str]  # who takes dense gradients
    _nonnegative: ClassVar[tuple[str, ...]]  # options, which are finite too
    _steps_are: ClassVar[type[int] | type[torch.Tensor] | None] = None  # counted in the state
    _is_row_wise: ClassVar[bool] = False  # its state is one element a row
    _decays_rows: ClassVar[bool] = False  # weight_decay is decoupled
    _torchs: ClassVar[tuple[str, ...]] = ()  # options that torch's has, and that ask for nothing
    # By the number of the pass, which owns it: what a pass that fails has taken goes with it.
    _passes: weakref.WeakValueDictionary[int, Taken]
    _accumulated: Taken | None = None  # while `accumulate` runs
    _laid: dict[torch.Tensor, Laid]  # by the parameter

    def __init__(self, params: Any, **defaults: Any) -> None:
        self._check_group(defaults)
        super().__init__(params, defaults)
        self._passes = weakref.WeakValueDictionary()
        self._laid = {}
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

    @contextlib.contextmanager
    def accumulate(self) -> Iterator[None]:
        """Make one fused step for all backward passes within, at the end, of the sum of gradients.

        Nothing moves where an error ends it.

        Examples
        --------
        >>> import torch
        >>> from pyembed.torch import Embedding, SparseSGD
        >>> emb = Embedding(10, 4, optimizer=SparseSGD)
        >>> with emb.optimizer.accumulate():
        ...     for ids in torch.tensor([[1, 2], [2, 3]]):
        ...         emb(ids).sum().backward()
        """
        if self._accumulated is not None:  # within another one, which makes the step
            yield
            return
        accumulated = self._accumulated = Taken()
        try:
            yield
        finally:
            self._accumulated = None
        if accumulated:
            self.step(_taken=accumulated)

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
        if others:  # torch's code, which a signal could break off between two of them
            uninterrupted(torch.no_grad()(functools.partial(self._update, shares, others)))
        else:
            self._update(shares)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as `torch.optim.Optimizer.state_dict`.

        Tensors that lie in a step's array between others are copied: each has memory of its own,
        as whoever saves or flattens them wants.
        """
        state: dict[str, Any] = super().state_dict()
        return {**state, "state": apart(state["state"])}

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
        self._laid = {}
        for group in self.param_groups:  # saved by torch's optimizer, perhaps
            for name, value in self.defaults.items():
                # torch adds this one to all defaults, but to no group of its own.
                if name != "differentiable" or name in self._torchs:
                    group.setdefault(name, value)

    def _having_gradients(self, taken: Taken | None) -> Iterator[tuple[Any, ...]]:
        """Yield groups, parameters, and the gradient of each: a tensor, or calls.

        A fused step has no business with any ``grad``. One that a group lists twice, of which torch
        warns, has one gradient still.
        """
        for group in self.param_groups:
            for p in dict.fromkeys(group["params"]):
                if taken is None and p.grad is not None:
                    yield group, p, moving(p.grad, float(group["lr"])), []
                elif taken is not None and p in taken:
                    yield group, p, None, taken[p]

    def _take(
        self, p: torch.Tensor, call: BackwardCall, table: Table, looked_up_in: int | None
    ) -> None:
        """Take the gradient of a lookup in `table`, for a step at the end of the running pass.

        Or at that of the pass in which it was `looked_up_in`, as reentrant checkpoints do.
        """
        if all(p is not own for group in self.param_groups for own in group["params"]):
            raise RuntimeError(
                "the weight is no longer the one that its optimizer trains: call fuse() again"
            )
        known = _tables.known_table(p)
        if known is None:
            raise RuntimeError("the weight's memory was replaced between a lookup and its backward")
        if known is not table:
            raise _tables.modules_differ("is updated in the backward pass")
        taken = None if looked_up_in is None else self._passes.get(looked_up_in)
        if taken is None:
            taken = self._taken_in(torch._C._current_graph_task_id())
        taken.setdefault(p, []).append(call)

    def _take_other(self, p: torch.Tensor, grad: torch.Tensor) -> None:
        """Take the gradient of `p` in the running pass that is not of its lookups."""
        taken = self._taken_in(torch._C._current_graph_task_id())
        taken.setdefault(p, []).append(call_of(grad) if grad.is_sparse else call_of_all(grad))

    def _taken_in(self, running: int) -> Taken:
        """Return what the pass of that number, which runs, gives to its step."""
        taken = self._passes.get(running)
        if taken is None:
            taken = self._passes[running] = Taken()
            end = functools.partial(self._end_pass, taken)
            torch.autograd.Variable._execution_engine.queue_callback(end)
        return taken

    def _running_pass(self) -> int | None:
        """Return the number of the pass to which lookups belong that are made now.

        Those that a backward pass makes anew, as reentrant checkpoints do, have their backward
        pass within it: it is the outermost of this thread that makes any.
        """
        running = torch._C._current_graph_task_id()
        if running < 0:
            return None
        here = threading.get_ident()
        outer = [number for number, taken in self._passes.items() if taken.thread == here]
        if outer:
            return min(outer)
        self._taken_in(running)
        return running

    def _end_pass(self, taken: Taken) -> None:
        """Step by what a pass has taken, or add it to what is accumulated."""
        if not taken:
            return
        if self._accumulated is None:
            self.step(_taken=taken)
            return
        # Summed, in memory of its own: what the calls read is the pass's.
        summed = {p: call_of_sum(self._table_of(p), calls) for p, calls in taken.items()}
        for p, call in summed.items():
            self._accumulated.setdefault(p, []).append(call)

    def _table_of(self, p: torch.Tensor) -> _core.Table:
        why = why_unfit(p)
        if why is not None:
            raise self._cannot_train(p, why)
        return _tables.table_of(p, 1)

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
        raise self._cannot_train(p, why)

    def _cannot_train(self, p: torch.Tensor, why: str) -> RuntimeError:
        return RuntimeError(
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
        array, made = self._state_rows(p, held, starts, form)
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

    def _state_rows(
        self, p: torch.Tensor, held: dict[str, Any], starts: dict[str, float], form: Form
    ) -> tuple[NDArray[Any], dict[str, torch.Tensor]]:
        """Return `state_rows`, found once for as long as the state's tensors lie where they do."""
        tensors = [held.get(name) for name in starts]
        laid = self._laid.get(p)
        if laid is not None and laid.is_of(tensors, form):
            return laid.array, {}
        array, made = state_rows(held, starts, form)
        if tensors and not made:
            self._laid[p] = Laid(tensors, form, array)
        return array, made

    def _update(self, shares: Sequence[Share], others: Sequence[Callable[[], None]] = ()) -> None:
        """Make a step, of all parameters or of none."""
        for share in shares:
            self._take_over(share)  # which changes nothing that lookups read
        try:
            _core.step([share.update for share in shares])
        finally:  # a Ctrl-C meanwhile is raised once all rows are updated
            try:
                self._note_all(shares)
            except BaseException:  # another one
                uninterrupted(functools.partial(self._note_all, shares))
                raise
        for step in others:
            step()

    def _note_all(self, shares: Sequence[Share]) -> None:
        """Note what was made of a step; once more is as good."""
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
            _count(self.state[share.p], share.state.t)
        # A tensor saved for backward that is changed now must be noticed, as in torch's own steps.
        torch.autograd.graph.increment_version(share.p)

    def _take_over(self, share: Share) -> None:
        """Bring all rows up to date for good, if another optimizer left them behind."""
        if isinstance(share.table, Table):
            share.table.let_go()

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise ValueError where an option's value is not allowed."""
        check_torchs(group, self._torchs)
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
    """Raise ValueError where an option's two betas are not in [0, 1), or not two."""
    if len(group["betas"]) != 2:
        raise ValueError(f"betas must be two numbers, not {group['betas']}")
    for index, beta in enumerate(group["betas"]):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")


def _count(state: dict[str, Any], done: int) -> None:
    """Count the steps in `state`, in a tensor as torch does."""
    step = state.get("step")
    if isinstance(step, torch.Tensor):
        step.fill_(done)
    else:
        state["step"] = torch.tensor(float(done), dtype=torch.float32)


Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]
