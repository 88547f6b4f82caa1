"""Rivals on the same instances in one run: largest delta, z-tests with BH, Adtributor, RiskLoc, wise-pizza.

Run: PEER_PYTHON=<interpreter with wise-pizza> python -m benchmarks.drivers_rivals [n] [sets] [--development]
wise-pizza needs an environment of its own (`pip install wise-pizza`); without PEER_PYTHON it is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special

from benchmarks import drivers_amounts, drivers_stalls
from benchmarks.drivers_amounts_made import DEVELOPMENT_SEED as AMOUNTS_DEVELOPMENT
from benchmarks.drivers_amounts_made import REPORTING_SEED as AMOUNTS_REPORTING
from benchmarks.drivers_amounts_made import amount_instance
from benchmarks.drivers_reports import DEVELOPMENT_SEED, REPORTING_SEED, count_instance, members
from benchmarks.riskloc import riskloc
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.amounts import amount_noise, attribute_amounts, symmetric_deviation
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.leaves import leaf_baseline
from rcakit.stats.attribution.ratios import attribute_ratios
from rcakit.stats.attribution.sums import sum_by

Segments = list[tuple[int, ...]]
COUNTS = {
    "N0": "null",
    "N2": "global rise",
    "C1": "one cause",
    "C3": "three causes",
    "UD": "up and down",
    "CORE": "one cause, few dimensions",
}
SETS = (*COUNTS, "B0", "S", "L", "RS")
SECONDS = 60.0  # wise-pizza's share of the clock per set


@dataclass(frozen=True, slots=True)
class Task:
    """One instance as every system gets it; `planted` with z >= 5 has to be found."""

    codes: np.ndarray
    sizes: tuple[int, ...]
    observed: np.ndarray
    expected: np.ndarray
    sd: np.ndarray
    planted: dict[tuple[int, ...], float]
    ours: Callable[[], Segments]
    at_risk: np.ndarray | None = None
    depth: int = 3


def tasks(name: str, n: int, *, development: bool) -> list[Task]:
    """Instances of one set."""
    if name in COUNTS:
        first = DEVELOPMENT_SEED if development else REPORTING_SEED
        made = [count_task(name, first + k) for k in range(n)]
        return [task for task in made if task.planted or name in {"N0", "N2"}]
    if name == "RS":
        return [stall_task(incident) for incident in drivers_stalls.incidents()]
    if name == "B0":
        return [amount_task(case) for case in drivers_amounts.development("b0")]
    first = AMOUNTS_DEVELOPMENT if development else AMOUNTS_REPORTING
    return [amount_task(amount_instance(name, first + k)) for k in range(n)]


def count_task(family: str, seed: int) -> Task:
    """Counts; the baseline that is estimated from the history goes to everybody."""
    case = count_instance(family, seed)
    expected = leaf_baseline(case.history, codes=case.codes, sizes=case.sizes).expected

    def ours() -> Segments:
        found = attribute_counts(case.codes, case.sizes, case.observed, history=case.history)
        return [segment.codes for segment in found.segments]

    planted = {cause.codes: cause.z for cause in case.causes}
    sd = np.sqrt(np.maximum(expected, 1e-3))
    return Task(case.codes, case.sizes, case.observed, expected, sd, planted, ours)


def amount_task(case: drivers_amounts.AmountInstance) -> Task:
    """Amounts with the forecast of every leaf."""

    def ours() -> Segments:
        found = attribute_amounts(
            case.codes, case.sizes, case.observed, case.expected, max_depth=len(case.sizes)
        )
        return [segment.codes for segment in found.segments]

    size = np.maximum(case.observed, case.expected)
    sd = np.zeros(len(size))
    used = size > 0
    deviation = symmetric_deviation(case.observed[used], case.expected[used])
    sd[used] = amount_noise(deviation, size[used]).sd * size[used]
    return Task(
        case.codes,
        case.sizes,
        case.observed,
        case.expected,
        sd,
        dict.fromkeys(case.causes, np.inf),
        ours,
        depth=min(4, len(case.sizes)),
    )


def stall_task(incident: tuple) -> Task:
    """Stalled viewers, against those that the leaf's own past rate gives."""
    _, codes, sizes, bad, viewers, history, causes = incident

    def ours() -> Segments:
        found = attribute_ratios(codes, sizes, bad, viewers, history=history)
        return [segment.codes for segment in found.segments][:1]

    past = sum_by(history.leaf, history.value, len(codes))
    seen = sum_by(history.leaf, history.at_risk, len(codes))
    overall = past.sum() / seen.sum()
    rate = (past + 50.0 * overall) / (seen + 50.0)
    expected = viewers * rate
    sd = np.sqrt(np.maximum(expected * (1.0 - rate), 1e-3))
    return Task(codes, sizes, bad, expected, sd, dict.fromkeys(causes, np.inf), ours, viewers)


