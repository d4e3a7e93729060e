"""One case: tables in the library and in the model, an optimizer, and what has happened so far."""

import copy
import pickle

import numpy as np

import pyembed as pe
from differential.compare import Difference, same
from differential.draw import Draw
from differential.lookups import Lookup
from differential.model import Model
from differential.settings import ACTIVITY, draw_settings, draw_training

THREADS = [1, 2, 3, 7]


class Part:
    """One table: the layers that share it, and its model."""

    def __init__(self, draw, number, is_trained):
        size = draw.size
        shape = draw.integer(*size.rows), draw.one_of(size.dims)
        self.number = number
        self.is_trained = is_trained
        settings = draw_settings(draw, shape[0])
        self.model = Model(draw.floats(shape, settings.dtype), settings)
        self.memory = None  # a matrix of the caller's that is the table
        self.layers = [self._first_layer(draw)]
        for _ in range(draw.integer(0, 3)):
            self.layers.append(self._sharing_layer(draw))

    def name(self, layer):
        """Return what the history calls a layer."""
        return f"{self.number}.{self.layers.index(layer)}"

    def __str__(self):
        rows, dim = self.model.table.shape
        arguments = {
            name: value
            for name, value in self.model.settings.layer.items()
            if value is not None and name != "dtype"
        }
        layers = ", ".join(
            f"{type(layer).__name__}({getattr(layer, 'mode', '')}"
            f"{', last' * getattr(layer, 'include_last_offset', False)}"
            f"{', by_freq' * layer.scale_grad_by_freq}"
            f"{', activity' * (layer.activity_regularizer is not None)})"
            for layer in self.layers
        )
        shared = "" if self.memory is None else f", strides {self.memory.strides}"
        kind = "" if self.is_trained else " not trained"
        return (
            f"table {self.number}{kind}: ({rows}, {dim}) {self.model.table.dtype}{shared}, "
            f"{arguments}, layers {layers}"
        )

    def own_arguments(self, draw):
        """Return a class of layer, and arguments that belong to the layer alone."""
        own = {"scale_grad_by_freq": draw.chance(0.2)}
        if draw.chance(0.15):
            own["activity_regularizer"] = pe.regularizers.L1L2(**ACTIVITY)
        if draw.chance(0.4):
            return pe.Embedding, own
        own |= {
            "mode": draw.one_of(["sum", "mean", "sqrtn", "max"]),
            "include_last_offset": draw.chance(0.3),
        }
        own["scale_grad_by_freq"] &= own["mode"] != "max"
        return pe.EmbeddingBag, own

    def _sharing_layer(self, draw):
        kind, arguments = self.own_arguments(draw)
        return kind.sharing(draw.one_of(self.layers), **arguments)

    def _first_layer(self, draw):
        kind, own = self.own_arguments(draw)
        arguments = {**self.model.settings.layer, "trainable": self.is_trained, **own}
        table = self.model.table
        if draw.chance(0.4):
            return kind(*table.shape, weights=draw.laid_out(table.copy()), **arguments)
        if draw.chance(0.2):
            return kind.from_pretrained(draw.laid_out(table.copy()), copy=True, **arguments)
        self.memory = draw.one_of([np.copy, draw.with_gaps, lambda t: t[::-1].copy()[::-1]])(table)
        if not self.is_trained and self.model.settings.max_norm is None:
            self.memory.flags.writeable = draw.chance(0.5)
        return kind.from_pretrained(self.memory, **arguments)


