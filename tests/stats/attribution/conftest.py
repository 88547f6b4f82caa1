"""Small made-up report tables for the attribution tests."""

from collections.abc import Callable

import numpy as np
import pytest

from rcakit.stats.attribution.history import History

Table = tuple[np.ndarray, tuple[int, ...], np.ndarray, History]


@pytest.fixture
def reports() -> Callable[..., Table]:
    """Builder of a 4 x 5 x 6 table of daily counts with an optional factor on one segment."""

    def build(
        segment=None, factor=1.0, *, shared=1.0, seed=0, n_days=84, n_period=1, mean=4.0
    ) -> Table:
        rng = np.random.default_rng(seed)
        sizes = (4, 5, 6)
        codes = np.indices(sizes).reshape(3, -1).T
        weekday = np.arange(n_days + n_period) % 7
        day = np.exp(0.1 * np.sin(weekday)) * rng.lognormal(0.0, 0.04, len(weekday))
        leaf = mean * rng.lognormal(0.0, 0.5, len(codes))
        counts = rng.poisson(leaf[:, None] * day * rng.gamma(20, 1 / 20, (len(codes), len(day))))
        observed = counts[:, n_days:].sum(axis=1).astype(float)
        if segment is not None:
            inside = np.all([(c < 0) | (codes[:, j] == c) for j, c in enumerate(segment)], axis=0)
            observed[inside] = rng.poisson(factor * observed[inside])
        observed = rng.poisson(shared * observed).astype(float) if shared != 1.0 else observed
        where, when = np.nonzero(counts[:, :n_days])
        history = History(
            where, when, counts[where, when].astype(float), weekday[:n_days], weekday[n_days:]
        )
        return codes, sizes, observed, history

    return build
