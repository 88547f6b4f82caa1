"""Do groups get different outcomes or service when their cases are equal?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.cohorts.judging import judge
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats import standardisation
from rcakit.stats.multiplicity import benjamini_hochberg, holm
from rcakit.stats.proportions import newcombe_difference
from rcakit.stats.standardisation import Standardised
from rcakit.validation import check_choice, check_integer, check_names, check_number, refusal

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["DisparityResult", "disparity"]

Floats = npt.NDArray[np.float64]
Verdict = Literal["gap_remains", "explained_by_mix", "no_gap", "cannot_tell"]

_PRIVACY_FLOOR = 10
_COMPARED = 0.8  # share of a group's cases that must have counterparts


@dataclass(frozen=True, slots=True)
class DisparityResult(Result):
    """Gaps between groups, as they are and at equal case mix.

    Attributes
    ----------
    gaps, strata
        The rows of the tables; ``strata`` hides cells below the privacy floor, and one more cell
        wherever the hidden one could be worked out.
    reference
        The group compared with.
    adjust_for
        The case mix held equal.
    is_rate
        Whether the outcome is 0/1.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    gaps: tuple[Record, ...]
    strata: tuple[Record, ...]
    reference: str
    outcome: str
    adjust_for: tuple[str, ...]
    is_rate: bool
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "gaps": {
            "group": "String",
            "n_obs": "Int64",
            "mean": "Float64",
            "reference_mean": "Float64",
            "effect": "Float64",
            "effect_ci_lower": "Float64",
            "effect_ci_upper": "Float64",
            "adjusted_effect": "Float64",
            "adjusted_effect_ci_lower": "Float64",
            "adjusted_effect_ci_upper": "Float64",
            "odds_ratio": "Float64",
            "odds_ratio_ci_lower": "Float64",
            "odds_ratio_ci_upper": "Float64",
            "pvalue": "Float64",
            "qvalue": "Float64",
            "rate_effect": "Float64",
            "mix_effect": "Float64",
            "share_compared": "Float64",
            "verdict": "String",
        },
        "strata": {
            "stratum": "String",
            "group": "String",
            "n_obs": "Int64",
            "mean": "Float64",
            "is_suppressed": "Boolean",
        },
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``gaps`` (default) or ``strata``."""
        return [dict(row) for row in getattr(self, self._table(table))]

    def findings(self) -> tuple[Finding, ...]:
        """Say per group whether a gap remains at equal case mix."""
        return tuple(self._finding(row) for row in self.gaps)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw raw and adjusted gaps with their intervals."""
        from rcakit.plots import cohorts

        rows = [row | {"cohort": row["group"], "outcome": self.outcome} for row in self.gaps]
        return cohorts.effects(rows, reference=self.reference, title=self.reading())

    @staticmethod
    def _doubt(row: Record) -> str:
        """Say why nobody can tell."""
        low, high = row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]
        if row["share_compared"] < _COMPARED or math.isnan(low):
            return "too few cases in strata that both groups have"
        if low <= 0 <= high:
            return "the interval at equal case mix holds both no gap and the gap as it is"
        return f"a gap like that comes by chance in {wording.percent(row['qvalue'])} of comparisons"

    def _finding(self, row: Record) -> Finding:
        who, other = wording.visible(row["group"]), wording.visible(self.reference)
        mix = ", ".join(wording.visible(name) for name in self.adjust_for)
        say = wording.percent if self.is_rate else wording.amount
        method = "Cochran–Mantel–Haenszel" if self.is_rate else "direct standardisation"
        common: dict[str, Any] = {
            "unit": wording.visible(self.outcome),
            "n_obs": row["n_obs"],
            "method": method,
            "caveats": self.caveats,
            "segment": {"group": row["group"]},
        }
        raw = say(row["effect"], signed=True)
        if row["verdict"] == "cannot_tell":
            return withheld(
                "difference",
                f"Whether {who} and {other} differ at equal {mix} cannot be told ({raw} as they are).",
                why=self._doubt(row),
                **common,
            )
        low, high = row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]
        numbers = f"{say(row['adjusted_effect'], signed=True)} ({say(low, signed=True)} to {say(high, signed=True)})"
        claim = {
            "gap_remains": f"The gap between {who} and {other} remains at equal {mix}: {numbers}; "
            f"as they are it is {raw}.",
            "explained_by_mix": f"The gap between {who} and {other} ({raw}) is explained by {mix}: at "
            f"equal case mix it is {numbers}{'' if low <= 0 <= high else ', which may be chance'}.",
            "no_gap": f"No gap between {who} and {other} can be shown at equal {mix}: {numbers}.",
        }[row["verdict"]]
        remains = row["verdict"] == "gap_remains"
        steps = ("Read cases from the strata with the widest gap, with the group hidden.",)
        return Finding(
            claim=claim,
            kind="ruled_out" if row["verdict"] == "explained_by_mix" else "difference",
            estimate=row["adjusted_effect"],
            ci_lower=low,
            ci_upper=high,
            next_steps=steps if remains else (),
            evidence={
                name: row[name] for name in ("odds_ratio", "qvalue", "rate_effect", "mix_effect")
            },
            **common,
        )


