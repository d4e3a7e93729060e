"""What Keras promises of its embedding layer, asked of both kinds of ours."""

import keras
import numpy as np
import pytest

from keras_layers.helpers import (
    DIM,
    KERAS,
    KINDS,
    OURS,
    ROWS,
    TRAINS,
    array,
    assert_close,
    table_of,
)


@KINDS
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (2, 3, 4)])
def test_lookups_and_shapes(kind, rng, shape):
    table = table_of(rng)
    layer = kind(ROWS, DIM, weights=[table])
    ids = rng.integers(0, ROWS, shape)
    np.testing.assert_array_equal(array(layer(ids)), table[ids])
    assert layer.compute_output_shape(shape) == (*shape, DIM)
    if shape:
        symbolic = layer(keras.Input(shape[1:], batch_size=shape[0] or None, dtype="int32"))
        assert symbolic.shape == (shape[0] or None, *shape[1:], DIM)
        assert symbolic.dtype == "float32"


@KINDS
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8", "float32", "float64"])
def test_ids_of_each_dtype(kind, rng, dtype):
    table = table_of(rng)
    ids = rng.integers(0, ROWS, (3, 4)).astype(dtype)
    np.testing.assert_array_equal(
        array(kind(ROWS, DIM, weights=table)(ids)), table[ids.astype(int)]
    )


@KINDS
def test_masks(kind):
    ids = np.array([[2, 1, 0], [0, 0, 3]])
    assert kind(ROWS, DIM).compute_mask(ids) is None
    layer = kind(ROWS, DIM, mask_zero=True)
    assert layer.supports_masking
    np.testing.assert_array_equal(array(layer.compute_mask(keras.ops.array(ids))), ids != 0)
    if TRAINS:  # arrays of NumPy's have no attributes
        np.testing.assert_array_equal(array(layer(ids)._keras_mask), ids != 0)


@KINDS
def test_weights_counts_and_variables(kind, rng):
    layer = kind(ROWS, DIM)
    assert layer.weights == []
    layer.build()
    assert layer.count_params() == ROWS * DIM
    assert [tuple(weight.shape) for weight in layer.weights] == [(ROWS, DIM)]
    assert len(layer.trainable_weights) == len(layer.trainable_variables) == 1
    assert layer.non_trainable_weights == layer.non_trainable_variables == []
    table = table_of(rng)
    layer.set_weights([table])
    np.testing.assert_array_equal(layer.get_weights()[0], table, strict=True)
    np.testing.assert_array_equal(np.asarray(layer.embeddings.numpy()), table)
    with pytest.raises(ValueError, match="shape"):
        layer.set_weights([table[1:]])
    layer.trainable = False
    assert layer.trainable_weights == layer.trainable_variables == []
    assert len(layer.non_trainable_variables) == 1


@KINDS
@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", None, True])
def test_dimensions_that_are_none(kind, wrong):
    with pytest.raises(ValueError, match="input_dim"):
        kind(wrong, DIM)
    with pytest.raises(ValueError, match="output_dim"):
        kind(ROWS, wrong)


@KINDS
def test_the_configuration_makes_the_layer_again(kind):
    layer = kind(
        ROWS,
        DIM,
        keras.initializers.RandomNormal(seed=3),
        keras.regularizers.L2(0.5),
        keras.constraints.MaxNorm(2.0, axis=1),
        mask_zero=True,
        input_length=4,
        name="words",
    )
    config = layer.get_config()
    theirs = keras.layers.Embedding(ROWS, DIM).get_config()
    assert set(config) == {*theirs, "input_length", "optimizer"}
    again = type(layer).from_config(config)
    assert again.get_config() == config
    # As a file has it.
    whole = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(whole) is type(layer)
    assert whole.get_config() == config
    again.build()
    layer.build()
    np.testing.assert_array_equal(again.get_weights()[0], layer.get_weights()[0])


@KINDS
def test_an_initializer_with_a_seed_makes_the_numbers_that_it_makes_for_keras(kind):
    for initializer in (
        keras.initializers.RandomNormal(seed=3),
        keras.initializers.GlorotUniform(seed=4),
        "ones",
    ):
        layers = [made(ROWS, DIM, initializer) for made in (kind, KERAS)]
        for layer in layers:
            layer.build()
        ours, theirs = (layer.get_weights()[0] for layer in layers)
        np.testing.assert_array_equal(ours, theirs)


@KINDS
@pytest.mark.filterwarnings("ignore:.*requested dtype float64.*")
@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16", "mixed_float16"])
def test_dtype_policies(kind, rng, policy):
    table = table_of(rng)
    ids = rng.integers(0, ROWS, (3, 4))
    ours, theirs = (made(ROWS, DIM, weights=[table], dtype=policy)(ids) for made in (kind, KERAS))
    assert keras.backend.standardize_dtype(ours.dtype) == keras.backend.standardize_dtype(
        theirs.dtype
    )
    assert_close(keras.ops.cast(ours, "float32"), keras.ops.cast(theirs, "float32"), rtol=0, atol=0)


def test_lora_and_quantization_are_keras_s(rng):
    table = table_of(rng, 16, 8)
    ids = rng.integers(0, 16, (3, 4))
    layer = OURS(16, 8, lora_rank=2)
    layer.build()
    layer._embeddings.assign(table)
    assert len(layer.trainable_weights) == 2
    np.testing.assert_array_equal(array(layer(ids)), table[ids])
    again = type(layer).from_config(layer.get_config())
    assert again.lora_rank == 2
    for mode in ("int8", "int4"):
        layer, theirs = (made(16, 8, weights=[table]) for made in (OURS, KERAS))
        for made in (layer, theirs):
            made.quantize(mode)
        np.testing.assert_array_equal(array(layer(ids)), array(theirs(ids)))
    model = keras.Sequential([keras.Input((4,), dtype="int32"), OURS(16, 8)])
    with pytest.warns(UserWarning, match="Layer InputLayer does not have"):
        model.quantize("int8")
    assert model.layers[0].quantization_mode == "int8"
