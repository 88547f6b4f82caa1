"""How long do cohorts wait, when some cases are still open?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit import frames, wording
from rcakit.cohorts.covariates import encode
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats import survival
from rcakit.stats.proportions import normal_quantile
from rcakit.validation import check_integer, check_names, check_number, refusal, shown

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["SurvivalResult", "time_to_event"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SHOWN_STEPS = 400
_FEWEST_EVENTS = 5


@dataclass(frozen=True, slots=True)
class SurvivalResult(Result):
    """Time to an event per cohort, open cases counted as open.

    Attributes
    ----------
    cohorts, curves, hazards
        The rows of the tables.
    pvalue
        Log-rank test of "all cohorts take equally long".
    statistic
        Its chi-square.
    concordance
        Share of pairs of cases that the Cox model puts in the right order; nan without a model.
    horizon
        Time up to which the restricted mean looks.
    sla
        Hours (or whatever unit) of the target; None when not asked.
    unit
        Unit of the durations.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    cohorts: tuple[Record, ...]
    curves: tuple[Record, ...]
    hazards: tuple[Record, ...]
    pvalue: float
    statistic: float
    concordance: float
    horizon: float
    sla: float | None
    unit: str
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "cohorts": {
            "cohort": "String",
            "n_obs": "Int64",
            "n_events": "Int64",
            "median": "Float64",
            "median_ci_lower": "Float64",
            "median_ci_upper": "Float64",
            "restricted_mean": "Float64",
            "restricted_mean_ci_lower": "Float64",
            "restricted_mean_ci_upper": "Float64",
            "attainment": "Float64",
            "attainment_ci_lower": "Float64",
            "attainment_ci_upper": "Float64",
        },
        "curves": {
            "cohort": "String",
            "at": "Float64",
            "n_at_risk": "Int64",
            "n_events": "Int64",
            "survival": "Float64",
            "survival_ci_lower": "Float64",
            "survival_ci_upper": "Float64",
        },
        "hazards": {
            "term": "String",
            "log_hazard_ratio": "Float64",
            "standard_error": "Float64",
            "hazard_ratio": "Float64",
            "hazard_ratio_ci_lower": "Float64",
            "hazard_ratio_ci_upper": "Float64",
            "pvalue": "Float64",
        },
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``cohorts`` (default), ``curves`` or ``hazards``."""
        return [dict(row) for row in getattr(self, self._table(table))]

    def findings(self) -> tuple[Finding, ...]:
        """Say how long cohorts wait compared with the reference, and how many meet the target."""
        known = [row for row in self.cohorts if not math.isnan(row["restricted_mean"])]
        found = sorted((self._compared(row, known[0]) for row in known[1:]), key=_clearest_first)
        if self.sla is not None:
            found += [self._attainment(row) for row in known if not math.isnan(row["attainment"])]
        return tuple(found) or (
            withheld(
                "difference",
                "How long cohorts wait cannot be compared.",
                why="fewer than two cohorts have enough cases",
                unit=self.unit,
                method="Kaplan–Meier",
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the share still open over time, with bands."""
        from rcakit.plots import cohorts

        return cohorts.survival(
            self.to_records("curves"), title=self.reading(), unit=self.unit, sla=self.sla
        )

    def _compared(self, row: Record, reference: Record) -> Finding:
        effect = row["restricted_mean"] - reference["restricted_mean"]
        half = math.hypot(
            *(
                (r["restricted_mean_ci_upper"] - r["restricted_mean_ci_lower"]) / 2
                for r in (row, reference)
            )
        )
        low, high = effect - half, effect + half
        same = low <= 0 <= high
        who, other = wording.visible(row["cohort"]), wording.visible(reference["cohort"])
        numbers = f"{wording.amount(effect, signed=True)} {self.unit} ({wording.interval(low, high, signed=True)})"
        claim = (
            f"No difference in waiting between {who} and {other} can be shown: {numbers} within "
            f"{wording.amount(self.horizon)} {self.unit}."
            if same
            else f"{who} waits {'longer' if effect > 0 else 'shorter'} than {other}: {numbers} on average "
            f"within {wording.amount(self.horizon)} {self.unit}, open cases counted as open."
        )
        return Finding(
            claim=claim,
            kind="difference",
            estimate=effect,
            ci_lower=low,
            ci_upper=high,
            unit=self.unit,
            n_obs=row["n_obs"] + reference["n_obs"],
            method="restricted mean of Kaplan–Meier curves",
            caveats=self.caveats,
            segment={"cohort": row["cohort"]},
            evidence={"log_rank_pvalue": self.pvalue},
        )

    def _attainment(self, row: Record) -> Finding:
        return Finding(
            claim=(
                f"{wording.percent(row['attainment'])} of {wording.visible(row['cohort'])} is done "
                f"within {wording.amount(self.sla)} {self.unit} "
                f"({wording.percent(row['attainment_ci_lower'])} to "
                f"{wording.percent(row['attainment_ci_upper'])})."
            ),
            kind="measurement",
            estimate=row["attainment"],
            ci_lower=row["attainment_ci_lower"],
            ci_upper=row["attainment_ci_upper"],
            unit="share of cases",
            n_obs=row["n_obs"],
            method="Kaplan–Meier at the target",
            caveats=self.caveats,
            segment={"cohort": row["cohort"]},
        )


