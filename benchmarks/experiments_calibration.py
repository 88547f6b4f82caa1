"""Do intervals of experiments hold what they promise? Coverage, false alarms, power, guard rails.

Run ``python benchmarks/experiments_calibration.py`` to print the table and write it to
``benchmarks/results/experiments_calibration.md``. Simulated, seeded, no data needed.
"""

import datetime as dt
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl

from rcakit import datasets, experiments
from rcakit.errors import ParameterError
from rcakit.experiments import periods, readings
from rcakit.stats import clusters, group_time, moments, quantiles, sequential

RESULTS = Path(__file__).parent / "results" / "experiments_calibration.md"
Row = tuple[str, str, float, float, float]  # name, what, measured, lowest and highest allowed
RUNS = 2000
DAY = dt.datetime(2026, 1, 1)


def covers(contrast: moments.Contrast, truth: float) -> bool:
    """Tell whether the 95 % interval of the difference holds the truth."""
    reach = moments.t_critical(0.05, contrast.df) * contrast.standard_error
    return abs(contrast.effect - truth) <= reach


def arms(columns: np.ndarray, arm: np.ndarray, stratum: np.ndarray | None = None) -> tuple:
    """Reduce rows to counts, means and covariances by arm and stratum."""
    stratum = np.zeros(arm.size, dtype=int) if stratum is None else stratum
    shape = (2, stratum.max() + 1)
    n, sums = np.zeros(shape), np.zeros((*shape, 4))
    products = np.zeros((*shape, 4, 4))
    np.add.at(n, (arm, stratum), 1)
    np.add.at(sums, (arm, stratum), columns)
    np.add.at(products, (arm, stratum), columns[:, :, None] * columns[:, None, :])
    return n, *moments.means_and_covariances(n, sums, products)


def parallel(runs: int) -> Iterator[Row]:
    """Units randomised: means, proportions, counts, ratios, adjusted and stratified."""
    rng = np.random.default_rng(1)
    hits: dict[str, list[bool]] = {}
    ratios = []
    n = 600
    for _ in range(runs):
        arm = (rng.random(n) < 0.5).astype(int)
        one, before = np.ones(n), rng.normal(size=n)
        rho = 0.6
        y = rho * before + math.sqrt(1 - rho**2) * rng.normal(size=n) + 0.2 * arm
        share = (rng.random(n) < 0.1 + 0.05 * arm).astype(float)
        count = rng.negative_binomial(2, 2 / (2 + 3 + arm)).astype(float)
        tasks = 1.0 + rng.poisson(4, n)
        overturned = rng.binomial(tasks.astype(int), np.clip(rng.beta(2, 8, n), 0, 1)).astype(float)
        stratum = rng.integers(0, 4, n)
        mixed = y + 2.0 * stratum

        def seen(name: str, columns: list, truth: float, *, adjust: bool = False, by=None) -> None:
            contrast = moments.independent_contrast(
                *arms(np.column_stack(columns), arm, by),
                adjust=adjust,
            )
            hits.setdefault(name, []).append(covers(contrast, truth))
            if adjust:
                ratios.append(contrast.variance_ratio)

        seen("mean", [y, one, one, one], 0.2)
        seen("proportion", [share, one, one, one], 0.05)
        seen("count", [count, one, one, one], 1.0)
        seen("ratio of sums", [overturned, tasks, one, one], 0.0)
        seen("mean with pre-period column", [y, one, before, one], 0.2, adjust=True)
        seen("mean, stratified", [mixed, one, one, one], 0.2, by=stratum)
        level = moments.independent_contrast(
            *arms(np.column_stack([y + 1, one, one, one]), arm), adjust=False
        )
        _, low, high = moments.fieller(level, moments.t_critical(0.05, level.df))
        hits.setdefault("relative effect (Fieller)", []).append(low <= 0.2 <= high)
        skew = rng.lognormal(0, 1, n)
        sides = [quantiles.quantile_arm(skew[arm == side], 0.75) for side in (0, 1)]
        median = moments.Contrast(control=sides[0], treatment=sides[1], df=n - 2)
        hits.setdefault("75 % quantile of a lognormal", []).append(covers(median, 0.0))
    for name, found in hits.items():
        yield f"{name}, n = {n}", "coverage", float(np.mean(found)), 0.94, 0.96
    expected = 1 - 0.36
    yield (
        "variance ratio of CUPED over 1 - rho^2",
        "ratio",
        float(np.mean(ratios)) / expected,
        0.98,
        1.02,
    )


