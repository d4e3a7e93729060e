"""Names, order of arguments and defaults of all that is public."""

import inspect

import numpy as np
import pytest

import pyembed as pe

LAYER = (
    "input_dim, output_dim, embeddings_initializer='uniform', embeddings_regularizer=None, "
    "activity_regularizer=None, embeddings_constraint=None, mask_zero=False, input_length=None, *, "
    "weights=None, trainable=True, padding_idx=None, max_norm=None, norm_type=2.0, "
    "scale_grad_by_freq=False, out_of_range='raise', dtype='float32', seed=None, name=None, "
    "comm=None, sum_by='rank'"
)
SHARING = (
    "mask_zero=None, input_length=None, activity_regularizer=None, scale_grad_by_freq=False, "
    "name=None"
)
UNTOLD = {"weights", "comm", "sum_by"}  # by get_config
BAG = "ids, grad_output, offsets=None, per_sample_weights=None"

SIGNATURES = {
    "Embedding": LAYER,
    "Embedding.__call__": "ids, *, out=None, dropout=None, key=None",
    "Embedding.backward": "ids, grad_output, *, dropout=None, key=None",
    "Embedding.compute_mask": "ids",
    "Embedding.regularization_loss": "ids=None",
    "Embedding.get_config": "",
    "Embedding.from_pretrained": "matrix, *, trainable=False, copy=False, **kwargs",
    "Embedding.sharing": f"emb, *, {SHARING}",
    "Embedding.freeze": "rows",
    "Embedding.unfreeze": "rows=None",
    "Embedding.grow": "new_input_dim",
    "EmbeddingBag.__call__": "ids, offsets=None, per_sample_weights=None, *, out=None",
    "EmbeddingBag.backward": BAG,
    "EmbeddingBag.backward_weights": BAG,
    "EmbeddingBag.sharing": f"emb, mode='mean', include_last_offset=False, *, {SHARING}",
    "EmbeddingBag.compute_mask": "ids",
    "EmbeddingBag.regularization_loss": "ids=None, offsets=None, per_sample_weights=None",
    "EmbeddingBag.get_config": "",
    "EmbeddingBag.from_pretrained": "matrix, *, trainable=False, copy=False, **kwargs",
    "EmbeddingBag.freeze": "rows",
    "EmbeddingBag.unfreeze": "rows=None",
    "EmbeddingBag.grow": "new_input_dim",
    "SparseGrad.coalesce": "",
    "SparseGrad.to_dense": "out=None, method='auto'",
    "SparseGrad.norm": "",
    "SparseGrad.clip_norm": "max_norm",
    "clip_global_norm": "grads, max_norm",
    "SparseSGD": ("tables, learning_rate=0.01, momentum=0.0, nesterov=False, *, weight_decay=0.0"),
    "SparseSGD.step": "*grads",
    "SparseSGD.release": "",
    "SparseAdam": (
        "tables, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07, *, "
        "weight_decay=0.0, update='lazy', step_bias='global'"
    ),
    "SparseAdam.step": "*grads",
    "SparseAdam.release": "",
    "SparseFTRL": (
        "tables, learning_rate=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1, "
        "l1_regularization_strength=0.0, l2_regularization_strength=0.0, "
        "l2_shrinkage_regularization_strength=0.0, beta=0.0"
    ),
    "SparseLion": "tables, learning_rate=0.001, beta_1=0.9, beta_2=0.99, *, weight_decay=0.0",
    "ops.gather": "table, ids, *, out=None",
    "ops.gather_bag": "table, ids, offsets, *, mode='sum', weights=None, out=None",
    "ops.scatter_add": "dst, ids, rows, *, method='auto'",
    "ops.coalesce": "ids, rows",
    "save": "path, **objects",
    "load": "path, *, mmap=False, **objects",
    "vectors.Vocabulary": "words=(), *, padding='<pad>', unknown='<unk>', frozen=True",
    "vectors.Vocabulary.encode": "words",
    "vectors.Vocabulary.encode_texts": "texts, *, tokenize=None",
    "vectors.Vocabulary.encode_padded": "texts, length=None, *, tokenize=None",
    "vectors.Vocabulary.decode": "ids",
    "vectors.Vocabulary.add": "words",
    "vectors.Vocabulary.save": "path",
    "vectors.load": (
        "path, *, format='auto', keep=None, dtype='float32', mmap=False, limit=None, "
        "errors='strict'"
    ),
    "vectors.save": "wv, path, *, format='auto'",
    "vectors.WordVectors": "words, matrix, *, counts=None",
    "vectors.WordVectors.to_embedding": (
        "vocabulary, *, oov='zero', lowercase_fallback=False, trainable=True, seed=0"
    ),
    "vectors.SentenceVectors": (
        "matrix, tokenizer, *, weights=None, normalize=False, max_length=512"
    ),
    "vectors.SentenceVectors.encode": "texts, *, normalize=None, max_length='auto'",
    "vectors.SentenceVectors.tokenize": "texts, *, max_length='auto'",
    "vectors.SentenceVectors.save": "folder",
    "set_num_threads": "n",
    "get_num_threads": "",
    "release_memory": "",
    "initializers.Zeros": "",
    "initializers.Ones": "",
    "initializers.Constant": "value=0.0",
    "initializers.RandomUniform": "minval=-0.05, maxval=0.05, seed=None",
    "initializers.RandomNormal": "mean=0.0, stddev=0.05, seed=None",
    "initializers.TruncatedNormal": "mean=0.0, stddev=0.05, seed=None",
    "initializers.Orthogonal": "gain=1.0, seed=None",
    "initializers.Identity": "gain=1.0",
    "regularizers.L1": "l1=0.01",
    "regularizers.L2": "l2=0.01",
    "regularizers.L1L2": "l1=0.0, l2=0.0",
    "regularizers.L2.gradient": "w",
    "regularizers.OrthogonalRegularizer": "factor=0.01, mode='rows'",
    "constraints.NonNeg": "",
    "constraints.MaxNorm": "max_value=2, axis=0",
    "constraints.UnitNorm": "axis=0",
    "constraints.MinMaxNorm": "min_value=0.0, max_value=1.0, rate=1.0, axis=0",
    "schedules.CosineDecay": (
        "initial_learning_rate, decay_steps, alpha=0.0, warmup_target=None, warmup_steps=0, *, "
        "name='CosineDecay'"
    ),
    "schedules.Warmup": "learning_rate, steps",
}


