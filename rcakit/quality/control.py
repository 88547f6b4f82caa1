"""Is the process in control, and if not, since when?"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.stats import control_limits, run_rules
from rcakit.stats.control_limits import Limits
from rcakit.validation import check_choice, check_number, refusal

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["KINDS", "ControlChartResult", "Kind", "control_chart"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Kind = Literal[
    "auto",
    "xmr",
    "xbar_r",
    "xbar_s",
    "r",
    "s",
    "p",
    "np",
    "c",
    "u",
    "p_prime",
    "u_prime",
    "seasonal",
    "ewma",
    "cusum",
]

KINDS: tuple[str, ...] = (
    "auto",
    "xmr",
    "xbar_r",
    "xbar_s",
    "r",
    "s",
    "p",
    "np",
    "c",
    "u",
    "p_prime",
    "u_prime",
    "seasonal",
    "ewma",
    "cusum",
)
_RULES = tuple(run_rules.RULE_SETS)
_RATES = ("p", "np", "p_prime", "u", "u_prime")
_COUNTS = ("c", "seasonal")

# Fewer baseline subgroups than this give no limits; fewer than 20 give provisional ones
# (Montgomery 2013, p. 235 asks for 20 to 25).
_FEWEST_SUBGROUPS = 6
_ENOUGH_SUBGROUPS = 20
_LARGEST_RANGE_SUBGROUP = 10
_DAYS_FOR_SEASON = 28
# Laney's limits are for subgroups so large that chance hardly moves them; in small ones variation
# beyond chance is a signal to find, not noise to allow for.
_LARGE_SUBGROUP = 20
_FAR = 99.0  # standard errors, where the standard error itself is zero


@dataclass(frozen=True, slots=True)
class ControlChartResult(Result):
    """A control chart: points with limits, and the signals among them.

    Attributes
    ----------
    points, signals
        The rows of the tables of the same name.
    kind
        The chart drawn; never ``auto``.
    why
        Why this kind was chosen, in a sentence.
    rules
        Name of the rule set.
    sigma_z
        How many times the nominal error the rate varies between subgroups; nan for charts without
        a nominal error.
    runs
        Anhøj's runs around the centre of the last phase.
    n_obs
        Cases (or values) behind the chart.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    points: tuple[Record, ...]
    signals: tuple[Record, ...]
    kind: str
    why: str
    rules: str
    sigma_z: float
    runs: run_rules.Anhoej
    n_obs: int
    shift: tuple[float, float, float]
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "points": {
            "subgroup": "Unknown",
            "statistic": "Float64",
            "center": "Float64",
            "lower": "Float64",
            "upper": "Float64",
            "rules": "String",
        },
        "signals": {"rule": "String", "at": "Unknown", "text": "String"},
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``points`` (default) or ``signals``."""
        rows = self.points if self._table(table) == "points" else self.signals
        return [dict(row) for row in rows]

    def findings(self) -> tuple[Finding, ...]:
        """Say whether the process is in control, and where it is not."""
        return (self._verdict(),)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the points with centre and limits; signals stand out by shape and colour."""
        from rcakit.plots import quality

        return quality.control_chart(self.to_records(), title=self.reading(), kind=self.kind)

    def _verdict(self) -> Finding:
        estimate, lower, upper = self.shift
        out = [row for row in self.points if row["rules"]]
        kind: Literal["change", "ruled_out"] = "change" if self.signals else "ruled_out"
        if not self.signals:
            claim = (
                f"The process is in control: none of {wording.plural(len(self.points), 'subgroup')}"
                f" breaks a rule, so single ups and downs need no explanation."
            )
            steps = (
                "Do not explain single points; change the process itself to change the level.",
            )
        else:
            first = self.signals[0]
            claim = (
                f"The process is out of control: {wording.plural(len(out), 'subgroup')} of "
                f"{len(self.points)} signal, first at {wording.visible(wording.day(first['at']))} "
                f"({first['text']})."
            )
            steps = ("Ask what was different when the first signal began.",)
        return Finding(
            claim=claim,
            kind=kind,
            estimate=estimate,
            ci_lower=lower,
            ci_upper=upper,
            unit="units of the chart",
            n_obs=self.n_obs,
            method=f"{self.kind} control chart, {self.rules} rules",
            caveats=self.caveats,
            evidence={"why_this_chart": self.why, "sigma_z": self.sigma_z},
            next_steps=steps,
        )


