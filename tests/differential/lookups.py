"""One lookup by one layer, as the library is asked for it and as the model is."""

import numpy as np

import pyembed as pe
import reference
from differential.compare import same
from differential.model import Call, penalty_of
from differential.settings import ACTIVITY


class Lookup:
    """Ids, and all that goes with them: given to the library as drawn, to the model as copies."""

    def __init__(self, case, part, layer, ids=None):
        """Draw a lookup; of these ids, where they are given."""
        draw = case.draw
        self.part, self.layer = part, layer
        self.is_bag = isinstance(layer, pe.EmbeddingBag)
        self.offsets = self.weights = None
        self.dropout = {}
        if ids is None:
            ids = self._draw_ids(draw)
        self.ids = ids
        self.plain_ids = np.array(ids)
        if self.is_bag:
            self._draw_bags(draw)
        elif draw.chance(0.2):
            rate = draw.one_of([0.0, 0.3, 0.9, 1.0])
            self.dropout = {"dropout": rate, "key": draw.integer(0, 2**62)}
        self.shape = (*self._outer_shape(), layer.output_dim)

    def __str__(self):
        ids = self.plain_ids
        kind = type(self.ids).__name__ if not isinstance(self.ids, np.ndarray) else ids.dtype
        text = f"{self.part.name(self.layer)} {kind}{ids.shape}"
        if ids.size <= 8:
            text += f"={ids.tolist()}"
        if self.starts is not None:
            text += f" bags={len(self.starts)}"
        if self.weights is not None:
            text += " weighted"
        return text + "".join(f" {name}={value}" for name, value in self.dropout.items())

    @property
    def starts(self):
        """Where each bag starts, as the model wants it; None for bags of equal length."""
        if self.offsets is None:
            return None
        starts = np.array(self.offsets, np.int64)
        return starts[:-1] if self.layer.include_last_offset else starts

    @property
    def is_raised(self):
        return self.part.model.is_raised(self.ids)

    def __call__(self, out=None):
        return self.layer(*self._arguments(), **self.dropout, out=out)

    def expected(self):
        """Look up in the model's table, which max_norm changes."""
        self.part.model.renormalise(self.plain_ids)
        return self._output()

    def loss(self):
        """Return the loss of the library, and what it should be."""
        self.dropout = {}
        model = self.part.model
        rows = np.unique(model.rows(self.plain_ids, None))
        expected = model.loss(rows[rows >= 0])
        if self.layer.activity_regularizer:
            expected += penalty_of(self._output(), **ACTIVITY) / self._batch_size()
        return self.layer.regularization_loss(*self._arguments()), expected

    def _output(self):
        model = self.part.model
        if not self.is_bag:
            return model.gather(self.plain_ids, *self.dropout.values())
        return model.gather_bag(self.plain_ids, self.starts, self.layer.mode, self.weights)

    def backward(self, grad):
        if not self.is_bag:
            return self.layer.backward(self.ids, grad, **self.dropout)
        return self.layer.backward(self.ids, grad, *self._arguments()[1:])

    def call(self, grad):
        """Return the model's backward call."""
        layer, ids, grad = self.layer, self.plain_ids, self._with_activity(np.array(grad))
        if not self.is_bag:
            grad = grad.reshape(ids.size, self.shape[-1])
            call = Call(ids.reshape(-1, 1), grad, by_frequency=layer.scale_grad_by_freq)
            return call.dropping(**self.dropout)
        return Call(
            ids,
            grad,
            self.starts,
            layer.mode,
            None if self.weights is None else np.array(self.weights),
            layer.scale_grad_by_freq,
            seen=self.part.model.table.copy() if layer.mode == "max" else None,
        )

    def backward_weights(self, grad):
        return self.layer.backward_weights(self.ids, grad, *self._arguments()[1:])

    def expected_weight_gradient(self, grad):
        model, mode = self.part.model, self.layer.mode
        grad = self._with_activity(grad)
        return model.weight_gradient(self.plain_ids, grad, self.starts, mode, self.weights)

    def _with_activity(self, grad):
        if not self.layer.activity_regularizer:
            return grad
        added = reference.penalised(self._output(), np.zeros_like(grad), **ACTIVITY)
        return grad + added / grad.dtype.type(self._batch_size())

    def check_inputs(self):
        """Check that nothing was written to the ids."""
        same(np.array(self.ids), self.plain_ids, "the caller's ids")

    def _arguments(self):
        return (self.ids, self.offsets, self.weights) if self.is_bag else (self.ids,)

    def _batch_size(self):
        return max(self.shape[0], 1) if len(self.shape) > 1 else 1

    def _outer_shape(self):
        if not self.is_bag:
            return self.plain_ids.shape
        return (len(self.plain_ids) if self.offsets is None else len(self.starts),)

    def _draw_ids(self, draw):
        count = draw.count()
        if self.layer.scale_grad_by_freq:
            count = min(count, 3000)  # the reference compares each id with all
        width = draw.integer(1, 6)
        shapes = [(count,), (count // width, width), (count // width, 0)]
        if not self.is_bag:
            shapes += [(), (count // width, 1, width), (0, width)]
        rows = self.layer.input_dim
        if self.layer.out_of_range == "raise":
            return draw.ids(draw.one_of(shapes), 0, rows - 1)
        reach = 2**70 if draw.chance(0.1) else rows + 3
        return draw.ids(draw.one_of(shapes), -reach, rows + reach)

    def _draw_bags(self, draw):
        ids = self.plain_ids
        if ids.ndim == 1:
            bags = draw.integer(0 if ids.size == 0 else 1, 2 + ids.size // 2)
            inner = np.sort(draw.rng.integers(0, ids.size + 1, max(bags - 1, 0)))
            offsets = np.concatenate([[0] * min(bags, 1), inner])
            if self.layer.include_last_offset:
                offsets = np.append(offsets, ids.size)
            offsets = offsets.astype(draw.one_of(["i4", "i8", ">i4"]))
            self.offsets = offsets.tolist() if draw.chance(0.1) else draw.laid_out(offsets)
        if self.layer.mode != "max" and draw.chance(0.5):
            self.weights = draw.laid_out(draw.floats(ids.shape, self.layer.dtype))
