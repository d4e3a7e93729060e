"""What depends on the number of rows and of columns."""

import numpy as np
import pytest

from pyembed import initializers


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (0, 3), (3, 0)])
def test_identity(dtype, shape):
    expected = np.where(np.eye(*shape, dtype=bool), dtype.type(-2.5), dtype.type(0))
    identity = initializers.Identity(-2.5)
    np.testing.assert_array_equal(identity(shape, dtype), expected, strict=True)
    for first in range(shape[0] + 1):
        for last in range(first, shape[0] + 1):
            part_shape = (last - first, shape[1])
            part = identity(part_shape, dtype, first_row=first, total_rows=shape[0])
            np.testing.assert_array_equal(part, expected[first:last], strict=True)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9), (5, 1), (1, 5), (0, 3), (3, 0)])
def test_orthogonal(dtype, shape):
    made = initializers.Orthogonal(gain=-1.5, seed=3)(shape, dtype)
    assert made.shape == shape
    assert made.dtype == dtype
    wide = made.astype("f8") if shape[0] < shape[1] else made.astype("f8").T
    expected = 2.25 * np.eye(min(shape))
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(wide @ wide.T, expected, atol=tolerance)
    # Signs as in Keras: against the normal matrix, the triangular factor has a positive diagonal.
    normal = initializers.RandomNormal(0.0, 1.0, 3)((max(shape), min(shape)), "float64")
    assert (np.diag(wide / -1.5 @ normal) > 0).all()
    np.testing.assert_array_equal(made, initializers.Orthogonal(-1.5, 3)(shape, dtype))


@pytest.mark.parametrize("part", [{"first_row": 1}, {"total_rows": 6}])
def test_orthogonal_tables_are_made_whole(part):
    orthogonal = initializers.Orthogonal(seed=3)
    assert not orthogonal.in_parts
    with pytest.raises(ValueError, match=r"Orthogonal cannot make rows \d to \d of 6 alone"):
        orthogonal((5, 2), **part)
    whole = orthogonal((5, 2), first_row=0, total_rows=5)
    np.testing.assert_array_equal(whole, orthogonal((5, 2)), strict=True)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2, 2)])
@pytest.mark.parametrize("name", ["identity", "orthogonal", "glorot_uniform", "variance_scaling"])
def test_what_depends_on_rows_and_dim_makes_matrices_alone(name, shape):
    with pytest.raises(ValueError, match=r"shape \(.* must have two axes \(rows, dim\) for"):
        initializers.get(name)(shape)
