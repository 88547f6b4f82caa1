"""Which accounts act on the same targets at the same time, again and again?"""

import datetime as dt
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit import frames, wording
from rcakit.errors import SchemaError
from rcakit.graphs.edges import known_accounts
from rcakit.graphs.evidence import Member, Ring, SharedAttribute
from rcakit.graphs.result import RingResult
from rcakit.stats import lockstep as numbers
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.rings import group_labels
from rcakit.validation import check_integer, check_number, refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["WINDOWS", "co_action_edges", "find_lockstep"]

# Seconds that are tried when the window is chosen by the data.
WINDOWS = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

_TARGET_TYPE = "target"


def find_lockstep(
    data: Any,
    *,
    account: str,
    target: str,
    time: str,
    window: float | str,
    min_repeats: int = 2,
    min_size: int = 3,
    known_bad: "Collection[Any] | None" = None,
    alpha: float = 0.05,
    pair_budget: int = 50_000_000,
) -> RingResult:
    """Find accounts that act on the same targets within seconds of each other, repeatedly.

    Parameters
    ----------
    data
        One row per action (like, follow, report, share, star, message with a hash), any engine.
    account, target, time
        Columns: who, on what, when. Rows without one of them are left out and counted.
    window
        Most seconds between two actions that count as together, or ``"auto"``: of `WINDOWS` the
        one with the most significant pairs, each tried at its share of `alpha` (Bonferroni).
    min_repeats
        Targets on which a pair must act together, 2 or more.
    min_size
        Smallest ring, 2 or more.
    known_bad
        Accounts already known; counted per ring and never part of the score.
    alpha
        False discovery rate over all pairs that share a target, 0–1.
    pair_budget
        Most pairs of actions to list; the busiest targets are left out until they fit, and said.

    Returns
    -------
    RingResult
        Shared attributes are targets; ``weight`` is one minus the chance that others act on the
        target that near to each other.

    Raises
    ------
    SchemaError
        A column is missing, or the time column holds no times.
    ParameterError
        An option is out of range.

    Notes
    -----
    Two null hypotheses must fall. One: each account deals its own hours at random to its targets;
    this keeps how busy it is and when it is awake. Two: the times of a target are dealt at random
    to those who acted on it, judged by the actions that are not both of the group itself; this
    keeps bursts that draw a crowd. Pairs are tested by a Poisson bound and cut by Benjamini and
    Hochberg (1995, JRSS B 57(1), p. 293) under each; rings are the connected components of what
    stays. Co-action within a window: Giglietto et al. (2020, Information, Communication & Society
    23(6), p. 872). Where nobody but the same accounts acts on a target (one live channel and its followers) no
    yardstick is left, and it does not count.
    """
    repeats = check_integer(min_repeats, "min_repeats", ge=2, hint="One co-action is chance.")
    smallest = check_integer(min_size, "min_size", ge=2)
    rate = check_number(alpha, "alpha", gt=0, lt=1)
    budget = check_integer(pair_budget, "pair_budget", ge=1000)
    spans = _spans(window)
    known = known_accounts(known_bad)
    events, notes, (n_rows, n_missing) = _read(data, account, target, time)
    tried = [_look(events, span, budget, repeats, rate / len(spans)) for span in spans]
    best = max(tried, key=lambda look: len(look.first))  # of equals the first: the shortest window
    if best.n_dropped:
        dropped = wording.plural(best.n_dropped, "busiest target")
        notes.append(f"{dropped} left out to stay within the pair budget.")
    if len(spans) > 1:
        notes.append(
            f"The window of {wording.amount(best.span)} seconds was chosen by the data, out of "
            f"{len(spans)}; the error rate is shared among them."
        )
    rings = _rings(best, _components(best.first, best.second, len(events.names), smallest), known)
    return RingResult(
        rings=rings,
        set_aside=(),
        n_candidates=best.n_candidates,
        expected_false=float(sum(ring.qvalue for ring in rings)),
        max_false_share=rate,
        n_accounts=len(events.names),
        n_comparable=int((np.bincount(_acts(events)[1], minlength=1) > 1).sum()),
        missing_share=n_missing / max(n_rows, 1),
        notes=tuple(notes),
        basis="lockstep",
        library=frames.library(data),
    )


