"""The search over segments: how candidates share one error rate."""

import numpy as np
import pytest

from rcakit.stats.attribution import search
from rcakit.stats.attribution.lattice import Lattice


@pytest.fixture
def lattice():
    """A 3 x 40 table whose first combination holds half of everything."""
    codes = np.indices((3, 40)).reshape(2, -1).T
    volume = np.full(120, 1.0)
    volume[0] = 119.0
    return Lattice(codes, (3, 40), volume[None])


@pytest.mark.parametrize("reach", [None, 2.0, 12.0])
def test_candidates_share_one_rate(lattice, reach):
    """Both directions of all candidates together have a false alarm probability of at most alpha."""
    reachable = None if reach is None else np.full(len(lattice.depth), reach)
    weight, _ = search.candidate_weights(lattice, lattice.sums[0], reachable)
    assert 2.0 * np.exp(-weight).sum() <= 1.0 + 1e-9


def test_large_segments_pay_less(lattice):
    """A combination with half of the volume does not pay for the 119 tiny ones beside it."""
    weight, _ = search.candidate_weights(lattice, lattice.sums[0], None)
    large = lattice.group((0, 0))
    small = lattice.group((1, 7))
    assert weight[large] < np.log(2 * 2 * 1 * 4)
    assert weight[small] < np.log(2 * 2 * 1 * 120 * 2)


def test_steps_are_evalues():
    """What an adjusted p-value is worth, 1 / (k alpha) in its k-th step, has mean one under no change."""
    finder = search.Search.__new__(search.Search)
    finder.alpha, finder.max_segments = 0.05, 20
    steps = np.array([finder._level(k) for k in range(21)])
    steps[0] = 0.0
    worth = 1.0 / (0.05 * np.arange(1, 21))
    assert (np.diff(steps) * worth).sum() == pytest.approx(1.0)
