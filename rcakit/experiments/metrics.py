"""What is a metric, and which sums does it need from the engine?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit.validation import check_number, refusal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Metric", "Name", "Role", "needed_columns", "needed_pairs", "quadruple", "read_metrics"]

Name = str | tuple[str, str]
Role = Literal["primary", "exploratory", "guardrail"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean, or a ratio of sums, with what was measured before.

    Attributes
    ----------
    numerator, denominator
        Columns; no denominator means a mean over rows.
    before
        Numerator and denominator of the pre-period column, or None.
    role
        Primary metrics are judged together by Holm, exploratory ones by Benjamini-Hochberg.
    margin
        For a guardrail: the largest relative change that can be accepted, with its sign.
    """

    numerator: str
    denominator: str | None = None
    before: tuple[str, str | None] | None = None
    role: Role = "primary"
    margin: float | None = None

    @property
    def name(self) -> str:
        """Return the metric as a table shows it."""
        return (
            self.numerator if self.denominator is None else f"{self.numerator} / {self.denominator}"
        )

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """Return the columns that a row must hold to count."""
        return tuple(c for c in (self.numerator, self.denominator) if c is not None)

    @property
    def slots(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Return numerator, denominator and the two pre-period columns; None stands for one."""
        return (self.numerator, self.denominator, *(self.before or (None, None)))


def read_metrics(
    metrics: Name | Sequence[Name],
    *,
    exploratory: Name | Sequence[Name],
    guardrails: Mapping[Name, float] | None,
    covariates: Mapping[Name, Name] | None,
    found: Sequence[str],
) -> tuple[Metric, ...]:
    """Read the metrics of a call; without ``covariates`` look for columns named ``pre_<metric>``."""
    listed: list[tuple[Name, Role, float | None]] = []
    listed += [(name, "primary", None) for name in _as_list(metrics, "metrics")]
    listed += [(name, "exploratory", None) for name in _as_list(exploratory, "exploratory")]
    for name, margin in (guardrails or {}).items():
        value = check_number(margin, "guardrails margin", hint="Use 0.05 for +5 % at most.")
        if value == 0:
            raise refusal("guardrails margin", "different from zero", margin)
        listed.append((name, "guardrail", value))
    if not listed and metrics != ():
        raise refusal("metrics", "at least one column name", metrics)
    unknown = set(covariates or {}) - {name for name, _, _ in listed}
    if unknown:
        raise refusal("covariates", "keyed by metrics of this call", sorted(map(str, unknown)))
    return tuple(
        Metric(*_pair(name), before=_before(name, covariates, found), role=role, margin=margin)
        for name, role, margin in listed
    )


def needed_columns(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return every column to add up, once."""
    return tuple(dict.fromkeys(c for metric in metrics for c in metric.slots if c is not None))


def needed_pairs(metrics: Sequence[Metric]) -> tuple[tuple[str, str], ...]:
    """Return every pair of columns whose products to add up, once."""
    pairs: dict[tuple[str, str], None] = {}
    for metric in metrics:
        columns = list(dict.fromkeys(c for c in metric.slots if c is not None))
        for one, two in combinations_with_replacement(columns, 2):
            pairs[(min(one, two), max(one, two))] = None
    return tuple(pairs)


def quadruple(metric: Metric, cells: "pl.DataFrame") -> tuple[Floats, Floats]:
    """Return sums and sums of products of a metric's four columns, ``(C, 4)`` and ``(C, 4, 4)``."""
    rows = cells["n_rows"].to_numpy().astype(float)
    slots = metric.slots
    sums = np.stack([rows if c is None else cells[c].to_numpy() for c in slots], axis=1)
    products = np.empty((rows.size, 4, 4))
    for i, one in enumerate(slots):
        for j, two in enumerate(slots):
            if one is None or two is None:
                products[:, i, j] = sums[:, j] if one is None else sums[:, i]
            else:
                name = f"{min(one, two)}__times__{max(one, two)}"
                products[:, i, j] = cells[name].to_numpy()
    return sums, products


def _as_list(names: Name | Sequence[Name], what: str) -> list[Name]:
    if isinstance(names, str):
        return [names]
    if isinstance(names, tuple) and len(names) == 2 and all(isinstance(n, str) for n in names):
        return [(str(names[0]), str(names[1]))]  # a pair is a ratio
    listed: list[Name] = list(names)
    if len(set(map(str, listed))) < len(listed):
        raise refusal(what, "a list without repetition", names)
    return listed


def _pair(name: Name) -> tuple[str, str | None]:
    if isinstance(name, str):
        return name, None
    if len(name) == 2:
        return str(name[0]), str(name[1])
    raise refusal("a metric", "a column name or a pair (numerator, denominator)", name)


def _before(
    name: Name, covariates: Mapping[Name, Name] | None, found: Sequence[str]
) -> tuple[str, str | None] | None:
    if covariates is not None:
        return _pair(covariates[name]) if name in covariates else None
    numerator, denominator = _pair(name)
    wanted = [f"pre_{c}" for c in (numerator, denominator) if c is not None]
    if not all(c in found for c in wanted):
        return None
    return wanted[0], wanted[1] if denominator is not None else None
