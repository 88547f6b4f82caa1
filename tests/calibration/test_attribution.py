"""False alarms, power and coverage of the attribution engine on its own generator, seeded."""

import numpy as np
import pytest

from benchmarks.drivers_amounts_made import amount_instance
from benchmarks.drivers_rates_made import rate_instance
from benchmarks.drivers_reports import count_instance
from rcakit.stats.attribution.amounts import attribute_amounts
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.ratios import attribute_ratios

SEED = 900_000  # apart from the seeds of development and of the published tables


def _counts(family: str, n: int):
    cases = (count_instance(family, SEED + k) for k in range(n))
    return [(c, attribute_counts(c.codes, c.sizes, c.observed, history=c.history)) for c in cases]


def test_quiet_days_stay_quiet():
    """Fifty null tables, at most two named: at 1 % each, three are a one-in-70 event (fast sibling)."""
    verdicts = [result.verdict for _, result in _counts("N0", 50)]
    assert verdicts.count("no_evidence") >= 48


def test_core_cause_comes_out():
    """Ten planted causes of 8 sigma or more, at least nine exact and no false one (fast sibling)."""
    runs = [(c, r) for c, r in _counts("CORE", 20) if c.causes and c.causes[0].z >= 8][:10]
    exact = [[s.codes for s in r.segments] == [c.causes[0].codes] for c, r in runs]
    assert np.mean(exact) >= 0.9


@pytest.mark.slow
def test_false_alarms_hold_level():
    """At most 1 % nominal; 400 null tables allow 9 at the 99 % point of that binomial."""
    alarms = sum(
        r.verdict != "no_evidence" for family in ("N0", "N1") for _, r in _counts(family, 200)
    )
    assert alarms <= 9


@pytest.mark.slow
def test_excess_interval_covers():
    """The truly injected excess lies in the 95 % interval in 92 to 98.5 % of 150 found causes."""
    covered = [
        r.segments[0].excess_lower <= c.causes[0].injected <= r.segments[0].excess_upper
        for c, r in _counts("LONG", 150)
        if c.causes and [s.codes for s in r.segments] == [c.causes[0].codes]
    ]
    assert 0.92 <= np.mean(covered) <= 0.999


@pytest.mark.slow
def test_unnamed_causes_leave_intervals_honest():
    """Beside causes too weak to be named, 92 to 98.5 % of about 100 excesses are covered."""
    covered = []
    for case, result in _counts("C5", 40):
        planted = {cause.codes: cause.injected for cause in case.causes}
        covered += [
            s.excess_lower <= planted[s.codes] <= s.excess_upper
            for s in result.segments
            if s.codes in planted
        ]
    assert len(covered) >= 80
    assert 0.92 <= np.mean(covered) <= 0.985


@pytest.mark.slow
def test_mix_shift_names_none():
    """Sixty pure mix shifts, at most three with another verdict."""
    cases = [rate_instance("MIX", SEED + k) for k in range(60)]
    verdicts = [
        attribute_ratios(c.codes, c.sizes, c.observed, c.denominator, history=c.history).verdict
        for c in cases
    ]
    assert verdicts.count("mix") >= 57


@pytest.mark.slow
def test_forecast_noise_names_none():
    """Forty S-type tables without a fault, at most one with a segment."""
    cases = [amount_instance("N", SEED + k) for k in range(40)]
    alarms = sum(
        bool(attribute_amounts(c.codes, c.sizes, c.observed, c.expected, max_depth=5).segments)
        for c in cases
    )
    assert alarms <= 1