def disparity(
    data: Any,
    *,
    group: str,
    outcome: str,
    adjust_for: str | Sequence[str],
    reference: Any = None,
    correction: Literal["holm", "bh"] = "holm",
    privacy_floor: int = _PRIVACY_FLOOR,
    confidence_level: float = 0.95,
) -> DisparityResult:
    """Is there a gap between groups once their cases are equal?

    Parameters
    ----------
    data
        Table with one row per case, in any supported engine.
    group
        Column of protected or regional groups.
    outcome
        0/1 outcome (removed, upheld) or service level (hours).
    adjust_for
        Columns whose strata are the case mix. Numbers are taken as strata as they are: cut them
        into classes first.
    reference
        Group to compare with; the largest when left out.
    correction
        Over groups: ``holm`` or ``bh``.
    privacy_floor
        Groups and cells with fewer cases are never shown; at least 10.
    confidence_level
        Of the intervals.

    Returns
    -------
    DisparityResult
        Tables ``gaps`` and ``strata``.

    Raises
    ------
    NotEnoughDataError
        Fewer than two groups reach the privacy floor.
    ParameterError
        A floor below 10, or an unknown reference.

    Notes
    -----
    A gap that vanishes at equal case mix may still be unfair if the mix is (policies that hit one
    group more). A gap that remains is no proof of bias: strata are as coarse as the columns given.
    Never adjust for what the decision itself made. Rates are compared by Cochran–Mantel–Haenszel
    with Sato's interval, service levels by direct standardisation to the group's mix.

    References
    ----------
    Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22, p. 719; Sato (1989), Biometrics 45,
    p. 1323; Breslow and Day (1987), Statistical Methods in Cancer Research II, p. 52.

    Examples
    --------
    >>> import polars as pl, rcakit.cohorts as cohorts
    >>> rows = pl.DataFrame({
    ...     "region": ["x"] * 100 + ["y"] * 100, "policy": (["a"] * 80 + ["b"] * 20) + (["a"] * 20 + ["b"] * 80),
    ...     "is_removed": [1, 0, 0, 0] * 20 + [1] * 20 + [1, 0, 0, 0] * 5 + [1] * 80,
    ... })
    >>> found = cohorts.disparity(rows, group="region", outcome="is_removed", adjust_for="policy")
    >>> found.to_records()[0]["adjusted_effect"]
    0.0
    """
    check_choice(correction, "correction", ("holm", "bh"))
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_integer(
        privacy_floor,
        "privacy_floor",
        ge=_PRIVACY_FLOOR,
        hint="Smaller groups could point at people.",
    )
    columns = check_names(adjust_for, "adjust_for")
    if not columns or group in columns or outcome in columns:
        raise refusal(
            "adjust_for", "at least one column that is neither group nor outcome", adjust_for
        )
    cells, n_missing = _cells(data, group, outcome, columns)
    names, hidden = _groups(cells, privacy_floor)
    chosen = names[0] if reference is None else str(reference)
    if chosen not in names:
        raise refusal("reference", f"one of the groups {sorted(names)[:10]}", reference)
    table = _Table.build(cells, names)
    is_rate = bool(np.allclose(table.total, table.square))
    gaps = [
        _gap(name, chosen, table, is_rate=is_rate, level=confidence_level)
        for name in sorted(names)
        if name != chosen
    ]
    adjust = holm if correction == "holm" else benjamini_hochberg
    qvalues = adjust([row["pvalue"] for row in gaps])
    alpha = 1 - confidence_level
    rows = tuple(
        row | {"qvalue": float(q), "verdict": _verdict(row, float(q), alpha)}
        for row, q in zip(gaps, qvalues, strict=True)
    )
    return DisparityResult(
        gaps=rows,
        strata=_strata(table, privacy_floor),
        reference=chosen,
        outcome=outcome,
        adjust_for=columns,
        is_rate=is_rate,
        caveats=_caveats(hidden, n_missing, privacy_floor, rows),
        library=frames.library(data),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Cases, sums and sums of squares, groups by strata."""

    groups: list[str]
    strata: list[str]
    size: Floats
    total: Floats
    square: Floats

    @classmethod
    def build(cls, cells: "pl.DataFrame", names: list[str]) -> "_Table":
        """Arrange aggregated cells as matrices."""
        strata = sorted(cells["stratum"].unique().to_list())
        shape = (len(names), len(strata))
        row = {name: i for i, name in enumerate(names)}
        column = {name: i for i, name in enumerate(strata)}
        kept = cells.filter(cells["group"].is_in(names))
        at = np.array([row[name] for name in kept["group"]], dtype=np.int64) * shape[1] + np.array(
            [column[name] for name in kept["stratum"]], dtype=np.int64
        )
        return cls(
            names,
            strata,
            *(
                np.bincount(at, kept[name].to_numpy(), minlength=shape[0] * shape[1])
                .astype(np.float64)
                .reshape(shape)
                for name in ("size", "total", "square")
            ),
        )

    def mean(self, name: str) -> Floats:
        """Return a group's mean per stratum; zero where it has no case."""
        i = self.groups.index(name)
        return np.asarray(self.total[i] / np.maximum(self.size[i], 1))

    def variance(self, name: str) -> Floats:
        """Return a group's variance per stratum, of one case."""
        i = self.groups.index(name)
        n = self.size[i]
        centred = self.square[i] - self.total[i] ** 2 / np.maximum(n, 1)
        return np.asarray(np.clip(centred, 0, None) / np.maximum(n - 1, 1))


def _cells(
    data: Any, group: str, outcome: str, columns: tuple[str, ...]
) -> tuple["pl.DataFrame", int]:
    """Reduce to groups by strata, where the rows live."""
    import polars as pl

    table = frames.aggregate(data, keys=[group, *columns], sums=outcome, squares=outcome)
    frames.check_finite(table, [outcome])
    parts = [pl.col(name).cast(pl.String).fill_null("(missing)") for name in columns]
    cells = table.filter(pl.col(group).is_not_null()).select(
        group=pl.col(group).cast(pl.String),
        stratum=pl.concat_str(parts, separator=", "),
        size=(pl.col("n_rows") - pl.col("n_missing")).cast(pl.Float64),
        total=pl.col(outcome),
        square=pl.col(f"{outcome}__squared"),
    )
    n_missing = int(table["n_missing"].sum())
    n_missing += int(table.filter(pl.col(group).is_null())["n_rows"].sum())
    return cells, n_missing


def _groups(cells: "pl.DataFrame", floor: int) -> tuple[list[str], int]:
    """Return the groups that may be shown, largest first, and how many may not."""
    import polars as pl

    sizes = cells.group_by("group").agg(pl.col("size").sum())
    sizes = sizes.sort(["size", "group"], descending=[True, False])
    shown_names = sizes.filter(pl.col("size") >= floor)["group"].to_list()
    if len(shown_names) < 2:
        raise NotEnoughDataError(
            f"a comparison needs two groups of at least {floor} cases, got {len(shown_names)}. "
            "Groups below the privacy floor are never shown; use a longer period."
        )
    return shown_names, sizes.height - len(shown_names)


def _gap(name: str, reference: str, table: _Table, *, is_rate: bool, level: float) -> Record:
    i, j = table.groups.index(name), table.groups.index(reference)
    n, m = table.size[i], table.size[j]
    raw = _raw(table, i, j, is_rate=is_rate, level=level)
    at_mix = standardisation.pooled_gap(
        table.mean(name),
        table.mean(reference),
        table.variance(name),
        table.variance(reference),
        n,
        m,
        confidence_level=level,
    )
    odds = (math.nan,) * 3
    if is_rate:
        ratio, ratio_low, ratio_high, pvalue = standardisation.cochran_mantel_haenszel(
            table.total[i], n, table.total[j], m, confidence_level=level
        )
        odds = (ratio, ratio_low, ratio_high)
        effect, low, high = standardisation.mantel_haenszel_difference(
            table.total[i], n, table.total[j], m, confidence_level=level
        )
        at_mix = Standardised(effect, low, high, pvalue, at_mix.share_compared)
    rates, mix = standardisation.kitagawa(table.mean(name), table.mean(reference), n, m)
    return {
        "group": name,
        "n_obs": int(n.sum()),
        "mean": raw[0],
        "reference_mean": raw[1],
        "effect": raw[0] - raw[1],
        "effect_ci_lower": raw[2],
        "effect_ci_upper": raw[3],
        "adjusted_effect": at_mix.effect,
        "adjusted_effect_ci_lower": at_mix.ci_lower,
        "adjusted_effect_ci_upper": at_mix.ci_upper,
        "odds_ratio": odds[0],
        "odds_ratio_ci_lower": odds[1],
        "odds_ratio_ci_upper": odds[2],
        "pvalue": at_mix.pvalue,
        "qvalue": math.nan,
        "rate_effect": rates,
        "mix_effect": mix,
        "share_compared": at_mix.share_compared,
        "verdict": "",
    }


def _raw(
    table: _Table, i: int, j: int, *, is_rate: bool, level: float
) -> tuple[float, float, float, float]:
    """Return both means and the interval of their difference, as the groups are."""
    n, m = table.size[i].sum(), table.size[j].sum()
    x, y = table.total[i].sum(), table.total[j].sum()
    if is_rate:
        low, high = newcombe_difference(x, n, y, m, confidence_level=level)
        return float(x / n), float(y / m), float(low), float(high)
    one = np.ones(1)
    spread = [
        (table.square[k].sum() - total**2 / size) / max(size - 1, 1)
        for k, total, size in ((i, x, n), (j, y, m))
    ]
    gap = standardisation.pooled_gap(
        one * (x / n),
        one * (y / m),
        one * spread[0],
        one * spread[1],
        one * n,
        one * m,
        confidence_level=level,
    )
    return float(x / n), float(y / m), gap.ci_lower, gap.ci_upper


def _verdict(row: Record, qvalue: float, alpha: float) -> Verdict:
    """Judge a gap, in the words of this result."""
    if row["share_compared"] < _COMPARED:
        return "cannot_tell"
    word = judge(row | {"qvalue": qvalue}, alpha=alpha)
    known: dict[str, Verdict] = {
        "no_gap": "no_gap",
        "explained_by_mix": "explained_by_mix",
        "cannot_tell": "cannot_tell",
    }
    return known.get(word, "gap_remains")


def _strata(table: _Table, floor: int) -> tuple[Record, ...]:
    """Return the cells, hiding small ones and those from which they could be worked out."""
    hidden = _hidden(table.size, floor)
    return tuple(
        {
            "stratum": stratum,
            "group": name,
            "n_obs": None if hidden[i, k] else int(table.size[i, k]),
            "mean": math.nan if hidden[i, k] else float(table.total[i, k] / table.size[i, k]),
            "is_suppressed": bool(hidden[i, k]),
        }
        for k, stratum in enumerate(table.strata)
        for i, name in enumerate(table.groups)
        if table.size[i, k] > 0
    )


def _hidden(size: Floats, floor: int) -> npt.NDArray[np.bool_]:
    """Return the cells to hide; a row or column never hides exactly one, as totals are shown."""
    hidden = (size > 0) & (size < floor)
    changed = bool(hidden.any())
    while changed:
        changed = False
        for view, mask in ((size, hidden), (size.T, hidden.T)):
            for sizes, row in zip(view, mask, strict=True):
                open_cells = np.flatnonzero((sizes > 0) & ~row)
                if row.sum() == 1 and open_cells.size:
                    row[open_cells[np.argmin(sizes[open_cells])]] = True
                    changed = True
    return hidden


def _caveats(n_hidden: int, n_missing: int, floor: int, rows: Sequence[Record]) -> tuple[str, ...]:
    said = []
    if n_hidden:
        said.append(
            f"{wording.plural(n_hidden, 'group')} with fewer than {floor} cases are not shown."
        )
    if n_missing:
        said.append(f"{wording.plural(n_missing, 'row')} without group or outcome did not count.")
    if any(row["share_compared"] < 1 for row in rows):
        said.append("Cases in strata that only one group has are compared with nothing.")
    said.append("Strata are as coarse as the columns given; what they do not hold is not equal.")
    return tuple(said)
