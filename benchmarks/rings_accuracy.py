"""How well are planted rings found, beside tuned peers, on worlds that no method has seen?

    python benchmarks/rings_accuracy.py tune  --camouflage 1 --methods components leiden
    python benchmarks/rings_accuracy.py run   --camouflage 1 --size 50000 --seeds 1000 1020
    python benchmarks/rings_accuracy.py free  --size 200000
    python benchmarks/rings_accuracy.py report > benchmarks/results/rings_accuracy.md

Peers are tuned on seeds 0-4 (method, cap, rank and threshold; best mean F1) and frozen in
``results/rings_peers.json``; all methods then run on seeds 1000 onwards. Every run adds its rows to
``results/rings_accuracy_rows.csv`` and leaves out what stands there, so that it can be resumed; take
out the rows of a method that has changed. A group of four or more accounts matches a ring when their
Jaccard overlap is at least a half. Needs igraph (Leiden, Louvain), splink, numba (FRAUDAR) and
coordination-network-toolkit.
"""

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).parent))
from ring_simulator import Simulation, simulate

from rcakit.graphs import find_rings

RESULTS = Path(__file__).parent / "results"
PEERS, ROWS = RESULTS / "rings_peers.json", RESULTS / "rings_accuracy_rows.csv"
TUNING = range(5)
CAPS = (10, 20, 50)
SHARES = (0.05, 0.1, 0.2)
OURS = "rcakit"
Ranked = tuple[list[np.ndarray], np.ndarray]


