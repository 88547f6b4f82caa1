"""Stalling incidents (real, labelled, development part): top-1 F1 and hit@k.

Run: python -m benchmarks.drivers_stalls
"""

import json
import sys
import time

import numpy as np

from benchmarks.shared import SHARED
from benchmarks.table import publish, share
from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.ratios import attribute_ratios

DATA = SHARED / "data/attribution"


def incidents():
    """Every development incident as arrays."""
    import polars as pl

    table = pl.read_parquet(DATA / "rs_dev.parquet")
    truth = json.loads((DATA / "rs_dev_truth.json").read_text())
    for key, facts in truth.items():
        rows = table.filter(pl.col("incident") == key)
        dimensions = facts["dimensions"]
        levels = [
            np.unique(rows[d].to_numpy().astype(str), return_inverse=True) for d in dimensions
        ]
        codes = np.column_stack([inverse for _, inverse in levels])
        sizes = tuple(len(values) for values, _ in levels)
        unique, leaf = np.unique(codes, axis=0, return_inverse=True)
        at = rows["minute"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy().astype(str)
        minutes = np.unique(at)
        day = np.searchsorted(minutes, at)
        now = int(np.searchsorted(minutes, facts["anomaly_minute"]))
        bad, viewers = (
            rows["n_stalled"].to_numpy().astype(float),
            rows["n_viewers"].to_numpy().astype(float),
        )
        before, during = day < now, day == now
        history = History(
            leaf[before],
            day[before],
            bad[before],
            np.zeros(now, int),
            np.zeros(1, int),
            denominator=viewers[before],
        )
        n = len(unique)
        index = [{v: k for k, v in enumerate(values)} for values, _ in levels]
        causes = [
            tuple(index[j][str(c[d])] if d in c else -1 for j, d in enumerate(dimensions))
            for c in facts["causes"]
        ]
        yield (
            key,
            unique,
            sizes,
            np.bincount(leaf[during], bad[during], minlength=n),
            np.bincount(leaf[during], viewers[during], minlength=n),
            history,
            causes,
        )


def measure() -> dict[str, object]:
    """Compare the first name and the leads with the labels."""
    named = answered = total = 0
    hits, seconds = {1: 0, 3: 0, 5: 0}, []
    for _, codes, sizes, bad, viewers, history, causes in incidents():
        began = time.process_time()
        result = attribute_ratios(codes, sizes, bad, viewers, history=history)
        seconds.append(time.process_time() - began)
        total += 1
        answered += bool(result.segments)
        named += bool(result.segments) and result.segments[0].codes in causes
        for k in hits:
            hits[k] += any(codes in causes for codes in result.leads[:k])
    return {
        "incidents": total,
        "answered": answered,
        "top-1 F1": share(2 * named, answered + total),
        **{f"hit@{k}": share(count, total) for k, count in hits.items()},
        "CPU s": f"{np.mean(seconds):.4f}",
        "CPU s, worst": f"{np.max(seconds):.4f}",
    }


if __name__ == "__main__":
    if not DATA.exists():
        sys.exit(f"The open data are not there ({DATA.name}); set RCAKIT_SHARED.")
    publish(
        "drivers_stalls",
        title="Stalling incidents of live video, real and labelled",
        notes="Development part. hit@k looks at the leads, which rank and claim nothing.",
        rows=[measure()],
    )
