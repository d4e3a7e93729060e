"""How each peer is set, by the name of the contestant: the best that we found, as installed."""

from __future__ import annotations

from options import Options

_FUSED = (
    "SplitTableBatchedEmbeddingBagsCodegen on the CPU, sums, ids not checked "
    "(BoundsCheckMode.NONE), offsets made before; backward() runs its fused update"
)
SETTINGS = {
    "np.take": 'with out=, mode="clip", without which it would buffer its output',
    "numba prange": "njit(parallel=True) over plain loops, ids not checked, compiled before",
    "nn.Embedding": "from_pretrained, which takes no gradient, so that none is prepared",
    "FBGEMM TBE": "SplitTableBatchedEmbeddingBagsCodegen on the CPU in no_grad mode, ids not "
    "checked (BoundsCheckMode.NONE), offsets made before",
    "FBGEMM inference TBE": "IntNBitTableBatchedEmbeddingBagsCodegen on the CPU with FP32 weights "
    "and output, in inference mode, ids not checked (BoundsCheckMode.NONE), offsets made before",
    "FBGEMM SGD": _FUSED,
    "FBGEMM row-wise Adagrad": _FUSED,
    "torch embedding_bag": "F.embedding_bag of a table that takes no gradient",
    "F.embedding": "of a table that takes no gradient",
    "torch SparseAdam": "nn.Embedding(sparse=True)",
    "pyembed.torch optimizer": "nn.Embedding(sparse=True), as beside torch SparseAdam",
    "torch sparse SGD": "nn.Embedding(sparse=True)",
    "torch sparse Adagrad": "nn.Embedding(sparse=True)",
    "torch dense Adam": "fused=True",
    "torch dense momentum": "fused=True",
    "torch dense RMSprop": "PyTorch has no fused one",
    "Keras Adam": "Embedding and Adam in a tf.function, given tensors; dense Adam: moves every row",
    "Keras Adam, tuned": "the same with jit_compile=True (XLA), and the gradient made dense before "
    "the optimizer, which is faster, and which sums duplicate ids before they are squared",
}


def of(options: Options) -> dict[str, str]:
    """The settings of a run."""
    pages = "asked for" if options.torch_huge_pages else "as installed, not asked for"
    return {
        **SETTINGS,
        "PyTorch's and FBGEMM's huge pages (THP_MEM_ALLOC_ENABLE)": pages,
    }
