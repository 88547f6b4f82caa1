"""What happened? A scenario is data: its causes, the changes that were logged, the tables it shows.

Days are counted from the end of the period, as in a Python list: -1 is the last day, -8 the eighth from the end. This
is what makes a scenario independent of the size of the data.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Segment: TypeAlias = dict[str, str]
Verdict: TypeAlias = Literal[
    "localised", "broad", "no_evidence",
    "reversed_by_mix", "explained_by_mix", "gap_persists", "no_gap",
    "reviewers", "guideline", "shared_error", "mix", "auditors", "no_drop", "cannot_tell",
]  # fmt: skip
Measure: TypeAlias = Literal[
    "count",
    "error",
    "unseen_error",
    "audit_error",
    "hard_share",
    "hardest_share",
    "exclusive",
    "hours",
    "skill",
]

# A cause that acts from the first day to the last, whatever the size.
ALWAYS_FIRST_DAY, ALWAYS_HOURS = -4_000, 4_000 * 24


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log.

    Parameters
    ----------
    day
        Day of the change, from the end of the period.
    time_of_day
        UTC, as ``"21:40"``.
    kind
        One of `rcakit.datasets.tables.change_log.KINDS`.
    title
        One line, as an engineer would log it; it never says whether the change is to blame.
    scope
        The segment that the change touched; empty for everything.
    """

    day: int
    time_of_day: str
    kind: str
    title: str
    scope: Segment


@dataclass(frozen=True, slots=True)
class Decoy:
    """A logged change that did nothing to the numbers, and why a careful reader would rule it out."""

    change: Change
    why: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that truly changed the rate of events.

    Parameters
    ----------
    cause_id
        Name of the cause; also the name of its random stream.
    segment
        Where it acted: dimension to value; empty for everywhere.
    effect
        Factor on the rate while it lasted: above 1 adds events, below 1 removes them.
    first_day
        Day on which it set in, at midnight UTC, from the end of the period.
    duration_hours
        How long it lasted.
    change
        The change that brought it, or None where no change did.
    fix
        The change that ended it, if that was logged.
    acceptable
        Other right answers, such as segments made of the same rows.
    forbidden
        Wrong answers that a hasty reader would give.
    table
        The table it acted on.
    measure
        What the effect is a factor on: the ``count`` of events; for decisions the chance of an
        ``error``, of an error that auditors share (``unseen_error``), of an auditor's own error
        (``audit_error``), the odds of hard policies (``hard_share``) or of the hardest alone
        (``hardest_share``), or the ``hours`` taken;
        ``exclusive`` is the share of work that nobody else does. For ratings the ``skill``.
    """

    cause_id: str
    segment: Segment
    effect: float
    first_day: int
    duration_hours: int
    change: Change | None = None
    fix: Change | None = None
    acceptable: tuple[Segment, ...] = ()
    forbidden: tuple[Segment, ...] = ()
    table: str = "reports"
    measure: Measure = "count"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story with a known ending.

    Parameters
    ----------
    name
        What the caller asks for.
    description
        One line.
    verdict
        What a good analysis concludes.
    causes
        What truly happened.
    decoys
        What was logged near the time but did nothing.
    tables
        The tables that this scenario makes.
    """

    name: str
    description: str
    verdict: Verdict
    causes: tuple[Cause, ...] = ()
    decoys: tuple[Decoy, ...] = ()
    tables: tuple[str, ...] = ("reports", "denominators", "change_log", "accounts")

    def causes_on(self, table: str) -> tuple[Cause, ...]:
        """List the causes that act on one table."""
        return tuple(cause for cause in self.causes if cause.table == table)

    def changes(self) -> tuple[Change, ...]:
        """List the changes that the story needs in the log: causes, fixes and decoys."""
        by_causes = [
            change
            for cause in self.causes
            for change in (cause.change, cause.fix)
            if change is not None
        ]
        return (*by_causes, *(decoy.change for decoy in self.decoys))
