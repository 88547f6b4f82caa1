"""Is a process good enough, and which kinds of error should be mended first?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import SMALLEST_CELL, Finding
from rcakit.results import Record, Result
from rcakit.stats import capability as index
from rcakit.stats.control_limits import moving_range_sigma
from rcakit.stats.proportions import wilson
from rcakit.validation import check_number, refusal

if TYPE_CHECKING:
    import altair as alt

__all__ = ["CapabilityResult", "ParetoResult", "capability", "pareto"]

_FEWEST_VALUES = 10
_ENOUGH_VALUES = 100


@dataclass(frozen=True, slots=True)
class CapabilityResult(Result):
    """Capability indices with intervals.

    Attributes
    ----------
    indices
        The rows of the table.
    n_obs
        Values, or opportunities for defects.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    indices: tuple[Record, ...]
    n_obs: int
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "indices": {
            "index": "String",
            "estimate": "Float64",
            "ci_lower": "Float64",
            "ci_upper": "Float64",
        }
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per index."""
        self._table(table)
        return [dict(row) for row in self.indices]

    def findings(self) -> tuple[Finding, ...]:
        """Say how many of a million miss the specification."""
        row = next(row for row in self.indices if row["index"] == "dpmo")
        level = next(row for row in self.indices if row["index"] == "sigma_level")
        claim = (
            f"{wording.amount(row['estimate'])} of a million miss the specification "
            f"({wording.interval(row['ci_lower'], row['ci_upper'])}), "
            f"a sigma level of {level['estimate']:.1f}."
        )
        return (
            Finding(
                claim=claim,
                kind="measurement",
                estimate=row["estimate"],
                ci_lower=row["ci_lower"],
                ci_upper=row["ci_upper"],
                unit="per million",
                n_obs=self.n_obs,
                method="counted defects, exact binomial interval",
                caveats=self.caveats,
                evidence={item["index"]: item["estimate"] for item in self.indices},
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the capability indices with their intervals."""
        from rcakit.plots import quality

        return quality.capability(self.to_records(), title=self.reading())


