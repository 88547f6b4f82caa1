"""Which vendors, sites, queues or teams differ beyond chance, once their work is equal?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.stats import funnel as cone
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.proportions import normal_quantile
from rcakit.validation import check_integer, check_names, check_number

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["FunnelResult", "funnel"]

Floats = npt.NDArray[np.float64]

_FEWEST_UNITS = 3
_FEWEST_MEMBERS = 10  # teams smaller than this could point at a person
_POOLED = "(small units together)"


@dataclass(frozen=True, slots=True)
class FunnelResult(Result):
    """Units around their common rate.

    Attributes
    ----------
    units
        The rows of the table.
    target
        The common rate.
    between_sd
        Ordinary variation between units beyond chance, as a standard deviation of rates.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    units: tuple[Record, ...]
    target: float
    between_sd: float
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "units": {
            "unit": "String",
            "n_obs": "Float64",
            "rate": "Float64",
            "lower": "Float64",
            "upper": "Float64",
            "pvalue": "Float64",
            "qvalue": "Float64",
            "shrunken_rate": "Float64",
            "shrunken_ci_lower": "Float64",
            "shrunken_ci_upper": "Float64",
            "position": "String",
            "rank_lower": "Int64",
            "rank_upper": "Int64",
        }
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per unit, in the order of their names."""
        self._table(table)
        return [dict(row) for row in self.units]

    def findings(self) -> tuple[Finding, ...]:
        """Name the units that can be told apart from the rest, and only those."""
        apart = [row for row in self.units if row["position"] != "not separable"]
        if not apart:
            return (self._nobody(),)
        return tuple(self._apart(row) for row in sorted(apart, key=lambda row: row["pvalue"]))

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the funnel: rate against cases, with the limits."""
        from rcakit.plots import quality

        return quality.funnel(self.to_records(), target=self.target, title=self.reading())

    def _nobody(self) -> Finding:
        sizes = np.array([row["n_obs"] for row in self.units])
        gap = np.array([row["rate"] for row in self.units]) - self.target
        worst = int(np.argmax(np.abs(gap)))
        row = self.units[worst]
        half = (row["upper"] - row["lower"]) / 2
        return Finding(
            claim=(
                f"No unit of {len(self.units)} can be told apart from the others: a ranking would "
                f"rank chance."
            ),
            kind="ruled_out",
            estimate=float(gap[worst]),
            ci_lower=float(gap[worst] - half),
            ci_upper=float(gap[worst] + half),
            unit="rate",
            n_obs=int(sizes.sum()),
            method="funnel with variation between units",
            caveats=self.caveats,
        )

    def _apart(self, row: Record) -> Finding:
        half = (row["upper"] - row["lower"]) / 2
        estimate = row["rate"] - self.target
        claim = (
            f"{wording.visible(row['unit'])} lies {row['position']} the others: "
            f"{wording.percent(row['rate'])} against {wording.percent(self.target)} in common, "
            f"where {wording.percent(row['lower'])} to {wording.percent(row['upper'])} is ordinary."
        )
        return Finding(
            claim=claim,
            kind="difference",
            estimate=estimate,
            ci_lower=estimate - half,
            ci_upper=estimate + half,
            unit="rate",
            n_obs=int(row["n_obs"]),
            method="funnel with variation between units",
            caveats=self.caveats,
            segment={"unit": row["unit"]},
            next_steps=("Compare how the unit works with one inside the funnel of like size.",),
        )


