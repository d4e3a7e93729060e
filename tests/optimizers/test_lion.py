"""Lion: cases worked by hand."""

import numpy as np

import pyembed as pe


def trained(gradients, ids=(1,), weight_decay=0.0):
    """The tables and moments of each step from a table of 1s, all numbers exact."""
    emb = pe.Embedding(3, 1, weights=np.ones((3, 1)), dtype="float64")
    opt = pe.SparseLion(emb, 0.5, 0.5, 0.25, weight_decay=weight_decay)
    tables, moments = [], []
    for gradient in gradients:
        opt.step(emb.backward(list(ids), np.full((len(ids), 1), gradient)))
        tables.append(emb.embeddings[:, 0].tolist())
        moments.append(opt.state_dict()["tables"][0]["m"][:, 0].tolist())
    return tables, moments


def test_worked_case():
    # The second step goes where the moment does, and the third nowhere: sign(0) is 0.
    tables, moments = trained([4.0, -2.0, 0.75])
    assert tables == [[1, 0.5, 1], [1, 0.0, 1], [1, 0.0, 1]]
    assert moments == [[0, 3, 0], [0, -0.75, 0], [0, 0.375, 0]]


def test_decay_comes_first():
    tables, moments = trained([4.0, -2.0, 0.75], weight_decay=0.5)
    assert tables == [[1, 0.25, 1], [1, -0.3125, 1], [1, -0.234375, 1]]
    assert moments == trained([4.0, -2.0, 0.75])[1]


def test_duplicates_are_summed_first():
    assert trained([1.5], ids=(1, 1, 1)) == trained([4.5])


def test_a_gradient_of_zeros_moves_a_new_row_by_its_decay_alone():
    tables, moments = trained([0.0], weight_decay=0.5)
    assert tables == [[1, 0.75, 1]]
    assert moments == [[0, 0, 0]]


def test_configuration():
    opt = pe.SparseLion(pe.Embedding(3, 2), 0.5, 0.25, 0.75, weight_decay=0.125)
    assert opt.get_config() == {
        "class_name": "SparseLion",
        "learning_rate": 0.5,
        "beta_1": 0.25,
        "beta_2": 0.75,
        "weight_decay": 0.125,
    }
