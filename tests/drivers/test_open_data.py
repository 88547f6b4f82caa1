"""The public call on incidents whose causes are known; skipped without the open data."""

import json

import polars as pl
import pytest

from rcakit.drivers import explain


def _segments(result) -> set[tuple]:
    return {tuple(sorted((k, str(v)) for k, v in item.items())) for item in result.segments}


@pytest.mark.parametrize(("name", "least"), [("b0", 0.99), ("l", 0.94), ("s", 0.90)])
def test_forecast_incidents_are_named(shared, name, least):
    """Amounts with a forecast: micro F1 of exact segments through the public call."""
    rows = pl.read_parquet(shared / f"{name}_dev.parquet")
    truth = json.loads((shared / f"{name}_dev_truth.json").read_text())
    dimensions = [c for c in rows.columns if c not in {"instance", "real", "predict"}]
    hits = wrong = 0
    for key, facts in truth.items():
        result = explain(
            rows.filter(pl.col("instance") == key),
            dimensions=dimensions,
            value="real",
            expected="predict",
            max_depth=len(dimensions),
            max_causes=20,
        )
        found = _segments(result)
        true = {tuple(sorted((k, str(v)) for k, v in cause.items())) for cause in facts["causes"]}
        hits += 2 * len(found & true)
        wrong += len(found ^ true)
    assert hits / (hits + wrong) >= least