@dataclass(frozen=True, slots=True)
class _Subgroups:
    """What is charted, in time order: labels, totals, sizes, and spread where rows were seen."""

    label: list[Any]
    phase: list[Any]
    total: Floats
    size: Floats
    n_rows: Floats
    value_range: Floats
    deviation: Floats
    n_missing: int

    @property
    def mean(self) -> Floats:
        return self.total / self.size


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
    _check_combination(kind, value, denominator)
    groups = _subgroups(data, time, value, denominator, phase=phase, every=every, tz=tz, kind=kind)
    baseline = _baseline(groups, freeze_until)
    chosen, why = _choose(kind, groups, value, denominator, baseline)
    options = {"weight": weight, "nsigmas": nsigmas, "shift": shift, "decision": decision}
    points, signals, sigma_z, runs, moved = [], [], math.nan, None, (0.0, 0.0, 0.0)
    for members in _phases(groups.phase):
        inside = baseline[members]
        _check_enough(int(inside.sum()))
        charts, sigma_z = _chart(chosen, _part(groups, members), inside, options)
        rows, found, moved_here = _judge(
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
        caveats=_caveats(chosen, groups, baseline, points, sigma_z),
        library=frames.library(data),
    )


def _check_combination(kind: str, value: str | None, denominator: str | None) -> None:
    """Refuse a chart whose columns were not given."""
    if kind in _RATES and denominator is None:
        raise refusal(
            "denominator",
            f"a column for a {kind} chart",
            denominator,
            "A rate is a count out of something.",
        )
    if denominator is not None and value is None:
        raise refusal("value", "the column of counts out of the denominator", value)
    if kind in {"xmr", "xbar_r", "xbar_s", "r", "s"} and value is None:
        raise refusal("value", f"a column of measurements for a {kind} chart", value)
    if kind in {"xbar_r", "xbar_s", "r", "s", "c"} and denominator is not None:
        raise refusal(
            "denominator",
            f"left out for a {kind} chart",
            denominator,
            "Use 'p', 'u' or their prime charts for rates.",
        )


def _subgroups(
    data: Any,
    time: str,
    value: str | None,
    denominator: str | None,
    *,
    phase: str | None,
    every: str | None,
    tz: str,
    kind: str,
) -> _Subgroups:
    """Reduce the rows to one subgroup per time (or period), where the rows live if possible."""
    import polars as pl

    keys = [phase] if phase else []
    sums = [name for name in (value, denominator) if name is not None]
    frames.check_columns(data, (time, *keys, *sums))
    if value is not None and denominator is None and every is None and kind not in _COUNTS:
        table = _measured(frames.collect(data, [time, *keys, value]), time, value, keys)
    else:
        if every is None:
            table = frames.aggregate(data, keys=[time, *keys], sums=sums, squares=sums[:1])
        else:
            table = frames.aggregate(
                data, keys=keys, time=time, every=every, tz=tz, sums=sums, squares=sums[:1]
            ).rename({"period_start": "__at"})
            table = table.rename({"__at": time} if time not in table.columns else {})
        table = _counted(table, value, denominator, kind)
    lost = int(table.filter(pl.col(time).is_null())["n_rows"].sum())
    table = table.filter(pl.col(time).is_not_null()).sort(time)
    lost += int(table["n_missing"].sum())
    table = table.filter(pl.col("size") > 0)
    labels = [_plain(label) for label in table[time].to_list()]
    if phase is None and len(set(labels)) < len(labels):
        raise SchemaError(f"column {time!r} names a subgroup twice. Give every= to form periods.")
    return _Subgroups(
        label=labels,
        phase=table[phase].to_list() if phase else [None] * table.height,
        n_missing=lost,
        **{
            name: table[name].to_numpy().astype(np.float64)
            for name in ("total", "size", "n_rows", "value_range", "deviation")
        },
    )


