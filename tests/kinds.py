"""One optimizer of every kind: OPTIMIZERS[name](layers)."""

import pyembed as pe

# Of a row without a gradient, these write nothing.
LAZY = {
    "sgd": lambda layers: pe.SparseSGD(layers, 0.1, weight_decay=0.5),
    "momentum": lambda layers: pe.SparseSGD(layers, 0.1, 0.9, True),
    "adagrad": lambda layers: pe.SparseAdagrad(layers, 0.1),
    "row-wise adagrad": lambda layers: pe.SparseRowWiseAdagrad(layers, 0.1),
    "rmsprop": lambda layers: pe.SparseRMSprop(layers, 0.1),
    "ftrl": lambda layers: pe.SparseFTRL(
        layers, 0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.5, beta=0.5
    ),
    "lion": lambda layers: pe.SparseLion(layers, 0.1, weight_decay=0.3),
    "adam": lambda layers: pe.SparseAdam(layers, 0.1, weight_decay=0.5),
    "adam by row": lambda layers: pe.SparseAdam(layers, 0.1, step_bias="row"),
}
OPTIMIZERS = LAZY | {
    "exact adam": lambda layers: pe.SparseAdam(layers, 0.1, weight_decay=0.5, update="exact"),
}