def time_to_event(
    data: Any,
    *,
    cohort: str | None = None,
    duration: str,
    observed: str,
    reference: Any = None,
    adjust_for: str | Sequence[str] = (),
    sla: float | None = None,
    horizon: float | None = None,
    unit: str = "hours",
    min_cell: int = 10,
    confidence_level: float = 0.95,
) -> SurvivalResult:
    """How long until action, resolution or relapse, with open cases counted as open?

    Parameters
    ----------
    data
        Table with one row per case, in any supported engine.
    cohort
        Column of the cohorts; left out, all cases are one.
    duration
        Column of the time until the event, or until now for open cases.
    observed
        0/1 or boolean column: has the event happened?
    reference
        Cohort to compare with; the largest when left out.
    adjust_for
        Covariates of a Cox model, whose hazard ratios are in the table ``hazards``.
    sla
        Target time; the table then says what share is done by then.
    horizon
        Time up to which mean waits are compared; by default as far as every cohort was seen.
    unit
        Unit of the durations, for words and axes.
    min_cell
        Cohorts with fewer cases are not shown.
    confidence_level
        Of the intervals.

    Returns
    -------
    SurvivalResult
        Tables ``cohorts`` (median, restricted mean, attainment), ``curves`` and ``hazards``.

    Raises
    ------
    NotEnoughDataError
        No case ended, or no cohort is large enough.
    SchemaError
        A negative duration, or ``observed`` is not 0/1.

    Notes
    -----
    Leaving open cases out makes every recent period look fast. What is assumed instead: open
    cases will take as long as those that ended, at equal age. Cases withdrawn because they were
    hard break that. Cox assumes that hazards stay proportional; curves that cross say it fails.

    References
    ----------
    Klein and Moeschberger (2003), Survival Analysis, 2nd ed., p. 92-206; Cox (1972), J. R. Stat.
    Soc. B 34, p. 187, ties as Efron (1977), JASA 72, p. 557.

    Examples
    --------
    >>> import polars as pl, rcakit.cohorts as cohorts
    >>> cases = pl.DataFrame({"queue": ["a", "b"] * 20, "hours": range(1, 41), "is_closed": [1] * 40})
    >>> found = cohorts.time_to_event(cases, cohort="queue", duration="hours", observed="is_closed")
    >>> found.to_records()[0]["median"]
    19.0
    """
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_integer(min_cell, "min_cell", ge=2)
    if sla is not None:
        check_number(sla, "sla", gt=0)
    if horizon is not None:
        check_number(horizon, "horizon", gt=0)
    covariates = check_names(adjust_for, "adjust_for")
    rows, caveats = _cases(data, cohort, duration, observed, covariates)
    time = rows[duration].to_numpy()
    ended = rows[observed].to_numpy().astype(np.bool_)
    label = rows["__cohort"].to_numpy()
    names, small = _ordered_cohorts(rows, reference, min_cell)
    if small:
        caveats.append(
            f"{wording.plural(len(small), 'cohort')} with fewer than {min_cell} cases "
            "are not shown."
        )
    if not ended.any():
        raise NotEnoughDataError(
            f"no case has ended: column {observed!r} is 0 throughout. Wait, or check the column."
        )
    members = {name: label == name for name in names}
    seen_until = min(float(time[at].max()) for at in members.values())
    limit = seen_until if horizon is None else min(horizon, seen_until)
    curves = {name: survival.kaplan_meier(time[at], ended[at]) for name, at in members.items()}
    table = tuple(
        _summary(name, curve, int(members[name].sum()), limit, sla, confidence_level)
        for name, curve in curves.items()
    )
    caveats += _beyond(table, horizon, seen_until, sla, unit)
    kept = np.isin(label, names)
    group = np.array([names.index(name) for name in label[kept]], dtype=np.int64)
    statistic, _, pvalue = (
        survival.log_rank(time[kept], ended[kept], group)
        if len(names) > 1
        else (math.nan, 0, math.nan)
    )
    hazards, concordance, said = _hazards(
        rows.filter(kept), names, time[kept], ended[kept], covariates, confidence_level, min_cell
    )
    return SurvivalResult(
        cohorts=table,
        curves=tuple(
            row for name, curve in curves.items() for row in _steps(name, curve, confidence_level)
        ),
        hazards=hazards,
        pvalue=pvalue,
        statistic=statistic,
        concordance=concordance,
        horizon=limit,
        sla=sla,
        unit=unit,
        caveats=tuple(caveats + said),
        library=frames.library(data),
    )


