"""What is said of a control chart?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rcakit import frames, wording
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.stats import run_rules

if TYPE_CHECKING:
    import altair as alt

__all__ = ["ControlChartResult"]


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