class World:
    """One simulation as arrays, with pair counts per cap on demand."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.n = len(simulation.ring_of)
        edges = simulation.edges
        self.account = edges["account_id"].str.slice(1).cast(pl.Int64).to_numpy()
        self.attribute = edges["attribute"].str.slice(1).cast(pl.Int64).to_numpy()
        self.degree = np.bincount(self.attribute)
        self._pairs: dict[int, sp.coo_array] = {}

    def table(self, cap: int) -> sp.csr_array:
        """Accounts by attributes of at most `cap` accounts."""
        d = self.degree[self.attribute]
        keep = (d > 1) & (d <= cap)
        shape = (self.n, len(self.degree))
        ones = np.ones(keep.sum(), np.float32)
        return sp.csr_array((ones, (self.account[keep], self.attribute[keep])), shape=shape)

    def pairs(self, cap: int) -> sp.coo_array:
        """Attributes shared per pair."""
        if cap not in self._pairs:
            table = self.table(cap)
            self._pairs[cap] = sp.triu(table @ table.T, k=1).tocoo()
        return self._pairs[cap]


def groups_of(label: np.ndarray) -> list[np.ndarray]:
    """Split labels into groups of four or more."""
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return [g for g in np.split(order, cuts) if len(g) >= 4 and label[g[0]] >= 0]


def ranked(world: World, groups: list[np.ndarray], rank: str) -> Ranked:
    """Rank groups by size or by rarity-weighted shared evidence."""
    if rank == "size":
        return groups, np.array([len(g) for g in groups], float)
    if not groups:
        return groups, np.zeros(0)
    label = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    shape = (len(groups), world.n)
    inside = sp.csr_array((np.ones(len(label)), (label, np.concatenate(groups))), shape=shape)
    held = (inside @ world.table(100)).tocoo()
    term = np.maximum(held.data - 1, 0) / np.log(world.degree[held.coords[1]] + 1.0001)
    return groups, np.bincount(held.coords[0], term, minlength=len(groups))


def components(world: World, k: int, cap: int, rank: str) -> Ranked:
    """Join accounts that share at least k attributes (what a linkage of counts amounts to)."""
    pairs = world.pairs(cap)
    keep = pairs.data >= k
    row, col = pairs.coords[0][keep], pairs.coords[1][keep]
    graph = sp.coo_array((np.ones(keep.sum()), (row, col)), shape=(world.n, world.n))
    return ranked(world, groups_of(connected_components(graph, directed=False)[1]), rank)


def communities(world: World, how: str, k: int, cap: int, rank: str) -> Ranked:
    """Leiden (modularity or CPM) or Louvain on pairs weighted by shared attributes."""
    import igraph

    pairs = world.pairs(cap)
    keep = pairs.data >= k
    ends = np.stack([pairs.coords[0][keep], pairs.coords[1][keep]], axis=1)
    used, back = np.unique(ends, return_inverse=True)
    graph = igraph.Graph(n=len(used), edges=back.reshape(ends.shape).tolist())
    weights = pairs.data[keep].astype(float).tolist()
    if how == "louvain":
        found = graph.community_multilevel(weights=weights)
    elif how == "leiden":
        found = graph.community_leiden("modularity", weights=weights, n_iterations=3)
    else:
        found = graph.community_leiden("CPM", weights=weights, resolution=0.3, n_iterations=3)
    label = np.full(world.n, -1)
    label[used] = found.membership
    return ranked(world, groups_of(label), rank)


def splink_clusters(world: World, cap: int, bits: float, rank: str) -> Ranked:
    """Cluster pairs with Splink where their Fellegi-Sunter weight, log2(accounts / degree), is high."""
    import splink
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    weight = np.sqrt(np.log2(world.n / np.maximum(world.degree, 2)))
    table = world.table(cap) @ sp.diags_array(weight)
    pairs = sp.triu(table @ table.T, k=1).tocoo()
    keep = pairs.data >= bits
    edges = pl.DataFrame(
        {
            "unique_id_l": pairs.coords[0][keep],
            "unique_id_r": pairs.coords[1][keep],
            "match_probability": 1.0,
        }
    )
    used = np.unique(np.concatenate([pairs.coords[0][keep], pairs.coords[1][keep]]))
    nodes = pl.DataFrame({"unique_id": used})
    found = cluster_pairwise_predictions_at_threshold(
        nodes.to_pandas(), edges.to_pandas(), splink.DuckDBAPI(), "unique_id",
        threshold_match_probability=0.5,
    ).as_pandas_dataframe()  # fmt: skip
    label = np.full(world.n, -1)
    label[found["unique_id"].to_numpy()] = found["cluster_id"].to_numpy()
    return ranked(world, groups_of(label), rank)


def fraudar(world: World, cap: int, n_blocks: int, rank: str) -> Ranked:
    """Peel dense blocks greedily, columns weighted by 1 / log(degree + 5), one after the other."""
    from rings_peeling import dense_block

    table = world.table(cap).tocoo()
    account, attribute = table.coords[0].astype(np.int64), table.coords[1].astype(np.int64)
    groups, density = [], []
    for _ in range(n_blocks):
        if not len(account):
            break
        rows, back = np.unique(account, return_inverse=True)
        column = np.unique(attribute, return_inverse=True)[1]
        weight = 1 / np.log(np.bincount(column) + 5.0)
        inside, value = dense_block(back, column, weight, len(rows))
        if inside.sum() >= 4:
            groups.append(rows[inside])
            density.append(value)
        gone = inside[back]
        account, attribute = account[~gone], attribute[~gone]
    if rank == "density":
        return groups, np.array(density)
    return ranked(world, groups, rank)


def toolkit(world: World, hours: float, k: int, cap: int, rank: str) -> Ranked:
    """Join accounts whose sightings of k attributes lie within a window, by co-link networks."""
    import contextlib
    import io
    import sqlite3
    import tempfile

    from coordination_network_toolkit.compute_networks import compute_co_link_network
    from coordination_network_toolkit.preprocess import preprocess_data

    d = world.degree[world.attribute]
    keep = np.flatnonzero((d > 1) & (d <= cap))
    seconds = world.simulation.edges["first_seen_at"].dt.epoch("s").to_numpy()
    columns = world.account[keep].tolist(), world.attribute[keep].tolist(), seconds[keep].tolist()
    rows = enumerate(zip(*columns, strict=True))
    messages = ((i, a, "", None, None, "", at, [str(v)]) for i, (a, v, at) in rows)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = str(Path(folder) / "links.db")
        preprocess_data(path, messages)
        compute_co_link_network(path, hours * 3600, n_threads=1, min_edge_weight=k)
        with contextlib.closing(sqlite3.connect(path)) as base:
            found = base.execute("select user_1, user_2 from co_link_network").fetchall()
    ends = np.array([pair for pair in found if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    graph = sp.coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(world.n, world.n))
    return ranked(world, groups_of(connected_components(graph, directed=False)[1]), rank)


def rcakit_rings(world: World, share: float) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Run the room's public call; return accounts, scores and q-values from its result."""
    result = find_rings(
        world.simulation.edges,
        account="account_id",
        attribute="attribute",
        attribute_type="attribute_type",
        time="first_seen_at",
        max_false_share=share,
    )
    groups = [np.array([int(m.account_id[1:]) for m in ring.core]) for ring in result.rings]
    scores = np.array([ring.score for ring in result.rings])
    return groups, scores, np.array([ring.qvalue for ring in result.rings])


