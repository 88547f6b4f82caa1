"""RingResult: the rings, their members and evidence, and what was set aside as ordinary."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from rcakit import frames, wording
from rcakit.errors import ParameterError
from rcakit.findings import Finding, withheld
from rcakit.graphs.evidence import BELOW_CUT, Ring, SetAside
from rcakit.results import Record, Result
from rcakit.validation import did_you_mean

if TYPE_CHECKING:
    import altair as alt

__all__ = ["CAVEAT", "CUT", "RingResult", "code_of", "few"]

_METHOD = "groups scored by evidence that no household explains, cut by expected false rings"
CAVEAT = (
    "A ring is a reason to look, not proof of intent; large families, schools and agencies can "
    "share like rings do."
)
CUT = (
    "The cut is an extrapolation of ordinary sharing in the same data plus chance merges in a "
    "rewired copy; it is not a guarantee for the single ring."
)

_TENTH = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class RingResult(Result):
    """Groups of accounts that act together, and why we think so.

    Attributes
    ----------
    rings
        The reported rings, highest score first.
    set_aside
        Sharing that looks ordinary.
    n_candidates
        Groups that were scored.
    expected_false
        Reported rings that are expected to be false.
    max_false_share
        What the caller asked for.
    n_accounts
        Accounts in the table.
    n_comparable
        Attributes that at least two accounts share and that are no hub: what a ring could show in.
    missing_share
        Share of the rows without account or attribute, 0–1.
    notes
        What was left out of the table.
    basis
        ``shared attributes`` or ``lockstep``.
    """

    rings: tuple[Ring, ...]
    set_aside: tuple[SetAside, ...]
    n_candidates: int
    expected_false: float
    max_false_share: float
    n_accounts: int
    n_comparable: int
    missing_share: float
    notes: tuple[str, ...]
    basis: str
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "rings": MappingProxyType(
                {
                    "ring_id": "String",
                    "n_accounts": "Int64",
                    "score": "Float64",
                    "n_shared_attributes": "Int64",
                    "n_confirmations": "Int64",
                    "started_at": "Datetime",
                    "ended_at": "Datetime",
                    "known_bad_count": "Int64",
                    "reason": "String",
                    "exclusivity": "Float64",
                    "qvalue": "Float64",
                }
            ),
            "members": MappingProxyType(
                {
                    "ring_id": "String",
                    "account_id": "String",
                    "n_shared": "Int64",
                    "n_partners": "Int64",
                    "evidence": "Float64",
                    "joined_at": "Datetime",
                    "is_known_bad": "Boolean",
                    "is_core": "Boolean",
                }
            ),
            "evidence": MappingProxyType(
                {
                    "ring_id": "String",
                    "attribute_type": "String",
                    "attribute": "String",
                    "n_in_ring": "Int64",
                    "n_total": "Int64",
                    "weight": "Float64",
                }
            ),
            "set_aside": MappingProxyType(
                {"kind": "String", "n_groups": "Int64", "n_accounts": "Int64", "why": "String"}
            ),
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``rings`` (main), ``members``, ``evidence`` or ``set_aside``."""
        name = self._table(table)
        if name == "members":
            return [row for ring in self.rings for row in _member_rows(ring)]
        if name == "evidence":
            return [_evidence_row(ring, i) for ring in self.rings for i in range(len(ring.shared))]
        if name == "set_aside":
            return [
                {"kind": s.kind, "n_groups": s.n_groups, "n_accounts": s.n_accounts, "why": s.why}
                for s in self.set_aside
            ]
        return [_ring_row(ring) for ring in self.rings]

    def ring(self, ring_id: str) -> Ring:
        """Return one ring by its id."""
        for ring in self.rings:
            if ring.ring_id == ring_id:
                return ring
        known = [ring.ring_id for ring in self.rings]
        listed = f"{known[0]} to {known[-1]}" if known else "none: no ring was found"
        near = did_you_mean(str(ring_id), known)
        raise ParameterError(f"ring_id must be one of {listed}, got {ring_id!r}. {near}".strip())

    def masked(self, key: str) -> "RingResult":
        """Replace account ids and attributes by codes that only this key makes.

        Parameters
        ----------
        key
            Secret of one report; the same key gives the same codes, another key unrelated ones.
        """
        if not key:
            raise ParameterError("key must be a non-empty text, got nothing.")

        def code(text: str) -> str:
            return code_of(text, key)

        rings = [
            replace(
                ring,
                members=tuple(replace(m, account_id=code(m.account_id)) for m in ring.members),
                shared=tuple(
                    replace(s, attribute=code(s.attribute), holders=tuple(map(code, s.holders)))
                    for s in ring.shared
                ),
            )
            for ring in self.rings
        ]
        return replace(self, rings=tuple(rings))

    @property
    def n_below_cut(self) -> int:
        """Groups that are tied more firmly than a household and were still not reported."""
        return sum(row.n_groups for row in self.set_aside if row.kind == BELOW_CUT)

    def lettered(self, letter: str) -> "RingResult":
        """Number the rings with another letter, so that two lists can stand side by side."""
        rings = (replace(ring, ring_id=letter + ring.ring_id[1:]) for ring in self.rings)
        return replace(self, rings=tuple(rings))

    def findings(self) -> tuple[Finding, ...]:
        """Return the verdict, then what was ruled out, then defects of the data."""
        return (self._verdict(), *self._ruled_out(), *self._defects())

    def plot(self, ring_id: str | None = None, *, view: str = "overview") -> "alt.TopLevelMixin":
        """Draw all rings by size and score, or one ring.

        Parameters
        ----------
        ring_id
            A ring to draw; None draws the overview.
        view
            For one ring: ``accounts`` (who is tied to whom), ``bipartite`` (accounts and what they
            share) or ``timeline`` (who joined when).
        """
        from rcakit.plots import graphs as charts
        from rcakit.validation import check_choice

        if ring_id is None:
            return charts.overview(self.to_records(), title=self._claim())
        ring = self.ring(ring_id)
        check_choice(view, "view", ("overview", "accounts", "bipartite", "timeline"))
        if view == "timeline":
            return charts.joins(_member_rows(ring), title=ring.reason)
        from rcakit.graphs.exporting import graph_of

        projected = view != "bipartite"
        return charts.node_link(graph_of(ring, bipartite=not projected), title=ring.reason)

    def _claim(self) -> str:
        if not self.rings:
            return (
                f"No group among {wording.plural(self.n_accounts, 'account')} acts together beyond "
                "what ordinary sharing brings."
            )
        accounts = len({m.account_id for ring in self.rings for m in ring.members})
        acts = "acts" if len(self.rings) == 1 else "act"
        return (
            f"{wording.plural(len(self.rings), 'group')} of accounts "
            f"({wording.plural(accounts, 'account')} in all) {acts} together beyond what ordinary "
            f"sharing brings; {few(self.expected_false)} of them would be chance."
        )

    def _verdict(self) -> Finding:
        from scipy.stats import poisson

        n_rings = len(self.rings)
        lower = (
            max(n_rings - float(poisson.ppf(0.975, self.expected_false)), 0.0) if n_rings else 0.0
        )
        upper = float(n_rings)
        return Finding(
            claim=self._claim(),
            kind="verdict",
            estimate=max(n_rings - self.expected_false, lower),
            ci_lower=lower,
            ci_upper=upper,
            unit="rings",
            n_obs=max(self.n_accounts, 1),
            method=_METHOD if self.basis == "shared attributes" else f"lockstep; {_METHOD}",
            caveats=(CAVEAT, CUT) if n_rings else (CUT,),
            evidence={"n_candidates": self.n_candidates, "max_false_share": self.max_false_share},
            next_steps=_next_steps(n_rings),
            verdict="localised" if n_rings else "no_evidence",
        )

    def _ruled_out(self) -> list[Finding]:
        return [
            withheld(
                "ruled_out",
                f"{wording.plural(row.n_groups, 'case')} set aside as {row.kind}.",
                why=f"Not a measurement: {row.why}.",
                unit="groups",
                method="shape of sharing",
            )
            for row in self.set_aside
        ]

    def _defects(self) -> list[Finding]:
        return [
            withheld(
                "data_quality",
                note,
                why="Counted, not estimated.",
                unit="rows",
                method="count",
                evidence={"check": "left out"},
            )
            for note in self.notes
        ]


