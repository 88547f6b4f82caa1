"""Rivals on the same count instances in one run: largest |delta|, z-tests with BH, Adtributor, wise-pizza.

Run: python -m benchmarks.drivers_rivals [n] [--development]
wise-pizza needs its own environment; run with its interpreter as PEER_PYTHON to include it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import special

from benchmarks.drivers_reports import (
    DEVELOPMENT_SEED,
    REPORTING_SEED,
    Instance,
    count_instance,
    members,
)
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.leaves import leaf_baseline

FAMILIES = ("N0", "N2", "C1", "C3", "UD", "CORE")


def expected_of(case: Instance) -> np.ndarray:
    """The estimated baseline that every system gets."""
    return leaf_baseline(case.history, codes=case.codes, sizes=case.sizes).expected


def largest_delta(case: Instance, expected: np.ndarray) -> list[tuple[int, ...]]:
    """The one segment (any depth to 3) with the largest absolute change."""
    lattice = Lattice(case.codes, case.sizes, np.stack([case.observed, expected]))
    return [lattice.segment(int(np.argmax(np.abs(lattice.sums[0] - lattice.sums[1]))))]


def z_tests(case: Instance, expected: np.ndarray, q: float = 0.01) -> list[tuple[int, ...]]:
    """Every segment with a Poisson z-test, Benjamini-Hochberg at q; all discoveries are reported."""
    lattice = Lattice(case.codes, case.sizes, np.stack([case.observed, expected]))
    observed, mean = lattice.sums
    p = 2.0 * special.ndtr(-np.abs(observed - mean) / np.sqrt(np.maximum(mean, 0.5)))
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= q * np.arange(1, len(p) + 1) / len(p))
    chosen = order[: passed[-1] + 1] if len(passed) else []
    return [lattice.segment(int(g)) for g in chosen]


def adtributor(
    case: Instance, expected: np.ndarray, *, t_ep: float = 0.67, t_eep: float = 0.1
) -> list[tuple[int, ...]]:
    """Adtributor after Bhagwan et al. (2014), NSDI, algorithm 1: one dimension, elements by surprise."""
    best, answer = 0.0, []
    total, forecast = case.observed.sum(), expected.sum()
    for j, size in enumerate(case.sizes):
        seen = np.bincount(case.codes[:, j], case.observed, minlength=size)
        mean = np.bincount(case.codes[:, j], expected, minlength=size)
        p, q = mean / forecast, seen / total
        middle = 0.5 * (p + q)
        surprise = 0.5 * (
            special.xlogy(p, p / np.maximum(middle, 1e-12))
            + special.xlogy(q, q / np.maximum(middle, 1e-12))
        )
        power = (seen - mean) / (total - forecast) if total != forecast else np.zeros(size)
        explained, score, chosen = 0.0, 0.0, []
        for value in np.argsort(-surprise):
            if power[value] > t_eep:
                chosen.append(int(value))
                explained += power[value]
                score += surprise[value]
            if explained > t_ep:
                break
        if explained > t_ep and score > best:
            best = score
            answer = [tuple(v if k == j else -1 for k in range(len(case.sizes))) for v in chosen]
    return answer


def ours(case: Instance, expected: np.ndarray) -> list[tuple[int, ...]]:
    """Our engine; it estimates its own baseline, which is the same one."""
    del expected
    return [
        s.codes
        for s in attribute_counts(
            case.codes, case.sizes, case.observed, history=case.history
        ).segments
    ]


_PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, wise_pizza
from wise_pizza.explain import explain_changes_in_totals
out = []
for path in json.load(open(sys.argv[1])):
    a = np.load(path)
    dims = ["d%d" % j for j in range(a["codes"].shape[1])]
    base = pd.DataFrame(a["codes"].astype(str), columns=dims).assign(y=a["expected"], n=1.0)
    now = base.assign(y=a["observed"])
    began = time.process_time()
    try:
        r = explain_changes_in_totals(df1=base, df2=now, dims=dims, total_name="y", size_name="n", max_depth=2,
            max_segments=int(a["k"]), how="totals", solver="lasso", verbose=0)
        found = [{k: v for k, v in s["segment"].items()} for s in r.segments]
    except Exception as error:
        found = [{"error": str(error)[:80]}]
    out.append((found, time.process_time() - began))
    print(json.dumps(out[-1]), flush=True)
"""


