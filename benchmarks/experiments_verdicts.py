"""Does the verdict on a changed process fit what was planted, seed after seed?

Run ``python benchmarks/experiments_verdicts.py [scenario …]`` to print the table and write it to
``benchmarks/results/experiments_verdicts.md``; with names of scenarios only these are run anew.
The calls are those of the playbooks ``process_change`` and ``policy_rollout``.
"""

import sys
import warnings
from collections import Counter
from pathlib import Path

import rcakit
from rcakit import experiments
from rcakit.datasets.process_changes import TRIALS

RESULTS = Path(__file__).parent / "results" / "experiments_verdicts.md"
SEEDS = range(1, 41)
_ROLES = ("variant", "unit", "time", "start", "at")


def judged(name: str, seed: int, *, without: bool = False) -> tuple[str, str]:
    """Return design and verdict for a scenario; without the units that spoil it when asked."""
    made = rcakit.datasets.make(name, rng=seed)
    columns = dict(made.truth["columns"])
    table = made.tables[columns.pop("table")]
    roles = {part: columns.pop(part) for part in _ROLES if part in columns}
    choice = experiments.choose_design(table, **roles)
    found = experiments.evaluate(
        table,
        choice,
        better=made.truth["better"],
        exclude=made.truth["leave_out"] if without else (),
        **columns,
    )
    return choice.design, found.verdict


def line(name: str, *, without: bool = False) -> str:
    """Judge a scenario with every seed, and count what came out."""
    trial = TRIALS[name]
    planted = trial.verdict_without if without else trial.verdict
    found = [judged(name, seed, without=without) for seed in SEEDS]
    designs = sum(design == trial.design for design, _ in found)
    verdicts = Counter(verdict for _, verdict in found)
    right = verdicts.pop(str(planted), 0)
    withheld = verdicts.pop("cannot_tell", 0)
    wrong = ", ".join(f"{word} {n}" for word, n in verdicts.most_common()) or "0"
    shown = f"{name}, spoilt units left out" if without else name
    return f"| {shown} | {designs} | {planted} | {right} | {withheld} | {wrong} | {len(found)} |"


def main() -> None:
    """Print the table and keep it."""
    warnings.simplefilter("error")
    head = (
        "| scenario | right design | planted | right verdict | cannot tell instead | wrong | seeds |\n"
        "|---|---|---|---|---|---|---|"
    )
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    kept = {row.split(" ")[1].rstrip(","): "" for row in text.splitlines() if row.startswith("| ")}
    for row in text.splitlines():
        if row.startswith("| ") and row.split(" ")[1].rstrip(",") in TRIALS:
            kept[row.split(" ")[1].rstrip(",")] += row + "\n"
    for name in sys.argv[1:] or list(TRIALS):
        kept[name] = line(name) + "\n"
        if TRIALS[name].verdict_without:
            kept[name] += line(name, without=True) + "\n"
        print(kept[name], end="", flush=True)
    opening = "# Verdicts on changed processes\n\nPrinted by `python benchmarks/experiments_verdicts.py`.\n\n"
    rows = "".join(kept.get(name, "") for name in TRIALS)
    RESULTS.write_text(f"{opening}{head}\n{rows}", encoding="utf-8")


if __name__ == "__main__":
    main()
