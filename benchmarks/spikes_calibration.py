"""Do the p-values of `rcakit.spikes.detect` mean what they say, from the first weeks on?

    python -m benchmarks.spikes_calibration

Quiet made-up series of several kinds, judged by the public call at its defaults; its p-values put
together three windows and both directions. By the age of the series when judged: the share below
.01 and .001, and in each tenth of the line, in tenths. The seed is used for nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.results_file import printed_to
from rcakit.spikes import detect

SEED = 9001
FIRST = dt.datetime(2022, 1, 3)
Draw = Callable[[np.random.Generator, "Kind"], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Kind:
    """A family of quiet series, and the ages in steps at which they are judged."""

    every: str
    ages: tuple[int, ...]
    draw: Draw
    means: tuple[float, float] = (20, 1000)
    n_series: int = 400
    wander: float = 0.01  # standard deviation of the log level's steps
    options: tuple[tuple[str, str], ...] = ()


def counts(rng: np.random.Generator, kind: Kind) -> dict[str, np.ndarray]:
    """Negative binomial counts about a wandering level with seasons."""
    mean = _means(rng, kind)
    size = rng.uniform(5, 80, (kind.n_series, 1))
    return {"n": rng.negative_binomial(size, size / (size + mean))}


def shares(rng: np.random.Generator, kind: Kind) -> dict[str, np.ndarray]:
    """Events out of a varying number of trials, with more scatter than a binomial law has."""
    size = rng.uniform(10, 80, (kind.n_series, 1))
    mean = _means(rng, kind)
    trials = rng.negative_binomial(size, size / (size + mean)) + 1
    wander = np.cumsum(rng.normal(0, kind.wander / 2, mean.shape), axis=1)
    share = np.clip(rng.uniform(0.02, 0.3, (kind.n_series, 1)) * np.exp(wander), 0.001, 0.6)
    return {"n": rng.binomial(trials, rng.beta(200 * share, 200 * (1 - share))), "of": trials}


def backlogs(rng: np.random.Generator, kind: Kind) -> dict[str, np.ndarray]:
    """Stocks that are drawn back to a usual height; half of them move with heavy tails."""
    shape = (kind.n_series, kind.ages[-1])
    moves = np.where(
        np.arange(shape[0])[:, None] % 2, rng.normal(0, 30, shape), 20 * rng.standard_t(4, shape)
    )
    height = np.full(shape, 1000.0)
    for t in range(1, shape[1]):
        height[:, t] = 1000 + 0.97 * (height[:, t - 1] - 1000) + moves[:, t]
    return {"n": np.round(np.maximum(height, 0))}


def _means(rng: np.random.Generator, kind: Kind) -> np.ndarray:
    shape = (kind.n_series, kind.ages[-1])
    level = np.exp(rng.uniform(*np.log(kind.means), (kind.n_series, 1)))
    level = level * np.exp(np.cumsum(rng.normal(0, kind.wander, shape), axis=1))
    step = np.arange(shape[1])
    periods = {"1d": ((7, 0.2),), "1h": ((24, 0.3), (168, 0.1)), "1w": ()}
    for period, spread in periods[kind.every]:
        level = level * np.exp(rng.normal(0, spread, (kind.n_series, period)))[:, step % period]
    return level


DAYS = (14, 28, 60, 120, 365, 730)
KINDS = {
    "days, 20 to 1,000": Kind("1d", DAYS, counts),
    "days, 1,000 to 20,000": Kind("1d", DAYS, counts, means=(1000, 20_000)),
    "days, 1 to 20": Kind("1d", DAYS, counts, means=(1, 20)),
    "hours, 20 to 1,000": Kind("1h", (336, 504, 840, 1680), counts, n_series=200, wander=0.001),
    "weeks, 20 to 1,000": Kind("1w", (10, 26, 52, 104, 208), counts),
    "backlogs by day": Kind(
        "1d", (14, 28, 60, 120, 365, 730), backlogs, options=(("family", "gauge"),)
    ),
    "shares of days": Kind(
        "1d",
        (14, 28, 60, 120, 365),
        shares,
        means=(100, 5000),
        options=(("exposure", "of"), ("family", "rate")),
    ),
}


def pvalues(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Judge quiet series by the public call; shape (series, steps)."""
    step = {"1d": dt.timedelta(days=1), "1h": dt.timedelta(hours=1), "1w": dt.timedelta(weeks=1)}
    times = [FIRST + step[kind.every] * i for i in range(kind.ages[-1])]
    names = [f"{i:04d}" for i in range(kind.n_series)]
    table = pl.DataFrame({"at": times * kind.n_series, "series": np.repeat(names, len(times))})
    drawn = {name: values.ravel() for name, values in kind.draw(rng, kind).items()}
    options = dict(kind.options)
    result = detect(
        table.with_columns(**{name: pl.Series(values) for name, values in drawn.items()}),
        time="at",
        value="n",
        by="series",
        every=kind.every,
        **options,
    )
    periods = result.to_frame("periods").sort("series", "period_start")
    return periods["pvalue"].to_numpy().reshape(kind.n_series, -1)


def main() -> None:
    """Print a row per kind and age."""
    print(
        f"{'series':24s} {'age in steps':14s} {'P<.01':>7s} {'P<.001':>8s}  share in each tenth x10"
    )
    for i, (name, kind) in enumerate(KINDS.items()):
        found = pvalues(kind, np.random.default_rng([SEED, i]))
        bands = list(zip(kind.ages, kind.ages[1:], strict=False))
        for low, high in [*bands, (kind.ages[0], kind.ages[-1])]:
            p = found[:, low:high]
            p = p[np.isfinite(p)]
            tenths = " ".join(f"{10 * n / len(p):.2f}" for n in np.histogram(p, 10, (0, 1))[0])
            rates = f"{(p < 0.01).mean():7.4f} {(p < 0.001).mean():8.5f}"
            print(f"{name:24s} {f'{low} to {high}':14s} {rates}  {tenths}", flush=True)


if __name__ == "__main__":
    with printed_to("spikes_calibration"):
        main()
