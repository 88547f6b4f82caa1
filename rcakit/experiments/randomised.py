"""Did the change do it, when chance decided who got it?

One pass over the rows gives counts, sums and cross-products by arm (`cells`); `contrasts` compares
the arms, `judging` says what follows, and `split_checks` asks whether the split was kept.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from rcakit import frames
from rcakit.experiments import checks
from rcakit.experiments.cells import (
    Layout,
    Shares,
    ask_cells,
    prepare,
    read_arms,
    read_phases,
    refuse_finer_rows,
)
from rcakit.experiments.contrasts import contrasts_of
from rcakit.experiments.judging import (
    Judge,
    quantile_effects,
    segment_effects,
    with_segment_verdicts,
    with_verdicts,
)
from rcakit.experiments.looks import Looks, plan_looks
from rcakit.experiments.metrics import Name, read_metrics
from rcakit.experiments.results import ExperimentResult
from rcakit.experiments.split_checks import (
    balance,
    carry_over,
    group_checks,
    sample_ratio,
    spillover,
)
from rcakit.validation import check_integer, check_names, check_number

__all__ = ["ab_test"]


def ab_test(
    data: Any,
    *,
    variant: str,
    metrics: Name | Sequence[Name],
    unit: str | None = None,
    randomised_by: str | None = None,
    covariates: Mapping[Name, Name] | None = None,
    strata: str | Sequence[str] = (),
    allocation: Shares | Sequence[tuple[str | dt.date, Shares]] | None = None,
    looks: Looks = None,
    control: Any = None,
    treatment: Any = None,
    exploratory: Name | Sequence[Name] = (),
    guardrails: Mapping[Name, float] | None = None,
    quantiles: Mapping[str, float] | None = None,
    segments: str | Sequence[str] = (),
    served_by: str | None = None,
    time: str | None = None,
    block_hours: int | None = None,
    washout_hours: int = 0,
    planned_n: float | None = None,
    confidence_level: float = 0.95,
    rng: int = 0,
) -> ExperimentResult:
    """Compare a change with the old way, when chance decided which rows got it.

    Parameters
    ----------
    data
        Table in any supported engine; a row is a unit, or a task of a unit (then say which).
    variant
        Column that names the arm.
    metrics
        Columns to average; a pair ``(numerator, denominator)`` is a ratio of sums. Proportions are
        means of 0 and 1, counts are means.
    unit
        Column with the id of a row's unit. A unit with several rows is refused, with the call that
        analyses it.
    randomised_by
        Column with the id that was randomised (reviewer, team, user with many tasks): rows of one
        id are one draw, whatever their number.
    covariates
        Metric → column measured before the start, which takes noise away (CUPED). When left out,
        columns named ``pre_<metric>`` are used; ``{}`` uses none. A missing value counts as zero.
    strata
        Columns known before the start; effects are averaged over their values.
    allocation
        Planned share by arm, or ``[(first day, shares), …]`` when it changed (then `time` is
        needed). Equal shares when left out.
    looks
        None or 1 for a single look at the end; ``(this look, looks planned)``; ``"open"`` for a
        report that anyone may read any day; a number of looks that nobody planned.
    control, treatment
        Values of `variant`; the control is otherwise the value named control, else the first in
        order. With more than two arms name the treatment.
    exploratory
        Metrics to look at without claiming.
    guardrails
        Metric → largest acceptable relative change, with its sign: ``{"appeal_rate": 0.05}`` may
        rise by at most 5 %.
    quantiles
        Column → quantile, for example ``{"minutes": 0.9}``; every row of the column comes home.
    segments
        Columns for which effects by value were declared before the start.
    served_by
        Column of the shared capacity (reviewer, vendor), to warn of spillover between arms.
    time, block_hours, washout_hours
        For a switchback (everybody switches by blocks of time): the timestamp column, the length
        of a block, and the hours to leave out after a switch.
    planned_n
        For open-ended looks: units (or groups) at which the interval should be narrowest. Choose
        it before the first look.
    confidence_level
        Of every interval.
    rng
        Seed of the permutation p-value, shown with fewer than 10 groups per arm.

    Returns
    -------
    ExperimentResult
        Tables ``metrics``, ``checks`` and ``segments``.

    Raises
    ------
    SchemaError
        A column is missing, a unit or a block is in both arms, a denominator is negative.
    ParameterError
        Rows are finer than the unit, or an option is not allowed.
    NotEnoughDataError
        Fewer than two arms, fewer than two units or groups in an arm, or a metric that never varies.

    Notes
    -----
    Intervals are per metric; verdicts use the adjusted p-value (Holm for primary metrics,
    Benjamini-Hochberg for exploratory ones). When not to use it: the arms were not drawn by chance
    (see `rcakit.cohorts`), or the change came for everyone on a date (`pre_post`).
    """
    alpha = 1 - check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    wanted = read_metrics(
        metrics,
        exploratory=exploratory,
        guardrails=guardrails,
        covariates=covariates,
        found=frames.columns(data),
    )
    plan = plan_looks(looks, planned_n)
    layout = Layout(
        variant=variant,
        unit=unit,
        cluster=randomised_by,
        strata=check_names(strata, "strata"),
        time=time,
        block_hours=None
        if block_hours is None
        else check_integer(block_hours, "block_hours", ge=1),
        washout_hours=check_integer(washout_hours, "washout_hours", ge=0),
        phases=read_phases(allocation, time),
    )
    columns = check_names(segments, "segments")
    frames.check_columns(
        data, (variant, unit, randomised_by, *layout.strata, time, served_by, *columns)
    )
    layout.check()
    refuse_finer_rows(data, layout)

    raw = ask_cells(data, layout, wanted)
    arms = read_arms(raw[variant].to_list(), control, treatment)
    cells, notes = prepare(raw, layout, arms, wanted)
    contrasts, asides = contrasts_of(data, cells, layout, arms, wanted)
    if layout.design == "switchback":
        notes.append(carry_over(cells, wanted))
    notes += asides
    judge = Judge(plan=plan, alpha=alpha, layout=layout)
    effects = [judge.effect(*pair) for pair in zip(wanted, contrasts, strict=True)]
    effects += quantile_effects(judge, data, quantiles or {}, arms)
    by_segment = [
        effect
        for column in columns
        for effect in segment_effects(judge, data, column, arms, wanted)
    ]
    guard = (
        sample_ratio(raw, layout, arms, allocation, cells),
        *group_checks(cells, layout, wanted, rng),
        plan.check(),
        balance(cells, layout, wanted),
        *([spillover(data, served_by, variant, arms)] if served_by else ()),
        *notes,
    )
    blocked = checks.is_blocked(guard)
    return ExperimentResult(
        design=layout.design,
        effects=with_verdicts(effects, wanted, alpha, blocked=blocked),
        segments=with_segment_verdicts(by_segment, alpha, blocked=blocked),
        checks=guard,
        confidence_level=confidence_level,
        library=frames.library(data),
    )
