"""Is the process in control, and if not, since when?"""

import math
from typing import Any

import numpy as np

from rcakit import frames
from rcakit.quality.chart_kinds import KINDS, Kind, check_combination, choose
from rcakit.quality.chart_limits import chart_of
from rcakit.quality.chart_result import ControlChartResult
from rcakit.quality.chart_signals import caveats_of, judge
from rcakit.quality.subgroups import baseline_of, check_enough, part, phases, read_subgroups
from rcakit.stats import run_rules
from rcakit.validation import check_choice, check_number

__all__ = ["KINDS", "ControlChartResult", "Kind", "control_chart"]

_RULES = tuple(run_rules.RULE_SETS)


def control_chart(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    denominator: str | None = None,
    kind: Kind = "auto",
    rules: str = "western_electric",
    phase: str | None = None,
    freeze_until: Any = None,
    every: str | None = None,
    tz: str = "UTC",
    weight: float = 0.2,
    nsigmas: float = 3.0,
    shift: float = 1.0,
    decision: float = 5.0,
) -> ControlChartResult:
    """Is the process in control, and which points are signals?

    Parameters
    ----------
    data
        Table in any supported engine.
    time
        Column that orders the subgroups: times, dates or sample numbers. Rows with the same value
        form a subgroup, unless ``every`` sets calendar periods.
    value
        Count or measurement; left out, rows are counted.
    denominator
        What the count is out of (decisions, hours). Rates are ratios of sums.
    kind
        ``auto`` chooses from the data and says why: ``xmr``, ``xbar_r`` or ``xbar_s`` for
        measurements, ``p`` or ``u`` for rates and ``p_prime`` or ``u_prime`` when they vary more
        than chance, ``c`` for counts, ``seasonal`` for daily counts with a weekday pattern. On
        request ``r``, ``s``, ``np``, ``ewma`` and ``cusum``.
    rules
        ``western_electric``, ``nelson``, ``anhoej`` (limits plus runs around the centre) or
        ``limits``.
    phase
        Column that names the phase; each phase has limits of its own.
    freeze_until
        Last subgroup of the baseline. Later subgroups are judged against its limits.
    every
        Calendar period of a subgroup: ``1h``, ``1d``, ``1w`` or ``1mo``.
    tz
        Time zone of the periods.
    weight, nsigmas
        Of ``ewma``: weight of the newest point, width of the limits in standard errors.
    shift, decision
        Of ``cusum``: shift worth finding and decision interval, in standard errors.

    Returns
    -------
    ControlChartResult
        Tables ``points`` and ``signals``.

    Raises
    ------
    ParameterError
        An option is not one of those named.
    SchemaError
        A column is missing or not numeric, a denominator is not positive.
    NotEnoughDataError
        Fewer than 6 baseline subgroups.

    Notes
    -----
    Limits describe the process, they are no target. Plain p and u limits assume that only chance
    moves a rate; with thousands of decisions a subgroup that is never so, and most points signal:
    use p' and u' there (Laney 2002). Daily counts with a weekly rhythm need ``seasonal``. Points
    that depend on the day before (backlogs) break the rules of any chart.

    References
    ----------
    Montgomery (2013), Introduction to Statistical Quality Control, 7th ed.; Laney (2002), Quality
    Engineering 14, p. 531; Anhøj and Olesen (2014), PLoS ONE 9, e113825.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> juice = pl.DataFrame({"sample": range(8), "bad": [12, 15, 8, 10, 4, 7, 16, 9], "n": 50})
    >>> chart = quality.control_chart(juice, time="sample", value="bad", denominator="n")
    >>> chart.kind
    'p'
    """
    check_choice(kind, "kind", KINDS)
    check_choice(rules, "rules", _RULES)
    check_number(weight, "weight", gt=0, le=1, hint="0.2 weighs the last ten points most.")
    check_number(nsigmas, "nsigmas", gt=0)
    check_number(shift, "shift", gt=0)
    check_number(decision, "decision", gt=0)
    check_combination(kind, value, denominator)
    groups = read_subgroups(
        data, time, value, denominator, phase=phase, every=every, tz=tz, kind=kind
    )
    baseline = baseline_of(groups, freeze_until)
    chosen, why = choose(kind, groups, value, denominator, baseline)
    options = {"weight": weight, "nsigmas": nsigmas, "shift": shift, "decision": decision}
    points, signals, sigma_z, runs, moved = [], [], math.nan, None, (0.0, 0.0, 0.0)
    for members in phases(groups.phase):
        inside = baseline[members]
        check_enough(int(inside.sum()))
        charts, sigma_z = chart_of(chosen, part(groups, members), inside, options)
        rows, found, moved_here = judge(
            charts, [groups.label[i] for i in members], rules, chosen, inside
        )
        points += rows
        signals += found
        runs = run_rules.anhoej(charts[0].statistic, charts[0].center)
        moved = moved_here if found or not signals else moved
    assert_runs = runs or run_rules.Anhoej(0, 0, 0, 0)
    return ControlChartResult(
        points=tuple(points),
        signals=tuple(signals),
        kind=chosen,
        why=why,
        rules=rules,
        sigma_z=sigma_z,
        runs=assert_runs,
        n_obs=int(np.sum(groups.n_rows)),
        shift=moved,
        caveats=caveats_of(chosen, groups, baseline, sigma_z),
        library=frames.library(data),
    )
