"""A module whose table several ranks share does what it does in one process, to the bit."""

import functools

import pytest

from conformance.pytorch.peer import pt, torch
from threaded import on_ranks

ROWS, DIM, BATCH, LENGTH = 41, 5, 24, 3
OPTIMIZERS = {
    "sgd": lambda params: pt.SparseSGD(params, lr=0.1, momentum=0.9),
    "adagrad": lambda params: pt.SparseAdagrad(params, lr=0.1),
    "rmsprop": lambda params: pt.SparseRMSprop(params, lr=0.1),
    "ftrl": lambda params: pt.SparseFTRL(params, lr=0.1),
    "lion": lambda params: pt.SparseLion(params, lr=0.1),
    "adam": lambda params: pt.SparseAdam(params, lr=0.1),
    "exact adam": lambda params: pt.SparseAdam(params, lr=0.1, update="exact"),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weight():
    return torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(1))


def make(kind, comm=None, **options):
    if comm is not None:
        options |= {"comm": comm, "sum_by": "position"}
    if kind == "rows":
        return pt.Embedding(ROWS, DIM, padding_idx=3, _weight=weight(), **options)
    return pt.EmbeddingBag(ROWS, DIM, padding_idx=3, mode=kind, _weight=weight(), **options)


def train(module, steps, optimizer=None, comm=None):
    """Look up and step; return what was looked up."""
    own = slice(None)
    if comm is not None:
        own = slice(BATCH * comm.rank // comm.size, BATCH * (comm.rank + 1) // comm.size)
    found = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(0, ROWS, (BATCH, LENGTH), generator=generator)[own]
        upstream = torch.randn(BATCH, LENGTH, DIM, generator=generator)[own]
        if isinstance(module, pt.EmbeddingBag):
            upstream = upstream[:, 0]
        rows = module(ids)
        (rows * upstream).sum().backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        found.append(rows.detach().clone())
    return torch.stack(found)


def check_ranks(one, body, size):
    """Compare what ranks have with what one process has, whose weight is `one`'s."""
    for rank, (looked_up, found) in enumerate(on_ranks(size, body)):
        torch.testing.assert_close(found, one[1][rank::size], rtol=0, atol=0)
        own = slice(BATCH * rank // size, BATCH * (rank + 1) // size)
        torch.testing.assert_close(looked_up, one[0][:, own], rtol=0, atol=0)


def run(kind, make_optimizer, fused, sparse, comm=None):
    options = {"optimizer": make_optimizer} if fused else {"sparse": sparse}
    module = make(kind, comm, **options)
    optimizer = None if fused else make_optimizer(module.parameters())
    looked_up = train(module, range(4), optimizer, comm)
    module.state_dict()  # brings rows up to date
    return looked_up, module.weight.detach().clone()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", ["rows", "sum", "mean", "max"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_our_optimizers(name, kind, fused, size):
    body = functools.partial(run, kind, OPTIMIZERS[name], fused, True)
    check_ranks(body(), body, size)


@pytest.mark.parametrize("kind", ["rows", "mean", "max"])
@pytest.mark.parametrize("sparse", [True, False])
def test_torch_s_own(kind, sparse):
    made = torch.optim.SGD if sparse else torch.optim.Adam
    body = functools.partial(run, kind, lambda params: made(params, lr=0.1), False, sparse)
    one = body()
    for rank, (_, found) in enumerate(on_ranks(2, body)):
        torch.testing.assert_close(found, one[1][rank::2], rtol=1e-5, atol=1e-6)


def test_ranks_with_ids_of_any_number():
    def body(comm=None):
        module = make("rows", comm, sparse=True, max_norm=1.0)
        ids = [[1, 2, 1], [], [7]]
        here = [1, 2, 1, 7] if comm is None else ids[comm.rank]
        rows = module(torch.tensor(here, dtype=torch.long))
        (rows * rows.detach()).sum().backward()
        grad = module.weight.grad.coalesce()
        return rows.detach(), grad.to_dense(), module.weight.detach().clone()

    rows, grad, after = body()
    found = on_ranks(3, body)
    assert torch.equal(torch.cat([one[0] for one in found]), rows)
    for rank, one in enumerate(found):
        assert torch.equal(one[1], grad[rank::3])
        assert torch.equal(one[2], after[rank::3])


def test_weights_per_sample_have_gradients():
    def body(comm=None):
        module = make("sum", comm)
        ids = torch.arange(8).reshape(4, 2)
        own = slice(None) if comm is None else slice(2 * comm.rank, 2 * comm.rank + 2)
        weights = torch.linspace(0, 1, 8).reshape(4, 2)[own].requires_grad_()
        module(ids[own], per_sample_weights=weights).sum().backward()
        return weights.grad, module.weight.grad

    of_weights, of_table = body()
    found = on_ranks(2, body)
    assert torch.equal(torch.cat([one[0] for one in found]), of_weights)
    for rank, one in enumerate(found):
        assert torch.equal(one[1], of_table[rank::2])


def test_new_weights_are_the_same_of_any_number_of_ranks():
    torch.manual_seed(3)

    def body(comm):
        with torch.random.fork_rng():  # of all threads
            module = pt.Embedding(ROWS, DIM, padding_idx=-1, comm=comm)
        before = module.weight.detach().clone()
        module.reset_parameters()
        assert torch.equal(module.weight, before)
        assert module.weight.shape == (len(range(comm.rank, ROWS, comm.size)), DIM)
        assert module.num_embeddings == ROWS
        assert module.padding_idx == ROWS - 1
        return before

    for size in (1, 2):
        found = on_ranks(size, body)
        whole = torch.empty(ROWS, DIM)
        for rank, own in enumerate(found):
            whole[rank::size] = own
        assert (whole[-1] == 0).all()
        assert abs(whole[:-1].mean()) < 0.3
        assert abs(whole[:-1].std() - 1) < 0.3
        assert len(whole.unique()) == (ROWS - 1) * DIM + 1


def test_each_rank_s_own_rows():
    def body(comm):
        own = weight()[comm.rank :: comm.size].clone()
        module = pt.Embedding(ROWS, DIM, _weight=own, comm=comm)
        assert module.weight.data_ptr() == own.data_ptr()
        return module(torch.arange(ROWS)).detach()

    for rows in on_ranks(2, body):
        assert torch.equal(rows, weight())


class TestRefused:
    @pytest.mark.parametrize(
        ("ids", "error", "message"),
        [
            (torch.tensor([1, ROWS]), IndexError, "rank 1: id 41 at position 1 is"),
            (torch.tensor([1.0, 2.0]), TypeError, "rank 1: .*integers"),
            ([1, 2], (TypeError, RuntimeError), "rank 1"),
        ],
    )
    def test_ids_of_one_rank_on_all(self, ids, error, message):
        def body(comm):
            module = make("rows", comm)
            with pytest.raises(error, match=message):
                module(ids if comm.rank == 1 else torch.tensor([1, 2]))
            return module(torch.tensor([1, 2])).detach()

        for rows in on_ranks(2, body):
            assert torch.equal(rows, weight()[1:3])

    def test_arguments(self):
        def body(comm):
            with pytest.raises(ValueError, match=r"_weight has shape \(40, 5\), but"):
                pt.Embedding(ROWS, DIM, _weight=torch.zeros(40, 5), comm=comm)
            with pytest.raises(ValueError, match="embedding_dim=5 on rank 0, but embedding_dim=6"):
                pt.Embedding(ROWS, DIM + comm.rank, comm=comm)
            with pytest.raises(ValueError, match=r"sum_by='row' is none"):
                pt.Embedding(ROWS, DIM, comm=comm, sum_by="row")
            with pytest.raises(TypeError, match=r"a weight cannot be torch\.bfloat16"):
                pt.Embedding(ROWS, DIM, dtype=torch.bfloat16, comm=comm)
            with pytest.raises(ValueError, match="padding_idx=41 must be"):
                pt.Embedding(ROWS, DIM, padding_idx=ROWS, comm=comm)

        on_ranks(2, body)
        with pytest.raises(TypeError, match="comm=3 must be"):
            pt.Embedding(ROWS, DIM, comm=3)

    @pytest.mark.parametrize(
        "given",
        [
            {"num_embeddings": 0},
            {"embedding_dim": -1},
            {"embedding_dim": "x"},
            {"padding_idx": ROWS},
            {"sum_by": "row"},
            {"dtype": torch.bfloat16},
            {"device": "no such"},
            {"_weight": torch.zeros(ROWS + 1, DIM)},
            {"_weight": 3},
            {"max_norm": -1.0},
            {"mode": "row"},
        ],
    )
    def test_arguments_of_one_rank_on_all(self, given):
        def body(comm):
            arguments = {"num_embeddings": ROWS, "embedding_dim": DIM, "comm": comm}
            with pytest.raises((TypeError, ValueError, RuntimeError), match="rank 1"):
                pt.EmbeddingBag(**arguments | (given if comm.rank == 1 else {}))
            return len(pt.EmbeddingBag(**arguments)(torch.tensor([[1, 2]])))

        assert on_ranks(2, body) == [1, 1]

    def test_what_would_need_all_rows_or_other_operations(self):
        def body(comm):
            module = make("rows", comm)
            ids = torch.tensor([1, 2])
            with pytest.raises(TypeError, match="a module with a comm cannot be copied or pickled"):
                module.__getstate__()
            rows = module(ids)
            (grad,) = torch.autograd.grad(rows.sum(), module.weight)
            assert grad.shape == module.weight.shape
            with pytest.raises(RuntimeError, match="have no gradients"):
                torch.autograd.grad(module(ids).pow(2).sum(), module.weight, create_graph=True)
            with pytest.raises(RuntimeError, match="its rows are with several ranks"):
                module.__prepare_scriptable__()

        on_ranks(1, body)
