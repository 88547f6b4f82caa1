"""Counts: one cause, a quiet period, everything up or down, and odd tables."""

from dataclasses import replace

import numpy as np
import pytest

from rcakit.stats.attribution.counts import attribute_counts, attribute_forecast_counts
from rcakit.stats.attribution.history import History


@pytest.mark.parametrize(
    ("segment", "factor"),
    [
        ((1, -1, -1), 3.0),
        ((1, -1, -1), 0.4),
        ((-1, 2, 3), 5.0),
        ((-1, 2, 3), 0.1),
        ((2, 1, 4), 5.0),
    ],
)
def test_one_cause_is_named(reports, segment, factor):
    """A planted segment of any depth comes out exactly and alone."""
    table = reports(segment, factor, mean=40.0)
    result = attribute_counts(*table[:3], history=table[3])
    assert result.verdict == "localised"
    assert [s.codes for s in result.segments] == [segment]


def test_quiet_period_has_none(reports):
    """Nothing is named in a period like the days before."""
    table = reports()
    result = attribute_counts(*table[:3], history=table[3])
    assert result.verdict == "no_evidence"
    assert result.segments == ()


@pytest.mark.parametrize("shared", [0.6, 1.4])
def test_shared_move_is_broad(reports, shared):
    """A rise or drop of everything names no segment."""
    table = reports(shared=shared, mean=20.0)
    result = attribute_counts(*table[:3], history=table[3])
    assert result.verdict == "broad"
    assert result.shared_factor == pytest.approx(shared, rel=0.15)


def test_shared_move_hides_nothing(reports):
    """A cause inside a broad rise is judged against the rise."""
    table = reports((1, -1, -1), 3.0, shared=1.4, mean=20.0)
    result = attribute_counts(*table[:3], history=table[3])
    assert [s.codes for s in result.segments] == [(1, -1, -1)]
    assert result.segments[0].ratio_lower < 3.0 < result.segments[0].ratio_upper


def test_majority_cause_stays_the_cause(reports):
    """Three of four values tripled are not mistaken for the fourth having dropped."""
    table = reports((-1, 2, -1), 6.0, mean=20.0)
    result = attribute_counts(*table[:3], history=table[3])
    assert result.segments[0].codes == (-1, 2, -1)
    assert result.segments[0].excess > 0


def test_excesses_add_to_change(reports):
    """Observed minus expected is the same by parts and in the definition."""
    table = reports((1, -1, -1), 3.0)
    segment = attribute_counts(*table[:3], history=table[3]).segments[0]
    assert segment.excess == pytest.approx(segment.observed - segment.expected)
    assert segment.excess_lower < segment.excess < segment.excess_upper


def test_leaf_order_never_matters(reports):
    """Shuffled leaves give the same segments and p-values."""
    codes, sizes, observed, history = reports((1, 2, -1), 4.0, mean=20.0)
    order = np.random.default_rng(1).permutation(len(codes))
    shuffled = replace(history, leaf=np.argsort(order)[history.leaf])
    first = attribute_counts(codes, sizes, observed, history=history)
    second = attribute_counts(codes[order], sizes, observed[order], history=shuffled)
    assert [s.codes for s in first.segments] == [s.codes for s in second.segments]
    assert first.segments[0].pvalue == pytest.approx(second.segments[0].pvalue, rel=1e-6)


def test_identical_rows_prefer_brevity(reports):
    """A second dimension that copies the first is offered as an alternative, not as the answer."""
    codes, sizes, observed, history = reports((1, -1, -1), 4.0)
    copied = np.column_stack([codes, codes[:, 0]])
    result = attribute_counts(copied, (*sizes, sizes[0]), observed, history=history)
    segment = result.segments[0]
    assert sum(code >= 0 for code in segment.codes) == 1
    assert any(tie.is_same_leaves for tie in segment.alternatives)


def test_unseen_value_burst_is_found():
    """One sender never seen before and 43 notices on a day: the sender comes first."""
    rng = np.random.default_rng(3)
    n_old, n_days = 150, 84
    leaf, day = np.arange(n_old), rng.integers(0, n_days, n_old)
    codes = np.column_stack([np.arange(n_old + 3), rng.integers(0, 2, n_old + 3)])
    observed = np.zeros(n_old + 3)
    observed[-3:] = [1, 1, 43]
    weekday = np.arange(n_days + 1) % 7
    history = History(leaf, day, np.ones(n_old), weekday[:n_days], weekday[n_days:])
    result = attribute_counts(codes, (n_old + 3, 2), observed, history=history)
    assert result.segments[0].codes[0] == n_old + 2
    assert len(result.segments) == 1