def hits(world: World, found: Ranked) -> np.ndarray:
    """Tell, in order of rank, which groups match a ring that no earlier group has matched."""
    ring_of, used = world.simulation.ring_of, set()
    size = np.bincount(ring_of[ring_of >= 0], minlength=len(world.simulation.kinds))
    out = []
    for number in np.argsort(-found[1], kind="stable"):
        group = found[0][number]
        rings, counts = np.unique(ring_of[group], return_counts=True)
        match = [
            r
            for r, c in zip(rings, counts, strict=True)
            if r >= 0 and r not in used and c / (len(group) + size[r] - c) >= 0.5
        ]
        used.update(match[:1])
        out.append(bool(match))
    return np.array(out, bool)


def average_precision(hit: np.ndarray, n_rings: int) -> float:
    """Average precision over all rings, found or not."""
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float((precision * hit).sum() / max(n_rings, 1))


def f1(hit: np.ndarray, n_rings: int) -> float:
    """Ring F1 of a list."""
    return float(2 * hit.sum() / max(len(hit) + n_rings, 1))


def families() -> dict[str, list[tuple]]:
    """The configurations of each peer: a function and what it is given after the world."""
    both = ("size", "evidence")
    grids: dict[str, list[tuple]] = {
        "components": [(components, k, c, r) for k in (2, 3) for c in CAPS for r in both],
        "splink": [
            (splink_clusters, c, b, "evidence") for c in (20, 50) for b in (22.0, 26.0, 30.0, 36.0)
        ],
        "fraudar": [(fraudar, c, n, "density") for c in (20, 50) for n in (20, 40)],
    }
    grids["toolkit"] = [
        (toolkit, h, k, 50, "evidence") for h in (24.0, 240.0, 1440.0) for k in (2, 3)
    ]
    for how in ("leiden", "leiden CPM", "louvain"):
        grids[how] = [(communities, how, k, c, "evidence") for k in (2, 3) for c in (20, 50)]
    return grids


