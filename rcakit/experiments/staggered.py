"""Did the roll-out do it, when units changed one wave after another?"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.results import RolloutEffect, RolloutResult
from rcakit.results import Record
from rcakit.stats import group_time, moments, synthetic_control
from rcakit.stats.group_time import Aggregate, GroupTime
from rcakit.validation import check_choice, check_date, check_names, check_number, shown

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Panel", "rollout"]

Floats = NDArray[np.float64]
Comparison = Literal["not_yet_treated", "never_treated"]
Method = Literal["group_time", "synthetic_did"]


def rollout(
    data: Any,
    *,
    unit: str,
    time: str,
    start: str,
    outcome: str,
    denominator: str | None = None,
    comparison: Comparison = "not_yet_treated",
    method: Method = "group_time",
    covariates: str | Sequence[str] = (),
    honest: bool = False,
    cluster: str | None = None,
    exclude: Sequence[Any] = (),
    definition_changed_at: Any = (),
    confidence_level: float = 0.95,
    rng: int = 0,
) -> RolloutResult:
    """Compare units that got a change with units that had not got it yet.

    Parameters
    ----------
    data
        Table in any supported engine, one row per unit and period.
    unit
        Column with the id of what was rolled out to (vendor, site, market, county).
    time
        Column with the period: dates, or whole numbers such as years or weeks.
    start
        Column with the unit's first treated period; null for never.
    outcome
        Column to explain; divided by `denominator` when given.
    comparison
        Compare with units not treated yet (and never), or only with those never treated.
    method
        ``group_time``: every wave in every period against units untreated by then.
        ``synthetic_did``: one wave against a weighted mixture of never-treated units and periods;
        needs the optional package diff-diff.
    covariates
        Columns to condition on (doubly robust); needs the optional package diff-diff.
    honest
        Judge the breakdown by HonestDiD instead of our quick bound; needs diff-diff.
    cluster
        Column with the group that was rolled out together, when units of a group move together.
    exclude
        Units to leave out, for example a wave that got the change early by mistake.
    definition_changed_at
        Periods in which the definition of the outcome changed.
    confidence_level
        Of every interval.
    rng
        Seed of the simulated simultaneous band.

    Returns
    -------
    RolloutResult
        Tables ``effects``, ``event_study`` and ``checks``. With a single treated unit the effects
        come from a synthetic control with placebo inference.

    Raises
    ------
    SchemaError
        A column is missing, a unit-period is there twice, or a unit has several starts (its
        treatment switches off, or the column is wrong).
    NotEnoughDataError
        No unit is treated inside the window, or none is left to compare with.

    Notes
    -----
    Without the change, treated and untreated units would have moved alike (parallel trends); the
    checks examine it before treatment, and say how large a violation would undo the effect. Every
    unit and wave left out is named in the checks. When not to use it: units chose their own date
    because of the outcome, or foresaw it.
    """
    alpha = 1 - check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_choice(comparison, "comparison", ("not_yet_treated", "never_treated"))
    check_choice(method, "method", ("group_time", "synthetic_did"))
    wanted = check_names(covariates, "covariates")
    frames.check_columns(data, (unit, time, start, outcome, denominator, cluster, *wanted))
    panel = _panel(data, unit, time, start, outcome, denominator, cluster, exclude)
    changed = _changed(definition_changed_at, panel)
    if method == "synthetic_did" and (wanted or honest):
        raise ParameterError(
            "method='synthetic_did' must not be given together with covariates or honest. "
            "Leave them out, or use method='group_time'."
        )
    generator = np.random.default_rng(rng)
    treated = np.isfinite(panel.start)
    if method == "synthetic_did":
        from rcakit.experiments.did_extra import synthetic_effects

        effects, study, guard = synthetic_effects(panel, alpha, rng)
        words, breakdown = "synthetic difference in differences (diff-diff)", math.nan
    elif treated.sum() == 1:
        effects, study, guard = _single_unit(panel, alpha)
        words, breakdown = "synthetic control, placebo inference", math.nan
    elif wanted:
        from rcakit.experiments.conditioned import conditioned_effects

        effects, study, guard = conditioned_effects(data, panel, wanted, comparison, alpha)
        words, breakdown = "Callaway-Sant'Anna, doubly robust (diff-diff)", math.nan
    else:
        effects, study, guard, breakdown = _waves(panel, comparison, alpha, generator)
        words = f"Callaway-Sant'Anna, against units {comparison.replace('_', ' ')}"
    if honest and treated.sum() > 1:
        breakdown, guard = _honest(data, panel, wanted, comparison, alpha, guard)
    name = outcome if denominator is None else f"{outcome} / {denominator}"
    return RolloutResult(
        outcome=name,
        method=words,
        effects=tuple(effects),
        event_study=tuple(study),
        checks=(*guard, *([changed] if changed else ()), *panel.notes),
        n_obs=int(panel.outcomes.size),
        breakdown_m=breakdown,
        treated_mean=_treated_mean(panel),
        confidence_level=confidence_level,
        library=frames.library(data),
    )


def _honest(
    data: Any,
    panel: "Panel",
    covariates: Sequence[str],
    comparison: Comparison,
    alpha: float,
    guard: Sequence[Check],
) -> tuple[float, list[Check]]:
    """Put HonestDiD's breakdown in the place of ours."""
    from rcakit.experiments.conditioned import conditioned_rows
    from rcakit.experiments.did_extra import honest_breakdown

    rows = conditioned_rows(data, panel, covariates) if covariates else None
    value, check = honest_breakdown(panel, comparison, alpha, rows, covariates)
    return value, [check, *(own for own in guard if own.check != "breakdown")]