def cluster_cells(rng: np.random.Generator, n_groups: int, icc: float) -> clusters.ClusterCells:
    """Draw groups of lognormal size (median about 148) with rows alike by icc."""
    size = np.maximum(rng.lognormal(5, 0.6, n_groups).round(), 2)
    arm = np.zeros(n_groups, dtype=int)
    arm[rng.permutation(n_groups)[: n_groups // 2]] = 1
    total = size * rng.normal(0, math.sqrt(icc), n_groups) + rng.normal(
        0, np.sqrt(size * (1 - icc))
    )
    squares = (1 - icc) * rng.chisquare(size - 1) + total**2 / size
    zero = np.zeros(n_groups)
    products = np.stack([np.stack([squares, total], 1), np.stack([total, size], 1)], 1)
    sums = np.stack([total, size, zero, size], 1)
    return clusters.ClusterCells(
        np.arange(n_groups), np.zeros(n_groups, int), arm, size, sums, products
    )


def grouped(runs: int) -> Iterator[Row]:
    """Groups randomised, ICC 0.05."""
    rng = np.random.default_rng(2)
    for n_groups in (6, 10, 20, 40):
        held, naive = [], []
        for _ in range(runs):
            cells = cluster_cells(rng, n_groups, 0.05)
            contrast = clusters.clustered_contrast(cells, adjust=False)
            held.append(covers(contrast, 0.0))
            n = np.array([cells.n_rows[cells.arm == a].sum() for a in (0, 1)])
            naive.append(abs(contrast.effect) > 1.96 * math.sqrt((1 / n).sum()))
        yield f"{n_groups} groups, CR2", "coverage", float(np.mean(held)), 0.93, 0.97
        yield f"{n_groups} groups, CR2", "false alarms", 1 - float(np.mean(held)), 0, 0.065
        yield (
            f"{n_groups} groups, rows as units (contrast)",
            "false alarms",
            float(np.mean(naive)),
            0,
            1,
        )


def grouped_metrics(runs: int) -> Iterator[Row]:
    """Twenty groups of unequal size through the whole call: adjusted mean, ratio, median."""
    rng = np.random.default_rng(9)
    held: dict[str, list[bool]] = {"mean with pre-period column": [], "ratio": [], "median": []}
    for _ in range(runs):
        size = np.maximum(rng.lognormal(3.5, 0.5, 20).round().astype(int), 5)
        group = np.repeat(np.arange(20), size)
        lift, own = (rng.permutation(20) < 10).astype(int), rng.normal(0, 0.25, 20)
        before = own[group] + rng.normal(size=group.size)
        y = own[group] + 0.5 * before + rng.normal(size=group.size) + 0.3 * lift[group]
        tasks = 1.0 + rng.poisson(3, group.size)
        chance = np.clip(0.2 + 0.1 * own, 0.02, 0.9)[group]
        hits = rng.binomial(tasks.astype(int), chance).astype(float)
        table = pl.DataFrame(
            {
                "arm": np.where(lift[group] == 1, "new", "control"),
                "group": group, "y": y, "pre": before, "hits": hits, "tasks": tasks,
            }
        )  # fmt: skip
        found = experiments.ab_test(
            table, variant="arm", metrics=["y", ("hits", "tasks")], randomised_by="group",
            covariates={"y": "pre"}, quantiles={"y": 0.5},
        ).effects  # fmt: skip
        for kept, truth, effect in zip(held.values(), (0.3, 0.0, 0.3), found, strict=True):
            kept.append(effect.effect_ci_lower <= truth <= effect.effect_ci_upper)
    for name, kept in held.items():
        yield f"20 groups, {name}", "coverage", float(np.mean(kept)), 0.93, 0.97


def switchback(runs: int) -> Iterator[Row]:
    """Blocks of four hours, hourly noise with correlation 0.8, four weeks, an effect of 0.5."""
    rng = np.random.default_rng(3)
    held, naive, covered = [], [], []
    hours, block = 24 * 28, 4
    n_blocks = hours // block
    for _ in range(runs):
        y = autoregressive(rng, hours, 0.8)
        arm = (rng.random(n_blocks) < 0.5).astype(int)
        total = y.reshape(-1, block).sum(axis=1)
        squares = (y**2).reshape(-1, block).sum(axis=1)
        size, zero = np.full(n_blocks, float(block)), np.zeros(n_blocks)
        products = np.stack([np.stack([squares, total], 1), np.stack([total, size], 1)], 1)
        cells = clusters.ClusterCells(
            np.arange(n_blocks), np.zeros(n_blocks, int), arm, size,
            np.stack([total, size, zero, size], 1), products,
        )  # fmt: skip
        found = clusters.clustered_contrast(cells, adjust=False)
        held.append(covers(found, 0.0))
        total = total + 0.5 * block * arm
        shifted = replace(cells, sums=np.stack([total, size, zero, size], 1))
        covered.append(covers(clusters.clustered_contrast(shifted, adjust=False), 0.5))
        by_hour = np.repeat(arm, block)
        a, b = y[by_hour == 1], y[by_hour == 0]
        error = math.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        naive.append(abs(a.mean() - b.mean()) > 1.96 * error)
    yield "switchback, blocks as units", "coverage", float(np.mean(covered)), 0.93, 0.97
    yield "switchback, blocks as units", "false alarms", 1 - float(np.mean(held)), 0, 0.06
    yield "switchback, hours as units (contrast)", "false alarms", float(np.mean(naive)), 0, 1


def looking(runs: int) -> Iterator[Row]:
    """Twenty looks at a growing experiment."""
    rng = np.random.default_rng(4)
    looks, n = 20, 10_000
    bounds = np.array(sequential.spending_boundaries(looks, 0.05))
    at = np.arange(1, looks + 1) / looks
    z = np.cumsum(rng.standard_normal((20 * runs, looks)), axis=1) / np.sqrt(
        np.arange(1, looks + 1)
    )
    multiplier = [sequential.confidence_sequence_multiplier(n * t, n, 0.05) for t in at]
    drift = 2.8 * np.sqrt(at)
    yield (
        "20 looks, plain intervals (contrast)",
        "false alarms",
        float((abs(z) > 1.96).any(1).mean()),
        0,
        1,
    )
    yield "20 looks, planned", "false alarms", float((abs(z) > bounds).any(1).mean()), 0, 0.05
    yield (
        "20 looks, open-ended, or nobody planned them (the same widening)",
        "false alarms",
        float((abs(z) > multiplier).any(1).mean()),
        0,
        0.05,
    )
    fixed = float((abs(z[:, -1] + 2.8) > 1.96).mean())
    kept = float((abs(z + drift) > bounds).any(1).mean()) / fixed
    yield "20 looks, planned: power over one look", "ratio", kept, 0.97, 1
    kept = float((abs(z + drift) > multiplier).any(1).mean()) / fixed
    yield "20 looks, open-ended: power over one look", "ratio", kept, 0, 1


def autoregressive(rng: np.random.Generator, n: int, phi: float, theta: float = 0.0) -> np.ndarray:
    """Draw a series of unit innovations."""
    from scipy.signal import lfilter

    return lfilter([1, theta], [1, -phi], rng.normal(size=n + 200))[200:]


def daily(y: np.ndarray) -> pl.DataFrame:
    """Put a series on calendar days."""
    return pl.DataFrame({"day": [DAY + dt.timedelta(days=i) for i in range(y.size)], "y": y})


def interrupted(length: int, first: int, runs: int) -> Iterator[Row]:
    """Before and after, weekly season fitted, no effect; the call's own steps behind its table."""
    rng = np.random.default_rng(length)
    starts = [DAY + dt.timedelta(days=i) for i in range(length)]
    plan = readings.Plan(seasons=(7,), slope=False, log=False, alpha=0.05, model="cautious")
    nothing = np.zeros((length, 0))
    for phi, theta in ((0, 0), (0.4, 0), (0.7, 0), (0.85, 0), (0.7, -0.4)):
        alarms = []
        for _ in range(runs):
            y = 100 + autoregressive(rng, length, phi, theta)
            table = periods.Series(starts, y, nothing, {}, None)
            cut = periods.Cut.of(table, starts[first].date(), None, None, every="1d")
            alarms.append(readings.read_series(y, nothing, cut, plan).pvalue < 0.05)
        name = f"pre_post T = {length}, phi {phi}" + (f", theta {theta}" if theta else "")
        yield name, "coverage", 1 - float(np.mean(alarms)), 0.93, 0.97
        yield name, "false alarms", float(np.mean(alarms)), 0, 0.08


def triggered(runs: int) -> Iterator[Row]:
    """A spike fades by itself; the change launched five days in does nothing; as for `interrupted`."""
    rng = np.random.default_rng(6)
    effects: dict[str, list[float]] = {"declared": [], "found": [], "ignored (contrast)": []}
    alarms: dict[str, list[bool]] = {name: [] for name in effects}
    onset, launch, length = 120, 125, 175
    fade = np.zeros(length)
    fade[onset:] = 5 * np.exp(-np.arange(length - onset) / 4)
    plan = readings.Plan(seasons=(7,), slope=False, log=False, alpha=0.05, model="cautious")
    starts = [DAY + dt.timedelta(days=i) for i in range(length)]
    at, spike, nothing = starts[launch].date(), starts[onset].date(), np.zeros((length, 0))
    for _ in range(runs):
        y = 100 + math.sqrt(1 - 0.4**2) * autoregressive(rng, length, 0.4) + fade
        table = periods.Series(starts, y, nothing, {}, None)
        for name, given in (("declared", spike), ("found", None)):
            cut = periods.Cut.of(table, at, given, None, every="1d")
            found = readings.read_series(y, nothing, cut, plan)
            effects[name].append(found.chosen.estimate)
            alarms[name].append(found.pvalue < 0.05)
        before, after = y[launch - 14 : launch], y[launch : launch + 14]
        effects["ignored (contrast)"].append(after.mean() - before.mean())
        error = math.sqrt(before.var(ddof=1) / 14 + after.var(ddof=1) / 14)
        alarms["ignored (contrast)"].append(abs(after.mean() - before.mean()) > 2.06 * error)
    for name in effects:
        free = "contrast" in name
        bias = abs(float(np.mean(effects[name])))
        yield f"spike-triggered change, trigger {name}", "bias in SD", bias, 0, 9 if free else 0.1
        rate = float(np.mean(alarms[name]))
        yield (
            f"spike-triggered change, trigger {name}",
            "false alarms",
            rate,
            0,
            1 if free else 0.06,
        )


def staggered(runs: int) -> Iterator[Row]:
    """60 units, 16 periods, 3 waves and never; effects grow and differ between waves."""
    rng = np.random.default_rng(7)
    start = np.repeat([4.0, 8.0, 12.0, np.inf], 15)
    gain = {4.0: 0.45, 8.0: 0.25, 12.0: 0.15}
    effect = np.zeros((60, 16))
    for i, first in enumerate(start):
        if np.isfinite(first):
            effect[i, int(first) :] = gain[first] * np.arange(1, 17 - int(first))
    # cells are weighted by the size of their wave: all waves have 15 units
    truth = float(np.mean(effect[np.arange(16) >= start[:, None]]))
    held: dict[str, list[bool]] = {"never_treated": [], "not_yet_treated": [], "twfe": []}
    bias: dict[str, list[float]] = {name: [] for name in held}
    for _ in range(runs):
        noise = np.array([autoregressive(rng, 16, 0.6) for _ in range(60)])
        y = noise + rng.normal(0, 1, (60, 1)) + 0.2 * np.arange(16) + effect
        for control in ("never_treated", "not_yet_treated"):
            table = group_time.group_time_effects(y, start, control=control)
            overall = group_time.aggregate_effects(table, table.event_time >= 0)
            reach = moments.t_critical(0.05, overall.df) * overall.standard_error
            held[control].append(abs(overall.estimate - truth) <= reach)
            bias[control].append(overall.estimate - truth)
        slope, error = group_time.two_way_fixed_effects(y, start)
        held["twfe"].append(abs(slope - truth) <= moments.t_critical(0.05, 59) * error)
        bias["twfe"].append(slope - truth)
    for name in held:
        free = name == "twfe"
        shown = "two-way fixed effects (contrast)" if free else f"roll-out, {name}"
        share = abs(float(np.mean(bias[name]))) / truth
        yield shown, "bias over effect", share, 0, 9 if free else 0.03
        yield (
            shown,
            "coverage",
            float(np.mean(held[name])),
            0 if free else 0.93,
            1 if free else 0.97,
        )


def staggered_few(runs: int) -> Iterator[Row]:
    """Two small waves: four units each, or three pairs of units that move together."""
    rng = np.random.default_rng(10)
    for name, size, width in (("units alone", 4, 1), ("three pairs a wave, cluster=", 6, 2)):
        start = np.repeat([4.0, 7.0, np.inf], [size, size, 2 * size])
        group = np.arange(start.size) // width
        lift = np.where(np.arange(12) >= start[:, None], 0.5, 0.0)
        held = []
        for _ in range(runs):
            own = np.array([autoregressive(rng, 12, 0.5) for _ in start])
            shared = np.array([autoregressive(rng, 12, 0.5) for _ in range(group[-1] + 1)])[group]
            y = lift + (own if width == 1 else 0.6 * own + shared)
            table = group_time.group_time_effects(y, start)
            cluster = None if width == 1 else group
            overall = group_time.aggregate_effects(table, table.event_time >= 0, cluster=cluster)
            reach = moments.t_critical(0.05, overall.df) * overall.standard_error
            held.append(abs(overall.estimate - 0.5) <= reach)
        yield f"roll-out, small waves, {name}", "coverage", float(np.mean(held)), 0.93, 0.97


def single_unit(runs: int) -> Iterator[Row]:
    """One of 40 units treated, three common factors: synthetic control, placebo interval."""
    rng = np.random.default_rng(11)
    held, alarms = [], []
    for _ in range(runs):
        factors = rng.normal(0, 1, (3, 24)).cumsum(axis=1)
        y = rng.dirichlet(np.ones(3), 40) @ factors + rng.normal(0, 0.5, (40, 24))
        y[0, 16:] += 1.0
        found = experiments.rollout(
            _panel(y, np.where(np.arange(40) == 0, 16, 99)),
            unit="unit", time="week", start="start", outcome="y",
        ).overall  # fmt: skip
        held.append(found.ci_lower <= 1.0 <= found.ci_upper)
        alarms.append(found.pvalue < 0.05)
    name = "single unit, synthetic control"
    yield name, "coverage", float(np.mean(held)), 0.93, 0.97
    yield f"{name}, an effect of two standard deviations", "power", float(np.mean(alarms)), 0, 1


def guard_rails(runs: int) -> Iterator[Row]:
    """Each guard rail on its scenario and on the clean twin."""
    rng = np.random.default_rng(8)
    makers: dict[str, Callable[[np.random.Generator, bool], experiments.ExperimentResult]] = {
        "sample_ratio": _ratio, "clusters": _few, "spillover": _shared, "peeking": _peek,
        "missing_outcomes": _gaps, "baseline": _unbalanced, "carry_over": _carried,
        "trigger": _spike, "definition": _redefined, "negative_controls": _moved,
        "history": _short, "pre_trends": _drifting,
        "unit": _finer, "assignment": _unassigned, "contamination": _early,
        "breakdown": _fragile, "fit_before": _apart,
    }  # fmt: skip
    for name, make in makers.items():
        for is_bad in (True, False):
            fired = 0
            for _ in range(runs):
                status = {c.check: c.status for c in make(rng, is_bad).checks}
                fired += status.get(name, "pass") != "pass"
            low, high = (0.9, 1) if is_bad else (0, 0.08)
            what = "fires on its scenario" if is_bad else "fires on the clean twin"
            yield f"guard rail {name}", what, fired / runs, low, high


def _table(rng: np.random.Generator, n: int = 2000, share: float = 0.5) -> pl.DataFrame:
    arm = np.where(rng.random(n) < share, "new", "control")
    return pl.DataFrame({"id": np.arange(n), "arm": arm, "y": rng.normal(10, 3, n)})


def _ratio(rng, is_bad):
    return experiments.ab_test(
        _table(rng, 4000, 0.56 if is_bad else 0.5), variant="arm", metrics="y"
    )


def _few(rng, is_bad):
    table = _table(rng).with_columns(group=pl.col("id") % (6 if is_bad else 40))
    table = table.with_columns(
        arm=pl.when(pl.col("group") % 2 == 0).then(pl.lit("new")).otherwise(pl.lit("control"))
    )
    return experiments.ab_test(table, variant="arm", metrics="y", randomised_by="group")


def _shared(rng, is_bad):
    table = _table(rng)
    server = pl.col("id") % 30
    table = table.with_columns(
        reviewer=server if is_bad else server + 100 * (pl.col("arm") == "new")
    )
    return experiments.ab_test(table, variant="arm", metrics="y", served_by="reviewer")


def _peek(rng, is_bad):
    return experiments.ab_test(
        _table(rng), variant="arm", metrics="y", looks=5 if is_bad else (5, 5)
    )


def _gaps(rng, is_bad):
    table = _table(rng)
    lost = rng.random(2000) < np.where(table["arm"] == "new", 0.16 if is_bad else 0.08, 0.08)
    return experiments.ab_test(
        table.with_columns(y=pl.when(pl.Series(lost)).then(None).otherwise(pl.col("y"))),
        variant="arm", metrics="y",
    )  # fmt: skip


def _unbalanced(rng, is_bad):
    table = _table(rng)
    before = rng.normal(10, 3, 2000) + (0.9 if is_bad else 0) * (table["arm"] == "new").to_numpy()
    return experiments.ab_test(table.with_columns(pre_y=before), variant="arm", metrics="y")


def _carried(rng, is_bad):
    hours = 24 * 28
    y = autoregressive(rng, hours, 0.97 if is_bad else 0.0)
    arm = np.repeat(np.where(rng.random(hours // 4) < 0.5, "new", "control"), 4)
    table = pl.DataFrame(
        {"at": [DAY + dt.timedelta(hours=i) for i in range(hours)], "arm": arm, "y": y}
    )
    return experiments.ab_test(table, variant="arm", metrics="y", time="at", block_hours=4)


def _spike(rng, is_bad):
    y = 100 + autoregressive(rng, 120, 0.4)
    if is_bad:
        y[75:] += 8 * np.exp(-np.arange(45) / 5)
    return experiments.pre_post(daily(y), time="day", value="y", at=DAY + dt.timedelta(days=80))


def _redefined(rng, is_bad):
    at = DAY + dt.timedelta(days=60)
    changed = at if is_bad else DAY - dt.timedelta(days=5)
    y = 100 + autoregressive(rng, 90, 0.4)
    return experiments.pre_post(
        daily(y), time="day", value="y", at=at, definition_changed_at=changed
    )


def _moved(rng, is_bad):
    table = daily(100 + autoregressive(rng, 90, 0.4))
    other = 50 + autoregressive(rng, 90, 0.4) + (8 if is_bad else 0) * (np.arange(90) >= 60)
    at = DAY + dt.timedelta(days=60)
    return experiments.pre_post(
        table.with_columns(c=other), time="day", value="y", at=at, controls="c"
    )


def _short(rng, is_bad):
    y = 100 + autoregressive(rng, 90, 0.4)
    season = 28 if is_bad else 7
    return experiments.pre_post(
        daily(y), time="day", value="y", at=DAY + dt.timedelta(days=50), season=season
    )


def _drifting(rng, is_bad):
    start = np.repeat([6, 9, 12, 99], 15)
    y = np.array([autoregressive(rng, 16, 0.3) for _ in range(60)])
    if is_bad:
        y += 0.6 * np.arange(16) * (start < 99)[:, None]
    rows = [
        (i, t, None if start[i] > 16 else int(start[i]), y[i, t])
        for i in range(60)
        for t in range(16)
    ]
    table = pl.DataFrame(rows, schema=["unit", "week", "start", "y"], orient="row")
    return experiments.rollout(table, unit="unit", time="week", start="start", outcome="y")


def _finer(rng, is_bad):
    table = _table(rng)
    table = pl.concat([table, table]) if is_bad else table
    try:
        return experiments.ab_test(table, variant="arm", metrics="y", unit="id")
    except ParameterError as refused:
        named = "randomised_by='id'" in str(refused)
        return SimpleNamespace(checks=[SimpleNamespace(check="unit", status="block" * named)])


def _unassigned(rng, is_bad):
    table = _table(rng)
    lost = pl.Series(rng.random(2000) < (0.05 if is_bad else 0))
    return experiments.ab_test(
        table.with_columns(arm=pl.when(~lost).then(pl.col("arm"))), variant="arm", metrics="y"
    )


def _early(rng, is_bad):
    name = "waves_contaminated" if is_bad else "waves_with_effect"
    made = datasets.make(name, size="tiny", rng=rng)
    return experiments.adoption(
        made.tables["team_weeks"], unit="team_id", time="week_date", start="start_date",
        adopted="new_way_count", of="decisions_count",
    )  # fmt: skip


def _fragile(rng, is_bad):
    start = np.repeat([8, 10, 99], 20)
    y = rng.normal(0, 1, (60, 12)) + is_bad * np.sin(2 * np.arange(12)) * (start < 99)[:, None]
    y += (1.2 if is_bad else 6.0) * (np.arange(12) >= start[:, None])
    return experiments.rollout(
        _panel(y, start), unit="unit", time="week", start="start", outcome="y"
    )


def _apart(rng, is_bad):
    start = np.where(np.arange(30) == 0, 14, 99)
    y = rng.uniform(1, 2, (30, 1)) * np.sin(np.arange(20) / 2) + rng.normal(0, 0.1, (30, 20))
    if is_bad:
        y[0] = 10 + 3 * rng.normal(0, 1, 20)
    else:
        y[0] = (y[1] + y[2]) / 2 + rng.normal(0, 0.1, 20)
    return experiments.rollout(
        _panel(y, start), unit="unit", time="week", start="start", outcome="y"
    )


def _panel(y, start):
    n, length = y.shape
    rows = [
        (i, t, None if start[i] == 99 else int(start[i]), y[i, t])
        for i in range(n)
        for t in range(length)
    ]
    return pl.DataFrame(rows, schema=["unit", "week", "start", "y"], orient="row")


SECTIONS: dict[str, tuple[Callable[[int], Iterator[Row]], int]] = {
    "parallel": (parallel, RUNS),
    "grouped": (grouped, RUNS),
    "grouped_metrics": (grouped_metrics, 2000),
    "switchback": (switchback, RUNS),
    "looking": (looking, RUNS),
    "interrupted_90": (partial(interrupted, 90, 60), 2000),
    "interrupted_180": (partial(interrupted, 180, 120), 2000),
    "triggered": (triggered, 2000),
    "staggered": (staggered, 2000),
    "staggered_few": (staggered_few, 2000),
    "single_unit": (single_unit, 2000),
    "guard_rails": (guard_rails, 200),
}


def calibrate(name: str) -> list[str]:
    """Run a section; return its lines."""
    section, runs = SECTIONS[name]
    lines = []
    for row in section(runs):
        lines.append(_line(row, runs))
        print(lines[-1], flush=True)
    return lines


def _line(row: Row, runs: int) -> str:
    name, what, measured, low, high = row
    bar = "none" if (low, high) in {(0, 1), (0, 9)} else f"{low:g} to {high:g}"
    within = "yes" if low <= measured <= high else "NO"
    return (
        f"| {name} | {what} | {measured:.4f} | {bar} | {runs} | {within if bar != 'none' else ''} |"
    )


def keep(name: str, lines: list[str]) -> None:
    """Write one section of the kept table anew, and leave the others as they are."""
    head = "| case | what | measured | bar | simulations | within |\n|---|---|---|---|---|---|"
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    parts[name] = "\n".join([name, "", head, *lines, ""])
    opening = (
        "# Calibration of experiments\n\nPrinted by `python benchmarks/experiments_calibration.py`; "
        "with names of sections only these are run anew.\n"
    )
    body = "".join(f"\n## {parts[known].rstrip()}\n" for known in SECTIONS if known in parts)
    RESULTS.write_text(opening + body, encoding="utf-8")


def main() -> None:
    """Print the table and keep it."""
    warnings.simplefilter("error")
    for name in sys.argv[1:] or list(SECTIONS):
        keep(name, calibrate(name))


if __name__ == "__main__":
    main()
