"""Kitagawa parts and the Simpson alarm."""

import numpy as np
import pytest

from rcakit.stats.decomposition import kitagawa, simpson_alarm


def test_parts_sum_to_change():
    """Random tables, new and vanished groups included, split without rest."""
    rng = np.random.default_rng(0)
    n, base_n = rng.poisson(5.0, 200) * 1.0, rng.poisson(5.0, 200) * 1.0
    k, base_k = rng.binomial(n.astype(int), 0.2) * 1.0, rng.binomial(base_n.astype(int), 0.3) * 1.0
    parts = kitagawa(k, n, base_k, base_n)
    assert (parts.rate + parts.mix).sum() == pytest.approx(parts.change, abs=1e-12)


def test_pure_mix_has_no_rate():
    """Constant rates leave everything to the mix."""
    parts = kitagawa(
        np.array([40.0, 5.0]),
        np.array([200.0, 100.0]),
        np.array([20.0, 5.0]),
        np.array([100.0, 100.0]),
    )
    assert parts.rate == pytest.approx([0.0, 0.0])
    assert parts.mix_total == pytest.approx(parts.change)


def test_simpson_reversal_is_flagged():
    """Both groups fall while the total rises."""
    k, n = np.array([170.0, 4.0]), np.array([900.0, 100.0])
    base_k, base_n = np.array([20.0, 45.0]), np.array([100.0, 900.0])
    alarm = simpson_alarm(kitagawa(k, n, base_k, base_n), base_n)
    assert alarm.is_reversed
    assert alarm.share_against == 1.0


def test_plain_rise_raises_nothing():
    """Everything up together is no paradox."""
    n = np.array([100.0, 100.0])
    alarm = simpson_alarm(kitagawa(np.array([30.0, 20.0]), n, np.array([20.0, 10.0]), n), n)
    assert not alarm.is_reversed
    assert not alarm.is_masked