def _measured(rows: "pl.DataFrame", time: str, value: str, keys: Sequence[str]) -> "pl.DataFrame":
    """Reduce measurements to number, total, range and standard deviation per subgroup."""
    import polars as pl

    if not (rows[value].dtype.is_numeric() or rows[value].dtype == pl.Boolean):
        raise SchemaError(f"column {value!r} must be numeric, got {rows[value].dtype}.")
    x = pl.col(value).cast(pl.Float64)
    return (
        rows.group_by(time, *keys)
        .agg(
            size=x.count(),
            total=x.sum(),
            n_rows=x.count(),
            n_missing=x.is_null().sum(),
            value_range=x.max() - x.min(),
            deviation=x.std().fill_null(0.0),
        )
        .with_columns(pl.col("value_range").fill_null(0.0))
    )


def _counted(
    table: "pl.DataFrame", value: str | None, denominator: str | None, kind: str
) -> "pl.DataFrame":
    """Name the totals of an aggregate the way the charts read them."""
    import polars as pl

    known = pl.col("n_rows") - pl.col("n_missing")
    total = known.cast(pl.Float64) if value is None else pl.col(value)
    if denominator is not None:
        _check_denominator(table, denominator)
        size = pl.col(denominator)
    elif value is None or kind in _COUNTS:
        size = pl.lit(1.0)
    else:
        size = known.cast(pl.Float64)
    square = pl.lit(0.0) if value is None else pl.col(f"{value}__squared")
    variance = (square - total**2 / known) / (known - 1).clip(1)
    behind = size if denominator is not None else (total if value is None else known)
    return table.with_columns(
        total=total,
        size=size,
        deviation=variance.clip(0).sqrt(),
        value_range=pl.lit(0.0),
        n_rows=behind.cast(pl.Float64),
    )


def _check_denominator(table: "pl.DataFrame", name: str) -> None:
    lowest = float(table[name].to_numpy().min()) if table.height else 0.0
    if lowest < 0:
        raise SchemaError(
            f"column {name!r} must not be negative, got {lowest}. A denominator counts cases."
        )


def _baseline(groups: _Subgroups, freeze_until: Any) -> Flags:
    """Return which subgroups set the limits: all, or those up to the freeze."""
    n = len(groups.label)
    if freeze_until is None:
        return np.ones(n, dtype=np.bool_)
    last = _plain(freeze_until)
    if n and isinstance(groups.label[0], dt.datetime | dt.date) and isinstance(last, str):
        last = dt.datetime.fromisoformat(last)
    try:
        inside = [_comparable(label) <= _comparable(last) for label in groups.label]
    except TypeError:
        raise refusal(
            "freeze_until",
            f"a value like those of the time column, such as {groups.label[0]!r}",
            freeze_until,
        ) from None
    return np.array(inside, dtype=np.bool_)


def _comparable(label: Any) -> Any:
    """Return a label on one scale: dates and times as naive times."""
    if isinstance(label, dt.datetime):
        return label.replace(tzinfo=None)
    return dt.datetime.combine(label, dt.time()) if isinstance(label, dt.date) else label


def _plain(label: Any) -> Any:
    """Return midnight timestamps as dates, so that a day reads as a day."""
    is_day = isinstance(label, dt.datetime) and label.time() == dt.time() and label.tzinfo is None
    return label.date() if is_day else label


def _choose(
    kind: str, groups: _Subgroups, value: str | None, denominator: str | None, baseline: Flags
) -> tuple[str, str]:
    """Return the chart that suits the data, and why."""
    if kind != "auto":
        _check_sizes(kind, groups)
        return kind, "asked for"
    _check_enough(int(baseline.sum()))
    if denominator is not None:
        return _choose_rate(groups, baseline)
    whole = bool(np.all(groups.total == np.round(groups.total)) and np.all(groups.total >= 0))
    if value is None or (whole and np.all(groups.n_rows <= 1) and np.any(groups.total > 1)):
        return _choose_count(groups, baseline)
    if np.all(groups.size < 2):
        return "xmr", "one measurement per subgroup: individuals and moving ranges"
    if np.any(groups.size < 2):
        return "xmr", "some subgroups hold one measurement: subgroup means as individuals"
    if np.all(groups.size <= _LARGEST_RANGE_SUBGROUP) and np.any(groups.value_range > 0):
        return "xbar_r", "several measurements per subgroup, at most ten: means with ranges"
    return "xbar_s", "more than ten measurements per subgroup: means with standard deviations"


