"""SpikeResult: every day with what was expected, and the incidents."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.spikes.grid import ALL
from rcakit.spikes.incidents import Incident
from rcakit.spikes.state import State
from rcakit.validation import check_period

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["HourlySpikeResult", "SpikeResult"]

Floats = NDArray[np.float64]
Period = dt.date | dt.datetime

_METHODS = {
    "count": "Gamma-Poisson filter, negative binomial tails over 1, 2 and 5 periods",
    "rate": "Gamma-Poisson filter, beta-binomial tails over 1, 2 and 5 periods",
    "amount": "Gamma-Poisson filter of amounts in usual rows, tails over 1, 2 and 5 periods",
    "gauge": "random walk with weekday drift, Student tails of changes over 1, 2 and 5 periods",
    "regression": "robust quasi-Poisson regression, negative binomial tails over 1 and 2 periods",
}
_SEASON = "Less than two years came before it: a season of the year cannot be told from a change."
_TWO_YEARS = 730
_PANELS = 12
_NAMED = 5
_STEPS = {"1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}
_NOUN = {
    "spike": "a spike",
    "drop": "a drop",
    "level_shift_up": "a rise to a new level",
    "level_shift_down": "a fall to a new level",
}


@dataclass(frozen=True, slots=True, eq=False)
class SpikeResult(Result):
    """Days with their expectation, and incidents.

    Attributes
    ----------
    keys, series, days
        Key columns, key values of each series, and the periods.
    observed, expected, expected_lower, expected_upper, pvalue, qvalue, completeness
        Shape (n_series, n_periods). Expected is made from the periods before; nan in the first two
        weeks. Where rows arrive late it is what should have arrived by now.
    is_anomalous
        Same shape.
    incidents
        Strongest first.
    alpha
        Share of false alarms among all alarms.
    unit
        What is counted.
    family
        ``count``, ``rate``, ``amount`` or ``gauge``.
    every
        Length of a period.
    false_alarms_per_week
        Expected over all series; per period for weeks and months.
    caveats
        What a reader must know about these data.
    state
        Where the filters stood, for `detect(…, state=)`; None for weeks and months and short series.
    focus
        The days that the findings speak of; all days when None.
    confidence_level
        Of the prediction intervals and of the interval of an excess.
    n_series
        Series that were judged, where these are only the ones with an incident; else None.
    """

    keys: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...]
    days: tuple[Period, ...]
    observed: Floats
    expected: Floats
    expected_lower: Floats
    expected_upper: Floats
    pvalue: Floats
    qvalue: Floats
    is_anomalous: NDArray[np.bool_]
    completeness: Floats
    incidents: tuple[Incident, ...]
    alpha: float
    unit: str
    library: frames.Library
    family: str = "count"
    every: str = "1d"
    false_alarms_per_week: float = 0.0
    caveats: tuple[str, ...] = ()
    state: State | None = None
    focus: tuple[dt.date, dt.date] | None = None
    confidence_level: float = 0.95
    n_series: int | None = None

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "periods": MappingProxyType(
                {
                    "period_start": "Date",
                    "observed": "Float64",
                    "expected": "Float64",
                    "expected_lower": "Float64",
                    "expected_upper": "Float64",
                    "pvalue": "Float64",
                    "qvalue": "Float64",
                    "is_anomalous": "Boolean",
                    "completeness": "Float64",
                }
            ),
            "incidents": MappingProxyType(
                {
                    "incident_id": "Int64",
                    "kind": "String",
                    "started_at": "Date",
                    "ended_at": "Date",
                    "peak_at": "Date",
                    "observed": "Float64",
                    "expected": "Float64",
                    "excess": "Float64",
                    "excess_ci_lower": "Float64",
                    "excess_ci_upper": "Float64",
                    "rel_effect": "Float64",
                    "pvalue": "Float64",
                    "qvalue": "Float64",
                }
            ),
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per series and period, or one per incident."""
        if self._table(table) == "incidents":
            return [self._incident_record(item) for item in self.incidents]
        return self._period_records(range(len(self.series)))

    def _period_records(self, rows: Iterable[int]) -> list[Record]:
        names = [name for name in self.tables["periods"] if name != "period_start"]
        return [
            dict(zip(self.keys, self.series[row], strict=True))
            | {"period_start": day}
            | {name: getattr(self, name)[row, column].item() for name in names}
            for row in rows
            for column, day in enumerate(self.days)
        ]

    def _to_polars(self, table: str | None = None) -> "pl.DataFrame":
        """Return a table; the periods column by column, so that many series are no trouble."""
        if self._table(table) == "incidents":
            return Result._to_polars(self, table)  # noqa: SLF001 - super() is lost in slotted dataclasses
        import polars as pl

        types = self.tables["periods"]
        n_series, n_days = self.observed.shape
        columns = [
            pl.Series(name, [values[i] for values in self.series], strict=False).gather(
                np.repeat(np.arange(n_series), n_days)
            )
            for i, name in enumerate(self.keys)
        ]
        for name, kind in types.items():
            if name == "period_start":
                days = pl.Series(name, list(self.days), getattr(pl, kind))
                columns.append(days.gather(np.tile(np.arange(n_days), n_series)))
            else:
                values = np.ascontiguousarray(getattr(self, name)).ravel()
                columns.append(pl.Series(name, values, getattr(pl, kind)))
        return pl.DataFrame(columns)

    def _incident_record(self, incident: Incident) -> Record:
        names = [name for name in self.tables["incidents"] if name != "incident_id"]
        return (
            dict(zip(self.keys, incident.series, strict=True))
            | {"incident_id": incident.number}
            | {name: getattr(incident, name) for name in names}
        )

    def children(self, incident: Incident) -> tuple[Incident, ...]:
        """Return the incidents of parts that belong to the incident of a total."""
        return tuple(item for item in self.incidents if item.parent == incident.number)

    def largest(
        self, *, since: dt.date | None = None, until: dt.date | None = None
    ) -> Incident | None:
        """Return the strongest incident that touches the days from ``since`` to ``until``."""
        for incident in self.incidents:
            if (since is None or _day(incident.last_day) >= since) and (
                until is None or _day(incident.started_at) <= until
            ):
                return incident
        return None

    def choose_period(
        self, given: Sequence[str | dt.date] | None = None, *, window_days: int = 28
    ) -> tuple[dt.date, dt.date]:
        """Return the days to explain: those given, else the strongest incident, else the last week.

        Parameters
        ----------
        given
            First and last day.
        window_days
            Incidents are looked for in this many last days.
        """
        if given is not None:
            return check_period(given)
        last = self._last_day_of(self.days[-1])
        incident = self.largest(since=last - dt.timedelta(days=window_days - 1))
        if incident is None:
            return max(_day(self.days[0]), last - dt.timedelta(days=6)), last
        return _day(incident.started_at), self._last_day_of(incident.last_day)

    def _last_day_of(self, period: dt.date | dt.datetime) -> dt.date:
        """Return the last day of the hour, day, week or month that begins then."""
        start = _day(period)
        if self.every == "1w":
            return start + dt.timedelta(days=6)
        if self.every == "1mo":
            return (start.replace(day=1) + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(1)
        return start

    def during(self, first: dt.date, last: dt.date) -> "SpikeResult":
        """Return the same days with only the incidents that touch a period."""
        kept = tuple(
            item
            for item in self.incidents
            if self._last_day_of(item.last_day) >= first and _day(item.started_at) <= last
        )
        return replace(self, incidents=kept, focus=(first, last))

    def findings(self) -> tuple[Finding, ...]:
        """Return each incident, those of parts under their total, or that all was as expected."""
        tops = [item for item in self.incidents if self._parent(item) is None]
        if tops:
            return tuple(self._incident_finding(incident) for incident in tops)
        return (self._nothing(),)

    def _parent(self, incident: Incident) -> Incident | None:
        return next((top for top in self.incidents if top.number == incident.parent), None)

    def reading(self) -> str:
        """Say how many incidents there were, and the strongest ones."""
        if not self.incidents:
            return self._nothing().claim
        claims = [finding.claim for finding in self.findings()[:3]]
        if len(self.incidents) == 1:
            return claims[0]
        count = wording.plural(len(self.incidents), "incident")
        between = f"between {wording.day(self.days[0])} and {wording.day(self.days[-1])}"
        return " ".join([f"{count} {between}.", *claims])

    def plot(self) -> "alt.TopLevelMixin":
        """Draw observed counts over the expected band, incidents shaded.

        Many series are drawn as small multiples: those with incidents first, at most twelve.
        """
        from rcakit.plots.series import observed_and_expected

        place = {values: i for i, values in enumerate(self.series)}
        chosen = dict.fromkeys(place[item.series] for item in self.incidents)
        rows = [*chosen, *(i for i in range(len(self.series)) if i not in chosen)][:_PANELS]
        return observed_and_expected(
            self._period_records(rows),
            self.to_records("incidents"),
            keys=self.keys,
            unit=self.unit,
            every=self.every,
            title=self.reading(),
        )

    def _method(self) -> str:
        return _METHODS["regression" if self.every in {"1w", "1mo"} else self.family]

    def _when(self, incident: Incident) -> str:
        first, last = wording.day(incident.started_at), wording.day(incident.last_day)
        lasts = incident.kind.startswith("level_shift") and incident.ended_at is not None
        if lasts:
            return f"on {first}, and it was still there on {last}"
        when = f"on {first}" if first == last else f"from {first} to {last}"
        return when + (" and had not ended by the last day" if incident.ended_at is None else "")

    def _incident_finding(self, incident: Incident) -> Finding:
        where = {
            key: value
            for key, value in zip(self.keys, incident.series, strict=True)
            if value != ALL
        }
        scope = f" for {wording.segment(where)}" if where else ""
        low, high = incident.excess_ci_lower, incident.excess_ci_upper
        amount = wording.amount(abs(incident.excess))
        at_peak = (
            f" at its peak on {wording.day(incident.peak_at)}" if self.family == "gauge" else ""
        )
        children = self.children(incident)
        parts = "; ".join(
            wording.segment(
                {k: v for k, v in zip(self.keys, child.series, strict=True) if v != ALL}
            )
            for child in children[:_NAMED]
        )
        more = f" and {len(children) - _NAMED} more" if len(children) > _NAMED else ""
        listed = f" It stands out in {parts}{more}." if children else ""
        return Finding(
            claim=(
                f"There was {_NOUN[incident.kind]}{scope} {self._when(incident)}: "
                f"{wording.amount(incident.observed)} {self.unit} where "
                f"{wording.amount(incident.expected)} were expected{at_peak}, "
                f"{amount} {'more' if incident.excess > 0 else 'fewer'} "
                f"({100 * self.confidence_level:g} % interval "
                f"{wording.interval(low, high, signed=True)}).{listed}"
            ),
            kind="change",
            estimate=incident.excess,
            ci_lower=low,
            ci_upper=high,
            confidence_level=self.confidence_level,
            unit=self.unit,
            n_obs=max(1, int(max(incident.observed, incident.expected))),
            method=self._method(),
            segment=where or None,
            caveats=(*((_SEASON,) if self._may_be_season(incident) else ()), *self._caveats()),
            evidence={
                **({"rivals": ["season of the year"]} if self._may_be_season(incident) else {}),
                "incident_kind": incident.kind,
                "started_at": incident.started_at,
                "ended_at": incident.ended_at,
                "peak_at": incident.peak_at,
                "observed": incident.observed,
                "expected": incident.expected,
                "pvalue": incident.pvalue,
                "qvalue": incident.qvalue,
                "family": self.family,
                "false_alarms_per_week": self.false_alarms_per_week,
                "children": [child.number for child in children],
            },
        )

    def _may_be_season(self, incident: Incident) -> bool:
        """Say whether weeks or months before an incident were too few to know the year."""
        known = _day(incident.started_at) - _day(self.days[0])
        return self.every in {"1w", "1mo"} and known.days < _TWO_YEARS

    def _caveats(self) -> tuple[str, ...]:
        step = {"1w": "week", "1mo": "month"}.get(self.every, "week")
        series = wording.plural(self.n_series or len(self.series), "series", "series")
        chance = (
            f"In {series}, about {wording.amount(self.false_alarms_per_week)} false alarms a {step} "
            "are to be expected by chance."
        )
        return (*self.caveats, chance)

    def _nothing(self) -> Finding:
        """Compare the period, or the last week, with its expectation when no day stands out."""
        last_day = self._last_day_of(self.days[-1])
        first, last = self.focus or (
            max(_day(self.days[0]), last_day - dt.timedelta(days=6)),
            last_day,
        )
        inside = np.array(
            [_day(day) <= last and self._last_day_of(day) >= first for day in self.days]
        )
        leaf = np.array([ALL not in values for values in self.series])
        known = np.isfinite(self.expected) & np.isfinite(self.observed)
        known &= inside & leaf[:, None]
        if not known.any():
            return withheld(
                "change",
                f"Whether {first} to {last} stands out cannot be told.",
                why="no period of it has an expectation",
                unit=self.unit,
                method=self._method(),
                caveats=self.caveats,
            )
        if self.family == "gauge":
            known &= np.cumsum(known[:, ::-1], axis=1)[:, ::-1] == 1
        total = float(self.observed[known].sum())
        expected = float(self.expected[known].sum())
        width = (self.expected_upper - self.expected_lower)[known]
        half = float(np.sqrt((width**2).sum())) / 2
        among = ""
        if self.n_series:
            most = ", ".join(map(str, self.series[0]))
            among = f" in any of {wording.plural(self.n_series, 'series', 'series')}; in {most}"
        return Finding(
            claim=(
                f"No {_STEPS[self.every]} from {first} to {last} stands out{among}: there were "
                f"{wording.amount(total)} {self.unit} where {wording.amount(round(expected))} "
                "were expected."
            ),
            kind="change",
            estimate=total - expected,
            ci_lower=total - expected - half,
            ci_upper=total - expected + half,
            confidence_level=self.confidence_level,
            unit=self.unit,
            n_obs=max(1, round(abs(total))),
            method=self._method(),
            caveats=self._caveats(),
            evidence={
                "alpha": self.alpha,
                "n_days": len(self.days),
                "family": self.family,
                "false_alarms_per_week": self.false_alarms_per_week,
            },
        )


def _day(period: Period) -> dt.date:
    return period.date() if isinstance(period, dt.datetime) else period


_TIMES = ("period_start", "started_at", "ended_at", "peak_at")


@dataclass(frozen=True, slots=True, eq=False)
class HourlySpikeResult(SpikeResult):
    """Hours with their expectation, and incidents; times are naive and local."""

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            table: MappingProxyType(
                {name: "Datetime" if name in _TIMES else kind for name, kind in columns.items()}
            )
            for table, columns in SpikeResult.tables.items()
        }
    )
