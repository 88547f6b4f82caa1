"""The same events in the forms that tables come in: is the answer the same, and quiet where nothing happened?

Run: python -m benchmarks.drivers_forms [n]
Events and orders, one row each; counts and sums made beforehand by day or by hour, with rows of zero and without,
in cents and in whole units. Everything goes through the public call.
"""

import datetime as dt
import sys
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

import rcakit
from benchmarks.table import publish, share

FIRST, N_DAYS = dt.date(2026, 1, 5), 57  # the last day is the period
PERIOD = (str(FIRST + dt.timedelta(N_DAYS - 1)),) * 2
NAMES = ["place", "kind", "team"]
SEED = 700_000


def orders(seed: int, *, volume: float, sigma: float, planted: bool) -> pl.DataFrame:
    """One row per order with a lognormal amount; where planted, place 2 has three times as many on the last day."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(0.0, 1.0, (12, 6, 4))
    level *= volume / level.sum()
    day_factor = rng.lognormal(0.0, 0.05, N_DAYS)
    mean = level[..., None] * day_factor * rng.gamma(20.0, 0.05, (*level.shape, N_DAYS))
    if planted:
        mean[2, ..., -1] *= 3.0
    number = rng.poisson(mean).ravel()
    place, kind, team, day = (
        np.repeat(part.ravel(), number) for part in np.indices((12, 6, 4, N_DAYS))
    )
    return pl.DataFrame(
        {
            "day": np.datetime64(FIRST) + day,
            "hour": rng.integers(0, 24, len(day)),
            "place": np.char.add("p", place.astype(str)),
            "kind": np.char.add("k", kind.astype(str)),
            "team": np.char.add("t", team.astype(str)),
            "amount": rng.lognormal(3.0, sigma, len(day)).round(2),
        }
    )


def summed(table: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Counts and sums by day, combination and more."""
    total = pl.col("amount").sum()
    return table.group_by("day", *NAMES, *keys).agg(
        pl.len().cast(pl.Int64).alias("n"), total, total.round(0).alias("whole")
    )


def filled(table: pl.DataFrame) -> pl.DataFrame:
    """The same with rows of zero where there was nothing."""
    cells = table.select("day").unique().join(table.select(NAMES).unique(), how="cross")
    return cells.join(table, on=["day", *NAMES], how="left").fill_null(0)


FORMS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str | None]] = {
    "events": (lambda table: table, None),
    "counts by day": (summed, "n"),
    "counts by day, zeros too": (lambda table: filled(summed(table)), "n"),
    "counts by hour": (lambda table: summed(table, "hour"), "n"),
    "orders": (lambda table: table, "amount"),
    "sums by day": (summed, "amount"),
    "sums by day, zeros too": (lambda table: filled(summed(table)), "amount"),
    "whole sums by day": (summed, "whole"),
}


def rows(n: int) -> Iterator[dict[str, object]]:
    """One row per form, volume and scatter of amounts."""
    for volume, sigma in ((200.0, 1.0), (2_000.0, 1.0), (200.0, 1.5)):
        named: dict[str, list[list[dict]]] = {form: [] for form in FORMS}
        quiet: dict[str, int] = dict.fromkeys(FORMS, 0)
        for seed in range(SEED, SEED + n):
            for planted in (False, True):
                table = orders(seed, volume=volume, sigma=sigma, planted=planted)
                for form, (shape, value) in FORMS.items():
                    result = rcakit.drivers.explain(
                        shape(table),
                        dimensions=NAMES,
                        time="day",
                        period=PERIOD,
                        value=value,
                        baseline=56,
                    )
                    if planted:
                        named[form].append(list(result.segments))
                    else:
                        quiet[form] += bool(result.segments)
        for form in FORMS:
            hits = sum({"place": "p2"} in found for found in named[form])
            wrong = sum(any(s != {"place": "p2"} for s in found) for found in named[form])
            yield {
                "form": f"{form}, {volume:.0f} a day, sigma {sigma}",
                "n": n,
                "quiet tables with a name": share(quiet[form], n),
                "planted place found": share(hits, n),
                "with a wrong name": share(wrong, n),
            }


if __name__ == "__main__":
    publish(
        "drivers_forms",
        title="The same events in many forms",
        notes=(
            "Twelve places, six kinds and four teams, 56 days of baseline, alpha = .01; planted: three times as "
            "many orders in one place on the last day. Sigma is that of the lognormal amounts."
        ),
        rows=rows(int(sys.argv[1]) if len(sys.argv) > 1 else 60),
    )
