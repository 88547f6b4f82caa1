"""Are the degrees of freedom of clusters those of the matrix they stand for?"""

import numpy as np
import pytest

from rcakit.stats import influence


def test_freedom_equals_dense_matrix():
    """Sums over clusters give the squared trace over the trace of the square of the matrix."""
    rng = np.random.default_rng(1)
    spread, share = rng.random(9), rng.dirichlet(np.ones(9))
    apart = np.outer(share, spread)
    covariance = np.diag(spread) - apart - apart.T + spread.sum() * np.outer(share, share)
    scale = 1 / np.sqrt(1 - share)
    matrix = covariance * np.outer(scale, scale)
    expected = np.trace(matrix) ** 2 / np.sum(matrix**2)
    assert influence._cluster_freedom(spread, share) == pytest.approx(expected, rel=1e-10)


def test_freedom_of_equal_clusters():
    """Equal clusters are as many values as there are clusters: one degree is lost."""
    equal = np.full(8, 3.0)
    assert influence._cluster_freedom(equal, np.full(8, 1 / 8)) == pytest.approx(7.0)
