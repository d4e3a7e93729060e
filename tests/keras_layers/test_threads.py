import threading

import numpy as np
import pytest

from keras_layers.helpers import BACKEND, DIM, ROWS, TRAINED, data, fit, regression, steps
from pyembed.keras._clipping import NONE
from pyembed.keras._queue import Queue


@pytest.mark.skipif(BACKEND != "torch", reason="where the backend tells its threads")
def test_a_second_fit_in_another_thread_is_refused(rng):
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    model.compile("sgd", "mse")
    trained = layer._trained
    ids, targets = data(rng)
    fit(model, ids, targets)
    trained.take(ids, np.zeros((*ids.shape, DIM), "float32"), thread=-1)  # a step under way
    errors = []

    def second():
        try:
            fit(model, ids, targets)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert "trained in another thread" in str(errors[0])
    assert steps(layer) == 3


def test_signals_say_which_gradients_are_meant():
    queue = Queue()
    signals = [queue.put(number, NONE, None, "float32") for number in range(5)]
    taken, factor = queue.take(signals[1] + signals[2])
    assert [queued.grad for queued in taken] == [1, 2]
    assert factor == 1.0
    assert len(queue) == 2  # the one before them has been dropped
    taken, factor = queue.take(0.125 * (signals[3] + signals[4]))
    assert [queued.grad for queued in taken] == [3, 4]
    assert factor == 0.125
    with pytest.raises(RuntimeError, match="do not wait here"):
        queue.take(signals[3])


def test_signals_of_many_gradients_are_exact():
    queue = Queue()
    signals = [queue.put(number, NONE, None, "float32") for number in range(1000)]
    taken, factor = queue.take(np.sum(signals, axis=0, dtype="float32"))
    assert len(taken) == 1000
    assert factor == 1.0