def largest_delta(task: Task) -> Segments:
    """The one segment with the largest absolute change."""
    lattice = Lattice(
        task.codes, task.sizes, np.stack([task.observed - task.expected]), max_depth=task.depth
    )
    return [lattice.segment(int(np.argmax(np.abs(lattice.sums[0]))))]


def z_tests(task: Task, q: float = 0.01) -> Segments:
    """Every segment with a z-test, Benjamini-Hochberg at q; all discoveries, the clearest first."""
    columns = np.stack([task.observed - task.expected, task.sd**2])
    lattice = Lattice(task.codes, task.sizes, columns, max_depth=task.depth)
    delta, variance = lattice.sums
    p = 2.0 * special.ndtr(-np.abs(delta) / np.sqrt(np.maximum(variance, 1e-12)))
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= q * np.arange(1, len(p) + 1) / len(p))
    chosen = order[: passed[-1] + 1] if len(passed) else []
    return [lattice.segment(int(group)) for group in chosen]


def adtributor(task: Task, *, t_ep: float = 0.67, t_eep: float = 0.1) -> Segments:
    """Adtributor, written after Bhagwan et al. (2014), NSDI, algorithm 1: one dimension, by surprise."""
    best, answer = 0.0, []
    total, forecast = task.observed.sum(), task.expected.sum()
    for j, size in enumerate(task.sizes):
        seen = np.bincount(task.codes[:, j], task.observed, minlength=size)
        mean = np.bincount(task.codes[:, j], task.expected, minlength=size)
        p, q = mean / forecast, seen / total
        middle = np.maximum(0.5 * (p + q), 1e-12)
        surprise = 0.5 * (special.xlogy(p, p / middle) + special.xlogy(q, q / middle))
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
            answer = [tuple(v if k == j else -1 for k in range(len(task.sizes))) for v in chosen]
    return answer


def _riskloc(task: Task) -> Segments:
    """All layers of amounts, as we search them; of counts three."""
    layers = 3 if task.depth == 3 else len(task.sizes)
    return riskloc(task.codes, task.observed, task.expected, max_layer=layers)


_PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from wise_pizza.explain import explain_changes_in_average, explain_changes_in_totals
for path in json.load(open(sys.argv[1])):
    a = np.load(path)
    dims = ["d%d" % j for j in range(a["codes"].shape[1])]
    base = pd.DataFrame(a["codes"].astype(str), columns=dims).assign(y=a["expected"], n=a["size"])
    now = base.assign(y=a["observed"])
    explain = explain_changes_in_average if a["is_rate"] else explain_changes_in_totals
    began = time.process_time()
    try:
        r = explain(df1=base, df2=now, dims=dims, total_name="y", size_name="n", max_depth=int(a["depth"]),
            max_segments=int(a["k"]), how="totals", solver="lasso", verbose=0)
        found = [{k: str(v) for k, v in s["segment"].items()} for s in r.segments]
    except Exception as error:
        found = [{"error": str(error)[:80]}]
    print(json.dumps([found, time.process_time() - began]), flush=True)