def wise_pizza(
    cases: list[Instance], python: str, seconds: float = 200.0
) -> list[tuple[list, float]]:
    """wise-pizza at depth 2 with the true number of segments given to it; as many cases as the time allows."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, case in enumerate(cases):
            path = Path(folder) / f"{i}.npz"
            np.savez(
                path,
                codes=case.codes,
                observed=case.observed,
                expected=expected_of(case),
                k=max(1, len(case.causes)),
            )
            paths.append(str(path))
        listing = Path(folder) / "list.json"
        listing.write_text(json.dumps(paths))
        script = Path(folder) / "peer.py"
        script.write_text(_PEER)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "OMP_NUM_THREADS": "1"
        }
        with subprocess.Popen(
            [python, str(script), str(listing)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        ) as process:
            began, answers = time.monotonic(), []
            try:
                out, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
            answers = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
            del began
    parsed = []
    for case, (found, spent) in zip(cases, answers, strict=False):
        codes = [
            tuple(int(s.get(f"d{j}", -1)) for j in range(len(case.sizes)))
            for s in found
            if "error" not in s
        ]
        parsed.append((codes, spent))
    return parsed


def compare(cases: list[Instance], answers: list[list[tuple[int, ...]]]) -> dict[str, object]:
    """Micro F1 on causes with z >= 5, share of instances with any false segment, segments per cause."""
    hits = missed = wrong = false = found_all = true_all = 0
    for case, answer in zip(cases, answers, strict=False):
        true = {members(case.codes, c.codes).tobytes(): c for c in case.causes}
        found = {members(case.codes, codes).tobytes() for codes in answer}
        strong = {key for key, c in true.items() if c.z >= 5}
        hits, missed = hits + len(found & strong), missed + len(strong - found)
        wrong += len(found - set(true))
        false += bool(found - set(true))
        found_all, true_all = found_all + len(found), true_all + len(true)
    return {
        "n": len(answers),
        "F1 z>=5": f1(hits, wrong, missed),
        "instances with a false one": share(false, len(answers)),
        "named": found_all,
        "planted": true_all,
    }


def rows(n: int, first: int, python: str | None) -> Iterator[dict[str, object]]:
    """Every system on the same instances of each family."""
    for family in FAMILIES:
        cases = [count_instance(family, first + k) for k in range(n)]
        cases = [case for case in cases if case.causes or family in {"N0", "N2"}]
        for system in (ours, largest_delta, z_tests, adtributor):
            answers, seconds = [], []
            for case in cases:
                expected = expected_of(case)
                began = time.process_time()
                answers.append(system(case, expected))
                seconds.append(time.process_time() - began)
            yield {
                "family": family,
                "system": system.__name__,
                **compare(cases, answers),
                "CPU s": f"{np.mean(seconds):.3f}",
            }
        if python and family in {"C1", "CORE"}:
            done = wise_pizza(cases[:8], python, 100.0)
            yield {
                "family": family,
                "system": f"wise-pizza, told how many, depth 2, {len(done)} of 8 done in 100 s",
                **compare(cases, [codes for codes, _ in done]),
                "CPU s": f"{np.mean([s for _, s in done] or [np.nan]):.3f}",
            }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 40
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_rivals",
        title="Drivers and rivals on the same instances",
        notes="All get the same estimated baseline.",
        rows=rows(n, first, os.environ.get("PEER_PYTHON")),
    )
