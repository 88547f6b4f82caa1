"""How often do the charts, intervals and alarms of the quality room err? Prints a Markdown table.

python benchmarks/calibrate_quality.py [--repeats 400] > benchmarks/results/calibration_quality.md
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import polars as pl

from rcakit import quality
from rcakit.stats import agreement, capability, control_limits, funnel, sampling_plans
from rcakit.stats.dawid_skene import dawid_skene, majority_vote

Row = tuple[str, float, str, bool]


def laney(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Count points beyond the limits of p and p' charts whose rate varies, but never shifts."""
    plain = prime = points = 0
    for _ in range(repeats):
        size = rng.integers(3_000, 9_000, 30).astype(float)
        share = np.clip(rng.normal(0.1, 0.01, 30), 0.01, 1)
        count = rng.binomial(size.astype(int), share).astype(float)
        everything = np.ones(30, dtype=bool)
        usual = control_limits.p_limits(count, size, everything)
        wide = control_limits.laney_limits(usual, everything)
        plain += int(np.sum((usual.statistic > usual.upper) | (usual.statistic < usual.lower)))
        prime += int(np.sum((wide.statistic > wide.upper) | (wide.statistic < wide.lower)))
        points += 30
    return [
        ("p chart, overdispersed: false signals", plain / points, "> 20 %", plain / points > 0.2),
        ("p' chart, overdispersed: false signals", prime / points, "≤ 1 %", prime / points <= 0.01),
    ]