def funnel(
    data: Any,
    *,
    unit: str,
    value: str,
    denominator: str | None = None,
    adjust_for: str | Sequence[str] = (),
    members: str | None = None,
    min_cell: int = 10,
    confidence_level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> FunnelResult:
    """Which units differ by more than chance and ordinary variation between units?

    Parameters
    ----------
    data
        Table in any supported engine.
    unit
        Vendor, site, queue or team. Never a person.
    value
        Events: a 0/1 column of rows, or counts with ``denominator``.
    denominator
        Cases per row; each row is one case when left out.
    adjust_for
        Case mix: columns whose strata are held equal (indirect standardisation).
    members
        Column of people in a unit. Units of fewer than 10 people are pooled, so that nobody can
        be recognised.
    min_cell
        Units with fewer cases are pooled.
    confidence_level
        Width of the funnel.
    rng
        Seed or generator of the rank intervals.

    Returns
    -------
    FunnelResult
        One row per unit: rate (at equal case mix), limits, p- and q-values, the rate shrunken
        towards the others, ``position`` (``above``, ``below``, ``not separable``) and the ranks
        between which it lies.

    Raises
    ------
    NotEnoughDataError
        Fewer than 3 units are large enough.
    SchemaError
        More events than cases.

    Notes
    -----
    Ranks exist only where units are separable: read ``position`` first. Limits allow for the
    variation between units that is nobody's fault (overdispersion); with fewer than ten units that
    variation is poorly known and the funnel is wide.

    References
    ----------
    Spiegelhalter (2005), Stat. Med. 24, p. 1185; Goldstein and Spiegelhalter (1996), J. R. Stat.
    Soc. A 159, p. 385.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> sites = pl.DataFrame({"site": list("abcd"), "errors": [40, 42, 38, 90], "n": [900] * 4})
    >>> found = quality.funnel(sites, unit="site", value="errors", denominator="n")
    >>> [row["rank_upper"] for row in found.to_records()][-1]
    4
    """
    check_integer(min_cell, "min_cell", ge=1)
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    strata = check_names(adjust_for, "adjust_for")
    cells = _cells(data, unit, value, denominator, strata)
    cells, pooled = _pool_small(cells, _small_units(data, cells, unit, members, min_cell))
    names = sorted(cells["unit"].unique().to_list())
    if len(names) < _FEWEST_UNITS:
        raise NotEnoughDataError(
            f"a funnel needs at least {_FEWEST_UNITS} units with {min_cell} cases"
            f"{' and 10 members' if members else ''}, got {len(names)}. Compare two with "
            "cohorts.compare."
        )
    count, size, variance = _rates(cells, names, adjusted=bool(strata))
    fitted = cone.fit_funnel(count, size, confidence_level=confidence_level, variance=variance)
    low, high = cone.rank_intervals(
        fitted.shrunken,
        fitted.shrunken_sd,
        confidence_level=confidence_level,
        rng=np.random.default_rng(rng),
    )
    qvalue = benjamini_hochberg(fitted.pvalue)
    z, alpha = normal_quantile(confidence_level), 1 - confidence_level
    rows = tuple(
        {
            "unit": name,
            "n_obs": float(size[i]),
            "rate": float(count[i] / size[i]),
            "lower": float(fitted.lower[i]),
            "upper": float(fitted.upper[i]),
            "pvalue": float(fitted.pvalue[i]),
            "qvalue": float(qvalue[i]),
            "shrunken_rate": float(fitted.shrunken[i]),
            "shrunken_ci_lower": float(fitted.shrunken[i] - z * fitted.shrunken_sd[i]),
            "shrunken_ci_upper": float(fitted.shrunken[i] + z * fitted.shrunken_sd[i]),
            "position": _position(count[i] / size[i], fitted.target, qvalue[i], alpha),
            "rank_lower": int(low[i]),
            "rank_upper": int(high[i]),
        }
        for i, name in enumerate(names)
    )
    return FunnelResult(
        rows,
        fitted.target,
        fitted.between_sd,
        _caveats(pooled, len(names), members, strata),
        frames.library(data),
    )


def _cells(
    data: Any, unit: str, value: str, denominator: str | None, strata: tuple[str, ...]
) -> "pl.DataFrame":
    """Add up events and cases per unit and stratum, where the rows live."""
    import polars as pl

    sums = [value, *([denominator] if denominator else [])]
    table = frames.aggregate(data, keys=[unit, *strata], sums=sums)
    frames.check_finite(table, sums)
    known = (pl.col("n_rows") - pl.col("n_missing")).cast(pl.Float64)
    stratum = pl.struct(strata).rank("dense") - 1 if strata else pl.lit(0)
    table = table.select(
        unit=pl.col(unit).cast(pl.String).fill_null("(missing)"),
        stratum=stratum.cast(pl.Int64),
        count=pl.col(value).cast(pl.Float64),
        size=pl.col(denominator).cast(pl.Float64) if denominator else known,
    ).filter(pl.col("size") > 0)
    if table.filter((pl.col("count") > pl.col("size")) | (pl.col("count") < 0)).height:
        raise SchemaError(
            f"column {value!r} must be between 0 and the number of cases. Give 0/1 rows, or "
            "counts with denominator=."
        )
    return table


def _small_units(
    data: Any, cells: "pl.DataFrame", unit: str, members: str | None, min_cell: int
) -> set[str]:
    import polars as pl

    sizes = cells.group_by("unit").agg(pl.col("size").sum())
    small = set(sizes.filter(pl.col("size") < min_cell)["unit"].to_list())
    if members is not None:
        people = frames.aggregate(data, keys=[unit, members]).drop_nulls(members)
        counted = people.group_by(unit).len()
        enough = set(counted.filter(pl.col("len") >= _FEWEST_MEMBERS)[unit].cast(pl.String))
        small |= set(sizes["unit"].to_list()) - enough
    return small


def _pool_small(cells: "pl.DataFrame", small: set[str]) -> tuple["pl.DataFrame", int]:
    """Put small units together; a pool of one would still name it, so it is left out."""
    import polars as pl

    if not small:
        return cells, 0
    if len(small) == 1:
        return cells.filter(~pl.col("unit").is_in(list(small))), 1
    name = pl.when(pl.col("unit").is_in(list(small))).then(pl.lit(_POOLED)).otherwise("unit")
    return cells.with_columns(unit=name), len(small)


def _rates(
    cells: "pl.DataFrame", names: list[str], *, adjusted: bool
) -> tuple[Floats, Floats, Floats | None]:
    """Return events and cases per unit; at equal case mix with the variance of the rate."""
    order = {name: i for i, name in enumerate(names)}
    at = np.array([order[name] for name in cells["unit"].to_list()])
    count, size = cells["count"].to_numpy(), cells["size"].to_numpy()
    events = np.bincount(at, count).astype(np.float64)
    cases = np.bincount(at, size).astype(np.float64)
    if not adjusted:
        return events, cases, None
    expected, variance = cone.case_mix_expected(
        count, size, at, cells["stratum"].to_numpy(), len(names)
    )
    target = events.sum() / cases.sum()
    scale = target / np.maximum(expected, 1e-12)
    return events * scale * cases, cases, variance * scale**2  # rate: target times O over E


def _position(rate: float, target: float, qvalue: float, alpha: float) -> str:
    if math.isnan(qvalue) or qvalue > alpha:
        return "not separable"
    return "above" if rate > target else "below"


def _caveats(
    n_pooled: int, n_units: int, members: str | None, strata: tuple[str, ...]
) -> tuple[str, ...]:
    sentences = []
    if n_pooled:
        sentences.append(
            f"{wording.plural(n_pooled, 'unit')} too small to show alone "
            f"{'is left out' if n_pooled == 1 else 'are shown together'}."
        )
    if members is None:
        sentences.append("Units were not checked for ten members: do not use people as units.")
    if n_units < 10:
        sentences.append(f"With {n_units} units their ordinary variation is poorly known.")
    if not strata:
        sentences.append("Case mix was not adjusted: units with harder work look worse.")
    return tuple(sentences)
