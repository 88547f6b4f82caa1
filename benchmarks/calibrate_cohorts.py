"""How often do the intervals and tests of the cohorts room err? Prints a Markdown table.

python benchmarks/calibrate_cohorts.py [--repeats 400] [--parts waiting ...] > benchmarks/results/calibration_cohorts.md
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy import special

from rcakit import cohorts
from rcakit.stats import survival

Row = tuple[str, float, str, bool]


def doubly_robust(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Measure bias and coverage when the propensity, the outcome or neither model is wrong.

    A wrong model sees ``exp`` and ``square`` of the covariates instead of the covariates. True
    effect 0.5 for everybody, so that ATT and ATE agree; noise of standard deviation 1.
    """
    rows: list[Row] = []
    for wrong in ("neither", "propensity", "outcome"):
        for estimand in ("att", "ate"):
            error, hits = [], 0
            for _ in range(repeats):
                x = rng.normal(size=(800, 2))
                bent = np.column_stack([np.exp(x[:, 0] / 2), x[:, 1] ** 2])
                drives_cohort = bent if wrong == "propensity" else x
                drives_outcome = bent if wrong == "outcome" else x
                chance = special.expit(-0.4 + 0.5 * drives_cohort[:, 0] - 0.4 * drives_cohort[:, 1])
                group = rng.random(800) < chance
                outcome = drives_outcome @ [0.8, 0.5] + 0.5 * group + rng.normal(size=800)
                estimate, low, high = _adjusted(x, group, outcome, estimand)
                error.append(estimate - 0.5)
                hits += low <= 0.5 <= high
            spread = math.sqrt(float(np.var(outcome)))
            bias = abs(float(np.mean(error))) / spread
            noise = 1.96 * float(np.std(error)) / math.sqrt(repeats) / spread
            what = f"{estimand}, wrong model: {wrong}"
            rows.append((f"|bias| in SD, {what}", bias, "≤ 2 %", bias <= 0.02 + noise))
            rows.append(_coverage(f"adjusted effect, {what}", hits / repeats, repeats))
    return rows


