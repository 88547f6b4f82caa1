"""The processes: is chance as promised?"""

import numpy as np
import pytest

from rcakit.datasets.processes.calendar import growth, hour_shares
from rcakit.datasets.processes.choices import draw_ranks, draw_within, zipf_shares
from rcakit.datasets.processes.counts import mean_one_noise, negative_binomial
from rcakit.datasets.processes.delays import ingestion_delays
from rcakit.datasets.processes.rollout import releases, version_shares
from rcakit.datasets.processes.streams import stream


@pytest.fixture
def rng() -> np.random.Generator:
    """A fixed source of randomness."""
    return np.random.default_rng(0)


def test_streams_differ_by_name():
    """Two names give two streams; one name gives the same stream twice."""
    draws = [
        stream(0, *names).integers(2**62)
        for names in (["reports"], ["accounts"], ["reports", "bug"], ["reports"])
    ]
    assert len(set(draws[:3])) == 3
    assert draws[0] == draws[3]


def test_draws_follow_group_shares(rng):
    """Rows draw only from their own group, as often as its shares say."""
    groups = np.repeat([0, 1], 50_000)
    values = draw_within(groups, np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 5.0]]), rng)
    assert np.mean(values[:50_000] == 0) == pytest.approx(0.75, abs=0.01)
    assert set(values[:50_000]) == {0, 1}
    assert set(values[50_000:]) == {2}


def test_ranks_favour_the_first(rng):
    """A concentration of 2 gives the first quarter of the ranks half of the draws."""
    ranks = draw_ranks(100_000, 1_000, rng, concentration=2.0)
    assert np.mean(ranks < 250) == pytest.approx(0.5, abs=0.01)


def test_zipf_halves_second_share():
    """The second value is half as common as the first."""
    shares = zipf_shares(10)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(2 * shares[1])


def test_negative_binomial_has_variance(rng):
    """The variance is the mean plus its square over k."""
    counts = negative_binomial(np.full(200_000, 20.0), np.array(10.0), rng)
    assert counts.mean() == pytest.approx(20, rel=0.01)
    assert counts.var() == pytest.approx(20 + 20**2 / 10, rel=0.03)


def test_noise_keeps_the_mean(rng):
    """Noise factors have mean 1 and the scatter that was asked for."""
    factors = mean_one_noise((200_000,), 0.03, rng)
    assert factors.mean() == pytest.approx(1, abs=0.001)
    assert factors.std() == pytest.approx(0.03, rel=0.02)


def test_growth_compounds_over_year():
    """A year at 15 % ends 15 % higher, around a mean of 1."""
    level = growth(366, per_year=0.15)
    assert level.mean() == pytest.approx(1)
    assert level[-1] / level[0] == pytest.approx(1.15, rel=0.001)


@pytest.mark.parametrize("offset, busiest", [(0, 20), (-6, 2), (5.5, 14)])
def test_evenings_follow_local_clocks(offset, busiest):
    """The busiest UTC hour is the local evening."""
    assert np.argmax(hour_shares(offset)) == busiest


def test_delays_are_never_negative(rng):
    """Nothing arrives before it happens, and hardly anything a week late."""
    delays = ingestion_delays(100_000, rng)
    assert delays.min() > 0
    assert np.mean(delays > 7 * 86_400) < 1e-4


@pytest.mark.parametrize("n_days", [70, 120, 400])
def test_version_shares_sum_up(n_days):
    """On every day the versions share all phones, and the newest is known as 31.2.0."""
    shares = version_shares(n_days)
    assert shares.sum(axis=1) == pytest.approx(np.ones(n_days))
    assert releases(n_days)[-1].version == "31.2.0"


def test_versions_wait_for_release():
    """Nobody runs a version before its release day; a store's review delays it further."""
    day = releases(120)[-1].day
    assert version_shares(120)[day - 1, -1] == 0 < version_shares(120)[day, -1]
    assert version_shares(120, delay_days=2)[day + 1, -1] == 0
