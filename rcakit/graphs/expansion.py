"""Who is near the accounts that we already know?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding, withheld
from rcakit.graphs.edges import known_accounts, read_edges
from rcakit.results import Record, Result
from rcakit.stats.propagation import personalised_pagerank
from rcakit.validation import check_integer, check_number

if TYPE_CHECKING:
    import altair as alt

__all__ = ["ExpansionResult", "expand"]

_TOPS = (10, 20, 50, 100, 200, 500)
_METHOD = "personalised PageRank over accounts and rare attributes, from the known accounts"


@dataclass(frozen=True, slots=True, eq=False)
class ExpansionResult(Result):
    """Accounts near known ones, and how many further known ones were met on the way.

    Attributes
    ----------
    accounts
        One record per account, nearest first.
    enrichment
        One record per list length: checked accounts met, expected by chance, p-value.
    n_seeds, n_unlinked
        Known accounts the walk started from, and those that share nothing with anyone.
    n_accounts
        Accounts in the table.
    """

    accounts: tuple[Record, ...]
    enrichment: tuple[Record, ...]
    n_seeds: int
    n_unlinked: int
    n_accounts: int
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "accounts": MappingProxyType(
                {
                    "account_id": "String",
                    "score": "Float64",
                    "n_shared_with_known": "Int64",
                    "n_known_neighbours": "Int64",
                    "is_checked_bad": "Boolean",
                }
            ),
            "enrichment": MappingProxyType(
                {
                    "top": "Int64",
                    "observed": "Int64",
                    "expected": "Float64",
                    "ratio": "Float64",
                    "pvalue": "Float64",
                }
            ),
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``accounts`` (main) or ``enrichment``."""
        return list(self.accounts if self._table(table) == "accounts" else self.enrichment)

    def findings(self) -> tuple[Finding, ...]:
        """Return how many accounts are near, and whether that was checked."""
        claim = (
            f"{wording.plural(len(self.accounts), 'account')} can be reached from "
            f"{wording.plural(self.n_seeds, 'known account')} along rare attributes."
        )
        near = withheld(
            "verdict",
            claim,
            why="The walk ranks accounts; it does not estimate how many are bad.",
            unit="accounts",
            method=_METHOD,
            n_obs=self.n_accounts,
            caveats=("Nearness is not guilt: families of known accounts come first too.",),
            verdict="localised" if self.accounts else "no_evidence",
        )
        return (near, *self._checked())

    def _checked(self) -> list[Finding]:
        if not self.enrichment:
            return []
        row = self.enrichment[0]
        claim = (
            f"Of the {row['top']} nearest accounts {row['observed']} are known from elsewhere; "
            f"chance would bring {wording.amount(row['expected'])}."
        )
        why = "A check of the ranking, kept apart from the score."
        return [withheld("verdict", claim, why=why, unit="accounts", method="hypergeometric test")]

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the score by rank."""
        from rcakit.plots import graphs as charts

        return charts.ranked(self.to_records()[:200], title=self.findings()[0].claim)


def expand(
    data: Any,
    *,
    account: str,
    attribute: str,
    known_bad: Collection[Any],
    attribute_type: str | None = None,
    checked: Collection[Any] | None = None,
    damping: float = 0.6,
    n_accounts: int = 200,
    hub_degree: int = 100,
    pair_budget: int = 50_000_000,
) -> ExpansionResult:
    """Walk from known bad accounts over shared attributes and rank whom the walk meets.

    Parameters
    ----------
    data
        One row per account and attribute, in any supported engine.
    account, attribute, attribute_type
        Columns, as in `find_rings`.
    known_bad
        Accounts where the walk starts; they are not listed themselves.
    checked
        Accounts known to be bad from another source and not used as a start. How many of them are
        met is reported beside the score, never mixed into it.
    damping
        Chance to walk on, 0–1; small stays near the known accounts.
    n_accounts
        Longest list to return.
    hub_degree, pair_budget
        As in `find_rings`.

    Returns
    -------
    ExpansionResult
        Tables ``accounts`` and ``enrichment``.

    Raises
    ------
    NotEnoughDataError
        None of the known accounts shares two attributes with anyone.

    Notes
    -----
    Only accounts that share at least two attributes with some account are walked. Personalised
    PageRank: Jeh and Widom (2003, WWW, section 2). Do not read the score as a probability.
    """
    seeds, other = known_accounts(known_bad), known_accounts(checked)
    walk_on = check_number(damping, "damping", gt=0, lt=1)
    longest = check_integer(n_accounts, "n_accounts", ge=1)
    edges = read_edges(
        data,
        account=account,
        attribute=attribute,
        attribute_type=attribute_type,
        time=None,
        hub_degree=check_integer(hub_degree, "hub_degree", ge=6),
        pair_budget=check_integer(pair_budget, "pair_budget", ge=1000),
    )
    names = edges.account_ids.to_list()
    start = np.array([i for i, name in enumerate(names) if name in seeds], dtype=np.int64)
    if not len(start):
        raise NotEnoughDataError(
            f"known_bad must name accounts that share two attributes with someone, got "
            f"{wording.plural(len(seeds), 'account')} that do not. Check the ids, or raise hub_degree."
        )
    score = personalised_pagerank(
        (edges.account, edges.attribute),
        edges.traits.weight,
        start,
        n_accounts=len(names),
        damping=walk_on,
    )
    score[start] = 0.0
    order = [int(i) for i in np.argsort(-score, kind="stable") if score[i] > 0][:longest]
    shared, neighbours = _ties(edges.account, edges.attribute, start, len(names))
    rows = tuple(
        {
            "account_id": names[i],
            "score": float(score[i]),
            "n_shared_with_known": int(shared[i]),
            "n_known_neighbours": int(neighbours[i]),
            "is_checked_bad": names[i] in other,
        }
        for i in order
    )
    return ExpansionResult(
        rows,
        _enrichment(rows, len(other - seeds), edges.n_accounts - len(seeds)),
        n_seeds=len(seeds),
        n_unlinked=len(seeds) - len(start),
        n_accounts=edges.n_accounts,
        library=frames.library(data),
    )


def _ties(
    account: "np.ndarray[Any, np.dtype[np.int64]]",
    attribute: "np.ndarray[Any, np.dtype[np.int64]]",
    start: "np.ndarray[Any, np.dtype[np.int64]]",
    n: int,
) -> tuple[Any, Any]:
    """Count attributes shared with known accounts, and the known accounts they are shared with."""
    import scipy.sparse as sp

    shape = (n, int(attribute.max(initial=-1)) + 1)
    table = sp.csr_array((np.ones(len(account)), (account, attribute)), shape=shape)
    held = np.asarray(table[start].sum(axis=0)).ravel() > 0
    shared = table @ held.astype(float)
    together = table @ table[start].T
    return shared, np.diff(together.tocsr().indptr)


def _enrichment(rows: tuple[Record, ...], n_checked: int, n_others: int) -> tuple[Record, ...]:
    from scipy.stats import hypergeom

    if not n_checked:
        return ()
    hit = np.cumsum([row["is_checked_bad"] for row in rows])
    lengths = [top for top in _TOPS if top <= len(rows)] or [len(rows)]
    out = []
    for top in lengths if rows else []:
        observed, expected = int(hit[top - 1]), top * n_checked / n_others
        out.append(
            {
                "top": top,
                "observed": observed,
                "expected": expected,
                "ratio": observed / expected,
                "pvalue": float(hypergeom.sf(observed - 1, n_others, n_checked, top)),
            }
        )
    return tuple(out)
