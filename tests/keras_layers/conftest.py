"""The layers for Keras, on the backend of KERAS_BACKEND; left out where there is no Keras."""

import os
from importlib.util import find_spec

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # which take half of the time
if find_spec("keras") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    try:
        import keras
    except ImportError:  # of the backend
        collect_ignore_glob = ["test_*.py"]


if find_spec("tensorflow") is not None and os.environ.get("KERAS_BACKEND") == "tensorflow":
    import tensorflow as tf

    cpus = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2  # for a strategy of two replicas
    tf.config.set_logical_device_configuration(cpus[0], two)


def pytest_collection_modifyitems(items):
    """Let Keras and its backends warn of what is theirs."""
    for item in items:
        if "keras_layers" in item.nodeid:
            for what in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{what}"), append=False)
            item.add_marker(
                pytest.mark.filterwarnings("ignore:.*requested dtype int64.*"), append=False
            )


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(20240229)
