"""Normal and Student's laws in plain numpy, against SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special

from rcakit.stats.bells import normal_quantile, student_score_tail
from rcakit.stats.negative_binomial import lower_tail
from rcakit.stats.tails import cumulative


def test_normal_quantiles_match_scipy():
    """Scores agree to fourteen digits from the middle to the farthest tail."""
    p = np.concatenate([np.logspace(-300, -1, 200), np.linspace(0.001, 0.999, 400)])
    assert_allclose(normal_quantile(p), special.ndtri(p), rtol=1e-13, atol=1e-15)
    assert_allclose(normal_quantile([0.0, 1.0]), [-np.inf, np.inf])


@pytest.mark.parametrize("degrees", [1.0, 5.0, 35.7, 255.0, 1000.0])
def test_student_tails_match_scipy(degrees):
    """The tail of Student's law beyond a normal score is SciPy's to five digits."""
    tail = np.logspace(-250, np.log10(0.05), 200)
    expected = special.stdtr(degrees, special.ndtri(tail))
    assert_allclose(student_score_tail(tail, degrees), expected, rtol=1e-5)


@pytest.mark.parametrize("mean", [0.05, 3.0, 90.0, 40_000.0])
def test_cumulative_matches_scipy(mean):
    """Sums of the law outside its middle are exact."""
    variance = 1.7 * mean + 0.01 * mean**2
    y = np.maximum(np.round(mean + np.array([-3, -1.5, 1.5, 3, 6]) * variance**0.5), 0)
    cells = (y, np.full(5, mean), np.full(5, variance))
    assert_allclose(cumulative(*cells), lower_tail(*cells, kind="exact"), rtol=1e-8)
