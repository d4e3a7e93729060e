"""Modules that are traced, scripted, exported, compiled or transformed, as torch's own can be."""

import copy
import functools
import io

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

nn = torch.nn
IDS, OTHER_IDS = torch.tensor([0, 1, 2]), torch.tensor([5, 3, 3])
quiet = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
)
KINDS = ["Embedding", "EmbeddingBag"]


def both(kind, **options):
    ours = getattr(pt, kind)(6, 3, **options)
    theirs = getattr(nn, kind)(6, 3, _weight=ours.weight.detach().clone(), **options)
    return ours, theirs


def inputs(kind, ids):
    return (ids,) if kind == "Embedding" else (ids, torch.tensor([0, 1]))


class Model(nn.Module):
    """Has its lookup in a submodule."""

    def __init__(self, emb):
        super().__init__()
        self.emb = emb

    def forward(self, *inputs):
        return self.emb(*inputs) * 2


@quiet
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_trace_looks_other_ids_up(kind, mode, wrapped):
    ours, _ = both(kind)
    model = Model(ours) if wrapped else ours
    with mode():
        traced = torch.jit.trace(model, inputs(kind, IDS))
        for ids in (IDS, OTHER_IDS):
            close(traced(*inputs(kind, ids)), model(*inputs(kind, ids)))


@quiet
@pytest.mark.parametrize("kind", KINDS)
def test_a_scripted_module_looks_up_and_is_trained(kind):
    ours, theirs = both(kind, padding_idx=1)
    models = [ours]
    if kind == "Embedding":  # a bag has more arguments than a Sequential can pass on
        models.append(nn.Sequential(ours))
    for model in models:
        scripted = torch.jit.script(model)
        file = io.BytesIO()
        torch.jit.save(scripted, file)
        file.seek(0)
        for ids in (IDS, OTHER_IDS):
            close(scripted(*inputs(kind, ids)), theirs(*inputs(kind, ids)))
            close(torch.jit.load(file)(*inputs(kind, ids)), theirs(*inputs(kind, ids)))
            file.seek(0)
    scripted(*inputs(kind, IDS)).pow(2).sum().backward()
    theirs(*inputs(kind, IDS)).pow(2).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)
    assert type(ours) is getattr(pt, kind)  # as it was


@quiet
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program(kind, strict):
    ours, theirs = both(kind)
    length = torch.export.Dim("length", min=2, max=50)
    shapes = ({0: length},) if kind == "Embedding" else ({0: length}, None)
    program = torch.export.export(
        Model(ours), inputs(kind, IDS), dynamic_shapes=(shapes,), strict=strict
    )
    longer = torch.tensor([5, 3, 3, 0])
    close(program.module()(*inputs(kind, longer)), 2 * theirs(*inputs(kind, longer)))


@quiet
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_compiled_module_is_one_graph(kind, sparse):
    ours, _ = both(kind, sparse=sparse)
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    compiled = torch.compile(Model(ours), backend=backend, fullgraph=True)
    for ids in (IDS, OTHER_IDS):
        close(compiled(*inputs(kind, ids)), 2 * ours(*inputs(kind, ids)))
    assert len(graphs) == 1


@quiet
def test_a_compiled_module_reads_no_row_that_is_behind():
    emb = pt.Embedding(6, 3, sparse=True)
    other = copy.deepcopy(emb)
    torch._dynamo.reset()
    compiled = torch.compile(lambda ids: emb(ids) * 1, backend="eager")
    compiled(IDS)
    for module in (emb, other):
        optimizer = pt.SparseAdam(module.parameters(), lr=0.1, update="exact")
        for ids in (IDS, OTHER_IDS):
            optimizer.zero_grad()
            module(ids).pow(2).sum().backward()
            optimizer.step()
    close(compiled(IDS), other(IDS))


@quiet
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_of_functions(kind):
    ours, theirs = both(kind)
    found = []
    for module in (ours, theirs):

        def loss(weight, ids, module=module):
            given = inputs(kind, ids)
            return torch.func.functional_call(module, {"weight": weight}, given).pow(2).sum()

        weight = module.weight.detach()
        found.append(
            [
                torch.func.grad(loss)(weight, IDS),
                torch.func.jacrev(loss)(weight, IDS),
            ]
        )
        if kind == "Embedding":  # torch has no more for bags
            ones = torch.ones_like(weight)
            many = torch.stack([IDS, OTHER_IDS])
            found[-1] += [
                torch.func.vmap(module)(many),
                torch.func.vmap(torch.func.grad(loss), (None, 0))(weight, many),
                torch.func.jvp(functools.partial(loss, ids=IDS), (weight,), (ones,))[1],
                torch.func.hessian(loss)(weight, IDS),
            ]
    close(*found)


