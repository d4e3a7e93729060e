"""What a layer's regularizers and constraint may be."""

import json
import re

import numpy as np
import pytest

import pyembed as pe
from regularization.cases import MATRIX, Cubes, table


def test_attributes_are_objects(layer):
    made = table(
        layer,
        embeddings_regularizer="l1",
        activity_regularizer={"class_name": "L2", "config": {"l2": 0.5}},
        embeddings_constraint="max_norm",
    )
    assert type(made.embeddings_regularizer) is pe.regularizers.L1
    assert type(made.activity_regularizer) is pe.regularizers.L2
    assert made.activity_regularizer.l2 == 0.5
    assert type(made.embeddings_constraint) is pe.constraints.MaxNorm
    own = Cubes()
    assert table(layer, embeddings_regularizer=own).embeddings_regularizer is own
    plain = table(layer)
    assert plain.embeddings_regularizer is None
    assert plain.activity_regularizer is None
    assert plain.embeddings_constraint is None


def test_config(layer):
    made = table(
        layer,
        embeddings_regularizer=pe.regularizers.L1L2(0.25, 0.5),
        activity_regularizer="l2",
        embeddings_constraint=pe.constraints.MinMaxNorm(0.5, 2.0, 0.75, axis=1),
    )
    config = json.loads(json.dumps(made.get_config()))
    assert config["embeddings_regularizer"] == {
        "class_name": "L1L2",
        "config": {"l1": 0.25, "l2": 0.5},
    }
    assert config["embeddings_constraint"]["class_name"] == "MinMaxNorm"
    again = layer.from_config(config)
    assert again.get_config() == made.get_config()
    assert again.embeddings_regularizer(MATRIX) == made.embeddings_regularizer(MATRIX)
    np.testing.assert_array_equal(
        again.embeddings_constraint(MATRIX), made.embeddings_constraint(MATRIX)
    )


@pytest.mark.parametrize(
    "argument", ["embeddings_regularizer", "activity_regularizer", "embeddings_constraint"]
)
@pytest.mark.parametrize("given", ["l3", "", 3, True, {"class_name": "L3"}, {}])
def test_unknown_names(layer, argument, given):
    with pytest.raises(ValueError, match=re.escape(f"{argument}={given!r}")):
        layer(3, 2, **{argument: given})


@pytest.mark.parametrize(
    "made",
    [
        pe.regularizers.L1(0.5),
        pe.regularizers.L2(0.25),
        pe.regularizers.L1L2(0.5, 0.25),
        pe.regularizers.OrthogonalRegularizer(0.5, "columns"),
        pe.constraints.MaxNorm(3.0, axis=1),
        pe.constraints.MinMaxNorm(0.5, 2.0, 0.5, axis=[0, 1]),
        pe.constraints.NonNeg(),
        pe.constraints.UnitNorm(1),
    ],
)
def test_objects_are_made_again_from_their_configurations(made):
    again = type(made).from_config(json.loads(json.dumps(made.get_config())))
    assert type(again) is type(made)
    np.testing.assert_array_equal(again(MATRIX), made(MATRIX))
    with pytest.raises(ValueError, match="must"):
        pe.regularizers.L1.from_config({"l1": -1.0})