def co_action_edges(
    data: Any, *, account: str, target: str, time: str, window: float, min_repeats: int = 1
) -> Any:
    """List all pairs of accounts that acted on the same target within the window.

    Parameters
    ----------
    data, account, target, time
        As in `find_lockstep`.
    window
        Most seconds between two actions that count as together.
    min_repeats
        Targets on which a pair must have acted together, 1 or more.

    Returns
    -------
    frame
        In the caller's library: account_id, other_id, n_actions (of the account, with a near one of
        the other), n_other_actions, n_targets; each pair once, by name.

    Notes
    -----
    These are the edges of coordination-network-toolkit (its weight of a directed edge is
    ``n_actions``): no test, no null. Memory grows with the pairs; use `find_lockstep` to find out
    which of them are more than chance.
    """
    span = check_number(window, "window", gt=0, hint="Seconds; 60 suits shares and likes.")
    repeats = check_integer(min_repeats, "min_repeats", ge=1)
    events = _read(data, account, target, time)[0]
    import polars as pl

    found = numbers.co_actions(events.account, events.target, events.at, span)
    name = pl.Series(events.names, dtype=pl.String)
    table = pl.DataFrame(
        {
            "account_id": name.gather(found.first),
            "other_id": name.gather(found.second),
            "n_actions": found.n_first,
            "n_other_actions": found.n_second,
            "n_targets": found.n_targets,
        }
    )
    table = table.filter(pl.col("n_targets") >= repeats)
    return frames.hand_back(table.sort("account_id", "other_id"), frames.library(data))