def tune(camouflage: float, names: list[str]) -> None:
    """Choose configuration and score threshold per peer on the tuning seeds."""
    worlds = [World(simulate(50_000, camouflage=camouflage, rng=seed)) for seed in TUNING]
    chosen = json.loads(PEERS.read_text("utf-8")) if PEERS.exists() else {}
    for name in names:
        best = (-1.0, 0, 0.0)
        for number, (call, *given) in enumerate(families()[name]):
            runs = [(call(world, *given), world) for world in worlds]
            lists = [(hits(w, f), np.sort(f[1])[::-1], len(w.simulation.kinds)) for f, w in runs]
            scores = np.unique(np.concatenate([s for _, s, _ in lists]))
            for bar in scores[:: max(len(scores) // 60, 1)]:
                mean = float(np.mean([f1(h[s >= bar], m) for h, s, m in lists]))
                best = max(best, (mean, number, float(bar)))
        setting = [str(part) for part in families()[name][best[1]][1:]]
        chosen[f"{name} {camouflage:g}"] = {
            "configuration": best[1],
            "setting": ", ".join(setting),
            "threshold": best[2],
            "tuning F1": round(best[0], 3),
        }
        print(name, camouflage, chosen[f"{name} {camouflage:g}"], flush=True)
        PEERS.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")


def run(n: int, camouflage: float, seeds: range, names: list[str]) -> None:
    """Run what has no row yet: every method on one simulation of each unseen seed."""
    frozen = json.loads(PEERS.read_text("utf-8"))
    for seed in seeds:
        done = {tuple(row[:4]) for row in _rows()}
        wanted = [m for m in names if (str(n), f"{camouflage:.1f}", str(seed), m) not in done]
        own = f"{OURS} 0.10"
        if OURS in wanted and (str(n), f"{camouflage:.1f}", str(seed), own) in done:
            wanted.remove(OURS)
        if not wanted:
            continue
        world = World(simulate(n, camouflage=camouflage, rng=seed))
        for name in wanted:
            rows = _own(world) if name == OURS else [_peer(world, name, frozen, camouflage)]
            _keep([_row(n, camouflage, seed, *row, len(world.simulation.kinds)) for row in rows])


def free(n: int, seeds: range) -> None:
    """Count the rings that are reported where there are none."""
    for seed in seeds:
        if (str(n), "0.0", str(seed), "ring-free") in {tuple(row[:4]) for row in _rows()}:
            continue
        world = World(simulate(n, n_rings=0, rng=seed))
        found = rcakit_rings(world, 0.1)[0]
        _keep([_row(n, 0.0, seed, "ring-free", np.zeros(len(found), bool), 0.0, 0)])


def _peer(world: World, name: str, frozen: dict, camouflage: float) -> tuple:
    """Return the name of a peer, its hits above its threshold, and its average precision."""
    peer = frozen[f"{name} {camouflage:g}"]
    call, *given = families()[name][peer["configuration"]]
    found = call(world, *given)
    hit, score = hits(world, found), np.sort(found[1])[::-1]
    ap = average_precision(hit, len(world.simulation.kinds))
    return name, hit[score >= peer["threshold"]], ap


def _own(world: World) -> list[tuple]:
    """Return the same of rcakit at every nominal false share; one list is cut at each."""
    groups, score, qvalue = rcakit_rings(world, 0.999)
    hit = hits(world, (groups, score))
    ap = average_precision(hit, len(world.simulation.kinds))
    qvalue = qvalue[np.argsort(-score, kind="stable")]
    return [(f"{OURS} {share:.2f}", hit[qvalue <= share], ap) for share in SHARES]


def _rows() -> list[list[str]]:
    if not ROWS.exists():
        return []
    with ROWS.open(encoding="utf-8") as file:
        return list(csv.reader(file))


def _row(
    n: int, camouflage: float, seed: int, method: str, hit: np.ndarray, ap: float, n_rings: int
) -> list:
    value = f1(hit, n_rings)
    return [n, camouflage, seed, method, round(value, 5), round(ap, 5), len(hit), int((~hit).sum())]


def _keep(rows: list[list]) -> None:
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    for row in rows:
        print(*row, flush=True)


def report() -> None:
    """Print means, realised false share, and paired differences to the best peer."""
    by: dict[tuple, dict] = defaultdict(lambda: defaultdict(dict))
    for n, camouflage, seed, method, *numbers in _rows():
        by[int(n), float(camouflage)][method][int(seed)] = [float(x) for x in numbers]
    print("# Rings beside tuned peers, on seeds that nothing was tuned on\n")
    print("By `python benchmarks/rings_accuracy.py report`, from the rows of `run` and `free`.\n")
    for (n, camouflage), methods in sorted(by.items(), key=lambda item: (item[0][1], item[0][0])):
        if camouflage == 0:
            _free(n, methods["ring-free"])
        else:
            _table(n, camouflage, methods)
    print("\n## How the peers were set, on seeds 0-4\n")
    print("| peer and camouflage | setting | threshold | F1 there |\n|---|---|---|---|")
    for name, peer in json.loads(PEERS.read_text("utf-8")).items():
        bar = peer["threshold"]
        print(f"| {name} | {peer['setting']} | {bar:.2f} | {peer['tuning F1']} |")


def _free(n: int, runs: dict[int, list[float]]) -> None:
    found = sum(run[2] for run in runs.values())
    rate = found / (n * len(runs)) * 100_000
    print(f"Without rings, {n:,} accounts, {len(runs)} worlds: {found:.0f} rings, ", end="")
    print(f"{rate:.2f} per 100,000 accounts.\n")


def _table(n: int, camouflage: float, methods: dict[str, dict[int, list[float]]]) -> None:
    """Print one section: every method on its seeds, and rcakit less the best peer, seed by seed."""
    own = {m: runs for m, runs in methods.items() if m.startswith(OURS)}
    peers = {m: runs for m, runs in methods.items() if m not in own}
    print(f"\n## {n:,} accounts, camouflage {camouflage:g}\n")
    print("| method | seeds | ring F1 | average precision | found | false share |")
    print("|---|---|---|---|---|---|")
    mean = {m: np.mean(list(runs.values()), axis=0) for m, runs in methods.items()}
    for name in [*sorted(own), *sorted(peers, key=lambda m: -mean[m][0])]:
        value, ap, found, false = mean[name]
        share = f"{false / max(found, 1e-9):.3f}"
        print(f"| {name} | {len(methods[name])} | {value:.3f} | {ap:.3f} | {found:.1f} | {share} |")
    most = max((len(runs) for runs in peers.values()), default=0)
    peers = {m: runs for m, runs in peers.items() if len(runs) == most}
    for i, what in enumerate(("Ring F1", "Average precision")):
        best = max(peers, key=lambda m, i=i: mean[m][i])
        gaps = [
            f"{m[len(OURS) + 1 :]}: {_gap(runs, peers[best], i)}" for m, runs in sorted(own.items())
        ]
        gaps = gaps if i == 0 else [_gap(next(iter(own.values())), peers[best], i)]
        print(f"\n{what} less that of {best}, the best peer here (95 %): {'; '.join(gaps)}.")


def _gap(runs: dict[int, list[float]], others: dict[int, list[float]], column: int) -> str:
    """Return the mean difference over the seeds of both, with its interval."""
    seeds = sorted(runs.keys() & others.keys())
    gap = np.array([runs[s][column] - others[s][column] for s in seeds])
    half = _t95(len(gap)) * gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.nan
    low, high = gap.mean() - half, gap.mean() + half
    return f"{gap.mean():+.3f} ({low:+.3f} to {high:+.3f}, {len(seeds)} seeds)"


def _t95(n: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


def main() -> None:
    """Tune, run or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("tune", "run", "free", "report"))
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, nargs=2, default=(1000, 1020))
    parser.add_argument("--camouflage", type=float, default=1.0)
    names = [OURS, *families()]
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    given = parser.parse_args()
    began = time.time()
    if given.what == "tune":
        tune(given.camouflage, [name for name in given.methods if name != OURS])
    elif given.what == "run":
        run(given.size, given.camouflage, range(*given.seeds), given.methods)
    elif given.what == "free":
        free(given.size, range(*given.seeds))
    else:
        report()
    print(f"{time.time() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
