"""Adam at the cost of the touched rows, in the place of `torch.optim.SparseAdam`."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed._core import Rule, State
from pyembed.optimizers._exact import terms_and_horizon
from pyembed.table import Table
from pyembed.torch import _tables
from pyembed.torch._optimizer import Params, Share, SparseOptimizer, check_betas, check_rate

_series = functools.lru_cache(maxsize=64)(terms_and_horizon)


class SparseAdam(SparseOptimizer, torch.optim.Optimizer):
    """Adam (Kingma & Ba 2015) on the rows with a gradient: `torch.optim.SparseAdam`, but faster.

    The same arguments, results, param groups and state, which either loads from the other. A
    parameter's `exp_avg` and `exp_avg_sq` lie row by row side by side in one array, of which its
    state has views.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
        Learning rate, above 0; that of a param group may be 0.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        Above 0; added to the root before the bias correction.
    maximize : bool
        Whether to go up the gradient.
    weight_decay : float
        Decoupled, as in `torch.optim.AdamW`: rows are multiplied by ``1 - lr * weight_decay``
        first; with 'lazy' the touched ones, with 'exact' all at every step.
    update : {'lazy', 'exact'}
        'lazy' moves the rows with a gradient alone, as torch does. With 'exact', weights are those
        of a dense Adam, at the cost of the touched rows; see `pyembed.SparseAdam`. Its parameters
        must be weights of `pyembed.torch.Embedding` or `EmbeddingBag`, whose lookups read rows as
        they would be up to date: the weight itself is so after `flush`, which their
        ``state_dict()`` calls.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.

    Notes
    -----
    A parameter that is no table where it lies (not float32 or float64, not on the CPU, or without
    contiguous rows) is left to torch's own code; 'exact' and `weight_decay` refuse it.
    """

    _dense_peer = "Adam"
    _nonnegative = ("weight_decay",)
    _steps_are = int
    _decays_rows = True
    # By which rule, and in which state, this optimizer keeps tables up to date that it owns.
    _kept: weakref.WeakKeyDictionary[_core.Table, tuple[Rule, State]]
    # These tables: what their rows lack is known to nobody else, should all modules go.
    _held: dict[torch.Tensor, Table]

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
        *,
        weight_decay: float = 0.0,
        update: str = "lazy",
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            maximize=maximize,
            weight_decay=weight_decay,
            update=update,
        )
        self._kept = weakref.WeakKeyDictionary()
        self._held = {}
        check_rate(lr)  # as in torch, that of a group may be 0

    def flush(self) -> None:
        """Bring every row up to date; rows are behind with ``update="exact"`` alone."""
        for group in self.param_groups:
            for p in group["params"]:
                _tables.settle(p)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as `torch.optim.Optimizer.state_dict`, of rows that are up to date."""
        self.flush()
        state: dict[str, Any] = super().state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of this class or of `torch.optim.SparseAdam`.

        Parameters
        ----------
        state_dict : dict
            Its arrays are copied.
        """
        self.flush()
        super().load_state_dict(state_dict)

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        state: dict[str, Any] = super().__getstate__()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._kept = weakref.WeakKeyDictionary()
        self._held = {}

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        if not group["eps"] > 0.0:
            raise ValueError(f"Invalid epsilon value: {group['eps']}")
        check_betas(group)
        if _checks.one_of(group["update"], "update", ("lazy", "exact")) == "exact":
            _series(*group["betas"], "float64")

    def _check_step(self, group: dict[str, Any], p: torch.Tensor) -> None:
        super()._check_step(group, p)
        if self._is_exact(group):
            _series(*group["betas"], "float64")
            if _tables.known_table(p) is None:
                raise ValueError(
                    "update='exact' trains weights of pyembed.torch.Embedding and EmbeddingBag: "
                    "other lookups would read rows that are behind"
                )
            if _tables.do_modules_differ(p):
                raise _tables.modules_differ("SparseAdam(update='exact') trains")

    def _is_exact(self, group: dict[str, Any]) -> bool:
        return bool(group["update"] == "exact")

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        beta_1, beta_2 = group["betas"]
        numbers = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": group["eps"]}
        if not self._is_exact(group):
            return Rule("adam", **numbers)
        terms, horizon = _series(beta_1, beta_2, dtype)
        return Rule("exact_adam", **numbers, terms=terms, horizon=horizon)

    def _state_of(self, table: _core.Table, rule: Rule, array: NDArray[Any], done: int) -> State:
        """Return the state that lookups bring rows up to date with, where it is still that."""
        kept = self._kept.get(table)
        if kept is not None and isinstance(table, Table) and table.owner is self:
            its_rule, state = kept
            is_same = state.t == done and state.array.ctypes.data == array.ctypes.data
            if is_same and its_rule == rule:
                return state
        return super()._state_of(table, rule, array, done)

    def _take_over(self, share: Share) -> None:
        table, rule, state = share.table, share.rule, share.state
        if rule.name != "exact_adam" or not isinstance(table, Table):
            super()._take_over(share)
        elif table.owner is not self or self._kept.get(table) != (rule, state):
            table.take(self)
            self._kept.pop(table, None)
            self._held[share.p] = table
            if isinstance(table, _tables.WeightTable):
                table.lag()
            rule.attach(table, state)
            self._kept[table] = rule, state

    def _step_of_unfit(
        self, group: dict[str, Any], p: torch.Tensor, grad: torch.Tensor | None, why: str
    ) -> Callable[[], None]:
        if grad is None or self._is_exact(group) or group["weight_decay"] != 0.0:
            return super()._step_of_unfit(group, p, grad, why)
        return lambda: self._step_by_torch(group, p, grad)

    def _step_by_torch(self, group: dict[str, Any], p: torch.Tensor, grad: torch.Tensor) -> None:
        from torch.optim._functional import sparse_adam

        state = self.state[p]
        for name in ("exp_avg", "exp_avg_sq"):
            if name not in state:
                state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["step"] = step = int(state.get("step", 0)) + 1
        beta1, beta2 = group["betas"]
        sparse_adam(
            [p],
            [grad],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [step],
            eps=group["eps"],
            beta1=beta1,
            beta2=beta2,
            lr=float(group["lr"]),
            maximize=group["maximize"],
        )
