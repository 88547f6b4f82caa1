"""Do reviewers and auditors share an error that only appeals reveal?"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats.proportions import normal_quantile
from rcakit.validation import check_date, check_number

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["MEASURES", "SharedErrorResult", "shared_error"]

# A measure before and after.
MEASURES: Mapping[str, str] = {
    "measure": "String",
    "before": "Float64",
    "after": "Float64",
    "effect": "Float64",
    "effect_ci_lower": "Float64",
    "effect_ci_upper": "Float64",
    "n_before": "Int64",
    "n_after": "Int64",
}

Floats = npt.NDArray[np.float64]
Verdict = Literal["shared_error", "quality_fell", "no_alarm", "cannot_tell"]

_FEWEST_PERIODS = 6
_FEWEST_CASES = 30


@dataclass(frozen=True, slots=True)
class SharedErrorResult(Result):
    """How audit agreement and appeal overturns moved.

    Attributes
    ----------
    measures
        The rows of the table.
    verdict
        ``shared_error`` (overturns rose while audits saw nothing), ``quality_fell`` (audits saw it
        too), ``no_alarm`` or ``cannot_tell``.
    split_at
        First period of "after".
    margin
        Fall of agreement that counts as nothing.
    library
        Where tables are handed back.
    """

    measures: tuple[Record, ...]
    verdict: Verdict
    split_at: Any
    margin: float
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {"measures": MEASURES}

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows ``agreement`` and ``overturn``."""
        self._table(table)
        return [dict(row) for row in self.measures]

    def findings(self) -> tuple[Finding, ...]:
        """Say whether audits can be trusted."""
        agreed, overturned = self.measures
        method = "before and after, errors widened by the variation between periods"
        if self.verdict == "cannot_tell":
            return (
                withheld(
                    "verdict",
                    "Whether reviewers and auditors share an error cannot be told.",
                    why="too few audited or appealed cases, or intervals too wide",
                    unit="rate",
                    method=method,
                    n_obs=agreed["n_before"] + agreed["n_after"],
                ),
            )
        moved = (
            f"appeal overturns went from {wording.percent(overturned['before'])} to "
            f"{wording.percent(overturned['after'])}, audit agreement from "
            f"{wording.percent(agreed['before'])} to {wording.percent(agreed['after'])}"
        )
        say = {
            "shared_error": f"Audits missed it: {moved}. Reviewers and auditors probably follow the "
            "same wrong reading of a guideline.",
            "quality_fell": f"Audits and appeals agree that quality fell: {moved}.",
            "no_alarm": f"No sign of a shared error: {moved}.",
        }[self.verdict]
        kind: Literal["change", "ruled_out"] = (
            "ruled_out" if self.verdict == "no_alarm" else "change"
        )
        steps = (
            (
                "Let someone outside the team re-audit a random sample against the current guideline.",
            )
            if self.verdict == "shared_error"
            else ()
        )
        return (
            Finding(
                claim=say,
                kind=kind,
                estimate=overturned["effect"],
                ci_lower=overturned["effect_ci_lower"],
                ci_upper=overturned["effect_ci_upper"],
                unit="overturn rate",
                n_obs=overturned["n_before"] + overturned["n_after"],
                method=method,
                next_steps=steps,
                evidence={"verdict": self.verdict},
                caveats=("Who appeals may have changed; check the appeal rate too.",),
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw both rates before and after."""
        from rcakit.plots import quality

        return quality.shared_error(self.to_records(), title=self.reading())


def shared_error(
    data: Any,
    *,
    time: str,
    agreed: str,
    audited: str,
    overturned: str,
    appealed: str,
    split_at: str | dt.date | None = None,
    margin: float = 0.02,
    confidence_level: float = 0.95,
) -> SharedErrorResult:
    """Does audit agreement stay high while appeals overturn more decisions?

    Parameters
    ----------
    data
        Table with one row per period (or finer), in any supported engine.
    time
        Column of the period.
    agreed, audited
        Audited decisions the auditor agreed with, and audited decisions.
    overturned, appealed
        Decided appeals that were granted, and decided appeals.
    split_at
        First day of "after"; by default the middle of the periods.
    margin
        A fall of agreement up to this counts as none.
    confidence_level
        Of the intervals.

    Returns
    -------
    SharedErrorResult
        With a ``verdict``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 6 periods, or all of them on one side of the split.
    SchemaError
        More agreed than audited cases, or more overturned than appealed ones.

    Notes
    -----
    Agreement between people who learned the same rule is no proof of accuracy. Appeals come from
    other eyes, though not from a random sample. Open appeals must be left out of ``appealed``, or
    recent periods look too good.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> weeks = pl.DataFrame({
    ...     "week": range(12), "agreed": [950] * 12, "audited": [1000] * 12,
    ...     "overturned": [10] * 6 + [25] * 6, "appealed": [100] * 12,
    ... })
    >>> quality.shared_error(weeks, time="week", agreed="agreed", audited="audited",
    ...                      overturned="overturned", appealed="appealed").verdict
    'shared_error'
    """
    check_number(margin, "margin", gt=0, lt=0.5, hint="0.02 is two points of agreement.")
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    names = (agreed, audited, overturned, appealed)
    table = frames.aggregate(data, keys=time, sums=names).drop_nulls(time).sort(time)
    frames.check_finite(table, names)
    for part, whole in ((agreed, audited), (overturned, appealed)):
        if table.filter(table[part] > table[whole]).height:
            raise SchemaError(f"column {part!r} must not exceed {whole!r} in any period.")
    after, first = _after(table, time, split_at)
    agreement, overturn = (
        _moved(name, table[part].to_numpy(), table[whole].to_numpy(), after, confidence_level)
        for name, part, whole in (
            ("agreement", agreed, audited),
            ("overturn", overturned, appealed),
        )
    )
    verdict = _verdict(agreement, overturn, margin)
    return SharedErrorResult((agreement, overturn), verdict, first, margin, frames.library(data))


def _after(
    table: "pl.DataFrame", time: str, split_at: str | dt.date | None
) -> tuple[npt.NDArray[np.bool_], Any]:
    """Return which periods are "after", and the first of them."""
    if table.height < _FEWEST_PERIODS:
        raise NotEnoughDataError(
            f"the shared-error alarm needs at least {_FEWEST_PERIODS} periods, got {table.height}."
        )
    labels = table[time].to_list()
    if split_at is None:
        middle = table.height // 2
        return np.arange(table.height) >= middle, labels[middle]
    day = check_date(split_at, "split_at")
    after = np.array([(x.date() if isinstance(x, dt.datetime) else x) >= day for x in labels])
    if after.all() or not after.any():
        raise NotEnoughDataError(
            f"split_at={day} leaves no period on one side; data reach from "
            f"{labels[0]} to {labels[-1]}."
        )
    return after, day


def _moved(
    name: str, count: Floats, size: Floats, after: npt.NDArray[np.bool_], confidence_level: float
) -> Record:
    """Return how a rate moved, with an error widened by the variation between periods."""
    cases = [float(size[~after].sum()), float(size[after].sum())]
    if min(cases) < _FEWEST_CASES:
        nothing = dict.fromkeys(
            ("before", "after", "effect", "effect_ci_lower", "effect_ci_upper"), math.nan
        )
        return {"measure": name, **nothing, "n_before": int(cases[0]), "n_after": int(cases[1])}
    rates = [float(count[side].sum()) / n for side, n in zip((~after, after), cases, strict=True)]
    # one case more of each kind keeps a rate of 0 or 1 from having no error
    spread = [(rate * n + 1) / (n + 2) for rate, n in zip(rates, cases, strict=True)]
    fitted = np.where(after, spread[1], spread[0])
    counted = size > 0
    pearson = np.sum(
        (count - size * fitted)[counted] ** 2 / (size * fitted * (1 - fitted))[counted]
    )
    phi = max(1.0, float(pearson) / max(int(counted.sum()) - 2, 1))
    error = math.sqrt(phi * sum(p * (1 - p) / n for p, n in zip(spread, cases, strict=True)))
    half = normal_quantile(confidence_level) * error
    effect = rates[1] - rates[0]
    return {
        "measure": name,
        "before": rates[0],
        "after": rates[1],
        "effect": effect,
        "effect_ci_lower": effect - half,
        "effect_ci_upper": effect + half,
        "n_before": int(cases[0]),
        "n_after": int(cases[1]),
    }


def _verdict(agreed: Record, overturned: Record, margin: float) -> Verdict:
    if math.isnan(agreed["effect"]) or math.isnan(overturned["effect"]):
        return "cannot_tell"
    if overturned["effect_ci_lower"] > 0:
        if agreed["effect_ci_upper"] < 0:
            return "quality_fell"
        return "shared_error" if agreed["effect_ci_lower"] > -margin else "cannot_tell"
    narrow = overturned["effect_ci_upper"] - overturned["effect_ci_lower"] < 0.2
    return "no_alarm" if narrow else "cannot_tell"
