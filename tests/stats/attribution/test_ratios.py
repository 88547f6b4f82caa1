"""Ratios: a cause, a shared factor, a pure mix shift."""

from dataclasses import replace

import numpy as np
import pytest

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.rate_model import LeafFit
from rcakit.stats.attribution.rate_noise import leaf_rates, rate_noise
from rcakit.stats.attribution.ratios import attribute_ratios


@pytest.fixture
def reviews():
    """Builder of violations per review over a 5 x 6 table, 40 days and one day under study."""

    def build(*, factor=1.0, shared=1.0, weight=1.0, seed=0):
        rng = np.random.default_rng(seed)
        codes = np.indices((5, 6)).reshape(2, -1).T
        rate = np.where(codes[:, 0] < 2, 0.25, 0.05)
        n = rng.poisson(300.0, (30, 41))
        n[:, 40] = rng.poisson(np.where(codes[:, 0] < 2, weight, 1.0) * 300.0)
        p = np.repeat(rate[:, None], 41, axis=1)
        p[:, 40] *= shared * np.where(codes[:, 1] == 3, factor, 1.0)
        k = rng.binomial(n, p)
        leaf, day = np.nonzero(n[:, :40])
        history = History(
            leaf,
            day,
            k[leaf, day] * 1.0,
            np.arange(40) % 7,
            np.array([5]),
            denominator=n[leaf, day] * 1.0,
        )
        return codes, (5, 6), k[:, 40] * 1.0, n[:, 40] * 1.0, history

    return build


def test_raised_rate_is_named(reviews):
    """A value whose rate doubles is the answer."""
    *table, history = reviews(factor=2.0)
    result = attribute_ratios(*table, history=history)
    assert [s.codes for s in result.segments] == [(-1, 3)]
    assert result.segments[0].rate_effect > 10 * abs(result.segments[0].mix_effect)


def test_quiet_rates_have_none(reviews):
    """Nothing is named when rates and mix stay."""
    *table, history = reviews()
    assert attribute_ratios(*table, history=history).verdict == "no_evidence"


def test_shared_factor_is_broad(reviews):
    """All rates up by 40 % is one broad change."""
    *table, history = reviews(shared=1.4)
    result = attribute_ratios(*table, history=history)
    assert result.verdict == "broad"
    assert result.shared_factor == pytest.approx(1.4, abs=0.08)


def test_mix_shift_is_mix(reviews):
    """Twice the volume where rates are high moves the ratio, not a rate."""
    *table, history = reviews(weight=2.0)
    result = attribute_ratios(*table, history=history)
    assert result.verdict == "mix"
    assert abs(result.rate_effect) < 0.2 * abs(result.change)


def test_parts_sum_exactly(reviews):
    """Rate and mix parts are the whole change."""
    *table, history = reviews(weight=2.0, factor=1.5)
    result = attribute_ratios(*table, history=history)
    assert result.rate_effect + result.mix_effect == pytest.approx(result.change, abs=1e-12)


def test_steady_rates_show_no_wobble(reviews):
    """Fitting a rate per leaf uses up days; what is left over is not taken for wobble."""
    codes, sizes, _, _, history = reviews()
    n = len(codes)
    rates = leaf_rates(*(np.bincount(history.leaf, x, n) for x in (history.value, history.at_risk)))
    noise = rate_noise(history, codes=codes, sizes=sizes, rates=rates)
    assert noise.correlation.max() < 5e-4
    assert noise.segment.max() < 5e-4


def test_mix_alone_leaves_no_rate_part(reviews):
    """Chance moves observed rates a little; without a named segment that is not called a rate part."""
    shares = []
    for seed in range(5):
        *table, history = reviews(weight=2.0, seed=seed)
        result = attribute_ratios(*table, history=history)
        shares.append(abs(result.rate_effect / result.change))
    assert np.mean(shares) < 0.1


def test_rates_without_past_events_are_broad(reviews):
    """Where the baseline holds no event nobody can say which segment is unusual."""
    codes, sizes, events, at_risk, history = reviews()
    nothing = replace(history, value=np.zeros(len(history.value)))
    result = attribute_ratios(codes, sizes, events, at_risk, history=nothing)
    assert (result.verdict, result.segments) == ("broad", ())


@pytest.mark.parametrize("moved", [[0.15, 0.6], [0.28, 0.52]])
def test_leaf_fit_is_the_likelihood(moved):
    """Rates of two leaves times 1.5, or a fifth of the rest turned bad: the binomial likelihood ratio."""
    rates, at_risk = np.array([0.1, 0.4]), np.array([1000.0, 500.0])
    moved = np.array(moved)
    events = moved * at_risk
    leaves = np.zeros((6, 2))
    leaves[0], leaves[1] = events, at_risk
    exact = events @ np.log(moved / rates) + (at_risk - events) @ np.log((1 - moved) / (1 - rates))
    fit = LeafFit(leaves, rates, np.zeros(2))
    assert fit(np.array([0, 1]), 1.0) == pytest.approx(exact, rel=0.05)  # rates come in bands