def _treated_mean(panel: "Panel") -> float:
    """Return the mean outcome of treated units since their start."""
    treated = np.arange(len(panel.periods)) >= panel.start[:, None]
    return float(panel.outcomes[treated].mean())


@dataclass(frozen=True, slots=True)
class Panel:
    """A balanced panel of units and periods.

    Attributes
    ----------
    units, periods
        Their names, in order.
    outcomes
        Shape ``(n, T)``.
    start
        Position of each unit's first treated period; inf for never (or after the window).
    cluster
        Index of the unit's group, or None.
    notes
        What was left out.
    columns
        Names of unit, time and start in the data.
    """

    units: list[Any]
    periods: list[Any]
    outcomes: Floats
    start: Floats
    cluster: NDArray[np.int64] | None
    notes: tuple[Check, ...]
    columns: tuple[str, str, str, str]


def _panel(
    data: Any,
    unit: str,
    time: str,
    start: str,
    outcome: str,
    denominator: str | None,
    cluster: str | None,
    exclude: Sequence[Any],
) -> Panel:
    """Bring the panel home, refuse what makes no sense, and leave out what cannot be compared."""
    import polars as pl

    keys = tuple(dict.fromkeys((unit, time, start, *([cluster] if cluster else []))))
    sums = (outcome, *([denominator] if denominator else []))
    table = frames.aggregate(data, keys=keys, sums=sums, lowest=sums[1:])
    n_rows = int(table["n_rows"].sum())
    table = table.filter(pl.col(unit).is_not_null(), pl.col(time).is_not_null())
    nameless = n_rows - int(table["n_rows"].sum())
    table = table.filter(~pl.col(unit).is_in(list(exclude))) if exclude else table
    _refuse_duplicates(table, unit, time)
    _refuse_switches(table, unit, start, cluster)
    table = table.filter(pl.col("n_missing") == 0)
    value = pl.col(outcome)
    if denominator is not None:
        _refuse_negative(table, denominator)
        table = table.filter(pl.col(denominator) > 0)
        value = value / pl.col(denominator)
    if table.height == 0:
        raise NotEnoughDataError(
            f"no unit-period holds column {outcome!r}, got 0 of them. Check the column, its "
            "denominator, and exclude=."
        )
    periods = table[time].unique().sort().to_list()
    wide = table.with_columns(value.alias("__value")).pivot(time, index=unit, values="__value")
    wide = wide.sort(unit)
    full = wide.filter(~pl.any_horizontal(pl.exclude(unit).is_null()))
    gaps = sorted(set(wide[unit].to_list()) - set(full[unit].to_list()), key=str)
    if full.height == 0:
        raise NotEnoughDataError(
            f"no unit is seen in every period, got {len(gaps)} units with gaps in {len(periods)} "
            "periods. Use a coarser period, or shorten the window."
        )
    own = table.group_by(unit).agg(
        pl.col(start).first(), *([pl.col(cluster).first()] if cluster else [])
    )
    own = full.select(unit).join(own, on=unit, how="left", maintain_order="left")
    position = _positions(own[start].to_list(), periods, time, start)
    always = position == 0
    kept = full.filter(~always)
    names = [column for column in wide.columns if column != unit]
    order = np.argsort([periods.index(_typed(name, periods)) for name in names])
    outcomes = kept.select(names).to_numpy()[:, order].astype(float)
    notes = (
        *([_nameless(nameless)] if nameless else ()),
        checks.dropped(
            "incomplete_units", [str(g) for g in gaps], "periods missing",
            "Only units seen in every period can be compared; fill or shorten the window.",
        ),
        checks.dropped(
            "always_treated", [str(u) for u, a in zip(full[unit].to_list(), always, strict=True) if a],
            f"treated since the first period, {shown(periods[0])}",
            "Bring periods before their start; a never-treated unit has a null start, not zero.",
        ),
    )  # fmt: skip
    codes = None
    if cluster is not None:
        codes = own.filter(~always)[cluster].rank("dense").to_numpy().astype(np.int64) - 1
    if outcomes.size and float(np.ptp(outcomes)) == 0:
        raise NotEnoughDataError(
            f"{outcome!r} must vary, got the same value in every unit and period. Check the column."
        )
    panel = Panel(
        kept[unit].to_list(), periods, outcomes, position[~always], codes, notes,
        (unit, time, start, outcome),
    )  # fmt: skip
    return _without_lonely_waves(panel)


