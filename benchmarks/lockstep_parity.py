"""Are our co-action edges those of coordination-network-toolkit, and which of them mean something?

    python benchmarks/lockstep_parity.py retweets.parquet > benchmarks/results/lockstep_parity.md

Runs the toolkit itself (co-retweet network in SQLite) and `co_action_edges` on the same retweets for
equal windows, compares directed edges with their weights, and says what `find_lockstep` adds. Needs
coordination-network-toolkit; columns content_id, account_id, object_id, timestamp. Rows that repeat
a content_id are left out for both, because the toolkit keeps one row per message.
"""

import contextlib
import io
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from coordination_network_toolkit.compute_networks import compute_co_retweet_parallel
from coordination_network_toolkit.preprocess import preprocess_data

from rcakit.graphs import co_action_edges, find_lockstep

WINDOWS = (1, 10, 60, 600, 3600)
COLUMNS = {"account": "account_id", "target": "object_id", "time": "timestamp"}
Edges = dict[tuple[str, str], int]


def toolkit_edges(path: str, window: int) -> Edges:
    """Return directed edges and weights of the toolkit, without ties of an account with itself."""
    with contextlib.redirect_stdout(io.StringIO()):
        compute_co_retweet_parallel(path, window, n_threads=1)
    with contextlib.closing(sqlite3.connect(path)) as base:
        rows = base.execute("select user_1, user_2, weight from co_retweet_network").fetchall()
    return {(first, second): weight for first, second, weight in rows if first != second}


def own_edges(table: pl.DataFrame, window: int) -> Edges:
    """Return the same of rcakit."""
    found = co_action_edges(table, window=window, **COLUMNS)
    rows = found.select("account_id", "other_id", "n_actions", "n_other_actions").rows()
    there = {(first, second): n for first, second, n, _ in rows}
    return there | {(second, first): n for first, second, _, n in rows}


def timed(call: Callable[..., Any], *given: object) -> tuple[Any, float]:
    """Return what a call returns, and its processor seconds."""
    began = time.process_time()
    return call(*given), time.process_time() - began


def main() -> None:
    """Print one line per window."""
    whole = pl.read_parquet(sys.argv[1]).unique().sort(pl.all())
    table = whole.unique("content_id", keep="first", maintain_order=True)
    wanted = ["content_id", "account_id", "object_id", pl.col("timestamp").dt.epoch("s")]
    rows = table.select(wanted).rows()
    print("# Lockstep edges beside coordination-network-toolkit\n")
    print(
        f"By `python benchmarks/lockstep_parity.py retweets.parquet`: {len(rows):,} retweets ",
        end="",
    )
    print(
        f"({whole.height - len(rows)} rows that repeat a message are left out), directed edges ",
        end="",
    )
    print("with their weights, processor seconds of one run each.\n")
    print(
        "| window s | edges | same edges and weights | toolkit s | rcakit s | rings beyond chance, of pairs that met twice |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "retweets.db")
        with contextlib.redirect_stdout(io.StringIO()):
            preprocess_data(path, ((i, a, a, o, None, "", at, []) for i, a, o, at in rows))
        for window in WINDOWS:
            theirs, slow = timed(toolkit_edges, path, window)
            ours, fast = timed(own_edges, table, window)
            ringed = find_lockstep(table, window=window, min_size=2, **COLUMNS)
            same = "yes" if ours == theirs else "NO"
            line = f"| {window} | {len(theirs):,} | {same} | {slow:.2f} | {fast:.2f} "
            print(f"{line}| {len(ringed.rings)} of {ringed.n_candidates:,} |")


if __name__ == "__main__":
    main()
