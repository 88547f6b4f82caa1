"""Exact-segment F1 on amounts with forecasts: development files B0, S, L and own S-, L- and null-type instances.

Run: python -m benchmarks.drivers_amounts [n] [--development]
"""

import json
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.drivers_amounts_made import (
    DEVELOPMENT_SEED,
    REPORTING_SEED,
    AmountInstance,
    amount_instance,
)
from benchmarks.shared import SHARED
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.amounts import attribute_amounts

DATA = SHARED / "data/attribution"


def development(name: str) -> list[AmountInstance]:
    """Instances of a development file."""
    import polars as pl

    table = pl.read_parquet(DATA / f"{name}_dev.parquet")
    truth = json.loads((DATA / f"{name}_dev_truth.json").read_text())
    dimensions = [c for c in table.columns if c not in {"instance", "real", "predict"}]
    instances = []
    for key, facts in truth.items():
        rows = table.filter(pl.col("instance") == key)
        levels = [np.unique(rows[d].to_numpy(), return_inverse=True) for d in dimensions]
        codes = np.column_stack([inverse for _, inverse in levels])
        index = [{value: k for k, value in enumerate(values)} for values, _ in levels]
        causes = tuple(
            tuple(index[j][cause[d]] if d in cause else -1 for j, d in enumerate(dimensions))
            for cause in facts["causes"]
        )
        observed, expected = (
            rows["real"].to_numpy().astype(float),
            rows["predict"].to_numpy().astype(float),
        )
        sizes = tuple(len(values) for values, _ in levels)
        instances.append(AmountInstance(codes, sizes, observed, expected, causes))
    return instances


def score(name: str, instances: list[AmountInstance]) -> dict[str, object]:
    """Micro F1 of exact segments, exact instances, time."""
    hits = false = missed = exact = named = 0
    seconds = []
    for case in instances:
        began = time.process_time()
        result = attribute_amounts(
            case.codes, case.sizes, case.observed, case.expected, max_depth=len(case.sizes)
        )
        seconds.append(time.process_time() - began)
        got, true = {segment.codes for segment in result.segments}, set(case.causes)
        hits, false, missed = (
            hits + len(got & true),
            false + len(got - true),
            missed + len(true - got),
        )
        exact += got == true
        named += bool(got)
    return {
        "set": name,
        "n": len(instances),
        "F1": f1(hits, false, missed),
        "right": hits,
        "false": false,
        "missed": missed,
        "instances exact": share(exact, len(instances)),
        "instances with any": share(named, len(instances)),
        "CPU s": f"{np.mean(seconds):.3f}",
        "CPU s, worst": f"{np.max(seconds):.3f}",
    }


def rows(n: int, first: int) -> Iterator[dict[str, object]]:
    """Development files where present, then own instances."""
    for name in ("b0", "s", "l"):
        if DATA.exists():
            yield score(f"{name}, development file", development(name))
    for kind, name in (("S", "own S-type"), ("L", "own L-type"), ("N", "own, no cause")):
        yield score(name, [amount_instance(kind, first + k) for k in range(n)])


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 40
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_amounts",
        title="Drivers of amounts with a forecast per leaf",
        notes="Exact segments, all depths, alpha = .01.",
        rows=rows(n, first),
    )
