"""Which accounts share more than a household would?"""

from collections.abc import Collection
from typing import Any

import numpy as np

from rcakit import frames
from rcakit.graphs.edges import Edges, known_accounts, read_edges
from rcakit.graphs.evidence import Ring, benign_shapes, describe
from rcakit.graphs.result import RingResult
from rcakit.stats import rings as numbers
from rcakit.validation import check_integer, check_number

__all__ = ["find_rings"]


def find_rings(
    data: Any,
    *,
    account: str,
    attribute: str,
    attribute_type: str | None = None,
    time: str | None = None,
    known_bad: Collection[Any] | None = None,
    max_false_share: float = 0.1,
    min_size: int = 4,
    hub_degree: int = 100,
    pair_budget: int = 50_000_000,
    n_null: int = 1,
    rng: int = 0,
) -> RingResult:
    """Find groups of accounts that share devices, addresses, cards or content beyond ordinary life.

    Parameters
    ----------
    data
        One row per account and attribute, in any supported engine; repeated rows count once.
    account, attribute
        Columns of identifiers. Rows without either are left out and counted.
    attribute_type
        Column that says what the attribute is (device, address, …); the same value under two types
        is two attributes.
    time
        Column with the first sighting of the attribute on the account: gives the dates of a ring,
        and finds rings that were set up within days.
    known_bad
        Accounts already known; counted per ring and never part of the score.
    max_false_share
        Rings are reported as long as at most this share of the list is expected to be false, 0–1.
    min_size
        Smallest ring, 3 or more.
    hub_degree
        Attributes with at least this many accounts (carrier addresses, popular content) count for
        nothing; those with half as many still count as evidence but join no pairs.
    pair_budget
        Most pairs to count; `hub_degree` is lowered until they fit, and the result says so.
    n_null
        Rewired copies of the data in which chance merges are counted.
    rng
        Seed of the rewiring.

    Returns
    -------
    RingResult
        Tables ``rings``, ``members``, ``evidence`` and ``set_aside``.

    Raises
    ------
    SchemaError
        A column is missing.
    ParameterError
        An option is out of range.

    Notes
    -----
    The score is the evidence that a household cannot explain (all but its strongest attribute and
    half of the strongest of every other type), in units of one exclusive attribute, less one unit
    per further member. With `time`, sightings of one attribute that are nearer to each other than
    chance would bring count more; equal or unknown times prove nothing. Without rings in the data
    the expected number of false ones decides, so that usually none is reported. A ring is a reason
    to look, never proof of intent: families with many devices, small schools and agencies share
    like rings do. Do not use it when one attribute is all that ring members share.

    Examples
    --------
    >>> import polars as pl
    >>> from rcakit import graphs
    >>> rows = [(f"a{i}", f"{kind}{(i + shift) // 3}") for i in range(12)
    ...         for kind, shift in (("device", 0), ("card", 1), ("phone", 2))]
    >>> table = pl.DataFrame(rows, schema=["account_id", "seen_with"], orient="row")
    >>> found = graphs.find_rings(table, account="account_id", attribute="seen_with")
    >>> found.to_frame().select("ring_id", "n_accounts").rows()
    [('R001', 12)]
    """
    share = check_number(max_false_share, "max_false_share", gt=0, lt=1)
    smallest = check_integer(min_size, "min_size", ge=3)
    hub = check_integer(hub_degree, "hub_degree", ge=6, hint="100 suits accounts of one platform.")
    budget = check_integer(pair_budget, "pair_budget", ge=1000)
    draws = check_integer(n_null, "n_null", ge=0, le=100)
    known = known_accounts(known_bad)
    edges = read_edges(
        data,
        account=account,
        attribute=attribute,
        attribute_type=attribute_type,
        time=time,
        hub_degree=hub,
        pair_budget=budget,
    )
    groups, qvalue, expected = _scored(edges, smallest, draws, check_integer(rng, "rng", ge=0))
    reported = (qvalue <= share) & (groups.score > 0)
    return RingResult(
        rings=_rings(edges, groups, qvalue, reported, known),
        set_aside=benign_shapes(edges, groups, reported),
        n_candidates=len(groups.score),
        expected_false=_expected_among(expected, reported),
        max_false_share=share,
        n_accounts=edges.n_accounts,
        n_comparable=edges.n_comparable,
        missing_share=edges.n_null_rows / max(edges.n_rows, 1),
        notes=_notes(edges, hub),
        basis="shared attributes",
        library=frames.library(data),
    )


def _scored(
    edges: Edges, min_size: int, n_null: int, rng: int
) -> tuple[numbers.Groups, numbers.Floats, numbers.Floats]:
    """Return the groups, the false share of the list down to each, and expected false groups."""
    from rcakit.stats.ring_parts import settle  # brings SciPy's sparse arrays

    def groups_of(sightings: numbers.Sightings) -> numbers.Groups:
        pairs = numbers.pair_weights(sightings, edges.traits)
        n_accounts = len(edges.account_ids)
        groups = numbers.find_groups(
            pairs, sightings, edges.traits, n_accounts=n_accounts, min_size=min_size
        )
        return settle(groups, sightings, edges.traits, min_size=min_size)

    groups = groups_of(edges.sightings)
    random = np.random.default_rng(rng)
    draws = [
        groups_of(numbers.rewire(edges.sightings, edges.traits, random)).score
        for _ in range(n_null)
    ]
    null = np.concatenate([np.zeros(0), *draws])
    expected = numbers.expected_false(groups.score, groups.score, null, n_null)
    return groups, numbers.false_share(groups.score, expected), expected


def _expected_among(expected: numbers.Floats, reported: numbers.Bools) -> float:
    """Return how many of the reported rings are expected to be false."""
    return float(min(expected[reported].max(initial=0.0), reported.sum()))


def _rings(
    edges: Edges,
    groups: numbers.Groups,
    qvalue: numbers.Floats,
    reported: numbers.Bools,
    known: frozenset[str],
) -> tuple[Ring, ...]:
    """Describe the reported groups, highest score first."""
    order = [int(number) for number in np.argsort(-groups.score, kind="stable") if reported[number]]
    rank = np.full(len(groups.score), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    label = np.where(groups.label >= 0, rank[groups.label], -1) if len(rank) else groups.label
    return describe(edges, label, groups.score[order], qvalue[order], known)


def _notes(edges: Edges, hub_asked: int) -> tuple[str, ...]:
    """Say what was left out of the table, and why."""
    from rcakit.wording import amount, plural, visible

    notes = []
    if edges.n_null_rows:
        notes.append(f"{plural(edges.n_null_rows, 'row')} without account or attribute left out.")
    if edges.n_repeated_rows:
        notes.append(f"{plural(edges.n_repeated_rows, 'row')} repeat an edge and count once.")
    if edges.hub_degree < hub_asked:
        notes.append(
            f"Hubs start at {amount(edges.hub_degree)} accounts instead of {amount(hub_asked)}, "
            "so that the pairs stay within the budget."
        )
    notes += [
        f"{plural(row['n_hubs'], 'attribute')} of type {visible(row['attribute_type'])} with "
        f"{amount(edges.hub_degree)} or more accounts (largest {amount(row['largest'])}) "
        "count for nothing."
        for row in edges.hubs.to_dicts()
    ]
    return tuple(notes)
