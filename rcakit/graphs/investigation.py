"""Which accounts act together, and how do we know? Sharing and lockstep, weighed to one answer."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rcakit import frames, wording
from rcakit.findings import Finding, withheld
from rcakit.graphs.evidence import Ring
from rcakit.graphs.exporting import export, write_codes
from rcakit.graphs.lockstep import find_lockstep
from rcakit.graphs.result import CAVEAT, CUT, RingResult, few
from rcakit.graphs.rings import find_rings
from rcakit.results import Record, Result
from rcakit.stats.proportions import wilson
from rcakit.validation import refusal

if TYPE_CHECKING:
    import datetime as dt

    import altair as alt

__all__ = ["Investigation", "investigate"]

Verdict = Literal["rings_found", "no_rings", "cannot_tell"]

_FEWEST_ACCOUNTS = 30
_MOST_MISSING = 0.5
_METHOD = (
    "groups scored by shared evidence that a household cannot explain, cut by the expected share "
    "of false ones; repeated actions within seconds, tested against hours and crowds"
)
_SAME = 0.5
_IN_TIMELINE = 10


@dataclass(frozen=True, slots=True, eq=False)
class Investigation(Result):
    """Rings by what accounts share and by what they do together, and one verdict.

    Attributes
    ----------
    shared
        Rings by shared attributes, as in the data.
    lockstep
        Rings by actions at the same time, numbered L001 …; None when no actions were given.
    verdict
        ``rings_found``, ``no_rings`` or ``cannot_tell``.
    why_not
        Why the data cannot tell; empty otherwise.
    mask_key
        Secret of this report: accounts and attributes are shown as codes that only it makes.
    """

    shared: RingResult
    lockstep: RingResult | None
    verdict: Verdict
    why_not: str
    mask_key: str
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "rings": MappingProxyType(
                {
                    "ring_id": "String",
                    "basis": "String",
                    "n_accounts": "Int64",
                    "score": "Float64",
                    "n_shared_attributes": "Int64",
                    "n_confirmations": "Int64",
                    "started_at": "Datetime",
                    "ended_at": "Datetime",
                    "known_bad_count": "Int64",
                    "also_seen_as": "String",
                    "reason": "String",
                }
            ),
            "members": RingResult.tables["members"],
            "evidence": RingResult.tables["evidence"],
            "timeline": MappingProxyType(
                {"at": "Datetime", "ring_id": "String", "event": "String"}
            ),
        }
    )
    shown: ClassVar[tuple[str, ...]] = (
        "ring_id",
        "basis",
        "n_accounts",
        "score",
        "known_bad_count",
        "also_seen_as",
        "reason",
    )

    @property
    def parts(self) -> tuple[RingResult, ...]:
        """The results that this one weighs."""
        return (self.shared,) if self.lockstep is None else (self.shared, self.lockstep)

    @property
    def rings(self) -> tuple[Ring, ...]:
        """All rings, those by shared attributes first; ids of accounts as in the data."""
        return tuple(ring for part in self.parts for ring in part.rings)

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``rings`` (main), ``members``, ``evidence`` or ``timeline``, masked."""
        name = self._table(table)
        masked = [part.masked(self.mask_key) for part in self.parts]
        if name in {"members", "evidence"}:
            return [row for part in masked for row in part.to_records(name)]
        rows = [
            row | {"basis": part.basis, "also_seen_as": self._also(row["ring_id"])}
            for part in masked
            for row in part.to_records()
        ]
        if name == "timeline":
            return _timeline(rows[:_IN_TIMELINE])
        return [{column: row[column] for column in self.tables["rings"]} for row in rows]

    def findings(self) -> tuple[Finding, ...]:
        """Return the verdict, the firmest ring, what was set aside, and what was left out."""
        leads = [_firmest(part.rings[0], part.basis) for part in self.parts if part.rings]
        told = [item for part in self.parts for item in part.findings() if item.kind != "verdict"]
        return (self._verdict(), *(leads if self.verdict == "rings_found" else ()), *told)

    def plot(self, ring_id: str | None = None, *, view: str = "overview") -> "alt.TopLevelMixin":
        """Draw all rings, or one ring with masked names, as `RingResult.plot` does."""
        if ring_id is None:
            from rcakit.plots import graphs as charts

            return charts.overview(self.to_records(), title=self._claim())
        known = {ring.ring_id: part for part in self.parts for ring in part.rings}
        if ring_id not in known:
            raise refusal("ring_id", f"one of {', '.join(known) or 'none: no ring'}", ring_id)
        return known[ring_id].masked(self.mask_key).plot(ring_id, view=view)

    def plot_firmest(self, *, view: str = "accounts") -> "alt.TopLevelMixin | None":
        """Draw the ring with the highest score; None when there is no ring."""
        return self.plot(self.rings[0].ring_id, view=view) if self.rings else None

    def write(self, folder: str | Path) -> list[Path]:
        """Write the lists with ids as in the data, for those who may see them.

        Parameters
        ----------
        folder
            Made when it is not there. ``codes.csv`` says which code of the report is which id.
        """
        written = [write_codes(self.rings, self.mask_key, Path(folder))]
        for part, name in zip(self.parts, ("shared", "lockstep"), strict=False):
            written += export(part, Path(folder) / name)
        return written

    def _also(self, ring_id: str) -> str:
        """Name the rings of the other kind that are mostly the same accounts."""
        own = next(ring for ring in self.rings if ring.ring_id == ring_id)
        same = [
            ring.ring_id
            for ring in self.rings
            if ring.ring_id[0] != ring_id[0] and _alike(own, ring)
        ]
        return ", ".join(same)

    def _distinct(self) -> list[Ring]:
        """Return the rings, each once, whether it was seen one way or both."""
        shared = list(self.shared.rings)
        acting = self.lockstep.rings if self.lockstep else ()
        return shared + [ring for ring in acting if not any(_alike(ring, one) for one in shared)]

    def _claim(self) -> str:
        n_accounts = wording.plural(self.shared.n_accounts, "account")
        if self.verdict == "cannot_tell":
            return f"It cannot be told whether accounts act together: {self.why_not}."
        if self.verdict == "no_rings":
            return f"No group among {n_accounts} acts together beyond what ordinary life brings."
        distinct = self._distinct()
        inside = {member.account_id for ring in distinct for member in ring.core}
        groups = wording.plural(len(distinct), "group")
        acts = "acts" if len(distinct) == 1 else "act"
        false = few(self._expected_false())
        return (
            f"{groups} of accounts ({wording.amount(len(inside))} of {n_accounts}) {acts} "
            f"together beyond what ordinary life brings; {false} of the groups would be chance."
        )

    def _expected_false(self) -> float:
        return float(sum(part.expected_false for part in self.parts))

    def _n_inside(self) -> tuple[int, int]:
        """Count the accounts in rings, and those that stay if the largest rings were the false ones."""
        from scipy.stats import poisson

        distinct = self._distinct()
        inside = {member.account_id for ring in distinct for member in ring.core}
        n_false = int(poisson.ppf(0.975, self._expected_false())) if distinct else 0
        sizes = sorted((len(ring.core) for ring in distinct), reverse=True)
        return len(inside), max(len(inside) - sum(sizes[:n_false]), 0)

    def _verdict(self) -> Finding:
        if self.verdict == "cannot_tell":
            return withheld(
                "verdict",
                self._claim(),
                why=f"{self.why_not[:1].upper()}{self.why_not[1:]}.",
                unit="accounts",
                method=_METHOD,
                n_obs=self.shared.n_accounts,
                verdict=self.verdict,
                next_steps=("Check that the columns are the ones that were meant.",),
            )
        found, low = self._n_inside()
        return Finding(
            claim=self._claim(),
            kind="verdict",
            estimate=float(found),
            ci_lower=float(low),
            ci_upper=float(max(found, sum(part.n_below_cut for part in self.parts))),
            unit="accounts",
            n_obs=self.shared.n_accounts,
            method=_METHOD,
            caveats=(CAVEAT, CUT) if found else (CUT,),
            evidence={
                "n_rings": len(self._distinct()),
                "n_scored": sum(part.n_candidates for part in self.parts),
                "max_false_share": self.shared.max_false_share,
            },
            next_steps=_next_steps(self) if found else (),
            verdict=self.verdict,
        )