def test_forward_mode():
    found = []
    for module in both("Embedding"):
        with torch.autograd.forward_ad.dual_level():
            weight = torch.autograd.forward_ad.make_dual(module.weight.detach(), torch.ones(6, 3))
            rows = torch.func.functional_call(module, {"weight": weight}, (IDS,))
            found.append(torch.autograd.forward_ad.unpack_dual(rows).tangent)
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_fake_and_meta_tensors(kind):
    from torch._subclasses.fake_tensor import FakeTensorMode

    ours, _ = both(kind)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        rows = ours(*(fake.from_tensor(given) for given in inputs(kind, IDS)))
    assert rows.shape == ours(*inputs(kind, IDS)).shape
    meta = getattr(pt, kind)(6, 3, device="meta")
    rows = meta(*(given.to("meta") for given in inputs(kind, IDS)))
    assert (rows.shape[-1], rows.device.type) == (3, "meta")
    assert copy.deepcopy(ours).to("meta")(*(g.to("meta") for g in inputs(kind, IDS))).is_meta


@quiet
def test_symbolic_traces_and_counters_see_the_lookup():
    from torch.fx import symbolic_trace
    from torch.fx.experimental.proxy_tensor import make_fx

    ours, theirs = both("Embedding")
    close(symbolic_trace(nn.Sequential(ours))(OTHER_IDS), theirs(OTHER_IDS))
    close(make_fx(ours)(IDS)(OTHER_IDS), theirs(OTHER_IDS))


@quiet
@pytest.mark.parametrize("kind", ["sqrtn", "fused"])
def test_what_torch_cannot_do_is_told_in_a_sentence(kind):
    if kind == "sqrtn":
        module, ids, why = pt.EmbeddingBag(6, 3, mode="sqrtn"), IDS[None], "no mode='sqrtn'"
    else:
        module, ids, why = pt.Embedding(6, 3, optimizer=pt.SparseSGD), IDS, "in the backward pass"
    for attempt in (
        lambda: torch.jit.trace(module, (ids,)),
        lambda: torch.jit.script(module),
        lambda: torch.export.export(module, (ids,)),
        lambda: torch.func.vmap(module)(ids[None]),
        lambda: module(ids.to("meta")),
    ):
        with pytest.raises(RuntimeError, match=why):
            attempt()
    if kind == "fused":
        with torch.no_grad():
            close(torch.jit.trace(module, (IDS,))(OTHER_IDS), module(OTHER_IDS))
            close(torch.export.export(module, (IDS,)).module()(IDS), module(IDS))
            close(torch.func.vmap(module)(IDS[None]), module(IDS[None]))


def test_a_trace_of_rows_that_are_behind_has_them_up_to_date():
    emb = pt.Embedding(6, 3, sparse=True)
    optimizer = pt.SparseAdam(emb.parameters(), lr=0.1, update="exact")
    for ids in (IDS, OTHER_IDS):
        optimizer.zero_grad()
        emb(ids).pow(2).sum().backward()
        optimizer.step()
    expected = emb(IDS)
    close(torch.func.vmap(emb)(IDS[None])[0], expected)


@quiet
def test_quantized_models():
    emb = pt.Embedding(6, 4)
    model = nn.Sequential(emb, nn.Linear(4, 2))
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8)
    assert quantized(IDS).shape == (3, 2)
    assert type(quantized[0]) is pt.Embedding


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [[1, 2], 1, 1.5, None, "a"])
def test_what_is_no_tensor_is_torchs_type_error(kind, given):
    emb, _ = both(kind)
    with pytest.raises(TypeError, match=r"argument '\w+' .*must be Tensor, not"):
        emb(given)
    if kind == "EmbeddingBag" and given is not None:
        with pytest.raises(TypeError, match="'offsets' must be Tensor, not"):
            emb(IDS, given)
        with pytest.raises(TypeError, match="'per_sample_weights' must be Tensor, not"):
            emb(IDS[None], None, given)


@quiet
def test_nested_ids():
    ours, theirs = both("Embedding")
    lists = [torch.tensor([1, 2]), torch.tensor([3])]
    for layout in (torch.strided, torch.jagged):
        found = [m(torch.nested.nested_tensor(lists, layout=layout)) for m in (ours, theirs)]
        for mine, its in zip(*(rows.unbind() for rows in found), strict=True):
            assert torch.equal(mine, its)
    jagged = torch.nested.nested_tensor(lists, layout=torch.jagged)
    close(*(bag(jagged) for bag in both("EmbeddingBag")))


@quiet
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx(kind, dynamo, tmp_path):
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    ours, _ = both(kind)
    path = str(tmp_path / "model.onnx")
    names = ["ids", "offsets"][: len(inputs(kind, IDS))]
    torch.onnx.export(ours, inputs(kind, IDS), path, dynamo=dynamo, input_names=names)
    given = {name: t.numpy() for name, t in zip(names, inputs(kind, OTHER_IDS), strict=True)}
    [found] = reference.ReferenceEvaluator(path).run(None, given)
    close(torch.from_numpy(found), ours(*inputs(kind, OTHER_IDS)).detach())
