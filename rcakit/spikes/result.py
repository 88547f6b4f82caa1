"""SpikeResult: every day with what was expected, and the incidents."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.spikes.incidents import Incident
from rcakit.validation import check_period

if TYPE_CHECKING:
    import altair as alt

__all__ = ["SpikeResult"]

Floats = NDArray[np.float64]

_METHOD = "weekday baseline with negative binomial noise, windows of 1, 3 and 7 days"
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
        Key columns, key values of each series, and the days.
    observed, expected, expected_lower, expected_upper, pvalue, qvalue, completeness
        Shape (n_series, n_days). Expected is nan in the first two weeks.
    is_anomalous
        Same shape.
    incidents
        Strongest first.
    alpha
        Share of false alarms among all alarms.
    unit
        What is counted.
    focus
        The days that the findings speak of; all days when None.
    """

    keys: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...]
    days: tuple[dt.date, ...]
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
    focus: tuple[dt.date, dt.date] | None = None

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
        """Return one row per series and day, or one per incident."""
        if self._table(table) == "incidents":
            return [self._incident_record(i, item) for i, item in enumerate(self.incidents, 1)]
        names = [name for name in self.tables["periods"] if name != "period_start"]
        return [
            dict(zip(self.keys, values, strict=True))
            | {"period_start": day}
            | {name: getattr(self, name)[row, column].item() for name in names}
            for row, values in enumerate(self.series)
            for column, day in enumerate(self.days)
        ]

    def _incident_record(self, number: int, incident: Incident) -> Record:
        names = [name for name in self.tables["incidents"] if name != "incident_id"]
        return (
            dict(zip(self.keys, incident.series, strict=True))
            | {"incident_id": number}
            | {name: getattr(incident, name) for name in names}
        )

    def largest(
        self, *, since: dt.date | None = None, until: dt.date | None = None
    ) -> Incident | None:
        """Return the strongest incident that touches the days from ``since`` to ``until``."""
        for incident in self.incidents:
            if (since is None or incident.last_day >= since) and (
                until is None or incident.started_at <= until
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
        since = self.days[-1] - dt.timedelta(days=window_days - 1)
        incident = self.largest(since=since)
        if incident is None:
            return self.days[-min(7, len(self.days))], self.days[-1]
        return incident.started_at, incident.last_day

    def during(self, first: dt.date, last: dt.date) -> "SpikeResult":
        """Return the same days with only the incidents that touch a period."""
        kept = tuple(
            item for item in self.incidents if item.last_day >= first and item.started_at <= last
        )
        return replace(self, incidents=kept, focus=(first, last))

    def findings(self) -> tuple[Finding, ...]:
        """Return each incident, or that the last week was as expected."""
        if self.incidents:
            return tuple(self._incident_finding(incident) for incident in self.incidents)
        return (self._nothing(),)

    def reading(self) -> str:
        """Say how many incidents there were, and the strongest ones."""
        if not self.incidents:
            return self._nothing().claim
        claims = [finding.claim for finding in self.findings()[:3]]
        if len(self.incidents) == 1:
            return claims[0]
        count = wording.plural(len(self.incidents), "incident")
        return " ".join([f"{count} between {self.days[0]} and {self.days[-1]}.", *claims])

    def plot(self) -> "alt.TopLevelMixin":
        """Draw observed counts over the expected band, incidents shaded."""
        from rcakit.plots.series import observed_and_expected

        return observed_and_expected(
            self.to_records(),
            self.to_records("incidents"),
            keys=self.keys,
            unit=self.unit,
            title=self.reading(),
        )

    def _incident_finding(self, incident: Incident) -> Finding:
        where = dict(zip(self.keys, incident.series, strict=True))
        when = (
            f"on {incident.started_at}"
            if incident.last_day == incident.started_at
            else f"from {incident.started_at} to {incident.last_day}"
        )
        still = " and had not ended by the last day" if incident.ended_at is None else ""
        scope = f" for {wording.segment(where)}" if where else ""
        low, high = incident.excess_ci_lower, incident.excess_ci_upper
        return Finding(
            claim=(
                f"There was {_NOUN[incident.kind]}{scope} {when}{still}: "
                f"{wording.amount(incident.observed)} {self.unit} where "
                f"{wording.amount(incident.expected)} were expected, "
                f"{wording.amount(abs(incident.excess))} {'more' if incident.excess > 0 else 'fewer'} "
                f"(95 % interval {wording.interval(low, high, signed=True)})."
            ),
            kind="change",
            estimate=incident.excess,
            ci_lower=low,
            ci_upper=high,
            unit=self.unit,
            n_obs=max(1, int(max(incident.observed, incident.expected))),
            method=_METHOD,
            segment=where or None,
            evidence={
                "incident_kind": incident.kind,
                "started_at": incident.started_at,
                "ended_at": incident.ended_at,
                "peak_at": incident.peak_at,
                "observed": incident.observed,
                "expected": incident.expected,
                "pvalue": incident.pvalue,
                "qvalue": incident.qvalue,
            },
        )

    def _nothing(self) -> Finding:
        """Compare the period, or the last week, with its expectation when no day stands out."""
        first, last = self.focus or (self.days[-min(7, len(self.days))], self.days[-1])
        inside = np.array([first <= day <= last for day in self.days])
        known = inside & np.isfinite(self.expected).all(0)
        total = float(np.nansum(self.observed[:, known]))
        expected = float(np.nansum(self.expected[:, known]))
        width = (self.expected_upper - self.expected_lower)[:, known]
        half = float(np.sqrt(np.nansum(width**2))) / 2
        return Finding(
            claim=(
                f"No day from {first} to {last} stands out: there were {wording.amount(total)} "
                f"{self.unit} where {wording.amount(round(expected))} were expected."
            ),
            kind="change",
            estimate=total - expected,
            ci_lower=total - expected - half,
            ci_upper=total - expected + half,
            unit=self.unit,
            n_obs=max(1, round(total)),
            method=_METHOD,
            evidence={"alpha": self.alpha, "n_days": len(self.days)},
        )