def _typed(name: str, periods: list[Any]) -> Any:
    """Return the period whose column has this name."""
    known = {str(period): period for period in periods}
    known |= {f"{p:%Y-%m-%d %H:%M:%S.%f}": p for p in periods if isinstance(p, dt.datetime)}
    return known[name]


def _refuse_duplicates(table: "pl.DataFrame", unit: str, time: str) -> None:
    import polars as pl

    twice = table.group_by(unit, time).agg(pl.col("n_rows").sum()).filter(pl.col("n_rows") > 1)
    if twice.height:
        row = twice.sort(unit, time).row(0)
        raise SchemaError(
            f"every unit-period must have one row, got {twice.height} repeated, such as "
            f"{unit} {shown(row[0])} in {shown(row[1])} ({row[2]} rows). Add rows up first."
        )


def _nameless(n: int) -> Check:
    detail = f"{wording.plural(n, 'row')} without a unit or a period left out"
    return Check("rows", "warn", detail, "Find out whose they are: a unit may look smaller for it.")


def _refuse_negative(table: "pl.DataFrame", denominator: str) -> None:
    least = table[f"{denominator}__lowest"].min()
    if isinstance(least, float) and least < 0:
        raise SchemaError(
            f"column {denominator!r} is a denominator and must not be negative, got {least:g}. "
            "Filter or correct these rows."
        )


def _refuse_switches(table: "pl.DataFrame", unit: str, start: str, cluster: str | None) -> None:
    import polars as pl

    for column in [start, *([cluster] if cluster else [])]:
        several = table.group_by(unit).agg(pl.col(column).n_unique().alias("n"))
        several = several.filter(pl.col("n") > 1).sort(unit)
        if several.height:
            raise SchemaError(
                f"column {column!r} must hold one value per {unit!r}, got {several.height} units "
                f"with several, such as {shown(several[unit][0])}. A treatment that switches off "
                "cannot be read as a roll-out: use the first period, and end the window before it "
                "stops."
            )


