"""What ``compile``'s optimizer does to a gradient before its step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyembed._core import BackwardCall
from pyembed.sparse_grad import SparseGrad


@dataclass(frozen=True)
class Clipping:
    """Arguments of Keras's optimizers that count for a table's gradient as well."""

    clipnorm: float | None = None
    clipvalue: float | None = None
    loss_scale_factor: float | None = None

    def clipped(self, grads: list[SparseGrad]) -> list[SparseGrad]:
        """Return the gradients of a step as Keras would clip their sum."""
        if self.loss_scale_factor is not None:
            grads = [grad / self.loss_scale_factor for grad in grads]
        # As Keras, which hears one of the two.
        if self.clipnorm is not None and self.clipnorm > 0:
            return [sum(grads[1:], grads[0]).clip_norm(self.clipnorm)]
        if self.clipvalue is not None and self.clipvalue > 0:
            return [_clipped_by_value(sum(grads[1:], grads[0]), self.clipvalue)]
        return grads


NONE = Clipping()


def _clipped_by_value(grad: SparseGrad, limit: float) -> SparseGrad:
    summed = grad.coalesce()
    values = np.clip(summed.values, -limit, limit)
    call = BackwardCall(summed.ids, values, values.shape[1], values.dtype.name)
    return SparseGrad(summed._table, (call,))