def code_of(text: str, key: str) -> str:
    """Return the code that a report with this key shows instead of an id."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:10]


def few(number: float) -> str:
    """Say an expected number: ``about 1.2``, ``fewer than 0.1``."""
    return "fewer than 0.1" if number < _TENTH else f"about {wording.amount(round(number, 1))}"


def _ring_row(ring: Ring) -> Record:
    dates = ring.dates
    return {
        "ring_id": ring.ring_id,
        "n_accounts": len(ring.core),
        "score": ring.score,
        "n_shared_attributes": len(ring.shared),
        "n_confirmations": ring.n_confirmations,
        "started_at": dates[0].replace(tzinfo=None) if dates else None,
        "ended_at": dates[-1].replace(tzinfo=None) if dates else None,
        "known_bad_count": ring.known_bad_count,
        "reason": ring.reason,
        "exclusivity": ring.exclusivity,
        "qvalue": ring.qvalue,
    }


def _member_rows(ring: Ring) -> list[Record]:
    """Describe the members; partners are the other core members that one shares with."""
    partners: dict[str, set[str]] = {}
    for item in ring.shared:
        for holder in item.holders:
            partners.setdefault(holder, set()).update(item.holders)
    return [
        {
            "ring_id": ring.ring_id,
            "account_id": member.account_id,
            "n_shared": member.n_shared,
            "n_partners": len(partners.get(member.account_id, ())) - 1 if member.is_core else None,
            "evidence": member.evidence,
            "joined_at": member.joined_at.replace(tzinfo=None) if member.joined_at else None,
            "is_known_bad": member.is_known_bad,
            "is_core": member.is_core,
        }
        for member in ring.members
    ]


def _evidence_row(ring: Ring, number: int) -> Record:
    item = ring.shared[number]
    return {
        "ring_id": ring.ring_id,
        "attribute_type": item.attribute_type,
        "attribute": item.attribute,
        "n_in_ring": item.n_in_ring,
        "n_total": item.n_total,
        "weight": item.weight,
    }


def _next_steps(n_rings: int) -> tuple[str, ...]:
    if not n_rings:
        return ()
    return (
        "Have two reviewers look at the ring with the highest and the one with the lowest score.",
        "Check the shared attributes of each ring against known schools, agencies and families.",
    )