class Case:
    def __init__(self, seed, number, history):
        self.draw = draw = Draw(seed, number)
        self.history = history
        trained = draw.one_of([0, 1, 1, 1, 1, 2, 2])
        self.parts = [Part(draw, 0, trained > 0)]
        if trained == 2:
            self.parts.append(Part(draw, 1, True))
        self.training = draw_training(draw)
        self.trained = [part for part in self.parts if part.is_trained]
        self.optimizer = self.training.make(self.first_layers()) if trained else None
        self.pending = []  # gradients not used yet: (part, gradient, calls)
        self.foreign = []  # and those of other tables
        self.left = []  # layers that were copied, and what they held then
        for part in self.parts:
            self.note(part)
        if trained:
            self.note(self.training)
        self.check()

    def run(self, operations):
        """Let random operations happen: `operations` holds (weight, function)."""
        draw = self.draw
        weights = np.array([weight for weight, _ in operations], float)
        for _ in range(draw.integer(1, draw.size.operations)):
            pe.set_num_threads(draw.one_of(THREADS))
            _, operation = operations[draw.rng.choice(len(operations), p=weights / weights.sum())]
            self.note(f"with {pe.get_num_threads()} threads: {operation.__name__}")
            operation(self)
            self.check()

    def note(self, what):
        """Write down what is about to happen."""
        self.history.append(str(what))

    def first_layers(self):
        return [part.layers[0] for part in self.trained]

    def lookup(self, part=None, layer=None, **given):
        part = part or self.draw.one_of(self.parts)
        return Lookup(self, part, layer or self.draw.one_of(part.layers), **given)

    def gradient(self, part=None, **given):
        """Return a new (part, gradient, calls)."""
        part = part or self.draw.one_of(self.trained)
        lookup = self.lookup(part, **given)
        self.note(f"  backward {lookup}")
        grad = self.draw.laid_out(self.draw.floats(lookup.shape, part.model.table.dtype))
        before = grad.copy()
        gradient = part, lookup.backward(grad), (lookup.call(grad),)
        lookup.check_inputs()
        same(grad, before, "the caller's grad_output")
        return gradient

    def copy(self, how):
        """Go on with a copy of all layers and of the optimizer."""
        optimizer, layers = self.optimizer, [part.layers for part in self.parts]
        copies, self.optimizer = how((layers, optimizer))
        self.foreign, self.pending = self.pending, []
        for _, gradient, _ in self.foreign[:1]:
            optimizer.step(gradient)  # which the copies do not see
        self.left = [(layer, layer.embeddings.copy()) for part in layers for layer in part]
        for part, copied in zip(self.parts, copies, strict=True):
            part.layers, part.memory = copied, None

    def check(self):
        """Compare all tables and states."""
        for part in self.parts:
            for layer in part.layers:
                same(layer.embeddings, part.model.table, f"table {part.number}")
                same(layer.frozen_rows, np.array(sorted(part.model.frozen), np.int64), "frozen")
            if part.memory is not None:
                same(part.memory, part.model.table, "the matrix that is the table")
                whole = part.memory if part.memory.base is None else part.memory.base
                if not (whole[:, part.memory.shape[1] :] == 77).all():
                    raise Difference("the gaps between the table's rows were written")
        for layer, table in self.left:
            same(layer.embeddings, table, "a table that was copied")
        if self.optimizer is not None:
            self._check_states()

    def _check_states(self):
        for part in self.trained:
            state = self.optimizer._states[part.layers[0]._table]
            model = part.model
            if state.t != model.t:
                raise Difference(f"t of table {part.number}: {state.t}, but expected {model.t}")
            for number in range(state.array.shape[1]):
                same(state.array[:, number], model.state[number], f"state {number}")
            if state.row_steps is not None:
                same(state.row_steps, model.row_steps, "the steps of rows")


def pickled(protocol, carry=None):
    """Return a function that copies by pickling; `carry` moves the arrays' memory by itself."""

    def copied(objects):
        if carry is None:
            return pickle.loads(pickle.dumps(objects, protocol))
        buffers = []
        data = pickle.dumps(objects, protocol, buffer_callback=buffers.append)
        return pickle.loads(data, buffers=[carry(buffer) for buffer in buffers])

    return copied


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle 2": pickled(2),
    "pickle 5": pickled(5),
    "pickle 5, memory by itself": pickled(5, bytearray),
    "pickle 5, read-only memory by itself": pickled(5, bytes),
}