def seasonal(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Count points beyond the limits of c and seasonal charts on weekly overdispersed counts."""
    usual = np.array([100, 110, 105, 100, 95, 50, 40.0])
    weekday = np.arange(120) % 7
    everything, ones = np.ones(120, dtype=bool), np.ones(120)
    plain = adjusted = points = 0
    for _ in range(repeats):
        mean = usual[weekday]
        count = rng.negative_binomial(20, 20 / (20 + mean)).astype(float)
        chart = control_limits.c_limits(count, everything)
        plain += int(np.sum((count > chart.upper) | (count < chart.lower)))
        scores, _, _ = control_limits.negative_binomial_scores(count, ones, weekday, everything)
        adjusted += int(np.sum(np.abs(scores) > 3))
        points += 120
    return [
        ("c chart, weekly counts: false signals", plain / points, "shown", True),
        ("seasonal chart: false signals", adjusted / points, "≤ 1 %", adjusted / points <= 0.01),
    ]


def agreement_coverage(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover the coefficient of a very large sample, with 60 and with 300 items."""
    rows: list[Row] = []
    values = np.arange(3.0)
    for level in ("nominal", "ordinal", "interval"):
        large = agreement.find_patterns(_ratings(400_000, rng), 3)
        truth = agreement.coefficients(large, values, level, large.frequency[None].astype(float))
        for n_items in (60, 300):
            hits = dict.fromkeys(truth, 0)
            for _ in range(repeats):
                patterns = agreement.find_patterns(_ratings(n_items, rng), 3)
                found = agreement.resampled(
                    patterns, values, level, n_resamples=300, confidence_level=0.95, rng=rng
                )
                for name, (_, low, high) in found.items():
                    hits[name] += low <= truth[name][0] <= high
            rows += [
                _coverage(f"{name}, {level}, {n_items} items", count / repeats, repeats)
                for name, count in hits.items()
            ]
    return rows


def funnel_outliers(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Count units outside the 95 % funnel, and separable ones, when units differ ordinarily."""
    rows: list[Row] = []
    for n_units, spread in ((12, 0.0), (12, 0.02), (40, 0.0), (40, 0.02)):
        outside = named = 0
        for _ in range(repeats):
            size = rng.integers(200, 3_000, n_units).astype(float)
            share = np.clip(rng.normal(0.1, spread, n_units), 0.005, 0.5)
            count = rng.binomial(size.astype(int), share).astype(float)
            fitted = funnel.fit_funnel(count, size)
            outside += int(np.sum(fitted.pvalue < 0.05))
            named += int(np.sum(fitted.pvalue * n_units < 0.05))
        rate = outside / (repeats * n_units)
        what = f"funnel, {n_units} units, spread {spread:g}"
        slack = 1.645 * math.sqrt(0.05 * 0.95 / (repeats * n_units))
        rows.append((f"{what}: outside 95 %", rate, "≤ 5 %", rate <= 0.05 + slack))
        rows.append(
            (
                f"{what}: any unit named",
                named / repeats,
                "≤ 5 %",
                named / repeats <= 0.05 + 1.645 * math.sqrt(0.05 * 0.95 / repeats),
            )
        )
    return rows


def rater_models(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Compare labels by majority with labels by the Dawid–Skene model, raters unequal."""
    voted = modelled = error = 0.0
    repeats = max(repeats // 10, 10)
    skill = np.array([0.95, 0.9, 0.6, 0.55, 0.55])
    for _ in range(repeats):
        truth = (rng.random(2_000) < 0.3).astype(np.int64)
        codes = np.where(rng.random((2_000, 5)) < skill, truth[:, None], 1 - truth[:, None])
        codes[rng.random(codes.shape) < 0.2] = -1
        vote = majority_vote(codes, 2)
        tie = vote[:, 0] == vote[:, 1]
        voted += float(np.mean(np.where(tie, 0.5, vote.argmax(1) == truth)))
        model = dawid_skene(codes, 2)
        modelled += float(np.mean(model.posterior.argmax(1) == truth))
        error += float(np.max(np.abs(model.accuracy - skill)))
    return [
        ("majority vote: right labels", voted / repeats, "shown", True),
        ("Dawid–Skene: right labels", modelled / repeats, "> majority", modelled > voted),
        (
            "Dawid–Skene: largest error of a rater's accuracy",
            error / repeats,
            "≤ 0.06",
            error / repeats <= 0.06,
        ),
    ]


def audit_coverage(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover the true accuracy with a stratified sample that draws rare errors more often."""
    rows: list[Row] = []
    for population, share, drawn, what in (
        ((50_000.0, 5_000.0), (0.97, 0.8), (200, 200), "two strata"),
        ((50_000.0,), (0.98,), (150,), "one stratum, few errors"),
    ):
        truth = float(np.average(share, weights=population))
        stratum = np.repeat(np.arange(len(drawn)), drawn)
        weight = np.repeat([n / m for n, m in zip(population, drawn, strict=True)], drawn)
        hits = 0
        for _ in range(5 * repeats):
            correct = (rng.random(stratum.size) < np.repeat(share, drawn)).astype(float)
            _, low, high, _ = sampling_plans.weighted_share(
                correct, weight, stratum, population=np.array(population)
            )
            hits += low <= truth <= high
        rows.append(_coverage(f"audit accuracy, {what}", hits / (5 * repeats), 5 * repeats))
    return rows


def capability_coverage(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Cover Pp and Ppk of a normal process with 80 values."""
    both = nearer = 0
    for _ in range(5 * repeats):
        x = rng.normal(0.3, 1.0, 80)
        sigma = float(np.std(x, ddof=1))
        _, low, high = capability.potential(6.0, sigma, 79)
        both += low <= 1.0 <= high
        _, low, high = capability.realised(float(x.mean()), sigma, -3.0, 3.0, n_obs=80, df=79)
        nearer += low <= 0.9 <= high
    n = 5 * repeats
    return [_coverage("Pp, 80 values", both / n, n), _coverage("Ppk, 80 values", nearer / n, n)]


def shared_error_alarm(repeats: int, rng: np.random.Generator) -> list[Row]:
    """Count alarms without and with a planted rise of overturns that audits do not see."""
    false = found = 0
    repeats = max(repeats // 4, 20)
    for _ in range(repeats):
        for lift in (0.0, 0.12):
            overturn = np.where(np.arange(24) < 12, 0.15, 0.15 + lift)
            table = pl.DataFrame(
                {
                    "week": range(24),
                    "audited": 200,
                    "appealed": 60,
                    "agreed": rng.binomial(200, 0.95, 24),
                    "overturned": rng.binomial(60, overturn),
                }
            )
            verdict = quality.shared_error(
                table,
                time="week",
                agreed="agreed",
                audited="audited",
                overturned="overturned",
                appealed="appealed",
            ).verdict
            false += verdict == "shared_error" and lift == 0
            found += verdict == "shared_error" and lift > 0
    return [
        ("shared-error alarm: false alarms", false / repeats, "≤ 5 %", false / repeats <= 0.05),
        (
            "shared-error alarm: found (+12 points)",
            found / repeats,
            "≥ 80 %",
            found / repeats >= 0.8,
        ),
    ]


PARTS: tuple[Callable[[int, np.random.Generator], list[Row]], ...] = (
    laney,
    seasonal,
    agreement_coverage,
    funnel_outliers,
    rater_models,
    audit_coverage,
    capability_coverage,
    shared_error_alarm,
)


def _ratings(n_items: int, rng: np.random.Generator) -> np.ndarray:
    """Draw three raters of unequal skill on three categories, one rating in ten missing."""
    truth = rng.choice(3, n_items, p=[0.5, 0.3, 0.2])
    skill = np.array([0.9, 0.8, 0.7])
    guess = rng.integers(0, 3, (n_items, 3))
    codes = np.where(rng.random((n_items, 3)) < skill, truth[:, None], guess)
    codes[rng.random(codes.shape) < 0.1] = -1
    return codes


def _coverage(what: str, share: float, repeats: int) -> Row:
    """Judge a coverage: 93 to 97 %, allowing for the simulation's own error."""
    slack = 1.96 * math.sqrt(0.95 * 0.05 / repeats)
    return f"coverage: {what}", share, "93–97 %", 0.93 - slack <= share <= 0.97 + slack


def main() -> None:
    """Run every part and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    print(
        f"# Calibration of the quality room\n\n`python benchmarks/calibrate_quality.py "
        f"--repeats {repeats}`, seed 20260.\n\n| what | measured | bar | holds |\n|---|---|---|---|"
    )
    for part in PARTS:
        for what, value, bar, holds in part(repeats, np.random.default_rng(20260)):
            print(
                f"| {what} | {100 * value:.2f} % | {bar} | {'yes' if holds else '**no**'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
