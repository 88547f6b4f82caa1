"""How long do rings and lockstep take, and how much memory, beside a projection in networkx?

    python benchmarks/rings_speed.py 200000 1000000 > benchmarks/results/rings_speed.md

Wall and processor seconds of one run each, after the libraries have been imported.
"""

import datetime as dt
import resource
import sys
import time
from pathlib import Path

import networkx as nx
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from ring_simulator import simulate

from rcakit.graphs import find_lockstep, find_rings

COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}
LARGEST_FOR_NETWORKX = 300_000


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


def timed(call: object) -> str:
    """Return wall and processor seconds and the peak memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return f"{time.perf_counter() - wall:.2f} | {time.process_time() - cpu:.2f} | {peak:.2f}"


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


def main() -> None:
    """Print one line per size."""
    find_rings(simulate(2000).edges, **COLUMNS)
    print("| what | size | wall s | processor s | peak GB of the process |\n|---|---|---|---|---|")
    for n in map(int, sys.argv[1:] or ["200000", "1000000"]):
        edges = simulate(n).edges
        print(
            f"| find_rings | {edges.height:,} edges | {timed(lambda e=edges: find_rings(e, **COLUMNS))} |"
        )
        if n <= LARGEST_FOR_NETWORKX:
            print(
                f"| networkx | {edges.height:,} edges | {timed(lambda e=edges: networkx_rings(e))} |",
                flush=True,
            )
    table = events(1_000_000)
    call = lambda: find_lockstep(
        table, account="account_id", target="target_id", time="at", window=60
    )
    print(f"| find_lockstep | 1,000,000 events | {timed(call)} |")


if __name__ == "__main__":
    main()
