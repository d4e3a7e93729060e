import pytest


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    torch = pytest.importorskip("torch")
    # With more it spends its time on waking them for these small tensors.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_torch_threads():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)