@dataclass(frozen=True, slots=True, eq=False)
class _Events:
    """Actions as arrays, sorted by target and time, and the names behind the numbers."""

    account: numbers.Ints
    target: numbers.Ints
    at: numbers.Floats
    names: "pl.Series"
    targets: "pl.Series"

    def where(self, keep: "NDArray[np.bool_]") -> "_Events":
        return replace(self, account=self.account[keep], target=self.target[keep], at=self.at[keep])


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What one window shows: the pairs that act together more often than chance would."""

    span: float
    events: _Events
    first: numbers.Ints
    second: numbers.Ints
    qvalue: numbers.Floats
    chance: dict[tuple[int, int], float]
    n_candidates: int
    n_dropped: int


def _spans(window: float | str) -> tuple[float, ...]:
    """Return the windows to try, in seconds."""
    if window == "auto":
        return WINDOWS
    if isinstance(window, str):
        raise refusal("window", "seconds or 'auto'", window)
    return (check_number(window, "window", gt=0, hint="Seconds; 60 suits shares and likes."),)


def _read(
    data: Any, account: str, target: str, time: str
) -> tuple[_Events, list[str], tuple[int, int]]:
    """Bring the three columns home, without nulls and exact repetitions."""
    import polars as pl

    frames.check_columns(data, (account, target, time))
    table = _table(data, account, target, time)
    usable = table.filter(
        pl.col("account").is_not_null() & (pl.col("account") != ""),
        pl.col("target").is_not_null() & (pl.col("target") != ""),
        pl.col("at").is_not_null(),
    )
    account_code, names = _codes(usable["account"])
    target_code, targets = _codes(usable["target"])
    at = usable["at"].cast(pl.Int64).to_numpy()
    order = _in_order(target_code, at, account_code)
    account_code, target_code, at = account_code[order], target_code[order], at[order]
    same = (account_code[1:] == account_code[:-1]) & (at[1:] == at[:-1])
    is_new = np.r_[True, ~(same & (target_code[1:] == target_code[:-1]))][: len(at)]
    notes = []
    if table.height > usable.height:
        left_out = wording.plural(table.height - usable.height, "row")
        notes.append(f"{left_out} without account, target or time left out.")
    if not is_new.all():
        repeated = wording.plural(int((~is_new).sum()), "row")
        notes.append(f"{repeated} repeat an action and count once.")
    events = _Events(account_code[is_new], target_code[is_new], at[is_new] / 1e6, names, targets)
    return events, notes, (table.height, table.height - usable.height)


def _in_order(target: numbers.Ints, at: numbers.Ints, account: numbers.Ints) -> numbers.Ints:
    """Sort by target, time, account; by one key where it fits into 64 bits, which is much faster."""
    if not len(at):
        return np.zeros(0, dtype=np.int64)
    span = int(at.max()) - int(at.min()) + 1
    if (int(target.max()) + 1) * span >= np.iinfo(np.int64).max:
        return np.lexsort((account, at, target))
    key = target * span + (at - at.min())
    order = np.argsort(key, kind="stable")
    tied = np.flatnonzero(np.diff(key[order]) == 0)
    at_once = np.union1d(tied, tied + 1)
    some = order[at_once]
    order[at_once] = some[np.lexsort((account[some], key[some]))]
    return order


def _codes(values: "pl.Series") -> tuple[numbers.Ints, "pl.Series"]:
    """Number values in the order of their names, so that the order of rows changes nothing."""
    import polars as pl

    names = values.unique().sort()
    return values.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64), names


def _table(data: Any, account: str, target: str, time: str) -> "pl.DataFrame":
    import narwhals as nw
    import polars as pl

    frame = nw.from_native(data).select(
        nw.col(account).cast(nw.String).alias("account"),
        nw.col(target).cast(nw.String).alias("target"),
        nw.col(time).alias("at"),
    )
    frame = frame.collect(backend="polars") if isinstance(frame, nw.LazyFrame) else frame
    table: pl.DataFrame = frame.to_polars()
    dtype = table.schema["at"]
    if dtype in {pl.String, pl.Categorical}:
        return table.with_columns(frames.parse_times(pl.col("at").cast(pl.String)))
    if not dtype.is_temporal() or dtype in {pl.Duration, pl.Time}:
        raise SchemaError(
            f"column {time!r} must hold timestamps, got {dtype}. "
            "Convert epochs first, for example with polars.from_epoch."
        )
    return table.with_columns(pl.col("at").cast(pl.Datetime("us")))


def _look(events: _Events, span: float, budget: int, repeats: int, alpha: float) -> _Look:
    """Keep the pairs that act together more often than times dealt anew would make them."""
    n_later = numbers.near_pairs(events.target, events.at, span)[1]
    kept = _within_budget(events, n_later, budget)
    n_dropped = len(events.targets) - int(kept.sum())
    if n_dropped:
        inside = kept[events.target]
        events, n_later = events.where(inside), n_later[inside]
    pairs = numbers.pair_counts(events.account, events.target, n_later, at_least=repeats)
    acts = _acts(events)
    family = _family(acts[1], len(events.names))
    by_rhythm = _by_rhythm(pairs, acts, events, span, family)
    keep = by_rhythm <= alpha
    strong = pairs[0][keep], pairs[1][keep], pairs[2][keep]
    by_crowd, chance = _by_crowd(strong, acts, events, n_later, span, family)
    qvalue = np.maximum(by_rhythm[keep], by_crowd)
    keep = qvalue <= alpha
    return _Look(
        span,
        events,
        strong[0][keep],
        strong[1][keep],
        qvalue[keep],
        chance,
        n_candidates=len(pairs[0]),
        n_dropped=n_dropped,
    )


def _by_rhythm(
    pairs: tuple[numbers.Ints, numbers.Ints, numbers.Ints],
    acts: tuple[numbers.Ints, numbers.Ints, numbers.Ints],
    events: _Events,
    span: float,
    family: float,
) -> numbers.Floats:
    """Return q-values of pairs against accounts that deal their own hours to their targets."""
    first, second, n_targets = pairs
    common = numbers.common_targets(first, second, acts)
    expected = numbers.expected_by_rhythm((first, second, common), events.account, events.at, span)
    return _qvalues(numbers.poisson_tail(n_targets, expected), family)


def _by_crowd(
    pairs: tuple[numbers.Ints, numbers.Ints, numbers.Ints],
    acts: tuple[numbers.Ints, numbers.Ints, numbers.Ints],
    events: _Events,
    n_later: numbers.Ints,
    span: float,
    family: float,
) -> tuple[numbers.Floats, dict[tuple[int, int], float]]:
    """Return q-values of pairs against how near others act on the same targets, and that chance."""
    first, second, n_targets = pairs
    label = _components(first, second, len(events.names), 2)
    actions = events.account, events.target, events.at
    cell, chance = numbers.outside_chance(actions, label, n_later, span)
    n_cells = int(events.target.max(initial=-1)) + 1
    inside = label[acts[0]] >= 0
    acts = acts[0][inside], acts[1][inside], acts[2][inside]
    own = chance[np.searchsorted(cell, label[acts[0]] * n_cells + acts[1])]
    expected = numbers.common_targets(first, second, acts, own)
    qvalue = _qvalues(numbers.poisson_tail(n_targets, expected), family)
    known = dict(
        zip(zip(acts[0].tolist(), acts[1].tolist(), strict=True), own.tolist(), strict=True)
    )
    return qvalue, known


def _within_budget(events: _Events, n_later: numbers.Ints, budget: int) -> "NDArray[np.bool_]":
    """Tell which targets stay when the busiest are left out until the pairs fit the budget."""
    per_target = np.bincount(events.target, n_later, minlength=len(events.targets))
    fits = np.ones(len(per_target), dtype=np.bool_)
    if per_target.sum() > budget:
        order = np.argsort(per_target, kind="stable")
        fits[order] = np.cumsum(per_target[order]) <= budget
    return fits


def _family(target: numbers.Ints, n_accounts: int) -> float:
    """Count the pairs that could have been found: those with a common target."""
    size = np.bincount(target, minlength=1).astype(np.float64)
    return min(float((size * (size - 1) / 2).sum()), n_accounts * (n_accounts - 1) / 2)


def _qvalues(pvalue: numbers.Floats, n_tests: float) -> numbers.Floats:
    """Adjust the listed p-values; the tests of the family that are not listed count as 1.

    Benjamini and Hochberg multiply by the number of tests over the rank. Listed tests are the
    smallest of the family, so that the rank among them is the rank in the family.
    """
    if not len(pvalue):
        return pvalue
    return np.minimum(benjamini_hochberg(pvalue * (n_tests / len(pvalue))), 1.0)


def _acts(events: _Events) -> tuple[numbers.Ints, numbers.Ints, numbers.Ints]:
    """Return who acted on what how often, each combination once."""
    width = len(events.names)
    code = np.sort(events.target * width + events.account)
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]][: len(code)])
    n_acts = np.diff(np.r_[starts, len(code)])
    return code[starts] % width, code[starts] // width, n_acts


def _components(
    first: numbers.Ints, second: numbers.Ints, n_accounts: int, min_size: int
) -> numbers.Ints:
    """Number the connected components of pairs; -1 outside those that are large enough."""
    label = group_labels(first, second, n_accounts)
    size = np.bincount(label, minlength=1)
    inside = size[label] >= min_size if n_accounts else np.zeros(0, dtype=np.bool_)
    out = np.full(n_accounts, -1, dtype=np.int64)
    out[inside] = np.unique(label[inside], return_inverse=True)[1]
    return out


def _rings(look: _Look, label: numbers.Ints, known: frozenset[str]) -> tuple[Ring, ...]:
    n_rings = int(label.max(initial=-1)) + 1
    if not n_rings:
        return ()
    inside = look.events.where(label[look.events.account] >= 0)
    total = np.bincount(_acts(look.events)[1], minlength=len(look.events.targets))
    together = _together(inside, label, look.span)
    worst = np.zeros(n_rings)
    own = label[look.first] >= 0
    np.maximum.at(worst, label[look.first[own]], look.qvalue[own])
    found = [
        _ring(inside, np.flatnonzero(together & (label[inside.account] == i)), look, total, known)
        for i in range(n_rings)
    ]
    order = sorted(range(n_rings), key=lambda i: (-found[i][2], found[i][0][0].account_id))
    return tuple(
        Ring(
            f"R{rank + 1:03d}", found[i][0], found[i][1], found[i][2], float(worst[i]), found[i][3]
        )
        for rank, i in enumerate(order)
    )


def _together(events: _Events, label: numbers.Ints, span: float) -> "NDArray[np.bool_]":
    """Mark the actions that have a near action by another member of the same ring."""
    left, right = numbers.pairs_of_events(events.target, events.at, span)
    account = events.account
    same = (label[account[left]] == label[account[right]]) & (account[left] != account[right])
    marked = np.zeros(len(account), dtype=np.bool_)
    marked[left[same]] = True
    marked[right[same]] = True
    return marked


def _ring(
    events: _Events,
    own: numbers.Ints,
    look: _Look,
    total: numbers.Ints,
    known: frozenset[str],
) -> tuple[tuple[Member, ...], tuple[SharedAttribute, ...], float, int]:
    """Describe one ring: members, targets, score and confirmations."""
    who, where = events.account[own].tolist(), events.target[own].tolist()
    weight = {t: 1.0 - look.chance[a, t] for a, t in zip(who, where, strict=True)}
    members = []
    for account in np.unique(events.account[own]).tolist():
        mine = own[events.account[own] == account]
        held = sorted(weight[t] for t in np.unique(events.target[mine]).tolist())
        first = dt.datetime.fromtimestamp(float(events.at[mine].min()), dt.UTC)
        name = events.names[account]
        members.append(Member(name, len(held), math.fsum(held), first, name in known))
    shared = []
    for target, value in weight.items():
        there = np.unique(events.account[own[events.target[own] == target]])
        shared.append(
            SharedAttribute(
                _TARGET_TYPE,
                events.targets[target],
                len(there),
                int(total[target]),
                value,
                tuple(sorted(events.names[a] for a in there.tolist())),
            )
        )
    shared.sort(key=lambda s: (-(s.n_in_ring - 1) * s.weight, s.attribute))
    members.sort(key=lambda m: (-m.evidence, m.account_id))
    terms = [(s.n_in_ring - 1) * s.weight for s in shared]
    score = math.fsum(terms) - max(terms, default=0.0)
    ties = sum(s.n_in_ring for s in shared) - len(shared) - len(members) + 1
    return tuple(members), tuple(shared), score, max(ties, 0)
