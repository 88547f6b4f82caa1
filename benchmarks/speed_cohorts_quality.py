"""How fast are `cohorts.compare` and `quality.agreement` beside their peers? Prints a Markdown table.

    python benchmarks/speed_cohorts_quality.py > benchmarks/results/speed_cohorts_quality.md

Processor time of one thread, which other work on the machine does not stretch as it does the clock.
The peers are not dependencies of rcakit. A peer that is not installed here may live in another
environment: name its interpreter with ``--peer-python`` and it does the same work there.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

N_ROWS, N_ITEMS, N_RATERS, N_SMALL_ITEMS = 1_000_000, 100_000, 5, 2_000


def cohort_rows() -> dict[str, np.ndarray]:
    """Make a million rows, five covariates (three numbers, two with levels) and two outcomes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_ROWS, 3))
    policy = rng.choice(["fraud", "hate", "nudity", "spam"], N_ROWS)
    language = rng.choice(["en", "es", "pt"], N_ROWS)
    odds = -0.5 + 0.5 * x[:, 0] - 0.3 * x[:, 1] + 0.4 * (policy == "hate")
    return {
        "is_new": (rng.random(N_ROWS) < 1 / (1 + np.exp(-odds))).astype(int),
        "a": x[:, 0],
        "b": x[:, 1],
        "c": x[:, 2],
        "policy": policy,
        "language": language,
        "is_late": (rng.random(N_ROWS) < 0.2).astype(int),
        "hours": x[:, 0] + rng.normal(size=N_ROWS),
    }