def investigate(
    data: Any,
    *,
    account: str,
    attribute: str,
    attribute_type: str | None = None,
    time: str | None = None,
    engagement: Any = None,
    target: str = "target_id",
    acted_at: str = "acted_at",
    window: float | str = "auto",
    known_bad: Collection[Any] | None = None,
    max_false_share: float = 0.1,
    min_size: int = 4,
    hub_degree: int = 100,
    mask_key: str | None = None,
) -> Investigation:
    """Say which accounts act together, by what they share and, if given, by what they do.

    Parameters
    ----------
    data, account, attribute, attribute_type, time
        Accounts and their attributes, as in `find_rings`.
    engagement
        Actions, one row each, with the same column of accounts; None leaves lockstep out.
    target, acted_at, window
        Columns and window of the actions, as in `find_lockstep`.
    known_bad
        Accounts already known; counted per ring and never part of a score.
    max_false_share, min_size, hub_degree
        As in `find_rings`.
    mask_key
        Secret from which the codes of accounts are made; a new one for every report when left out.

    Returns
    -------
    Investigation
        One verdict: ``rings_found``, ``no_rings`` beyond chance, or ``cannot_tell``.

    Raises
    ------
    SchemaError
        A column is missing.
    ParameterError
        An option is out of range.

    Notes
    -----
    The two kinds of evidence are searched apart and never added up: a ring that both show is counted
    once and named in ``also_seen_as``. ``cannot_tell`` is the answer where accounts are few, where
    most rows lack an id, and where no attribute is shared by a few accounts, so that no ring could
    show. Do not use it to convict: a ring is a reason to look.
    """
    shared = find_rings(
        data,
        account=account,
        attribute=attribute,
        attribute_type=attribute_type,
        time=time,
        known_bad=known_bad,
        max_false_share=max_false_share,
        min_size=min_size,
        hub_degree=hub_degree,
    )
    acting = None
    if engagement is not None:
        acting = find_lockstep(
            engagement, account=account, target=target, time=acted_at, window=window,
            min_size=min_size, known_bad=known_bad,
        ).lettered("L")  # fmt: skip
    has_rings = bool(shared.rings or (acting is not None and acting.rings))
    why_not = "" if has_rings else _why_not(shared)
    verdict: Verdict = "rings_found" if has_rings else "cannot_tell" if why_not else "no_rings"
    key = secrets.token_hex(16) if mask_key is None else mask_key
    return Investigation(shared, acting, verdict, why_not, key, frames.library(data))


