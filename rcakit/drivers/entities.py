"""Is the excess carried by a handful of accounts, reporters or merchants, and are they new?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit import frames, wording
from rcakit.drivers.leaf_table import Span, is_same
from rcakit.findings import Finding, withheld
from rcakit.stats.concentration import Concentration, concentration

if TYPE_CHECKING:
    import polars as pl

__all__ = ["EntityShares", "entity_shares"]

_METHOD = "excess per entity over its own scaled baseline; 95 % Wilson interval of the share"
_FEW = 0.5  # a handful carries the excess when the ten largest hold half of it


@dataclass(frozen=True, slots=True, eq=False)
class EntityShares:
    """How the excess of the rising segments spreads over entities; it holds no ids.

    Attributes
    ----------
    entity
        Column of the entities.
    numbers
        Top shares, Gini coefficients, share of new entities.
    excess
        Positive excess over all entities, in the unit of the result.
    """

    entity: str
    numbers: Concentration
    excess: float

    def finding(self, *, unit: str, where: str) -> Finding:
        """Say how concentrated the excess is, without any id."""
        numbers, column = self.numbers, wording.name(self.entity)
        if self.excess <= 0 or numbers.n_entities < 2:
            return withheld(
                "concentration",
                f"Nothing can be said about single values of {column}: none stands above its baseline.",
                why="there is no excess to share out",
                unit="share of the excess",
                method=_METHOD,
            )
        top = numbers.top_shares[10]
        few = min(10, numbers.n_entities)
        how = "is concentrated in few" if top >= _FEW else "is spread over many"
        low, high = _wilson(top, self.excess)
        return Finding(
            claim=(
                f"The excess {where} {how} values of {column}: the {few} largest of "
                f"{wording.amount(numbers.n_entities)} hold {wording.percent(top)} of it, the "
                f"largest alone {wording.percent(numbers.top_shares[1])}; "
                f"{wording.percent(numbers.new_share)} comes from {wording.amount(numbers.n_new)} "
                "that the baseline never saw there."
            ),
            kind="concentration",
            estimate=top,
            ci_lower=low,
            ci_upper=high,
            unit="share of the excess",
            n_obs=max(1, round(self.excess)),
            method=_METHOD,
            caveats=(
                (
                    "In sparse data a few always lead; compare the Gini coefficient now "
                    f"({wording.amount(numbers.gini)}) with that of the baseline "
                    f"({wording.amount(numbers.base_gini)})."
                ),
            ),
            evidence={
                "excess": self.excess,
                "excess_unit": unit,
                "top_shares": {str(k): v for k, v in numbers.top_shares.items()},
                "gini": numbers.gini,
                "base_gini": numbers.base_gini,
                "new_share": numbers.new_share,
                "n_entities": numbers.n_entities,
                "n_new": numbers.n_new,
                "n_half": numbers.n_half,
            },
            next_steps=(f"Review the largest values of {column} in a tool that may show ids.",),
        )


def entity_shares(
    data: Any,
    *,
    entity: str,
    segments: Sequence[Mapping[str, Sequence[Any]]],
    time: str,
    tz: str,
    span: Span,
    value: str | None,
    growth: float = 1.0,
) -> EntityShares:
    """Ask the engine for sums per entity before and during the period, inside the segments.

    Parameters
    ----------
    segments
        Segments whose excess is shared out, each as dimension → its values; everything where there are none.
    growth
        Factor that everything else moved by, so that a general rise is not laid on entities.
    """
    keys = tuple(dict.fromkeys((entity, *(name for item in segments for name in item))))
    before, during = (
        _inside(_sums(data, keys, window, time=time, tz=tz, value=value), segments, entity)
        for window in (span.baseline or span.period, span.period)
    )
    known = set(before)
    names = sorted({*before, *during}, key=str)
    n_before = len(span.occasions(*(span.baseline or span.period)))
    scale = growth * len(span.occasions(*span.period)) / max(n_before, 1)
    observed = np.array([during.get(name, 0.0) for name in names])
    expected = scale * np.array([before.get(name, 0.0) for name in names])
    numbers = concentration(
        observed, expected, is_known=np.array([name in known for name in names], dtype=bool)
    )
    return EntityShares(entity, numbers, float(np.maximum(numbers.excess, 0.0).sum()))


def _sums(
    data: Any,
    keys: tuple[str, ...],
    window: tuple[Any, Any],
    *,
    time: str,
    tz: str,
    value: str | None,
) -> "pl.DataFrame":
    return frames.aggregate(
        data,
        keys=keys,
        time=time,
        tz=tz,
        start=window[0],
        end=window[1],
        sums=(value,) if value else (),
    ).rename({value or "n_rows": "amount__"})


def _inside(
    table: "pl.DataFrame", segments: Sequence[Mapping[str, Sequence[Any]]], entity: str
) -> dict[Any, float]:
    """Sum per entity over the rows of the segments; rows without an entity are left out."""
    added: dict[Any, float] = {}
    for row in table.iter_rows(named=True):
        belongs = not segments or any(
            all(any(is_same(row[name], one) for one in wanted) for name, wanted in item.items())
            for item in segments
        )
        if belongs and row[entity] is not None:
            added[row[entity]] = added.get(row[entity], 0.0) + float(row["amount__"])
    return added


def _wilson(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of n (Wilson, 1927, J. Amer. Statist. Assoc. 22, 209-212)."""
    z = 1.96
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