def _cases(
    data: Any, cohort: str | None, duration: str, observed: str, covariates: tuple[str, ...]
) -> tuple["pl.DataFrame", list[str]]:
    """Bring the cases home: cohort as text, durations as floats, 0/1 events."""
    import polars as pl

    rows = frames.collect(data, [*([cohort] if cohort else []), duration, observed, *covariates])
    name = pl.col(cohort).cast(pl.String) if cohort else pl.lit("all")
    frames.check_finite(rows, (duration, *covariates))
    if not rows[duration].dtype.is_numeric():
        raise SchemaError(
            f"column {duration!r} must hold numbers, got {rows[duration].dtype}. Subtract the times "
            "first, for example in hours."
        )
    values = set(rows[observed].drop_nulls().unique().to_list())
    if not values <= {0, 1}:
        raise SchemaError(
            f"column {observed!r} must hold 0 and 1, got {shown(sorted(values, key=str)[:4])}."
        )
    known = rows.with_columns(
        name.alias("__cohort"), pl.col(duration).cast(pl.Float64), pl.col(observed).cast(pl.Int64)
    ).drop_nulls(["__cohort", duration, observed])
    if known.height == 0:
        raise NotEnoughDataError("no case has cohort, duration and event together.")
    shortest = float(known[duration].to_numpy().min())
    if shortest < 0:
        raise SchemaError(
            f"column {duration!r} must not be negative, got {shortest}. "
            "An end before its start is a data error: correct or drop those rows."
        )
    lost = rows.height - known.height
    said = [f"{wording.plural(lost, 'row')} without cohort, duration or event did not count."]
    return known, said if lost else []


def _clearest_first(finding: Finding) -> float:
    """Order differences by how far they lie from none, in widths of their interval."""
    if math.isnan(finding.estimate) or finding.ci_upper <= finding.ci_lower:
        return 0.0
    return -abs(finding.estimate) / (finding.ci_upper - finding.ci_lower)


def _beyond(
    table: Sequence[Record],
    horizon: float | None,
    seen_until: float,
    sla: float | None,
    unit: str,
) -> list[str]:
    """Say which times asked about lie beyond what was seen."""
    said = []
    if horizon is not None and horizon > seen_until:
        said.append(
            f"No cohort was seen for {wording.amount(horizon)} {unit} throughout: waits are compared "
            f"within {wording.amount(seen_until)} {unit}, as far as every cohort was seen."
        )
    short = [
        wording.visible(row["cohort"])
        for row in table
        if sla is not None and math.isnan(row["attainment"])
    ]
    if short:
        said.append(
            f"Whether {', '.join(short)} met the target is not known yet: no case was followed for "
            f"{wording.amount(sla)} {unit}."
        )
    return said


def _ordered_cohorts(
    rows: "pl.DataFrame", reference: Any, min_cell: int
) -> tuple[list[str], list[str]]:
    """Return the cohorts that are large enough, the reference first, and the small ones."""
    counted = (
        rows["__cohort"]
        .value_counts(name="__n")
        .sort(["__n", "__cohort"], descending=[True, False])
    )
    names = counted["__cohort"].to_list()
    small = counted.filter(counted["__n"] < min_cell)["__cohort"].to_list()
    large = [name for name in names if name not in set(small)]
    if not large:
        raise NotEnoughDataError(
            f"every cohort has fewer than {min_cell} cases; the largest is {names[0]!r}. Use a "
            "longer period."
        )
    first = large[0] if reference is None else str(reference)
    if first not in large:
        raise refusal("reference", f"one of the cohorts {sorted(large)[:10]}", reference)
    return [first, *sorted(name for name in large if name != first)], small