def _why_not(shared: RingResult) -> str:
    """Say why the absence of rings means nothing in these data; empty when it means something."""
    if shared.n_accounts < _FEWEST_ACCOUNTS:
        seen = wording.plural(shared.n_accounts, "account")
        return f"there are {seen}, and fewer than {_FEWEST_ACCOUNTS} prove nothing"
    if shared.missing_share > _MOST_MISSING:
        return f"{wording.percent(shared.missing_share)} of the rows lack account or attribute"
    if not shared.n_comparable:
        return "no attribute is shared by a few accounts, so that no ring could show"
    return ""


def _alike(one: Ring, other: Ring) -> bool:
    """Tell whether half of the smaller ring is in the larger one."""
    left = {member.account_id for member in one.core}
    right = {member.account_id for member in other.core}
    return len(left & right) >= _SAME * min(len(left), len(right))


def _firmest(ring: Ring, basis: str) -> Finding:
    """Say how far the shared attributes of the firmest ring are its own."""
    held = sum(item.n_in_ring for item in ring.shared)
    total = sum(item.n_total for item in ring.shared)
    lower, upper = (float(bound) for bound in wilson(held, total))
    things = "shared attributes" if basis == "shared attributes" else "targets"
    return Finding(
        claim=(
            f"Use of the {things} of ring {ring.ring_id} is concentrated in its "
            f"{wording.plural(len(ring.core), 'account')}: {wording.percent(ring.exclusivity)} "
            f"(95 % interval {wording.percent(lower)} to {wording.percent(upper)}) of "
            f"{wording.amount(total)} ties are theirs."
        ),
        kind="concentration",
        estimate=held / total,
        ci_lower=min(lower, held / total),
        ci_upper=max(upper, held / total),
        unit=f"share of ties in {ring.ring_id}",
        n_obs=total,
        method="members among all holders of the shared attributes, Wilson interval",
        evidence={"ring_id": ring.ring_id, "n_accounts": len(ring.core), "score": ring.score},
    )


def _timeline(rows: list[Record]) -> list[Record]:
    """Tell when the first and the last account of each ring joined."""
    events: list[tuple[dt.datetime, str, str]] = []
    for row in rows:
        size = wording.plural(row["n_accounts"], "account")
        for name, words in (("started_at", "first"), ("ended_at", "last")):
            if row[name] is not None:
                events.append((row[name], row["ring_id"], f"The {words} of {size} joined."))
    return [{"at": at, "ring_id": ring, "event": event} for at, ring, event in sorted(events)]


def _next_steps(found: Investigation) -> tuple[str, ...]:
    steps = [
        "Have two reviewers look at the ring with the highest and the one with the lowest score.",
        "Check the shared attributes of each ring against known schools, agencies and families.",
    ]
    both = [row["ring_id"] for row in found.to_records() if row["also_seen_as"]]
    if both:
        steps.insert(0, f"Begin with {', '.join(both[:3])}: seen by sharing and by lockstep.")
    known = [row["ring_id"] for row in found.to_records() if row["known_bad_count"]]
    if known:
        steps.append(
            f"Compare {', '.join(known[:3])} with the earlier cases of the known accounts."
        )
    return tuple(steps)