def test_huge_row_counts_once():
    """Amounts of wildly different rows are scaled by their sum of squares before they are believed."""
    rng = np.random.default_rng(4)
    n_leaves, n_days = 40, 84
    leaf, day = rng.integers(0, n_leaves, 800), rng.integers(0, n_days, 800)
    value = rng.pareto(1.5, 800) + 1.0
    weekday = np.arange(n_days + 1) % 7
    history = History(leaf, day, value, weekday[:n_days], weekday[n_days:], sum_squares=value**2)
    observed = np.bincount(
        rng.integers(0, n_leaves, 10), rng.pareto(1.5, 10) + 1.0, minlength=n_leaves
    )
    codes = np.column_stack([np.arange(n_leaves) % 8, np.arange(n_leaves) // 8])
    quiet = attribute_counts(codes, (8, 5), observed, history=history)
    observed[3] += 5_000.0
    loud = attribute_counts(codes, (8, 5), observed, history=history)
    assert quiet.segments == ()
    assert loud.segments[0].observed >= 5_000.0


def test_forecast_replaces_history(reports):
    """With a forecast per leaf the same segment comes out."""
    codes, sizes, observed, history = reports((1, -1, -1), 4.0, mean=20.0)
    expected = np.bincount(history.leaf, history.value, minlength=len(codes)) / history.n_days
    result = attribute_forecast_counts(codes, sizes, observed, expected)
    assert [s.codes for s in result.segments] == [(1, -1, -1)]
    assert "forecast" in result.notes[0]


def test_one_value_dimension_is_ignored(reports):
    """A dimension without choice changes nothing."""
    codes, sizes, observed, history = reports((1, -1, -1), 4.0)
    wider = np.column_stack([codes, np.zeros(len(codes), int)])
    result = attribute_counts(wider, (*sizes, 1), observed, history=history)
    assert [s.codes for s in result.segments] == [(1, -1, -1, -1)]


@pytest.mark.parametrize(("first", "name"), [(1, (1, -1, 3)), (0, (-1, -1, 3))])
def test_overlap_decides_the_name(reports, first, name):
    """Beside a cause in half of all rows, those rows tell whether a value moved in all or in the other half."""
    codes, _, observed, history = reports(mean=12.0)
    half = codes[:, 0] < 2
    factor = np.where(codes[:, 0] == 0, 0.5, 1.0)
    factor *= np.where((codes[:, 2] == 3) & (codes[:, 0] >= first), 3.0, 1.0)
    observed = np.random.default_rng(1).poisson(factor * observed)[half].astype(float)
    own = half[history.leaf]
    history = replace(
        history, leaf=history.leaf[own], day=history.day[own], value=history.value[own]
    )
    result = attribute_counts(codes[half], (2, 5, 6), observed, history=history)
    assert {segment.codes for segment in result.segments} == {(0, -1, -1), name}


def test_discoveries_are_many_and_true(reports):
    """Under a false discovery rate weak causes beside strong ones are named, with q-values below it."""
    codes, sizes, observed, history = reports((1, -1, -1), 3.0, mean=20.0)
    planted = [(0, 1, 2), (2, 3, 0), (0, 0, 4)]
    for segment in planted:
        observed = np.where((codes == segment).all(axis=1), np.round(3.3 * observed), observed)
    strict, broad = (
        attribute_counts(codes, sizes, observed, history=history, error_rate=rate, alpha=alpha)
        for rate, alpha in (("family_wise", 0.01), ("false_discovery", 0.1))
    )
    named = {s.codes for s in broad.segments}
    assert {s.codes for s in strict.segments} < named <= {(1, -1, -1), *planted}
    assert all(s.qvalue <= 0.1 for s in broad.segments)


def test_quiet_period_has_no_discovery(reports):
    """Nothing happened: a false discovery rate names nothing either."""
    table = reports()
    result = attribute_counts(*table[:3], history=table[3], error_rate="false_discovery")
    assert result.segments == ()


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_two_causes_that_share_a_value_are_named_apart(reports, seed):
    """Two parts of a value rose and the rest of it did not: the value as a whole is not the name."""
    codes, sizes, observed, history = reports(mean=60.0)
    risen = (codes[:, 0] == 1) & (codes[:, 1] <= 1)
    observed[risen] = np.random.default_rng(seed).poisson(2.5 * observed[risen])
    result = attribute_counts(codes, sizes, observed, history=history)
    assert {segment.codes for segment in result.segments} == {(1, 0, -1), (1, 1, -1)}


def test_wobble_elsewhere_is_not_the_segments_own():
    """Beside two huge leaves that wobble by a third, the interval is at most 1.6 times that of its counts."""
    rng = np.random.default_rng(3)
    mean = np.concatenate([[400.0], [4_000.0] * 2, [200.0] * 60])
    wobble = np.ones((63, 71))
    wobble[1:3] = rng.gamma(10.0, 0.1, (2, 71))
    table = rng.poisson(mean[:, None] * wobble).astype(float)
    leaf, day = np.nonzero(table[:, :70])
    history = History(leaf, day, table[leaf, day], np.arange(70) % 7, np.array([0]))
    observed = table[:, 70] * np.where(np.arange(63) == 0, 3.0, 1.0)
    codes = np.column_stack([np.arange(63), np.arange(63) % 2])
    segment = attribute_counts(codes, (63, 2), observed, history=history).segments[0]
    assert segment.codes == (0, -1)
    assert segment.excess_upper - segment.excess_lower < 1.6 * 2.0 * 1.96 * np.sqrt(400.0)


@pytest.mark.parametrize(("square", "names_it"), [(1.0, True), (900.0, False)])
def test_one_row_is_one_event(reports, square, names_it):
    """Thirty more in a rare leaf are a segment when thirty rows bring them, not when one does."""
    codes, sizes, observed, history = reports(mean=1.0)
    history = replace(history, sum_squares=history.value)
    squares = observed.copy()
    observed[7] += 30.0
    squares[7] += 30.0 * square
    result = attribute_counts(codes, sizes, observed, history=history, squares=squares)
    assert bool(result.segments) is names_it


def test_discoveries_keep_their_rate(reports):
    """Whatever a generous first look picks up, only q-values within the rate are named."""
    for seed in range(12):
        table = reports(seed=seed)
        result = attribute_counts(
            *table[:3], history=table[3], error_rate="false_discovery", alpha=0.2
        )
        assert all(segment.qvalue <= 0.2 for segment in result.segments)