def _positions(starts: list[Any], periods: list[Any], time: str, start: str) -> Floats:
    """Turn first treated periods into positions; null, or after the window, is never."""
    moments_of = [_comparable(period) for period in periods]
    if None in moments_of:
        raise SchemaError(
            f"column {time!r} must hold dates or whole numbers, got {shown(periods[0])}. Convert it."
        )
    ordered = np.array(moments_of, dtype=float)
    is_number = isinstance(periods[0], int | float)
    found = np.full(len(starts), math.inf)
    for i, value in enumerate(starts):
        if value is None:
            continue
        moment = _comparable(value) if isinstance(value, int | float) == is_number else None
        if moment is None:
            raise SchemaError(
                f"columns {start!r} and {time!r} must be of one kind, got {shown(value)} and "
                f"{shown(periods[0])}. Convert one of them, and use null for never."
            )
        position = int(np.searchsorted(ordered, moment))
        found[i] = position if position < ordered.size else math.inf
    if not np.isfinite(found).any():
        raise NotEnoughDataError(
            f"no unit is treated inside the window {shown(periods[0])} to {shown(periods[-1])}. "
            f"Check column {start!r}: null means never."
        )
    return found


def _comparable(value: Any) -> float | None:
    """Return a period as a number; None for text that is no date."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp()
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time(), dt.UTC).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return dt.datetime.fromisoformat(str(value)).replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None


def _without_lonely_waves(panel: Panel) -> Panel:
    """Leave out waves of one unit among larger ones: one unit shows no spread."""
    waves, sizes = np.unique(panel.start[np.isfinite(panel.start)], return_counts=True)
    lonely = waves[sizes == 1]
    if waves.size == 0:
        raise NotEnoughDataError(
            "no unit is left that was treated inside the window: all were treated from the first "
            "period, or have gaps. Bring earlier periods."
        )
    if sizes.sum() == 1:
        return panel
    out = np.isin(panel.start, lonely)
    named = [
        f"{panel.units[i]} ({panel.periods[int(panel.start[i])]})" for i in np.flatnonzero(out)
    ]
    todo = "A wave of one unit has no interval: analyse it alone, as a synthetic control."
    notes = (*panel.notes, checks.dropped("single_unit_waves", named, "alone in their wave", todo))
    cluster = (
        None if panel.cluster is None else np.unique(panel.cluster[~out], return_inverse=True)[1]
    )
    kept = Panel(
        [u for u, o in zip(panel.units, out, strict=True) if not o],
        panel.periods, panel.outcomes[~out], panel.start[~out], cluster, notes, panel.columns,
    )  # fmt: skip
    if not np.isfinite(kept.start).any():
        raise NotEnoughDataError(
            f"every wave holds a single unit ({', '.join(named[:5])}). Merge waves, or analyse one "
            "unit at a time with exclude=."
        )
    return kept


def _changed(given: Any, panel: Panel) -> Check | None:
    listed: list[Any] = [given] if isinstance(given, str | dt.date | int) else list(given)
    if not listed:
        return None
    if isinstance(panel.periods[0], int | float):
        days = [dt.date.fromordinal(1 + int(day)) for day in listed]
        periods = [dt.date.fromordinal(1 + int(p)) for p in panel.periods]
    else:
        days = [check_date(day, "definition_changed_at") for day in listed]
        periods = [check_date(p, "period") for p in panel.periods]
    launches = [periods[int(s)] for s in np.unique(panel.start[np.isfinite(panel.start)])]
    return checks.definition_changed(days, periods[0], periods[-1], launches)


def _waves(
    panel: Panel, comparison: Comparison, alpha: float, rng: np.random.Generator
) -> tuple[list[RolloutEffect], list[Record], list[Check], float]:
    """Estimate every wave in every period, and what follows from them together."""
    table = group_time.group_time_effects(panel.outcomes, panel.start, control=comparison)
    after = table.event_time >= 0
    if not after.any():
        raise NotEnoughDataError(
            "no untreated unit is left to compare with, got 0 comparisons. With every unit treated "
            "in the end, end the window before the last wave, or use comparison='not_yet_treated'."
        )
    overall = group_time.aggregate_effects(table, after, cluster=panel.cluster)
    effects = [_effect("overall", "", "", overall, alpha)]
    waves = np.unique(table.wave[after])
    for wave in waves:
        part = group_time.aggregate_effects(
            table, after & (table.wave == wave), cluster=panel.cluster
        )
        effects.append(_effect("cohort", str(panel.periods[wave]), "", part, alpha))
    for i in range(table.estimate.size):
        one = np.arange(table.estimate.size) == i
        part = group_time.aggregate_effects(table, one, cluster=panel.cluster)
        names = (str(panel.periods[table.wave[i]]), str(panel.periods[table.period[i]]))
        effects.append(_effect("cohort_period", *names, part, alpha))
    thirds = group_time.early_and_late(table, cluster=panel.cluster)
    for level, part in zip(("early", "late", "late_minus_early"), thirds or (), strict=False):
        effects.append(_effect(level, "", "", part, alpha))
    effects.append(_contrast(panel, alpha))
    study = _event_study(table, panel, alpha, rng)
    critical = moments.t_critical(alpha, overall.df)
    value = group_time.breakdown_m(table, overall, critical)
    clear = abs(overall.estimate) > critical * overall.standard_error
    pvalue, cells = group_time.pre_trend_pvalue(table, cluster=panel.cluster, rng=rng)
    sizes = {str(panel.periods[w]): int((panel.start == w).sum()) for w in waves}
    sizes["never"] = int(np.isinf(panel.start).sum())
    unused = sorted({int(s) for s in panel.start[np.isfinite(panel.start)]} - set(waves.tolist()))
    guard = [
        checks.pre_trends(pvalue, cells),
        checks.breakdown(value, clear=clear) if cells else checks.breakdown(math.inf, clear=False),
        checks.small_cohorts(sizes),
        checks.dropped(
            "cohorts", [str(panel.periods[w]) for w in unused], "nobody left to compare with",
            "End the window earlier, or bring units that were never treated.",
        ),
        _enough_groups(panel),
    ]  # fmt: skip
    return effects, study, guard, value


def _enough_groups(panel: Panel) -> Check:
    if panel.cluster is None:
        return Check("clusters", "pass", f"{len(panel.units)} units taken as independent")
    n_groups = int(panel.cluster.max()) + 1
    treated = np.unique(panel.cluster[np.isfinite(panel.start)]).size
    lonely = [
        str(panel.periods[int(wave)])
        for wave in np.unique(panel.start[np.isfinite(panel.start)])
        if np.unique(panel.cluster[panel.start == wave]).size == 1
    ]
    if lonely:
        detail = f"one group alone in each of these waves: {', '.join(lonely)}"
        todo = (
            "A group that changed alone shows no spread: merge waves, or leave it out (exclude=)."
        )
        return Check("clusters", "block", detail, todo)
    return checks.enough_clusters(n_groups - treated, treated, None)


def _effect(level: str, cohort: str, period: str, part: Aggregate, alpha: float) -> RolloutEffect:
    error = part.standard_error
    known = (error > 0 and math.isfinite(part.df)) or math.isinf(part.df)
    reach = moments.t_critical(alpha, part.df) * error if known else math.nan
    pvalue = (
        moments.two_sided_pvalue(part.estimate / error, part.df) if known and error else math.nan
    )
    return RolloutEffect(
        level=level,
        cohort=cohort,
        period=period,
        estimate=part.estimate,
        ci_lower=part.estimate - reach,
        ci_upper=part.estimate + reach,
        pvalue=pvalue,
        n_units=part.n_units,
    )


def _contrast(panel: Panel, alpha: float) -> RolloutEffect:
    estimate, error = group_time.two_way_fixed_effects(panel.outcomes, panel.start)
    df = panel.outcomes.shape[0] - 1
    reach = moments.t_critical(alpha, df) * error
    return RolloutEffect(
        level="two_way_fixed_effects",
        cohort="",
        period="",
        estimate=estimate,
        ci_lower=estimate - reach,
        ci_upper=estimate + reach,
        pvalue=moments.two_sided_pvalue(estimate / error, df) if error > 0 else math.nan,
        n_units=int(np.isfinite(panel.start).sum()),
    )


def _event_study(
    table: GroupTime, panel: Panel, alpha: float, rng: np.random.Generator
) -> list[Record]:
    """Average over waves by time since the start, with a band that holds for all at once."""
    from scipy import special

    times = np.unique(table.event_time)
    parts = [
        group_time.aggregate_effects(table, table.event_time == event, cluster=panel.cluster)
        for event in times
    ]
    wide = group_time.simultaneous_critical(parts, alpha, cluster=panel.cluster, rng=rng)
    tail = 2 * float(special.ndtr(-wide))
    rows = []
    for event, part in zip(times, parts, strict=True):
        reach, band = (
            moments.t_critical(level, part.df) * part.standard_error
            if part.standard_error > 0
            else math.nan
            for level in (alpha, tail)
        )
        rows.append(
            {
                "event_time": int(event),
                "estimate": part.estimate,
                "ci_lower": part.estimate - reach,
                "ci_upper": part.estimate + reach,
                "band_lower": part.estimate - band,
                "band_upper": part.estimate + band,
                "n_units": part.n_units,
            }
        )
    return rows


def _single_unit(
    panel: Panel, alpha: float
) -> tuple[list[RolloutEffect], list[Record], list[Check]]:
    """One treated unit: build its synthetic twin, and pretend that every other unit was treated."""
    row = int(np.flatnonzero(np.isfinite(panel.start))[0])
    first = int(panel.start[row])
    n_donors = len(panel.units) - 1
    if first < 3 or n_donors < 3:
        raise NotEnoughDataError(
            f"a single treated unit needs 3 periods before its start and 3 untreated units, got "
            f"{first} and {n_donors}. Bring more, or use pre_post() and read its caveats."
        )
    twin = synthetic_control.synthetic_control(panel.outcomes, row, first)
    placebos = synthetic_control.placebo_ratios(panel.outcomes, row, first)
    # With more donors than periods some fits are exact; one floor for every unit keeps the ranks
    # exchangeable, and keeps a lucky fit from looking like an effect.
    fits = np.array([twin.pre_rmse, *(p.pre_rmse for p in placebos)])
    fits = np.maximum(fits, max(float(np.median(fits)), 1e-12))
    ratios = np.array([twin.post_rmse, *(p.post_rmse for p in placebos)]) / fits
    pvalue = float((1 + np.count_nonzero(ratios[1:] >= ratios[0])) / ratios.size)
    scaled = np.array([abs(p.effect) for p in placebos]) / fits[1:] * fits[0]
    rank = math.ceil((1 - alpha) * (scaled.size + 1)) - 1
    reach = float(np.sort(scaled)[rank]) if rank < scaled.size else math.nan
    ends = (twin.effect - reach, twin.effect + reach)
    overall = RolloutEffect(
        level="overall", cohort=str(panel.periods[first]), period="", estimate=twin.effect,
        ci_lower=ends[0], ci_upper=ends[1], pvalue=pvalue, n_units=1,
    )  # fmt: skip
    study = [
        {
            "event_time": t - first,
            "estimate": float(gap),
            "ci_lower": math.nan,
            "ci_upper": math.nan,
            "band_lower": math.nan,
            "band_upper": math.nan,
            "n_units": 1,
        }
        for t, gap in enumerate(twin.gaps)
    ]
    spread = float(np.std(panel.outcomes[row, :first]))
    named = sorted(
        zip(np.delete(np.array(panel.units, dtype=object), row), twin.weights, strict=True),
        key=lambda pair: -pair[1],
    )
    mixture = ", ".join(
        f"{wording.visible(name)} {wording.percent(w)}" for name, w in named[:5] if w > 0.005
    )
    detail = f"fit before treatment: {wording.amount(twin.pre_rmse)} (RMSE); mixture {mixture}"
    good = twin.pre_rmse <= 0.5 * spread or spread == 0
    todo = "The mixture does not follow the unit before treatment: do not read the gap after it."
    guard = [
        Check("fit_before", "pass" if good else "block", detail, "" if good else todo),
        _enough_donors(n_donors, alpha, pvalue),
    ]
    return [overall], study, guard


def _enough_donors(n_donors: int, alpha: float, pvalue: float) -> Check:
    least = 1 / (n_donors + 1)
    detail = (
        f"{n_donors} placebo units; the smallest p that can occur is {least:.2g}, p = {pvalue:.2g}"
    )
    if least <= alpha:
        return Check("placebo_units", "pass", detail)
    todo = "Too few untreated units for an interval at this level: lower confidence_level."
    return Check("placebo_units", "warn", detail, todo)
