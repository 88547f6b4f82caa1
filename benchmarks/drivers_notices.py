"""Takedown notices (real): does the burst's sender come out first, in counts and in affected repositories?

Run: python -m benchmarks.drivers_notices
"""

import sys
import time
from datetime import date, timedelta

import numpy as np

from benchmarks.shared import SHARED
from benchmarks.table import publish
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.history import History

DATA = SHARED / "data/dmca/notices.parquet"


def notices_case(
    first: date, last: date, *, value: str | None, baseline_days: int, slugs: str = "lower"
):
    """Leaf table by complainant, type and prior contact; history of the days before."""
    import polars as pl

    rows = pl.read_parquet(DATA).filter(
        (pl.col("notice_date") >= first - timedelta(baseline_days))
        & (pl.col("notice_date") <= last)
    )
    if slugs == "lower":
        rows = rows.with_columns(pl.col("complainant").str.to_lowercase())
    if value:
        rows = rows.drop_nulls(value)
    names = ["complainant", "notice_type", "prior_contact"]
    levels = [
        np.unique(rows[n].fill_null("none").to_numpy().astype(str), return_inverse=True)
        for n in names
    ]
    codes, leaf = np.unique(np.column_stack([c for _, c in levels]), axis=0, return_inverse=True)
    day = (
        rows["notice_date"].to_numpy().astype("datetime64[D]")
        - np.datetime64(first - timedelta(baseline_days))
    ).astype(int)
    amount = rows[value].to_numpy().astype(float) if value else np.ones(len(rows))
    before = day < baseline_days
    start = (first - timedelta(baseline_days)).weekday()
    weekday = (start + np.arange(baseline_days + (last - first).days + 1)) % 7
    history = History(
        leaf[before],
        day[before],
        amount[before],
        weekday[:baseline_days],
        weekday[baseline_days:],
        sum_squares=amount[before] ** 2 if value else None,
    )
    observed = np.bincount(leaf[~before], amount[~before], minlength=len(codes))
    return codes, tuple(len(v) for v, _ in levels), observed, history, [v for v, _ in levels]


CASES = [
    ("2015-07-21 notices", date(2015, 7, 21), date(2015, 7, 21), None, 84, "lower"),
    (
        "2015-07-21 notices, slugs as written",
        date(2015, 7, 21),
        date(2015, 7, 21),
        None,
        84,
        "raw",
    ),
    ("2015-07-21 notices, 365 days", date(2015, 7, 21), date(2015, 7, 21), None, 365, "lower"),
    ("week of 2015-07-20 notices", date(2015, 7, 20), date(2015, 7, 26), None, 84, "lower"),
    (
        "2015-09 repositories",
        date(2015, 9, 1),
        date(2015, 9, 30),
        "repos_affected",
        120,
        "lower",
    ),
    (
        "2015-09-26 repositories",
        date(2015, 9, 26),
        date(2015, 9, 26),
        "repos_affected",
        84,
        "lower",
    ),
    ("quiet week 2015-06-01 notices", date(2015, 6, 1), date(2015, 6, 7), None, 84, "lower"),
    (
        "quiet 2015-08 repositories",
        date(2015, 8, 1),
        date(2015, 8, 31),
        "repos_affected",
        120,
        "lower",
    ),
]


def measure(name, first, last, value, baseline_days, slugs) -> dict[str, object]:
    """Explain one case and name the first segments."""
    codes, sizes, observed, history, levels = notices_case(
        first, last, value=value, baseline_days=baseline_days, slugs=slugs
    )
    began = time.process_time()
    result = attribute_counts(codes, sizes, observed, history=history)
    seconds = time.process_time() - began

    def label(segment: tuple[int, ...]) -> str:
        return " and ".join(str(levels[j][k]) for j, k in enumerate(segment) if k >= 0)

    return {
        "case": name,
        "verdict": result.verdict,
        "observed": f"{result.observed:.0f}",
        "expected": f"{result.expected:.1f}",
        "named": "; ".join(
            f"{label(s.codes)} ({s.observed:.0f} for {s.expected:.1f}, q = {s.qvalue:.0e})"
            for s in result.segments[:3]
        ),
        "first lead": label(result.leads[0]) if result.leads else "",
        "leaves": len(codes),
        "CPU s": f"{seconds:.3f}",
    }


if __name__ == "__main__":
    if not DATA.exists():
        sys.exit(f"The open data are not there ({DATA.name}); set RCAKIT_SHARED.")
    publish(
        "drivers_notices",
        title="Bursts of takedown notices, real",
        notes="Senders are public companies.",
        rows=(measure(*case) for case in CASES),
    )