@dataclass(frozen=True, slots=True)
class ParetoResult(Result):
    """Kinds of error, the most frequent (or costly) first.

    Attributes
    ----------
    rows
        The rows of the table.
    total
        Sum over all kinds.
    n_obs
        Rows counted.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    rows: tuple[Record, ...]
    total: float
    n_obs: int
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "categories": {
            "category": "Unknown",
            "amount": "Float64",
            "share": "Float64",
            "share_ci_lower": "Float64",
            "share_ci_upper": "Float64",
            "cumulative_share": "Float64",
            "is_vital": "Boolean",
        }
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per category, largest first."""
        self._table(table)
        return [dict(row) for row in self.rows]

    def findings(self) -> tuple[Finding, ...]:
        """Say which few kinds make up most of the total."""
        vital = [row for row in self.rows if row["is_vital"]]
        share = sum(row["share"] for row in vital)
        low, high = wilson(share * self.n_obs, self.n_obs)
        named = ", ".join(wording.visible(row["category"]) for row in vital[:5])
        claim = (
            f"{wording.percent(share)} of the total is concentrated in {len(vital)} of "
            f"{wording.plural(len(self.rows), 'category', 'categories')}: {named}."
        )
        return (
            Finding(
                claim=claim,
                kind="driver",
                estimate=share,
                ci_lower=float(low),
                ci_upper=float(high),
                unit="share",
                n_obs=self.n_obs,
                method="Pareto count",
                caveats=self.caveats,
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw bars with the cumulative share."""
        from rcakit.plots import quality

        return quality.pareto(self.to_records(), title=self.reading())


def capability(
    data: Any,
    *,
    value: str | None = None,
    lower: float | None = None,
    upper: float | None = None,
    time: str | None = None,
    defects: str | None = None,
    opportunities: str | None = None,
    confidence_level: float = 0.95,
) -> CapabilityResult:
    """How well does a process meet its specification?

    Parameters
    ----------
    data
        Table in any supported engine.
    value
        Measurement, one row each; with ``lower`` or ``upper`` or both as limits (an SLA has only
        an upper one).
    lower, upper
        Specification limits, in the unit of ``value``.
    time
        Column that orders the measurements. With it, Cp and Cpk use the short-term variation
        (moving ranges); without it only Pp and Ppk are given.
    defects, opportunities
        For counted quality instead of ``value``: columns of defects and of what they are out of.
    confidence_level
        Of the intervals.

    Returns
    -------
    CapabilityResult
        Rows ``cp``, ``cpk``, ``pp``, ``ppk`` (those that apply), ``dpmo``, ``sigma_level``.

    Raises
    ------
    ParameterError
        No specification limit, or both ways of giving the data.
    NotEnoughDataError
        Fewer than 10 values, or values that do not vary.

    Notes
    -----
    Means something only for a stable process (see `control_chart`) and, for Cp to Ppk, a normal
    one: times to decision are not, so read ``dpmo`` there, which counts. The sigma level adds the
    conventional shift of 1.5.

    References
    ----------
    Montgomery (2013), Introduction to Statistical Quality Control, 7th ed., p. 28 and 364-373.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> audit = pl.DataFrame({"errors": [3, 5], "checked": [400, 600]})
    >>> found = quality.capability(audit, defects="errors", opportunities="checked")
    >>> round(found.to_records()[0]["estimate"])
    8000
    """
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    if value is None:
        return _counted_capability(data, defects, opportunities, confidence_level)
    if defects is not None:
        raise refusal("defects", "left out when value is given", defects)
    if lower is None and upper is None:
        raise refusal(
            "upper", "a number when lower is left out", upper, "Capability needs a limit."
        )
    low = -math.inf if lower is None else check_number(lower, "lower")
    high = math.inf if upper is None else check_number(upper, "upper")
    if low >= high:
        raise refusal("lower", f"below upper ({high})", low)
    rows = frames.collect(data, [value, *([time] if time else [])])
    known = rows.drop_nulls().sort(time) if time else rows.drop_nulls()
    if not known[value].dtype.is_numeric():
        raise SchemaError(f"column {value!r} must be numeric, got {known[value].dtype}.")
    frames.check_finite(known, [value])
    x = known[value].to_numpy().astype(np.float64)
    if x.size < _FEWEST_VALUES or np.ptp(x) == 0:
        raise NotEnoughDataError(
            f"capability needs at least {_FEWEST_VALUES} values that vary, got {x.size} "
            f"{'equal ' if x.size and np.ptp(x) == 0 else ''}values."
        )
    indices = _measured_indices(x, low, high, confidence_level, ordered=time is not None)
    indices += _defect_rows(float(np.sum((x < low) | (x > high))), x.size, confidence_level)
    caveats = _capability_caveats(x, rows.height - x.size)
    return CapabilityResult(tuple(indices), x.size, caveats, frames.library(data))


def pareto(
    data: Any,
    *,
    category: str,
    value: str | None = None,
    vital_share: float = 0.8,
    confidence_level: float = 0.95,
) -> ParetoResult:
    """Which few categories make up most of the total?

    Parameters
    ----------
    data
        Table in any supported engine.
    category
        Column of kinds, for example of errors. A missing kind is a kind of its own.
    value
        What to add up (cost, hours); rows are counted when left out.
    vital_share
        Categories are vital until together they reach this share.
    confidence_level
        Of the intervals of shares, given for counts only.

    Returns
    -------
    ParetoResult
        One row per category, largest first.

    Raises
    ------
    NotEnoughDataError
        Nothing to count, or a total of zero.
    SchemaError
        A category's total is negative, so that shares mean nothing.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> errors = pl.DataFrame({"kind": ["false positive"] * 8 + ["technical"] * 2})
    >>> quality.pareto(errors, category="kind").to_records()[0]["share"]
    0.8
    """
    import polars as pl

    check_number(vital_share, "vital_share", gt=0, le=1, hint="0.8 is Pareto's share.")
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    table = frames.aggregate(data, keys=category, sums=[value] if value else [])
    frames.check_finite(table, [value] if value else [])
    table = table.with_columns(
        amount=(pl.col(value) if value else pl.col("n_rows")).cast(pl.Float64)
    )
    table = table.sort(["amount", category], descending=[True, False], nulls_last=True)
    amount = table["amount"].to_numpy()
    total, n_obs = float(amount.sum()), int(table["n_rows"].sum())
    if total <= 0:
        raise NotEnoughDataError(
            f"a Pareto count needs a total above zero, got {total} from {n_obs} rows."
        )
    if amount.min() < 0:
        raise SchemaError(f"column {value!r} must not add up below zero in any category.")
    share = amount / total
    cumulative = np.cumsum(share)
    low, high = wilson(amount, total, confidence_level=confidence_level)
    unknown = np.full(share.shape, np.nan)
    low, high = (unknown, unknown) if value else (low, high)
    rows = tuple(
        {
            "category": name,
            "amount": float(amount[i]),
            "share": float(share[i]),
            "share_ci_lower": float(low[i]),
            "share_ci_upper": float(high[i]),
            "cumulative_share": float(min(cumulative[i], 1.0)),
            "is_vital": bool(cumulative[i] - share[i] < vital_share - 1e-12),
        }
        for i, name in enumerate(table[category].to_list())
    )
    caveats = () if n_obs >= SMALLEST_CELL else ("Fewer than ten rows: shares mean little.",)
    return ParetoResult(rows, total, n_obs, caveats, frames.library(data))


def _counted_capability(
    data: Any, defects: str | None, opportunities: str | None, confidence_level: float
) -> CapabilityResult:
    if defects is None or opportunities is None:
        raise refusal("value", "a column, unless defects and opportunities are given", None)
    table = frames.aggregate(data, sums=[defects, opportunities])
    bad, out_of = float(table[defects].sum()), float(table[opportunities].sum())
    if out_of < SMALLEST_CELL:
        raise NotEnoughDataError(f"capability needs at least 10 opportunities, got {out_of:.0f}.")
    if bad > out_of or bad < 0:
        raise SchemaError(
            f"column {defects!r} must add up to at most {opportunities!r}, got {bad} out of {out_of}."
        )
    rows = _defect_rows(bad, int(out_of), confidence_level)
    return CapabilityResult(tuple(rows), int(out_of), (), frames.library(data))


def _measured_indices(
    x: "np.ndarray[Any, np.dtype[np.float64]]",
    low: float,
    high: float,
    level: float,
    *,
    ordered: bool,
) -> list[Record]:
    """Return Cp and Cpk from moving ranges (when ordered), Pp and Ppk from all values."""
    n, mean = x.size, float(np.mean(x))
    # a moving range of two carries 0.62 of the information of a squared deviation
    kinds = [("pp", "ppk", float(np.std(x, ddof=1)), float(n - 1))]
    if ordered and (short := moving_range_sigma(x)) > 0:
        kinds.insert(0, ("cp", "cpk", short, 0.62 * (n - 1)))
    rows = []
    for both, nearer, sigma, df in kinds:
        if math.isfinite(high - low):
            rows.append(
                _index(both, index.potential(high - low, sigma, df, confidence_level=level))
            )
        rows.append(
            _index(
                nearer,
                index.realised(mean, sigma, low, high, n_obs=n, df=df, confidence_level=level),
            )
        )
    return rows


def _defect_rows(defects: float, n_obs: int, level: float) -> list[Record]:
    estimate, low, high = index.defects_per_million(defects, n_obs, confidence_level=level)
    level_of = index.sigma_level
    return [
        _index("dpmo", (estimate, low, high)),
        _index(
            "sigma_level", (level_of(estimate / 1e6), level_of(high / 1e6), level_of(low / 1e6))
        ),
    ]


def _index(name: str, numbers: tuple[float, float, float]) -> Record:
    return {"index": name, "estimate": numbers[0], "ci_lower": numbers[1], "ci_upper": numbers[2]}


def _capability_caveats(
    x: "np.ndarray[Any, np.dtype[np.float64]]", n_missing: int
) -> tuple[str, ...]:
    sentences = ["Capability holds for a stable process only: draw the control chart first."]
    if x.size < _ENOUGH_VALUES:
        sentences.append(f"{x.size} values give wide intervals; 100 or more are better.")
    spread = (x - x.mean()) / x.std()
    if abs(float(np.mean(spread**3))) > 1:  # a normal sample of 50 stays below 0.8
        sentences.append("The values are skewed: trust dpmo, not Cp to Ppk.")
    if n_missing:
        sentences.append(f"{wording.plural(n_missing, 'row')} without a value did not count.")
    return tuple(sentences)
