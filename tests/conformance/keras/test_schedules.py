import json

import numpy as np
import pytest

import pyembed as pe
from conformance.keras.peer import keras

DECAYS = [
    {"initial_learning_rate": 0.1, "decay_steps": 50},
    {"initial_learning_rate": 0.1, "decay_steps": 50, "alpha": 0.25},
    {"initial_learning_rate": 0.0, "decay_steps": 50, "warmup_target": 0.1, "warmup_steps": 20},
    {
        "initial_learning_rate": 0.05,
        "decay_steps": 33,
        "alpha": 0.1,
        "warmup_target": 0.2,
        "warmup_steps": 7,
        "name": "mine",
    },
    {"initial_learning_rate": 0.05, "decay_steps": 33, "warmup_target": 0.2},
]


@pytest.mark.parametrize("arguments", DECAYS, ids=str)
def test_cosine_decay(arguments):
    ours = pe.schedules.CosineDecay(**arguments)
    theirs = keras.optimizers.schedules.CosineDecay(**arguments)
    steps = range(90)
    expected = [float(theirs(step)) for step in steps]  # in float32
    np.testing.assert_allclose([ours(step) for step in steps], expected, rtol=1e-5, atol=1e-7)

    serialized = json.loads(json.dumps(keras.optimizers.schedules.serialize(theirs)))
    assert repr(pe.schedules.get(serialized)) == repr(ours)
    # And Keras's takes ours.
    again = keras.optimizers.schedules.deserialize(pe.schedules.serialize(ours))
    assert again.get_config() == theirs.get_config()
