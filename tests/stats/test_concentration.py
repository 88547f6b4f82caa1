"""A handful of entities or many?"""

import numpy as np
import pytest

from rcakit.stats.concentration import concentration, gini


def test_single_actor_stands_out():
    """One new entity with 43 of 46 carries the excess."""
    observed = np.array([43.0, 1.0, 2.0])
    result = concentration(
        observed, np.array([0.0, 1.0, 2.0]), is_known=np.array([False, True, True])
    )
    assert result.top_shares[1] == 1.0
    assert (result.n_half, result.n_new, result.new_share) == (1, 1, 1.0)


def test_even_excess_needs_half():
    """Equal excesses need half the entities for half the excess."""
    result = concentration(np.full(100, 3.0), np.ones(100), is_known=np.ones(100, bool))
    assert result.n_half == 50
    assert result.gini == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 1, 1], 0.0), ([0, 0, 9], 1.0), ([1, 2, 3], 1 / 3)]
)
def test_gini_known_values(values, expected):
    """Equality, a single holder, and a small case by hand."""
    assert gini(np.array(values, float)) == pytest.approx(expected)


def test_falling_entities_add_nothing():
    """Without any rise there is no excess to share."""
    result = concentration(np.zeros(3), np.ones(3), is_known=np.ones(3, bool))
    assert result.n_half == 0
    assert result.top_shares[1] == 0.0