def rating_matrix(n_items: int) -> np.ndarray:
    """Make ratings of three categories, one in ten missing."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, n_items)
    codes = np.where(
        rng.random((n_items, N_RATERS)) < 0.8,
        truth[:, None],
        rng.integers(0, 3, (n_items, N_RATERS)),
    ).astype(float)
    codes[rng.random(codes.shape) < 0.1] = np.nan
    return codes


def ours_compare() -> Callable[[], Any]:
    """Compare through the public call."""
    import polars as pl

    from rcakit import cohorts

    rows = pl.DataFrame(cohort_rows())
    return lambda: cohorts.compare(
        rows,
        cohort="is_new",
        reference=0,
        outcomes=["is_late", "hours"],
        adjust_for=["a", "b", "c", "policy", "language"],
    )


def statsmodels_compare() -> Callable[[], Any]:
    """Make the same table: propensity, balance, weighted regression with robust errors."""
    import pandas as pd
    import statsmodels.api as sm

    rows = pd.DataFrame(cohort_rows())

    def run() -> None:
        x = pd.get_dummies(
            rows[["a", "b", "c", "policy", "language"]], drop_first=True, dtype=float
        )
        design = sm.add_constant(x)
        group = rows["is_new"].to_numpy() == 1
        chance = sm.Logit(group.astype(float), design).fit(disp=0).predict(design).to_numpy()
        weight = np.where(group, 1.0, chance / (1 - chance))
        for name in x:
            for w in (np.ones(N_ROWS), weight):
                np.average(x[name][group], weights=w[group])
                np.average(x[name][~group], weights=w[~group])
        full = design.assign(is_new=group.astype(float))
        for outcome in ("is_late", "hours"):
            sm.OLS(rows[outcome], full[["const", "is_new"]]).fit(cov_type="HC1").summary2()
            sm.WLS(rows[outcome], full, weights=weight).fit(cov_type="HC1").summary2()
            for side in (group, ~group):
                sm.OLS(rows[outcome][side], design[side]).fit()

    return run


def tableone_compare() -> Callable[[], Any]:
    """Make a table one with p-values and standardised differences (raw only: it has no more)."""
    import pandas as pd
    from tableone import TableOne

    rows = pd.DataFrame(cohort_rows())
    return lambda: TableOne(
        rows,
        columns=["a", "b", "c", "policy", "language", "is_late", "hours"],
        categorical=["policy", "language", "is_late"],
        groupby="is_new",
        pval=True,
        smd=True,
    )


def ours_agreement(n_items: int, n_resamples: int = 1000) -> Callable[[], Any]:
    """Measure agreement through the public call: five coefficients, raters, accuracies."""
    import polars as pl

    from rcakit import quality

    codes = rating_matrix(n_items)
    item, rater = np.nonzero(~np.isnan(codes))
    rows = pl.DataFrame({"item": item, "rater": rater, "label": codes[item, rater].astype(int)})
    return lambda: quality.agreement(
        rows, item="item", rater="rater", label="label", n_resamples=n_resamples
    )


def krippendorff_agreement(n_items: int, n_resamples: int = 0) -> Callable[[], Any]:
    """Measure nominal alpha, with as many resamples of items."""
    import krippendorff

    codes = rating_matrix(n_items).T
    rng = np.random.default_rng(0)

    def run() -> None:
        krippendorff.alpha(codes, level_of_measurement="nominal")
        for _ in range(n_resamples):
            drawn = codes[:, rng.integers(0, n_items, n_items)]
            krippendorff.alpha(drawn, level_of_measurement="nominal")

    return run


TASKS: dict[str, Callable[[], Callable[[], Any]]] = {
    "rcakit compare": ours_compare,
    "statsmodels compare": statsmodels_compare,
    "tableone": tableone_compare,
    "rcakit agreement, 100,000 items": lambda: ours_agreement(N_ITEMS),
    "rcakit agreement, 2,000 items": lambda: ours_agreement(N_SMALL_ITEMS),
    "krippendorff, 2,000 items": lambda: krippendorff_agreement(N_SMALL_ITEMS, 1000),
    "krippendorff, 100,000 items, 20 draws": lambda: krippendorff_agreement(N_ITEMS, 20),
}


def measure(task: str, repeats: int) -> float:
    """Return the best of some runs, in seconds of processor time, data made beforehand."""
    run = TASKS[task]()
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return float(best)


def measured(task: str, peer_python: str | None) -> float | None:
    """Measure here; where the library is missing, in the peers' interpreter, else not at all."""
    repeats = 3 if task.startswith("rcakit") else 1
    try:
        return measure(task, repeats)
    except ModuleNotFoundError:
        if peer_python is None:
            return None
    done = subprocess.run(
        [peer_python, __file__, "--one", task], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


def main() -> None:
    """Run every task and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python")
    parser.add_argument("--one", choices=TASKS)
    arguments = parser.parse_args()
    if arguments.one:
        json.dump(measure(arguments.one, 1), sys.stdout)
        return
    seconds = {task: measured(task, arguments.peer_python) for task in TASKS}
    print(
        "# Speed of cohorts and quality\n\n`python benchmarks/speed_cohorts_quality.py`, one thread, processor "
        "seconds; rcakit best of 3.\n\n| task | seconds |\n|---|---:|"
    )
    for task, value in seconds.items():
        print(f"| {task} | {'not installed' if value is None else f'{value:.2f}'} |")
    print("\n| bar | measured | holds |\n|---|---|---|")
    for bar, value, limit in bars(seconds):
        shown = "not measured" if value is None else f"{value:.2f}"
        holds = "" if value is None else "yes" if value <= limit else "**no**"
        print(f"| {bar} | {shown} | {holds} |")


def bars(seconds: dict[str, float | None]) -> list[tuple[str, float | None, float]]:
    """Return the bars with what was measured and what is allowed."""

    def ratio(one: str, other: str) -> float | None:
        a, b = seconds[one], seconds[other]
        return None if a is None or b is None else a / b

    return [
        ("compare: seconds ≤ 3", seconds["rcakit compare"], 3),
        (
            "compare: share of statsmodels' time ≤ 1/3",
            ratio("rcakit compare", "statsmodels compare"),
            1 / 3,
        ),
        ("compare: share of tableone's time ≤ 1/3", ratio("rcakit compare", "tableone"), 1 / 3),
        (
            "agreement, 100,000 items, 1,000 draws: seconds ≤ 3",
            seconds["rcakit agreement, 100,000 items"],
            3,
        ),
        (
            "agreement, 100,000 items: share of krippendorff's time for as many draws ≤ 1/20",
            _scaled(
                ratio("rcakit agreement, 100,000 items", "krippendorff, 100,000 items, 20 draws")
            ),
            1 / 20,
        ),
        (
            "agreement, 2,000 items, 1,000 draws: share of krippendorff's time ≤ 1/20",
            ratio("rcakit agreement, 2,000 items", "krippendorff, 2,000 items"),
            1 / 20,
        ),
    ]


def _scaled(share: float | None) -> float | None:
    """Scale a share of the time of 20 draws to that of 1,000."""
    return None if share is None else share * 21 / 1001


if __name__ == "__main__":
    main()
