"""How long do rings and lockstep take, and how much memory, beside a projection in networkx?

    python benchmarks/rings_speed.py > benchmarks/results/rings_speed.md

Every line is a process of its own, which reads a table that another process has made: median wall
and processor seconds of three runs (one for the slow ones) after the libraries have been imported,
and the peak of the process (VmHWM) with its data and imports in it. Pairs counted are said for
attributes of 2 to 99 accounts. Below the table: networkx over `find_rings`, and how cost grows.
"""

import datetime as dt
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import networkx as nx
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from ring_simulator import simulate

from rcakit.graphs import find_lockstep, find_rings

COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}


def networkx_rings(edges: pl.DataFrame) -> int:
    """Project attributes of at most 50 accounts with networkx; join pairs that share two."""
    degree = edges.group_by("attribute").len("d").filter(pl.col("d").is_between(2, 50))
    kept = edges.join(degree, on="attribute")
    graph = nx.Graph()
    accounts = set(kept["account_id"].to_list())
    graph.add_edges_from(kept.select("account_id", "attribute").rows())
    pairs = nx.bipartite.weighted_projected_graph(graph, accounts)
    pairs.remove_edges_from([(a, b) for a, b, w in pairs.edges(data="weight") if w < 2])
    return sum(len(part) > 3 for part in nx.connected_components(pairs))


def peak_gb() -> float:
    """Return the peak of this process's own memory."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024**2


def timed(call: object, n_runs: int) -> str:
    """Return wall and processor seconds (medians) and the peak memory."""
    runs = []
    for _ in range(n_runs):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*runs, strict=True)
    return f"{statistics.median(walls):.2f} | {statistics.median(cpus):.2f} | {peak_gb():.2f}"


def events(n: int) -> pl.DataFrame:
    """Make actions on popular targets over a month."""
    random = np.random.default_rng(0)
    start = dt.datetime(2026, 3, 1)
    seconds = pl.Series("s", random.integers(0, 30 * 86_400, n))
    return pl.DataFrame(
        {
            "account_id": pl.Series(random.integers(0, n // 5, n)).cast(pl.String),
            "target_id": pl.Series(random.integers(0, n // 10, n)).cast(pl.String),
            "at": pl.Series([start] * n),
        }
    ).with_columns(pl.col("at") + pl.duration(seconds=seconds))


def crowded(n: int) -> pl.DataFrame:
    """Make actions whose targets differ in popularity (Zipf), with many near pairs."""
    random = np.random.default_rng(1)
    weight = 1 / (np.arange(n // 20) + 20.0)
    target = random.choice(len(weight), n, p=weight / weight.sum())
    return events(n).with_columns(target_id=pl.Series(target).cast(pl.String))


def measure(what: str, n: int, path: str) -> None:
    """Print one line of the table."""
    table = pl.read_parquet(path)
    if what.startswith("find_lockstep"):
        lock = {"account": "account_id", "target": "target_id", "time": "at", "window": 60}
        find_lockstep(table.head(5000), **lock)
        line = timed(lambda: find_lockstep(table, **lock), 3)
        print(f"| {what} | {n:,} events | | {line} |")
        return
    columns = COLUMNS | ({"time": "first_seen_at"} if "times" in what else {})
    degree = table.group_by("attribute").len("d").filter(pl.col("d").is_between(2, 99))["d"]
    pairs = int((degree.cast(pl.Int64) * (degree.cast(pl.Int64) - 1) // 2).sum())
    find_rings(simulate(2000).edges, **columns)
    if what == "networkx":
        line = timed(lambda: networkx_rings(table), 1)
    else:
        line = timed(lambda: find_rings(table, **columns), 3 if n < LARGEST_FOR_THREE_RUNS else 1)
    print(f"| {what} | {table.height:,} edges | {pairs:,} | {line} |")


def make(what: str, n: int, path: str) -> None:
    """Write the table that a line is measured on."""
    if what.startswith("find_lockstep"):
        table = crowded(n) if "popular" in what else events(n)
    else:
        table = simulate(n).edges
    table.write_parquet(path)


def main() -> None:
    """Print one line per size, each from a process of its own, and what they amount to."""
    if len(sys.argv) > 2:
        call = make if sys.argv[1] == "make" else measure
        call(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    print("# Rings and lockstep: time and memory\n")
    print("By `python benchmarks/rings_speed.py`: one thread; processor seconds are the measure, ")
    print(f"because {os.cpu_count()} cores had a load of {os.getloadavg()[0]:.1f} at the start.\n")
    print("| what | size | pairs | wall s | processor s | peak GB |\n|---|---|---|---|---|---|")
    costs: dict[tuple[str, int], tuple[float, float]] = {}
    for what, n in LINES:
        with tempfile.TemporaryDirectory() as folder:
            given = [what, str(n), str(Path(folder) / "table.parquet")]
            subprocess.run([sys.executable, __file__, "make", *given], check=True)
            command = [sys.executable, __file__, "measure", *given]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(done.stdout, end="", flush=True)
        cells = done.stdout.split("|")
        costs[what, n] = float(cells[2].split()[0].replace(",", "")), float(cells[5])
    slow, fast = costs["networkx", 190_000][1], costs["find_rings", 190_000][1]
    print(f"\nProjection and components in networkx cost {slow / fast:.0f} times `find_rings`.")
    for what in ("find_rings", "find_rings, with times"):
        sizes = sorted(cost for (name, _), cost in costs.items() if name == what)
        print(f"\nGrowth of {what}, exponent of edges from size to size: ", end="")
        steps = itertools.pairwise(sizes)
        print(
            ", ".join(f"{math.log(d / b) / math.log(c / a):.2f}" for (a, b), (c, d) in steps),
            end="",
        )
        print(".")


LINES = (
    ("find_rings", 20_000),
    ("find_rings", 190_000),
    ("networkx", 190_000),
    ("find_rings, with times", 20_000),
    ("find_rings, with times", 190_000),
    ("find_lockstep", 1_000_000),
    ("find_lockstep, popular targets", 1_000_000),
    ("find_rings", 940_000),
    ("find_rings, with times", 940_000),
    ("find_rings", 3_500_000),
    ("find_rings, with times", 3_500_000),
)
LARGEST_FOR_THREE_RUNS = 500_000


if __name__ == "__main__":
    main()