"""


def wise_pizza(todo: list[Task], python: str) -> dict[int, tuple[Segments, float]]:
    """wise-pizza, told how many segments there are; the instances that the time allows.

    It searches two dimensions deep; three where tables are small (RS), as we do everywhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.npz") for i in range(len(todo))]
        for path, task in zip(paths, todo, strict=True):
            keep = (task.observed > 0) | (task.expected > 0)
            size = np.ones(len(task.codes)) if task.at_risk is None else task.at_risk
            np.savez(
                path,
                codes=task.codes[keep],
                observed=task.observed[keep],
                expected=task.expected[keep],
                size=np.maximum(size, 1e-6)[keep],
                is_rate=task.at_risk is not None,
                k=1 if task.at_risk is not None else max(1, len(task.planted)),
                depth=2 if task.at_risk is None else task.depth,
            )
        listing, script = Path(folder) / "list.json", Path(folder) / "peer.py"
        listing.write_text(json.dumps(paths))
        script.write_text(_PEER)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with subprocess.Popen(
            [python, str(script), str(listing)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | {"OMP_NUM_THREADS": "1"},
        ) as process:
            try:
                out, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
    answers = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    return {
        i: (_read(found, todo[i]), seconds)
        for i, (found, seconds) in enumerate(answers)
        if not any("error" in segment for segment in found)
    }


def _read(found: list[dict[str, str]], task: Task) -> Segments:
    """Codes of wise-pizza's segments; a value may stand for several, joined by semicolons, then it is none."""
    return [
        tuple(
            int(s[f"d{j}"]) if s.get(f"d{j}", "").isdigit() else -1 for j in range(len(task.sizes))
        )
        for s in found
    ]


def compare(todo: list[Task], answers: list[Segments], *, is_top_one: bool) -> dict[str, object]:
    """Micro F1 on causes with z >= 5, instances with a false name, names per cause."""
    hits = missed = wrong = false = named = planted = 0
    for task, answer in zip(todo, answers, strict=False):
        true = {members(task.codes, codes).tobytes(): z for codes, z in task.planted.items()}
        found = {
            members(task.codes, codes).tobytes() for codes in answer[: 1 if is_top_one else None]
        }
        strong = {key for key, z in true.items() if z >= 5}
        n_strong = min(1, len(strong)) if is_top_one else len(strong)
        hits, missed = hits + len(found & strong), missed + n_strong - len(found & strong)
        wrong += len(found - set(true))
        false += bool(found - set(true))
        named, planted = named + len(found), planted + (n_strong if is_top_one else len(true))
    return {
        "n": len(answers),
        "F1 z>=5": f1(hits, wrong, missed) if planted else "",
        "instances with a false name": share(false, len(answers)),
        "named": named,
        "planted": planted,
    }


def rows(
    names: tuple[str, ...], n: int, python: str | None, *, development: bool
) -> Iterator[dict[str, object]]:
    """Every system on the same instances of each set."""
    for name in names:
        todo = tasks(name, n, development=development)
        is_top_one = name == "RS"
        systems = {
            "rcakit": lambda task: task.ours(),
            "largest absolute delta": largest_delta,
            "z-tests, BH": z_tests,
            "Adtributor": adtributor,
        }
        if not is_top_one:  # it knows no ratios
            systems["RiskLoc, written anew"] = _riskloc
        ours: list[float] = []
        for system, run in systems.items():
            answers, seconds = [], []
            for task in todo:
                began = time.process_time()
                answers.append(run(task))
                seconds.append(time.process_time() - began)
            ours = ours or seconds
            yield {
                "set and system": f"{_label(name)}: {system}",
                **compare(todo, answers, is_top_one=is_top_one),
                "CPU s": f"{np.mean(seconds):.3f}",
                "ours / theirs": f"{sum(ours) / sum(seconds):.3f}",
            }
        if python:
            yield _row_of_wise_pizza(name, todo[:20], ours, python, is_top_one=is_top_one)


def _row_of_wise_pizza(
    name: str, todo: list[Task], ours: list[float], python: str, *, is_top_one: bool
) -> dict[str, object]:
    """Score what wise-pizza finished, and compare times on the same instances; on the first where none was."""
    done = wise_pizza(todo, python)
    theirs = [spent for _, spent in done.values()] or [SECONDS]
    same = [ours[i] for i in done] or ours[:1]
    least, most = (">", "<") if not done else ("", "")
    system = f"wise-pizza, told how many, {len(done)} of {len(todo)} in {SECONDS:.0f} s"
    return {
        "set and system": f"{_label(name)}: {system}",
        **compare(
            [todo[i] for i in done], [codes for codes, _ in done.values()], is_top_one=is_top_one
        ),
        "CPU s": f"{least}{np.mean(theirs):.3f}",
        "ours / theirs": f"{most}{sum(same) / sum(theirs):.3f}",
    }


def _label(name: str) -> str:
    return f"{name} ({COUNTS[name]})" if name in COUNTS else name


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    development = "--development" in sys.argv
    publish(
        "drivers_rivals",
        title="Drivers and rivals on the same instances",
        notes=(
            "All get the same estimated baseline or forecast. B0 and RS are the development files (RS: the "
            "first name alone counts), S and L the made-up amounts; z-tests have BH at .01 and the noise of "
            "single leaves; wise-pizza searches depth 2 (RS: 3) where we search 3, and times are compared on "
            "the instances that it finished. RiskLoc is on no package index and is written anew "
            "after its description."
        ),
        rows=rows(
            tuple(words[1:]) or SETS,
            int(words[0]) if words else 40,
            os.environ.get("PEER_PYTHON"),
            development=development,
        ),
        keep=bool(words[1:]),
    )
