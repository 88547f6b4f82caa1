"""Adjusted p-values for many tests."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from rcakit.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    e_benjamini_hochberg,
    holm,
)

P = np.array([0.2, 0.001, 0.03, 0.04, 0.8, 0.0005])


@pytest.mark.parametrize(
    ("ours", "method"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")]
)
def test_qvalues_match_scipy(ours, method):
    """Both q-values are those of SciPy."""
    assert_allclose(ours(P), stats.false_discovery_control(P, method=method))


def test_holm_matches_hand_calculation():
    """Holm's step-down values, worked out by hand."""
    assert_allclose(holm(P), [0.4, 0.005, 0.12, 0.12, 0.8, 0.003])


def test_missing_tests_do_not_count():
    """A nan stays nan and leaves the others as if it were not there."""
    with_gap = np.insert(P, 2, np.nan)
    for method in (benjamini_hochberg, benjamini_yekutieli, holm, bonferroni):
        assert np.isnan(method(with_gap)[2])
        assert_allclose(np.delete(method(with_gap), 2), method(P))


def test_axis_adjusts_columns_apart():
    """With axis=0 each column is a family of its own."""
    table = np.stack([P, P[::-1] / 2], axis=1)
    both = benjamini_hochberg(table, axis=0)
    assert_allclose(both[:, 0], benjamini_hochberg(P))
    assert_allclose(both[:, 1], benjamini_hochberg(P[::-1] / 2))


def test_evalues_count_as_inverse_pvalues():
    """With equal parts of the error rate an e-value is as good as a p-value of one over it."""
    assert_allclose(e_benjamini_hochberg(-np.log(P)), benjamini_hochberg(P))


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2, 0.6])
def test_evalues_suffice_for_their_number(level):
    """What is called at a level is the largest set whose members all reach one over level, k and part."""
    evidence = np.log([900.0, 40.0, 700.0, 3.0, 0.2, 120.0])
    parts = np.log([0.1, 0.4, 0.05, 0.2, 0.05, 0.2])
    called = e_benjamini_hochberg(evidence, log_shares=parts) <= level
    scores = np.sort(evidence + parts)[::-1]
    enough = [k for k in range(1, 7) if scores[k - 1] >= -np.log(level * k)]
    assert called.sum() == max(enough, default=0)
