"""The search over segments: how candidates share one error rate."""

import numpy as np
import pytest

from rcakit.stats.attribution import search
from rcakit.stats.attribution.candidates import candidate_weights
from rcakit.stats.attribution.count_model import CountModel, Noise, leaf_columns
from rcakit.stats.attribution.lattice import Lattice, members


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
    weight, _ = candidate_weights(lattice, lattice.sums[0], reachable)
    assert 2.0 * np.exp(-weight).sum() <= 1.0 + 1e-9


def test_large_segments_pay_less(lattice):
    """A combination with half of the volume does not pay for the 119 tiny ones beside it."""
    weight, _ = candidate_weights(lattice, lattice.sums[0], None)
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


@pytest.fixture
def restless():
    """Searcher of a 3 x 4 table of 200 events a leaf, whose last column's value changes by half as a habit."""

    def build(segment: tuple[int, int], factor: float) -> search.Search:
        codes = np.indices((3, 4)).reshape(2, -1).T
        expected = np.full(len(codes), 200.0)
        moved = members(codes, segment)
        columns = leaf_columns(
            np.where(moved, factor * expected, expected), expected, base=1.0, leaf=0.0
        )
        lattice = Lattice(codes, (3, 4), columns)
        drift = [0.25 * (lattice.segment(group)[1] == 3) for group in range(len(lattice.depth))]
        noise = Noise(
            base=1.0,
            clump=np.ones(len(drift)),
            segment=np.array(drift),
            history_ratio=0.0,
            prior_mean=0.5,
            values=lattice.values,
        )
        weight, _ = candidate_weights(lattice, lattice.sums[1], None)
        return search.Search(
            lattice,
            columns,
            model=CountModel(noise),
            log_weight=weight,
            alpha=0.005,
            max_segments=5,
        )

    return build


def test_part_with_a_restless_past_is_named_where_the_whole_is_sure(restless):
    """The rise lies where the value is restless, but the value is still elsewhere: so it is local, and sure."""
    finder = restless((1, 3), 2.5)
    evaluation, part = finder.evaluate(), finder.lattice.group((1, 3))
    assert evaluation.log_qvalue[part] > finder.log_hurdle
    assert finder.log_qvalue_around(evaluation, part) <= finder.log_hurdle
    finder.run()
    assert [found.codes for found in finder.found] == [(1, 3)]


def test_restless_value_that_moves_everywhere_is_no_part(restless):
    """A restless value that moved wherever it occurs does what it always does."""
    finder = restless((-1, 3), 1.6)
    finder.run()
    assert finder.found == []
