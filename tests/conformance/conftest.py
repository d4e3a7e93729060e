import pytest


@pytest.fixture
def table(dtype, rng):
    return rng.standard_normal((60, 17)).astype(dtype)