def _choose_rate(groups: _Subgroups, baseline: Flags) -> tuple[str, str]:
    inside = _part(groups, np.flatnonzero(baseline))
    whole = np.all(inside.total == np.round(inside.total)) and np.all(
        inside.size == np.round(inside.size)
    )
    is_share = bool(whole and np.all(inside.total <= inside.size))
    all_in = np.ones(inside.size.shape, dtype=np.bool_)
    limits = (control_limits.p_limits if is_share else control_limits.u_limits)(
        inside.total, inside.size, all_in
    )
    if not np.all(limits.sigma > 0):
        return ("p" if is_share else "u"), "every subgroup has the same rate"
    ratio, pvalue = control_limits.dispersion(limits.statistic, limits.center, limits.sigma)
    sigma_z = control_limits.laney_sigma_z(limits.statistic, limits.center, limits.sigma)
    plain, what = ("p", "a share of cases") if is_share else ("u", "events per unit")
    expected = float(np.mean(inside.size)) * float(limits.center[0])
    if pvalue < 0.01 and sigma_z > 1.1 and expected >= _LARGE_SUBGROUP:
        return f"{plain}_prime", (
            f"{what}, varying {sigma_z:.1f} times as much as chance from one subgroup to the next "
            f"(dispersion {ratio:.1f}): plain {plain} limits would call most points signals"
        )
    return plain, f"{what}, varying no more than chance (dispersion {ratio:.1f})"


def _choose_count(groups: _Subgroups, baseline: Flags) -> tuple[str, str]:
    count = groups.total[baseline]
    mean = float(np.mean(count))
    if mean == 0:
        return "c", "counts, all zero"
    weekly = _weekday_share(groups, baseline)
    if weekly is not None and weekly < 0.001:
        return "seasonal", "daily counts with a weekday pattern: limits follow the weekday"
    pvalue = control_limits.dispersion(
        count, np.full(count.shape, mean), np.sqrt(np.full(count.shape, mean))
    )[1]
    if pvalue < 0.01:
        return "xmr", "counts that vary more than chance: individuals and moving ranges"
    return "c", "counts that vary no more than chance"


def _weekday_share(groups: _Subgroups, baseline: Flags) -> float | None:
    """Return the p-value of "all weekdays alike"; None where days are too few or no days."""
    from scipy import stats

    days = [groups.label[i] for i in np.flatnonzero(baseline)]
    if len(days) < _DAYS_FOR_SEASON or not all(isinstance(day, dt.date) for day in days):
        return None
    weekday = np.array([day.weekday() for day in days])
    if len(np.unique(weekday)) < 2:
        return None
    rate = np.sqrt(groups.total[baseline])
    parts = [rate[weekday == day] for day in np.unique(weekday)]
    if np.ptp(rate) == 0:
        return None
    return float(stats.kruskal(*parts).pvalue)


def _check_sizes(kind: str, groups: _Subgroups) -> None:
    if kind in {"xbar_r", "xbar_s", "r", "s"} and np.any(groups.size < 2):
        raise NotEnoughDataError(
            f"a {kind} chart needs at least two measurements in every subgroup, got one. "
            "Use kind='xmr' for single measurements."
        )
    if kind in {"xbar_r", "r"} and not np.any(groups.value_range > 0):
        raise NotEnoughDataError(
            f"a {kind} chart needs ranges above zero; all measurements of each subgroup are equal "
            "or were reduced by every=. Use kind='xbar_s' or kind='xmr'."
        )
    if kind == "np" and np.ptp(groups.size) > 0:
        raise refusal("kind", "'p' when subgroups differ in size", kind)
    if kind == "seasonal" and not all(isinstance(day, dt.date) for day in groups.label):
        raise refusal("kind", "a chart other than 'seasonal' unless time holds days", kind)


def _check_enough(n_subgroups: int) -> None:
    if n_subgroups < _FEWEST_SUBGROUPS:
        raise NotEnoughDataError(
            f"control limits need at least {_FEWEST_SUBGROUPS} baseline subgroups, got "
            f"{n_subgroups}. Use a shorter period with every=, or more history."
        )


