"""Which design do these data hold, and what would a better answer need?

How the change came decides what may be said about it. The strongest design that the rows support is
chosen: a split by chance, then a staged roll-out, then everything at once on a date.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rcakit import frames, wording
from rcakit.errors import SchemaError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.validation import check_date, check_integer, check_names

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["DesignChoice", "DesignOption", "choose_design"]

DESIGNS = (
    "randomised", "clusters", "switchback", "rollout", "synthetic_control", "pre_post",
)  # fmt: skip
_WORDS = {
    "randomised": "a split by chance",
    "clusters": "a split of groups by chance",
    "switchback": "a switchback by blocks of time",
    "rollout": "a staged roll-out",
    "synthetic_control": "one changed unit beside unchanged ones",
    "pre_post": "everything at once on a date",
    "none": "none",
}
_GROUP_ENDINGS = ("_id", "reviewer", "team", "site", "vendor", "queue", "region", "market")
_SIDE_BY_SIDE = 0.5  # least share of rows in periods that hold both arms
_APART = 0.02  # most rows in hours that hold both arms, for a switchback
_FEWEST_SWITCHES = 8
_SURE = 10  # rows beyond one per group: by chance all agree less than once in a thousand times


@dataclass(frozen=True, slots=True)
class DesignOption:
    """One design, and whether the data hold it.

    Attributes
    ----------
    design
        Its name.
    is_possible
        Whether the rows support it.
    reason
        Why, or why not.
    needed
        What would make it possible; empty when it is.
    settings
        What was read from the data: groups, length of blocks, date.
    n_units
        Units, groups, blocks or periods that carry it.
    """

    design: str
    is_possible: bool
    reason: str
    needed: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignChoice(Result):
    """The design that the data hold, why, and what the others would need.

    Attributes
    ----------
    options
        Every design, strongest first.
    columns
        Which column plays which part.
    """

    options: tuple[DesignOption, ...]
    columns: Mapping[str, Any]
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "designs": MappingProxyType(
                {
                    "design": "String",
                    "is_chosen": "Boolean",
                    "is_possible": "Boolean",
                    "reason": "String",
                    "needed": "String",
                }
            )
        }
    )

    @property
    def chosen(self) -> DesignOption:
        """Return the strongest possible design; one named ``none`` when there is none."""
        nothing = DesignOption("none", is_possible=False, reason=self.options[0].reason)
        return next((option for option in self.options if option.is_possible), nothing)

    @property
    def design(self) -> str:
        """Return the name of the chosen design."""
        return self.chosen.design

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return every design as a row, strongest first."""
        self._table(table)
        return [
            {
                "design": option.design,
                "is_chosen": option.design == self.design,
                "is_possible": option.is_possible,
                "reason": option.reason,
                "needed": option.needed,
            }
            for option in self.options
        ]

    def reading(self) -> str:
        """Say which design it is and why."""
        if self.design == "none":
            said = "; ".join(dict.fromkeys(o.needed for o in self.options if o.needed))
            return f"These rows hold no design that could answer. Needed: {said}."
        return f"The change came as {_WORDS[self.design]}: {self.chosen.reason}."

    def findings(self) -> tuple[Finding, ...]:
        """Return the choice as one finding; its number is how many units carry it."""
        chosen = self.chosen
        steps = tuple(f"{o.needed}." for o in self.options if o.needed)[:2]
        if self.design == "none":
            why = "no design is possible with these columns"
            return (
                withheld(
                    "data_quality", self.reading(), why=why, unit="units", method="count",
                    next_steps=steps,
                ),
            )  # fmt: skip
        number = float(max(chosen.n_units, 1))
        return (
            Finding(
                claim=self.reading(),
                kind="data_quality",
                estimate=number,
                ci_lower=number,
                ci_upper=number,
                unit="units",
                n_obs=int(number),
                method="count",
                evidence=MappingProxyType({"design": self.design, **chosen.settings}),
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw which designs are possible."""
        from rcakit.plots import experiments as charts

        return charts.designs(self.to_records(), title=self.reading())


def choose_design(
    data: Any,
    *,
    variant: str | None = None,
    unit: str | None = None,
    randomised_by: str | None = None,
    time: str | None = None,
    start: str | None = None,
    at: str | dt.date | None = None,
    block_hours: int | None = None,
    groups: str | Sequence[str] | None = None,
    tz: str = "UTC",
) -> DesignChoice:
    """Find the strongest design that these rows support.

    Parameters
    ----------
    data
        Table in any supported engine.
    variant
        Column with the arm of a row, if there are arms.
    unit
        Column with the id of what was changed: user, task, reviewer, team.
    randomised_by
        Column with the id that chance drew, if known; otherwise it is looked for among `groups`.
    time
        Timestamp or date column.
    start
        Column with the day on which the unit began to work the new way; null for never.
    at
        Day on which everybody changed.
    block_hours
        Length of the blocks of a switchback, if known; otherwise it is read from the rows.
    groups
        Columns that may have been drawn instead of rows; when left out those whose names end like
        ids, teams, sites, vendors, queues or regions.
    tz
        Time zone of the local days.

    Returns
    -------
    DesignChoice
        Table ``designs``: every design, whether it is possible, why, and what it would need.

    Raises
    ------
    SchemaError
        A named column is missing.

    Notes
    -----
    Arms that are the same in every row of a coarser group were drawn by that group: rows agree by
    chance less than once in a thousand times. A column that splits exactly like the arms cannot be
    told from them. Whether chance really drew the arms is not in the data: that remains a claim of
    whoever calls. When not to use it: you know the design; then call it by name.

    Examples
    --------
    >>> import rcakit
    >>> made = rcakit.datasets.make("reviewers_split", size="tiny")
    >>> choice = rcakit.experiments.choose_design(made.tables["tasks"], variant="arm")
    >>> choice.design, choice.chosen.settings["randomised_by"]
    ('clusters', 'reviewer_id')
    """
    frames.check_columns(data, (variant, unit, randomised_by, time, start))
    if block_hours is not None:
        check_integer(block_hours, "block_hours", ge=1)
    columns = {
        "variant": variant, "unit": unit, "randomised_by": randomised_by, "time": time,
        "start": start, "tz": tz,
    }  # fmt: skip
    found = frames.columns(data)
    asked = (
        tuple(c for c in found if c.lower().endswith(_GROUP_ENDINGS))
        if groups is None
        else check_names(groups, "groups")
    )
    candidates = tuple(c for c in asked if c not in {variant, time, start})
    split, derived = _splits(data, variant, unit, randomised_by, time, block_hours, candidates, tz)
    staged, launch = _stages(data, unit, time, start)
    day = check_date(at, "at") if at is not None else derived or launch
    options = (*split, *staged, _date(data, time, day, tz))
    return DesignChoice(
        options=options,
        columns={k: v for k, v in columns.items() if v is not None},
        library=frames.library(data),
    )


_CHANCE = ("randomised", "clusters", "switchback")
_ARM_NEEDED = "a column with the arm of each row, drawn by chance, and variant= to name it"


def _none_of(names: Sequence[str], reason: str, needed: str) -> tuple[DesignOption, ...]:
    return tuple(DesignOption(n, is_possible=False, reason=reason, needed=needed) for n in names)


def _only(option: DesignOption, among: Sequence[str], why: str) -> tuple[DesignOption, ...]:
    """Put one possible design among its impossible neighbours."""
    return tuple(
        option if name == option.design else DesignOption(name, is_possible=False, reason=why)
        for name in among
    )


def _splits(
    data: Any,
    variant: str | None,
    unit: str | None,
    randomised_by: str | None,
    time: str | None,
    block_hours: int | None,
    candidates: tuple[str, ...],
    tz: str,
) -> tuple[tuple[DesignOption, ...], dt.date | None]:
    """Ask whether chance can have drawn rows, groups or blocks; else when the arms followed."""
    if variant is None:
        return _none_of(_CHANCE, "no column names an arm", _ARM_NEEDED), None
    arms = frames.aggregate(data, keys=variant).drop_nulls(variant)
    if arms.height < 2:
        reason = f"{wording.name(variant)} holds {wording.plural(arms.height, 'arm')}"
        return _none_of(_CHANCE, reason, "rows of the old way as well as of the new one"), None
    if time is not None:
        runs = _runs(data, variant, time, tz)
        if runs.share_mixed <= _APART:
            return _in_turn(runs, variant, block_hours)
        if runs.share_mixed < _SIDE_BY_SIDE:
            reason = (
                f"only {wording.percent(runs.share_mixed)} of rows lie in days that hold both arms"
            )
            needed = "arms that ran side by side, or the plan of shares by date (allocation=)"
            return _none_of(_CHANCE, reason, needed), None
    return _side_by_side(data, variant, unit, randomised_by, candidates), None


@dataclass(frozen=True, slots=True)
class _Runs:
    """How the arms follow each other in time."""

    share_mixed: float
    n_runs: int
    block_hours: int
    second_began: dt.datetime


def _runs(data: Any, variant: str, time: str, tz: str) -> _Runs:
    """Look hour by hour (day by day, for dates) for which arm was at work."""
    import polars as pl

    table = frames.aggregate(data, keys=variant, time=time, every="1h", tz=tz)
    table = table.drop_nulls([variant, "period_start"])
    step = 24 if table["period_start"].dt.hour().max() == 0 else 1
    hours = table.group_by("period_start").agg(
        pl.col(variant).n_unique().alias("n_arms"),
        pl.col(variant).sort_by("n_rows").last().alias("arm"),
        pl.col("n_rows").sum(),
        pl.col("n_rows").max().alias("most"),
    )
    hours = hours.sort("period_start")
    rows = float(hours["n_rows"].sum())
    mixed_days = table.with_columns(pl.col("period_start").dt.truncate("1d"))
    mixed_days = mixed_days.group_by("period_start").agg(
        pl.col(variant).n_unique().alias("n_arms"), pl.col("n_rows").sum()
    )
    odd = float((hours["n_rows"] - hours["most"]).sum()) / rows
    began = hours.filter(pl.col("arm") != pl.col("arm").shift(1))["period_start"].to_list()
    moments = [hours["period_start"][0], *began]
    gaps = np.diff([int(at.timestamp()) // 3600 for at in moments])
    side = float(mixed_days.filter(pl.col("n_arms") > 1)["n_rows"].sum()) / rows
    return _Runs(
        share_mixed=odd if odd <= _APART else side,
        n_runs=len(moments),
        block_hours=max(int(np.gcd.reduce(gaps)) if gaps.size else step, step),
        second_began=moments[1] if len(moments) > 1 else moments[0],
    )


def _in_turn(
    runs: _Runs, variant: str, block_hours: int | None
) -> tuple[tuple[DesignOption, ...], dt.date | None]:
    """One arm at a time: a switchback when they took turns, a date when they did so once."""
    name = wording.name(variant)
    if runs.n_runs == 2:
        day = runs.second_began.date()
        reason = f"the arms of {name} follow one another on {day} and never run side by side"
        return _none_of(_CHANCE, reason, _ARM_NEEDED), day
    if runs.n_runs <= _FEWEST_SWITCHES:
        reason = f"the arms of {name} took turns only {runs.n_runs} times"
        needed = f"at least {_FEWEST_SWITCHES} switches between the arms, drawn by chance"
        return _none_of(_CHANCE, reason, needed), None
    length = block_hours or runs.block_hours
    option = DesignOption(
        "switchback",
        is_possible=True,
        reason=f"everybody switched {runs.n_runs - 1} times, by blocks of {length} h",
        settings={"block_hours": length},
        n_units=runs.n_runs,
    )
    return _only(option, _CHANCE, "arms never ran at the same time"), None


def _side_by_side(
    data: Any,
    variant: str,
    unit: str | None,
    randomised_by: str | None,
    candidates: tuple[str, ...],
) -> tuple[DesignOption, ...]:
    """Both arms at once: were rows drawn, or groups of rows?"""
    group = randomised_by or _drawn_group(data, variant, unit, candidates)
    named = group or unit
    if named is None:
        n_rows = int(frames.aggregate(data)["n_rows"].sum())
        reason = f"both arms ran side by side, and no group has one arm only ({wording.amount(n_rows)} rows)"
        option = DesignOption("randomised", is_possible=True, reason=reason, n_units=n_rows)
        return _only(option, _CHANCE, "rows, not groups or hours, have arms")
    counts = frames.aggregate(data, keys=(named, variant)).drop_nulls([named, variant])
    n_units, crossed = counts[named].n_unique(), counts.height - counts[named].n_unique()
    column = wording.name(named)
    if crossed:
        reason = (
            f"{wording.amount(crossed)} of {wording.amount(n_units)} {column} are in several arms"
        )
        return _none_of(_CHANCE, reason, "the id that was drawn, with one arm each")
    if int(counts["n_rows"].sum()) == n_units:
        reason = (
            f"both arms ran side by side, one row for each of {wording.amount(n_units)} {column}"
        )
        option = DesignOption("randomised", is_possible=True, reason=reason, n_units=n_units)
        return _only(option, _CHANCE, f"every {column} has one row")
    reason = f"all rows of each of {wording.amount(n_units)} {column} are in one arm"
    option = DesignOption(
        "clusters",
        is_possible=True,
        reason=reason,
        settings={"randomised_by": named},
        n_units=n_units,
    )
    return _only(option, _CHANCE, f"rows of one {column} share their arm")


def _drawn_group(
    data: Any, variant: str, unit: str | None, candidates: tuple[str, ...]
) -> str | None:
    """Return the coarsest column whose groups all have one arm, when that cannot be chance."""
    arms = frames.aggregate(data, keys=variant).drop_nulls(variant).height
    found: list[tuple[int, str]] = []
    for column in candidates:
        if column == unit:
            continue
        counts = frames.aggregate(data, keys=(column, variant)).drop_nulls([column, variant])
        groups, rows = counts[column].n_unique(), int(counts["n_rows"].sum())
        if counts.height == groups and groups > arms and rows - groups >= _SURE:
            found.append((groups, column))
    return min(found)[1] if found else None


def _stages(
    data: Any, unit: str | None, time: str | None, start: str | None
) -> tuple[tuple[DesignOption, ...], dt.date | None]:
    """Ask whether units changed one after the other, beside units that had not."""
    names = ("rollout", "synthetic_control")
    if unit is None or time is None or start is None:
        needed = (
            "a column with the day on which each unit (team, site, vendor) began, null for never, "
            "as start=, with unit= and time="
        )
        return _none_of(names, "no column says when each unit began", needed), None
    own = frames.aggregate(data, keys=(unit, start)).drop_nulls(unit)
    if own[unit].n_unique() < own.height:
        several = own.height - own[unit].n_unique()
        reason = f"{wording.plural(several, 'unit')} with more than one start"
        return _none_of(names, reason, "one start per unit"), None
    first, last = _bounds(data, time)
    began = [value for value in own[start].to_list() if _inside(value, first, last)]
    n_treated, n_others = len(began), own.height - len(began)
    waves = sorted({str(value)[:10] for value in began})
    if n_treated == 0:
        reason = f"no unit began between {first} and {last}"
        return _none_of(names, reason, "units that began inside the period of the data"), None
    if n_others == 0 and len(waves) == 1:
        reason = f"all {wording.plural(n_treated, 'unit')} began on {waves[0]}"
        return _none_of(names, reason, "units that began later, or never"), _as_day(began[0])
    told = f"{wording.plural(n_treated, 'unit')} began in {wording.plural(len(waves), 'wave')}, {n_others} did not"
    settings = {"waves": waves[:20]}
    if n_treated == 1:
        enough = n_others >= 3
        option = DesignOption(
            "synthetic_control", enough, told, "" if enough else "at least 3 unchanged units",
            settings, 1 + n_others,
        )  # fmt: skip
        return _only(option, names, "a single unit changed"), _as_day(began[0])
    option = DesignOption(
        "rollout", is_possible=True, reason=told, settings=settings, n_units=own.height
    )
    return _only(option, names, "several units changed"), None


def _bounds(data: Any, time: str) -> tuple[Any, Any]:
    """Return the first and last period of the data, as days or as the numbers they are."""
    try:
        days = frames.aggregate(data, time=time, every="1d")["period_start"].drop_nulls()
    except SchemaError:
        values = frames.aggregate(data, keys=time).drop_nulls(time)[time]
        return values.min(), values.max()
    return str(days.min())[:10], str(days.max())[:10]


def _inside(value: Any, first: Any, last: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    if isinstance(first, int | float):
        return bool(first < value <= last)
    return bool(first < str(value)[:10] <= last)


def _as_day(value: Any) -> dt.date | None:
    return None if isinstance(value, int | float) else check_date(value, "start")


def _date(data: Any, time: str | None, day: dt.date | None, tz: str) -> DesignOption:
    """Ask whether there is a date with a past before it."""
    if time is None or day is None:
        needed = "a time column and the day on which everybody changed, as time= and at="
        return DesignOption(
            "pre_post", is_possible=False, reason="no date of the change is known", needed=needed
        )
    days = frames.aggregate(data, time=time, every="1d", tz=tz)["period_start"].drop_nulls()
    every, noun = _step(days)
    before, after = int((days.dt.date() < day).sum()), int((days.dt.date() >= day).sum())
    told = f"{wording.plural(before, noun)} before {day} and {after} from then on"
    if before < 14 or after < 3:
        needed = f"at least 14 {noun}s before and 3 after"
        return DesignOption("pre_post", is_possible=False, reason=told, needed=needed)
    settings = {"at": day.isoformat(), "every": every}
    return DesignOption(
        "pre_post", is_possible=True, reason=told, settings=settings, n_units=before + after
    )


def _step(days: "pl.Series") -> tuple[str, str]:
    """Return how far apart the days with rows usually lie, and what such a step is called."""
    usual = days.sort().diff().dt.total_days().median() or 1
    if not isinstance(usual, int | float) or usual < 5:
        return "1d", "day"
    return ("1w", "week") if usual < 20 else ("1mo", "month")