def find(name):
    thing = pe
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def shown(callable):
    """The signature without annotations, self and cls."""
    signature = inspect.signature(callable)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return str(inspect.Signature(parameters))[1:-1]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    assert shown(find(name)) == SIGNATURES[name]


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("baseline.OneHotDense", "input_dim, output_dim, "),
        ("baseline.Adam", "arrays, learning_rate=0.001, "),
        ("baseline.OneHotDense.__call__", "ids"),
        ("baseline.OneHotDense.backward", "ids, grad_output"),
        (
            "initializers.VarianceScaling",
            "scale=1.0, mode='fan_in', distribution='truncated_normal', seed=None",
        ),
        ("initializers.GlorotUniform", "seed=None"),
        ("initializers.GlorotNormal", "seed=None"),
        ("initializers.LecunUniform", "seed=None"),
        ("initializers.LecunNormal", "seed=None"),
        ("initializers.HeUniform", "seed=None"),
        ("initializers.HeNormal", "seed=None"),
    ],
)
def test_beginning_of_a_signature(name, beginning):
    assert shown(find(name)).startswith(beginning)


def test_bags_take_all_that_embeddings_do():
    """By position and by name, and their own two by name alone."""
    made = pe.EmbeddingBag(3, 2, "zeros", "l1", "l2", "non_neg", True, 7)
    assert (made.embeddings == 0).all()
    assert type(made.embeddings_regularizer) is pe.regularizers.L1
    assert type(made.activity_regularizer) is pe.regularizers.L2
    assert type(made.embeddings_constraint) is pe.constraints.NonNeg
    assert (made.mask_zero, made.input_length) == (True, 7)
    assert (made.mode, made.include_last_offset) == ("mean", False)
    parameters = inspect.signature(pe.Embedding).parameters
    assert made.get_config().keys() == {*parameters, "mode", "include_last_offset"} - UNTOLD
    again = pe.EmbeddingBag(**made.get_config(), weights=np.ones((3, 2)))
    assert (again.embeddings == 1).all()
    own = inspect.signature(pe.EmbeddingBag).parameters
    for name, default in (("mode", "mean"), ("include_last_offset", False)):
        assert own[name].default == default
        assert own[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_a_config_names_every_argument_but_the_weights():
    parameters = inspect.signature(pe.Embedding).parameters
    assert pe.Embedding(3, 2).get_config().keys() == parameters.keys() - UNTOLD


@pytest.mark.parametrize("name", ["sharing", "from_config", "compute_output_shape"])
def test_methods_of_one_argument_by_position(name):
    emb = pe.Embedding(3, 2)
    argument = {"sharing": emb, "from_config": emb.get_config(), "compute_output_shape": (5, 4)}
    result = getattr(emb, name)(argument[name])
    assert result == (5, 4, 2) if name == "compute_output_shape" else result.input_dim == 3


def test_properties():
    emb = pe.Embedding(3, 2)
    assert emb.embeddings.shape == (3, 2)
    assert emb.frozen_rows.shape == (0,)
    grad = emb.backward([1], np.ones((1, 2), np.float32))
    assert grad.ids.dtype == np.int64
    assert grad.values.shape == (1, 2)
    assert grad.shape == (3, 2)
    opt = pe.SparseSGD(emb)
    assert opt.learning_rate == 0.01
    assert opt.tables == (emb,)
    opt.learning_rate = 0.5
    assert opt.learning_rate == 0.5


@pytest.mark.parametrize(
    "name",
    ["ops", "baseline", "initializers", "regularizers", "constraints", "schedules", "show_config"],
)
def test_modules_and_functions(name):
    assert name in pe.__all__
    assert hasattr(pe, name)