def _phases(labels: Sequence[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the positions of each phase, phases in order of first appearance."""
    return [
        np.array([i for i, label in enumerate(labels) if label == name], dtype=np.int64)
        for name in dict.fromkeys(labels)
    ]


def _part(groups: _Subgroups, members: npt.NDArray[np.int64]) -> _Subgroups:
    return _Subgroups(
        label=[groups.label[i] for i in members],
        phase=[groups.phase[i] for i in members],
        total=groups.total[members],
        size=groups.size[members],
        n_rows=groups.n_rows[members],
        value_range=groups.value_range[members],
        deviation=groups.deviation[members],
        n_missing=groups.n_missing,
    )


def _chart(
    kind: str, groups: _Subgroups, baseline: Flags, options: Mapping[str, float]
) -> tuple[list[Limits], float]:
    """Return the chart (two for cusum), and how much more than chance the rate varies."""
    total, size = groups.total, groups.size
    if kind in {"p", "np", "p_prime", "u", "u_prime", "c"}:
        return _attribute_chart(kind, total, size, baseline)
    if kind == "seasonal":
        return [_seasonal_chart(groups, baseline)], math.nan
    if kind in {"r", "xbar_r"}:
        if kind == "r":
            return [control_limits.r_limits(groups.value_range, size, baseline)], math.nan
        return [
            control_limits.xbar_limits(groups.mean, groups.value_range, size, baseline)
        ], math.nan
    if kind == "s":
        return [control_limits.s_limits(groups.deviation, size, baseline)], math.nan
    if kind == "xbar_s":
        by = "deviation"
        return [
            control_limits.xbar_limits(groups.mean, groups.deviation, size, baseline, by=by)
        ], math.nan
    plain = _measurement_chart(groups, baseline)
    if kind == "xmr":
        return [plain], math.nan
    if kind == "ewma":
        return [
            control_limits.ewma(
                plain.statistic,
                float(plain.center[0]),
                plain.sigma,
                weight=options["weight"],
                nsigmas=options["nsigmas"],
            )
        ], math.nan
    z = _positions(plain)
    return list(
        control_limits.cusum(z, shift=options["shift"], decision=options["decision"])
    ), math.nan


def _attribute_chart(
    kind: str, total: Floats, size: Floats, baseline: Flags
) -> tuple[list[Limits], float]:
    if kind == "c":
        return [control_limits.c_limits(total, baseline)], math.nan
    if kind == "np":
        return [control_limits.np_limits(total, size, baseline)], math.nan
    is_share = kind.startswith("p")
    if is_share and np.any(total > size):
        raise refusal("kind", "'u' or 'u_prime' when a count exceeds its denominator", kind)
    plain = (control_limits.p_limits if is_share else control_limits.u_limits)(
        total, size, baseline
    )
    inside = plain.sigma[baseline]
    sigma_z = (
        control_limits.laney_sigma_z(plain.statistic[baseline], plain.center[baseline], inside)
        if np.all(inside > 0)
        else math.nan
    )
    if not kind.endswith("prime") or math.isnan(sigma_z):
        return [plain], sigma_z
    ceiling = 1.0 if is_share else None
    return [control_limits.laney_limits(plain, baseline, ceiling=ceiling)], sigma_z


def _seasonal_chart(groups: _Subgroups, baseline: Flags) -> Limits:
    """Return limits that follow the weekday, with positions from negative binomial scores."""
    weekday = np.array([day.weekday() for day in groups.label])
    scores, expected, alpha = control_limits.negative_binomial_scores(
        groups.total, groups.size, weekday, baseline
    )
    lower, upper = control_limits.negative_binomial_limits(expected, alpha)
    rate = groups.total / groups.size
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(scores != 0, (rate - expected / groups.size) / scores, 1.0)
    return Limits(
        rate, expected / groups.size, lower / groups.size, upper / groups.size, np.abs(sigma)
    )


def _measurement_chart(groups: _Subgroups, baseline: Flags) -> Limits:
    """Return the chart of means behind ewma and cusum: within-subgroup error where there is one."""
    if np.all(groups.size > 1) and np.any(groups.value_range > 0):
        if np.all(groups.size <= _LARGEST_RANGE_SUBGROUP):
            return control_limits.xbar_limits(
                groups.mean, groups.value_range, groups.size, baseline
            )
        return control_limits.xbar_limits(
            groups.mean, groups.deviation, groups.size, baseline, by="deviation"
        )
    return control_limits.individuals(groups.mean, baseline)


def _positions(limits: Limits) -> Floats:
    """Return the distance from the centre in standard errors, also where the error is zero."""
    gap = limits.statistic - limits.center
    known = limits.sigma > 0
    z = np.where(np.abs(gap) > 1e-12 * (1 + np.abs(limits.center)), np.sign(gap) * _FAR, 0.0)
    z[known] = gap[known] / limits.sigma[known]
    return z


def _judge(
    charts: list[Limits], labels: list[Any], rules: str, kind: str, baseline: Flags
) -> tuple[list[Record], list[Record], tuple[float, float, float]]:
    """Return the points with the rules each breaks, the signals, and the shift they show."""
    found: dict[int, list[tuple[str, str]]] = {}
    # smoothed and cumulated points follow each other, so runs of them are no evidence
    applied = "limits" if kind in {"ewma", "cusum"} else rules
    for limits in charts:
        z = _positions(limits)
        for rule in run_rules.RULE_SETS[applied]:
            for i in np.flatnonzero(run_rules.apply_rules(z, applied)[rule.name]):
                found.setdefault(int(i), []).append((rule.name, rule.text))
    main = charts[0]
    if len(charts) > 1:
        larger = np.abs(charts[1].statistic) > np.abs(main.statistic)
        main = Limits(
            np.where(larger, charts[1].statistic, main.statistic),
            main.center,
            main.lower,
            main.upper,
            main.sigma,
        )
    if rules == "anhoej" and kind not in {"ewma", "cusum"}:
        runs = run_rules.anhoej(main.statistic, main.center)
        if runs.is_signal:
            text = (
                f"longest run {runs.longest_run} (at most {runs.longest_run_max}), "
                f"{runs.crossings} crossings (at least {runs.crossings_min})"
            )
            found.setdefault(len(labels) - 1, []).append(("anhoej", text))
    points = [
        {
            "subgroup": label,
            "statistic": float(main.statistic[i]),
            "center": float(main.center[i]),
            "lower": float(main.lower[i]),
            "upper": float(main.upper[i]),
            "rules": "; ".join(dict.fromkeys(name for name, _ in found.get(i, ()))),
        }
        for i, label in enumerate(labels)
    ]
    signals = [
        {"rule": name, "at": labels[i], "text": text}
        for i in sorted(found)
        for name, text in dict.fromkeys(found[i])
    ]
    return points, signals, _shift(main, sorted(found), baseline)


def _shift(limits: Limits, out: list[int], baseline: Flags) -> tuple[float, float, float]:
    """Return how far signalling points lie from the centre; without one, how far the end drifted."""
    gap = limits.statistic - limits.center
    scatter = float(np.std(gap[baseline], ddof=1))
    if out:
        estimate = float(np.mean(gap[out]))
        half = 1.96 * scatter / math.sqrt(len(out))
    else:
        middle = gap.size // 2
        estimate = float(np.mean(gap[middle:]) - np.mean(gap[:middle]))
        half = 1.96 * scatter * math.sqrt(1 / middle + 1 / (gap.size - middle))
    return estimate, estimate - half, estimate + half


def _caveats(
    kind: str, groups: _Subgroups, baseline: Flags, points: list[Record], sigma_z: float
) -> tuple[str, ...]:
    sentences = []
    n_baseline = int(baseline.sum())
    if n_baseline < _ENOUGH_SUBGROUPS:
        sentences.append(
            f"Limits rest on {n_baseline} subgroups and are provisional; 20 or more are better."
        )
    if groups.n_missing:
        sentences.append(
            f"{wording.plural(groups.n_missing, 'row')} without time or value "
            "did not enter the chart."
        )
    if all(point["upper"] == point["lower"] for point in points):
        sentences.append(
            "The baseline does not vary at all: check that the data are measured anew."
        )
    if kind in {"p", "u"} and sigma_z > 1.5:
        sentences.append(
            f"The rate varies {sigma_z:.1f} times as much as chance: use kind='{kind}_prime'."
        )
    if kind in {"p_prime", "u_prime"} and sigma_z < 0.8:
        sentences.append("The rate varies less than chance: the same cases may be counted twice.")
    return tuple(sentences)
