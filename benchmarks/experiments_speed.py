"""How long do experiments take beside tea-tasting, statsmodels and pyfixest, in one run?

Run ``python benchmarks/experiments_speed.py [rows]`` (default ten million) where the peers are
installed; a peer that is missing is said. Processor time of one thread, the least of several runs
(three with ten million rows, ten or more below); losing rows are shown as well.
"""

import datetime as dt
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from rcakit import experiments
from rcakit.stats import interrupted

RESULTS = Path(__file__).parent / "results" / "experiments_speed.md"
COVARIATES = {"orders": "pre_orders", "revenue": "pre_revenue"}


def best(work: Callable[[], object], runs: int = 3) -> float:
    """Return the least processor time of some runs in seconds."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def users(n: int) -> pl.DataFrame:
    """Draw users with five metrics' columns."""
    rng = np.random.default_rng(0)
    sessions = rng.poisson(2, n) + 1.0
    orders = rng.binomial(sessions.astype(int), 0.25).astype(float)
    return pl.DataFrame(
        {
            "variant": rng.integers(0, 2, n),
            "sessions": sessions,
            "orders": orders,
            "revenue": orders * rng.lognormal(1, 0.5, n),
            "converted": (orders > 0).astype(float),
            "pre_orders": orders + rng.normal(size=n),
            "pre_revenue": orders * 2 + rng.normal(size=n),
        }
    )


def ours(table: object) -> object:
    """Compare five metrics: two adjusted means, a mean, a proportion and a ratio."""
    metrics = ["sessions", "converted", "orders", "revenue", ("orders", "sessions")]
    return experiments.ab_test(table, variant="variant", metrics=metrics, covariates=COVARIATES)


def theirs() -> Callable[[object], object] | None:
    """Return the same work in tea-tasting."""
    try:
        import tea_tasting as tt
    except ImportError:
        print("tea-tasting is not installed: left out")
        return None
    experiment = tt.Experiment(
        sessions=tt.Mean("sessions"),
        converted=tt.Mean("converted"),
        orders=tt.Mean("orders", "pre_orders"),
        revenue=tt.Mean("revenue", "pre_revenue"),
        ratio=tt.RatioOfMeans("orders", "sessions"),
        srm=tt.SampleRatio(),
    )
    return experiment.analyze


def compare_arms(n: int) -> list[tuple[str, float, float, str]]:
    """Time five metrics in pandas, polars and DuckDB."""
    table, peer, rows = users(n), theirs(), []
    # DuckDB last: its table is written once, outside the clock
    for name in ("polars", "pandas", "duckdb"):
        held, other = _held(name, table)
        mine = best(lambda: ours(held))
        yours = best(lambda: peer(other)) if peer else float("nan")
        rows.append((f"five metrics, {n:,} rows, {name}", mine, yours, "tea-tasting, 0.6"))
        print(_line(rows[-1]), flush=True)
    return rows


def _held(name: str, table: pl.DataFrame) -> tuple[object, object]:
    if name == "polars":
        return table, table
    if name == "pandas":
        frame = table.to_pandas()
        return frame, frame
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads TO 1")
    connection.register("given", table.to_arrow())
    connection.execute("CREATE TABLE users AS SELECT * FROM given")
    try:
        import ibis

        peer = ibis.duckdb.from_connection(connection).table("users")
    except ImportError:
        peer = None
    return connection.table("users"), peer


def compare_clusters(n: int = 1_000_000, groups: int = 400) -> list[tuple[str, float, float, str]]:
    """Time one clustered comparison."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, groups, n)
    y = rng.normal(size=n) + rng.normal(0, 0.3, groups)[group]
    table = pl.DataFrame({"variant": group % 2, "group": group, "y": y})
    frame = table.to_pandas()
    mine = best(
        lambda: experiments.ab_test(table, variant="variant", metrics="y", randomised_by="group"),
        30,
    )
    rows = []
    try:
        import statsmodels.formula.api as smf

        cluster = {"groups": frame["group"]}
        yours = best(
            lambda: smf.ols("y ~ variant", frame).fit(cov_type="cluster", cov_kwds=cluster), 10
        )
        rows.append(
            ("clustered error, 1,000,000 rows, 400 groups", mine, yours, "statsmodels, 0.1")
        )
        print(_line(rows[-1]), flush=True)
        import pyfixest

        yours = best(lambda: pyfixest.feols("y ~ variant", frame, vcov={"CRV1": "group"}), 10)
        rows.append(("clustered error, 1,000,000 rows, 400 groups", mine, yours, "pyfixest, 0.1"))
        print(_line(rows[-1]), flush=True)
    except ImportError as missing:
        print(f"{missing.name} is not installed: left out")
    return rows


def one_series() -> list[tuple[str, float, float, str]]:
    """Time a before-after comparison of 90 days: both fits, and the whole call."""
    rng = np.random.default_rng(2)
    y = 100 + rng.normal(size=90)
    days = [dt.datetime(2026, 1, 1) + dt.timedelta(days=i) for i in range(90)]
    table = pl.DataFrame({"day": days, "y": y})
    index = np.arange(90)
    design = np.column_stack(
        [np.ones(90), (index - 45) / 90, index >= 60, interrupted.seasonal_columns(90, 7)]
    )
    weights = np.eye(design.shape[1])[2]

    def fits() -> None:
        interrupted.fit_autoregressive(y, design, weights, orders=(1, 2))
        interrupted.fit_local_level(y, design, weights)

    def call() -> None:
        experiments.pre_post(table, time="day", value="y", at=days[60])

    frame = table.to_pandas()
    call()
    rows = [
        ("pre_post, both fits of one series", best(fits, 300), 0.010, "10 ms, 1"),
        ("pre_post, whole call, polars", best(call, 300), 0.010, "10 ms, 1"),
        (
            "pre_post, whole call, pandas",
            best(lambda: experiments.pre_post(frame, time="day", value="y", at=days[60]), 300),
            0.010,
            "10 ms, 1",
        ),
    ]
    for row in rows:
        print(_line(row))
    return rows


def _line(row: tuple[str, float, float, str]) -> str:
    name, mine, yours, bar = row
    return f"| {name} | {mine:.4f} | {yours:.4f} | {mine / yours:.3f} | {bar} |"


def main() -> None:
    """Print the table and keep it."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    head = "| work | ours, s | theirs or bar, s | ratio | beside, ratio allowed |\n|---|---|---|---|---|"
    print(head)
    rows = one_series() + compare_clusters() + compare_arms(n)
    text = "# Speed of experiments\n\nPrinted by `python benchmarks/experiments_speed.py`, processor time of one thread, least of several runs.\n\n"
    RESULTS.write_text(text + head + "\n" + "\n".join(map(_line, rows)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