def _summary(
    name: str, curve: survival.Curve, n_obs: int, horizon: float, sla: float | None, level: float
) -> Record:
    median, low, high = (
        survival.quantile(curve, 0.5, confidence_level=level)
        if curve.at.size
        else (math.nan, math.nan, math.nan)
    )
    mean, error = survival.restricted_mean(curve, horizon)
    half = normal_quantile(level) * error
    done = (math.nan,) * 3
    if sla is not None:
        left, left_low, left_high = survival.at_time(curve, sla, confidence_level=level)
        done = (1 - float(left[0]), 1 - float(left_high[0]), 1 - float(left_low[0]))
    return {
        "cohort": name,
        "n_obs": n_obs,
        "n_events": int(curve.n_events.sum()),
        "median": median,
        "median_ci_lower": low,
        "median_ci_upper": high,
        "restricted_mean": mean,
        "restricted_mean_ci_lower": mean - half,
        "restricted_mean_ci_upper": mean + half,
        "attainment": done[0],
        "attainment_ci_lower": done[1],
        "attainment_ci_upper": done[2],
    }


def _steps(name: str, curve: survival.Curve, level: float) -> list[Record]:
    """Return the curve as rows, thinned evenly when it has very many steps."""
    stride = max(1, math.ceil(curve.at.size / _SHOWN_STEPS))
    shown_at = np.unique(np.r_[np.arange(0, curve.at.size, stride), max(curve.at.size - 1, 0)])
    if curve.at.size == 0:
        return []
    left, low, high = survival.at_time(curve, curve.at[shown_at], confidence_level=level)
    return [
        {
            "cohort": name,
            "at": float(curve.at[i]),
            "n_at_risk": int(curve.n_at_risk[i]),
            "n_events": int(curve.n_events[i]),
            "survival": float(left[k]),
            "survival_ci_lower": float(low[k]),
            "survival_ci_upper": float(high[k]),
        }
        for k, i in enumerate(shown_at)
    ]


def _hazards(
    rows: "pl.DataFrame",
    names: list[str],
    time: Floats,
    ended: Flags,
    covariates: tuple[str, ...],
    level: float,
    min_cell: int,
) -> tuple[tuple[Record, ...], float, list[str]]:
    """Fit a Cox model of cohorts and covariates; none when events are too few."""
    label = rows["__cohort"].to_numpy()
    terms = [(f"cohort: {name}", (label == name).astype(np.float64)) for name in names[1:]]
    said: list[str] = []
    if covariates:
        encoded = encode(rows, covariates, min_cell=min_cell)
        said += list(encoded.caveats)
        terms += [
            (covariate if part is None else f"{covariate}: {part}", encoded.columns[:, i])
            for i, (covariate, part) in enumerate(encoded.names)
            if not encoded.is_base[i]
        ]
    terms = [(term, values) for term, values in terms if np.ptp(values) > 0]
    if not terms:
        return (), math.nan, said
    if ended.sum() < _FEWEST_EVENTS * len(terms):
        return (
            (),
            math.nan,
            [*said, f"Only {int(ended.sum())} events for {len(terms)} terms: no Cox model."],
        )
    columns = np.column_stack([values for _, values in terms])
    slopes, errors = survival.cox(time, ended, columns)
    if np.isnan(slopes).any():
        return (
            (),
            math.nan,
            [
                *said,
                (
                    "The Cox model has no finite answer: in some cohort or level "
                    "nothing ended, or everything did at once."
                ),
            ],
        )
    z = normal_quantile(level)
    return (
        tuple(
            {
                "term": term,
                "log_hazard_ratio": float(slope),
                "standard_error": float(error),
                "hazard_ratio": math.exp(min(slope, 700)),
                "hazard_ratio_ci_lower": math.exp(min(slope - z * error, 700)),
                "hazard_ratio_ci_upper": math.exp(min(slope + z * error, 700)),
                "pvalue": float(2 * special.ndtr(-abs(slope / error))),
            }
            for (term, _), slope, error in zip(terms, slopes, errors, strict=True)
        ),
        survival.concordance(time, ended, columns @ slopes),
        said,
    )