def raw_intervals(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover the true difference of shares, means, ratios and medians, unadjusted."""
    hits = dict.fromkeys(("is_late", "hours", "errors / decisions", "hours quantile 0.5"), 0)
    truth = {
        "is_late": 0.1,
        "hours": math.exp(0.5) * (math.exp(0.2) - 1),
        "errors / decisions": 0.02,
        "hours quantile 0.5": math.exp(0.2) - 1,
    }
    for _ in range(repeats):
        group = np.repeat([False, True], [400, 300])
        decisions = rng.integers(5, 60, 700)
        skill = rng.beta(5, 95, 700)
        rows = pl.DataFrame(
            {
                "cohort": np.where(group, "new", "old"),
                "is_late": rng.random(700) < np.where(group, 0.2, 0.1),
                "hours": np.exp(rng.normal(np.where(group, 0.2, 0.0), 1)),
                "decisions": decisions,
                "errors": rng.binomial(decisions, np.clip(skill + 0.02 * group, 0, 1)),
            }
        )
        found = cohorts.compare(
            rows,
            cohort="cohort",
            reference="old",
            outcomes=["is_late", "hours", ("errors", "decisions"), ("hours", 0.5)],
        )
        for row in found.to_records():
            inside = row["effect_ci_lower"] <= truth[row["outcome"]] <= row["effect_ci_upper"]
            hits[row["outcome"]] += inside
    return [_coverage(f"raw effect, {name}", n / repeats, repeats) for name, n in hits.items()]


def adjusted_kinds(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover the true adjusted difference of shares, ratios and medians, and with clusters."""
    names = ("is_late", "errors / decisions", "hours quantile 0.5", "hours quantile 0.9")
    hits = dict.fromkeys((*names, "clustered mean", "clustered quantile 0.5"), 0)
    truth = {"is_late": 0.1, "errors / decisions": 0.02}
    truth |= dict.fromkeys(names[2:], 0.3)  # hours are shifted
    for _ in range(repeats):
        group = np.repeat([False, True], [600, 400])
        hard = rng.normal(np.where(group, 1.0, 0.3), 1.0)
        decisions = rng.integers(5, 60, 1000)
        base = np.clip(0.1 + 0.02 * hard, 0.005, 0.9)
        rows = pl.DataFrame(
            {
                "cohort": np.where(group, "new", "old"),
                "hard": hard,
                "decisions": decisions,
                "is_late": rng.random(1000) < np.clip(0.3 + 0.05 * hard + 0.1 * group, 0, 1),
                "errors": rng.binomial(decisions, np.clip(base + 0.02 * group, 0, 1)),
                "hours": hard + 0.3 * group + rng.normal(size=1000),
            }
        )
        found = cohorts.compare(
            rows,
            cohort="cohort",
            reference="old",
            adjust_for="hard",
            outcomes=["is_late", ("errors", "decisions"), ("hours", 0.5), ("hours", 0.9)],
        )
        for row in found.to_records():
            name = row["outcome"]
            hits[name] += (
                row["adjusted_effect_ci_lower"] <= truth[name] <= row["adjusted_effect_ci_upper"]
            )
        site = rng.integers(0, 60, 1000)
        shared = rng.normal(size=60)[site] + 0.3 * (site % 2) + rng.normal(size=1000)
        clustered = pl.DataFrame({"cohort": site % 2, "site": site, "y": shared})
        found = cohorts.compare(
            clustered, cohort="cohort", reference=0, outcomes=["y", ("y", 0.5)], cluster="site"
        )
        for name, row in zip(list(hits)[-2:], found.to_records(), strict=True):
            hits[name] += row["effect_ci_lower"] <= 0.3 <= row["effect_ci_upper"]
    return [
        _coverage(f"adjusted or clustered effect, {name}", n / repeats, repeats)
        for name, n in hits.items()
    ]


def tails_and_clusters(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover the true difference with heavy tails, and with few clusters of very unequal size."""
    hits = {}
    for _ in range(repeats):
        group = rng.random(600) < 0.4
        hard = rng.normal(0.5 * group, 1.0)
        hours = np.exp(rng.normal(0.0, 1.0, 600)) + 0.3 * group
        rows = pl.DataFrame({"cohort": group, "hard": hard, "hours": hours})
        found = {"heavy tail": _effects(rows)}
        rows = rows.with_columns(hours=hours + 0.5 * hard)
        found["heavy tail, adjusted"] = _effects(rows, adjust_for="hard")
        for n_clusters in (12, 40):
            size = np.maximum(rng.lognormal(3.5, 0.8, n_clusters).astype(int), 2)
            at = np.repeat(np.arange(n_clusters), size)
            side = at % 2
            hard = rng.normal(0.5 * side, 1.0)
            shared = rng.normal(0, 0.3, n_clusters)[at] + 0.3 * side + rng.normal(size=at.size)
            rows = pl.DataFrame({"cohort": side, "site": at, "hard": hard, "hours": shared})
            what = f"{n_clusters} unequal clusters"
            found[what] = _effects(rows, cluster="site")
            rows = rows.with_columns(hours=shared + 0.5 * hard)
            found[f"{what}, adjusted"] = _effects(rows, adjust_for="hard", cluster="site")
        for name, row in found.items():
            kind = "adjusted_effect" if "adjusted" in name else "effect"
            inside = row[f"{kind}_ci_lower"] <= 0.3 <= row[f"{kind}_ci_upper"]
            hits[name] = hits.get(name, 0) + inside
    return [_coverage(f"mean, {name}", n / repeats, repeats) for name, n in hits.items()]


def _effects(rows: pl.DataFrame, **options: str) -> dict[str, float]:
    """Compare ``hours`` of the two cohorts through the public call."""
    return cohorts.compare(
        rows,
        cohort="cohort",
        reference=min(rows["cohort"].cast(pl.String)),
        outcomes="hours",
        **options,
    ).to_records()[0]


def waiting(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover attainment, median and restricted mean of exponential waits, a third still open."""
    attained = median = mean = 0
    horizon = 1.5
    true_mean = 1 - math.exp(-horizon)
    for _ in range(5 * repeats):
        wait, stop = rng.exponential(1.0, 150), rng.exponential(2.0, 150)
        curve = survival.kaplan_meier(np.minimum(wait, stop), wait <= stop)
        _, low, high = survival.at_time(curve, 1.0)
        attained += low[0] <= math.exp(-1) <= high[0]
        _, first, last = survival.quantile(curve, 0.5)
        median += first <= math.log(2) <= last
        estimate, error = survival.restricted_mean(curve, horizon)
        mean += abs(estimate - true_mean) <= 1.96 * error
    n = 5 * repeats
    return [
        _coverage("share open at a target", attained / n, n),
        _coverage("median wait", median / n, n),
        _coverage("restricted mean wait", mean / n, n),
    ]


def disparity_error(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Count gaps found where only the mix differs, for a rate and for a service level."""
    rows: list[Row] = []
    for outcome in ("is_removed", "hours"):
        for n_cases in (300, 2_000):
            false = hits = 0
            for _ in range(repeats):
                group = rng.random(n_cases) < 0.3
                policy = np.where(
                    group,
                    rng.choice(6, n_cases, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05]),
                    rng.choice(6, n_cases, p=[0.05, 0.05, 0.1, 0.2, 0.3, 0.3]),
                )
                level = 0.15 + 0.12 * policy
                value = (
                    (rng.random(n_cases) < level).astype(float)
                    if outcome == "is_removed"
                    else rng.exponential(level * 10)
                )
                table = pl.DataFrame(
                    {"group": np.where(group, "x", "y"), "policy": policy, outcome: value}
                )
                row = cohorts.disparity(
                    table, group="group", outcome=outcome, adjust_for="policy", reference="y"
                ).to_records()[0]
                false += row["pvalue"] < 0.05
                hits += row["adjusted_effect_ci_lower"] <= 0 <= row["adjusted_effect_ci_upper"]
            what = f"{outcome}, {n_cases} cases"
            slack = 1.645 * math.sqrt(0.05 * 0.95 / repeats)
            rows.append(
                (
                    f"disparity, {what}: false gaps",
                    false / repeats,
                    "≤ 6 %",
                    false / repeats <= 0.06 + slack,
                )
            )
            rows.append(_coverage(f"disparity, {what}", hits / repeats, repeats))
    return rows


PARTS: tuple[Callable[[int, np.random.Generator], list[Row]], ...] = (
    doubly_robust,
    raw_intervals,
    adjusted_kinds,
    tails_and_clusters,
    waiting,
    disparity_error,
)


def _adjusted(
    x: np.ndarray, group: np.ndarray, outcome: np.ndarray, estimand: str
) -> tuple[float, float, float]:
    """Return the adjusted effect and its interval through the public call."""
    rows = pl.DataFrame({"cohort": group.astype(int), "a": x[:, 0], "b": x[:, 1], "y": outcome})
    row = cohorts.compare(
        rows, cohort="cohort", reference=0, outcomes="y", adjust_for=["a", "b"], estimand=estimand
    ).to_records()[0]
    return row["adjusted_effect"], row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]


def _coverage(what: str, share: float, repeats: int) -> Row:
    """Judge a coverage: 93 to 97 %, allowing for the simulation's own error."""
    slack = 1.96 * math.sqrt(0.95 * 0.05 / repeats)
    return f"coverage: {what}", share, "93–97 %", 0.93 - slack <= share <= 0.97 + slack


def main() -> None:
    """Run every part and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    names = [part.__name__ for part in PARTS]
    parser.add_argument("--parts", nargs="*", choices=names, default=names, help="rows to measure")
    given = parser.parse_args()
    repeats = given.repeats
    print(
        f"# Calibration of the cohorts room\n\n`python benchmarks/calibrate_cohorts.py "
        f"--repeats {repeats}`, seed 20261.\n\n| what | measured | bar | holds |\n|---|---|---|---|"
    )
    for part in PARTS:
        if part.__name__ not in given.parts:
            continue
        for what, value, bar, holds in part(repeats, np.random.default_rng(20261)):
            print(
                f"| {what} | {100 * value:.2f} % | {bar} | {'yes' if holds else '**no**'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
