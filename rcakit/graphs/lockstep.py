"""Which accounts act on the same targets at the same time, again and again?"""

from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit import frames, wording
from rcakit.errors import SchemaError
from rcakit.graphs.edges import known_accounts
from rcakit.graphs.evidence import Member, Ring, SharedAttribute
from rcakit.graphs.result import RingResult
from rcakit.stats import lockstep as numbers
from rcakit.stats.rings import group_labels
from rcakit.validation import check_integer, check_number, refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["WINDOWS", "find_lockstep"]

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
    rng: int = 0,
) -> RingResult:
    """Find accounts that act on the same targets within seconds of each other, repeatedly.

    Parameters
    ----------
    data
        One row per action (like, follow, report, share, star, message with a hash), any engine.
    account, target, time
        Columns: who, on what, when. Rows without one of them are left out and counted.
    window
        Most seconds between two actions that count as together, or ``"auto"``: the window whose
        repeated pairs stand out most from shuffled times. A window chosen by the data makes the
        p-values a little too small.
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
    rng
        Seed for the choice of the window.

    Returns
    -------
    RingResult
        Shared attributes are targets; ``weight`` is one minus the chance that two actions on the
        target are that near.

    Raises
    ------
    SchemaError
        A column is missing, or the time column holds no times.
    ParameterError
        An option is out of range.

    Notes
    -----
    Null hypothesis: the times of a target are dealt at random to the accounts that acted on it.
    This keeps how busy accounts are, which targets they choose and when a target was popular; it
    does not keep that accounts share waking hours, so use windows of minutes, not of days. Pairs
    are tested by a Poisson bound and cut by Benjamini and Hochberg (1995, JRSS B 57(1), p. 293);
    rings are their connected components. Co-action within a window: Giglietto et al. (2020,
    Information, Communication & Society 23(6), p. 872).
    """
    repeats = check_integer(min_repeats, "min_repeats", ge=2, hint="One co-action is chance.")
    smallest = check_integer(min_size, "min_size", ge=2)
    rate = check_number(alpha, "alpha", gt=0, lt=1)
    budget = check_integer(pair_budget, "pair_budget", ge=1000)
    known = known_accounts(known_bad)
    events, notes = _read(data, account, target, time)
    span = _window(window, events, budget, repeats, check_integer(rng, "rng", ge=0))
    kept, dropped = _within_budget(events, span, budget)
    if dropped:
        notes.append(dropped)
    if window == "auto":
        notes.append(f"The window of {wording.amount(span)} seconds was chosen by the data.")
    pairs, qvalue = _significant(kept, span, repeats, rate)
    label = _components(pairs, len(events.names), smallest)
    rings = _rings(kept, label, pairs, qvalue, span, known)
    return RingResult(
        rings=rings,
        set_aside=(),
        n_candidates=len(rings),
        expected_false=float(sum(ring.qvalue for ring in rings)),
        max_false_share=rate,
        n_accounts=len(events.names),
        notes=tuple(notes),
        basis="lockstep",
        library=frames.library(data),
    )


class _Events:
    """Actions as arrays, sorted by target and time."""

    __slots__ = ("account", "at", "names", "target", "targets")

    def __init__(
        self,
        account: numbers.Ints,
        target: numbers.Ints,
        at: numbers.Floats,
        names: list[str],
        targets: list[str],
    ) -> None:
        order = np.lexsort((at, target))
        self.account, self.target, self.at = account[order], target[order], at[order]
        self.names, self.targets = names, targets

    def where(self, keep: "NDArray[np.bool_]") -> "_Events":
        return _Events(
            self.account[keep], self.target[keep], self.at[keep], self.names, self.targets
        )


def _read(data: Any, account: str, target: str, time: str) -> tuple[_Events, list[str]]:
    """Bring the three columns home, without nulls and exact repetitions."""
    import polars as pl

    frames.check_columns(data, (account, target, time))
    table = _table(data, account, target, time)
    usable = table.filter(
        pl.col("account").is_not_null() & (pl.col("account") != ""),
        pl.col("target").is_not_null() & (pl.col("target") != ""),
        pl.col("at").is_not_null(),
    )
    different = usable.unique()
    notes = []
    if table.height > usable.height:
        left_out = wording.plural(table.height - usable.height, "row")
        notes.append(f"{left_out} without account, target or time left out.")
    if usable.height > different.height:
        repeated = wording.plural(usable.height - different.height, "row")
        notes.append(f"{repeated} repeat an action and count once.")
    account_code, names = _codes(different["account"])
    target_code, targets = _codes(different["target"])
    at = (different["at"].cast(pl.Int64) / 1e6).to_numpy()
    return _Events(account_code, target_code, at, names, targets), notes


def _codes(values: "pl.Series") -> tuple[numbers.Ints, list[str]]:
    """Number values in the order of their names."""
    names = values.unique().sort().to_frame("name").with_row_index("code")
    coded = values.to_frame("name").join(names, on="name", how="left", maintain_order="left")
    return coded["code"].to_numpy().astype(np.int64), names["name"].to_list()


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


def _window(window: float | str, events: _Events, budget: int, repeats: int, rng: int) -> float:
    """Check the window, or choose the one whose repeated pairs stand out most."""
    if window != "auto":
        if isinstance(window, str):
            raise refusal("window", "seconds or 'auto'", window)
        return check_number(window, "window", gt=0, hint="Seconds; 60 suits shares and likes.")
    random = np.random.default_rng(rng)
    shuffled = _shuffled(events, random)
    stands_out = [_n_repeated(events, span, budget, repeats, shuffled) for span in WINDOWS]
    return WINDOWS[int(np.argmax(stands_out))]


def _shuffled(events: _Events, random: np.random.Generator) -> _Events:
    """Deal the times of each target anew to the accounts that acted on it."""
    order = np.lexsort((random.random(len(events.target)), events.target))
    return _Events(events.account[order], events.target, events.at, events.names, events.targets)


def _n_repeated(
    events: _Events, span: float, budget: int, repeats: int, shuffled: _Events
) -> float:
    counts = []
    for which in (events, shuffled):
        kept, _ = _within_budget(which, span, budget)
        together = numbers.co_actions(kept.account, kept.target, kept.at, span)
        counts.append(float((together.n_targets >= repeats).sum()))
    return (counts[0] - counts[1]) / float(np.sqrt(counts[1] + 1.0))


def _within_budget(events: _Events, span: float, budget: int) -> tuple[_Events, str]:
    """Leave out the busiest targets until the pairs of actions fit the budget."""
    _, n_later = numbers.near_pairs(events.target, events.at, span)
    per_target = np.bincount(events.target, n_later, minlength=len(events.targets))
    if per_target.sum() <= budget:
        return events, ""
    order = np.argsort(per_target, kind="stable")
    fits = np.zeros(len(per_target), dtype=np.bool_)
    fits[order] = np.cumsum(per_target[order]) <= budget
    n_dropped = int((~fits).sum())
    said = f"{wording.plural(n_dropped, 'busiest target')} left out to stay within the pair budget."
    return events.where(fits[events.target]), said


def _significant(
    events: _Events, span: float, repeats: int, alpha: float
) -> tuple[numbers.CoActions, numbers.Floats]:
    """Keep the pairs that act together more often than shuffled times would make them."""
    together = numbers.co_actions(events.account, events.target, events.at, span)
    often = together.n_targets >= repeats
    pairs = numbers.CoActions(*(getattr(together, name)[often] for name in together.__slots__))
    acted = _acted(events)
    chance = numbers.simultaneity(events.target, events.at, span, len(events.targets))
    expected, _ = numbers.null_sums(pairs.first, pairs.second, acted[0], acted[1], chance)
    pvalue = numbers.poisson_tail(pairs.n_targets, expected)
    size = np.bincount(acted[1], minlength=1).astype(np.float64)
    n_accounts = len(events.names)
    family = min(float((size * (size - 1) / 2).sum()), n_accounts * (n_accounts - 1) / 2)
    qvalue = numbers.benjamini_hochberg(pvalue, family)
    keep = qvalue <= alpha
    kept = numbers.CoActions(*(getattr(pairs, name)[keep] for name in pairs.__slots__))
    return kept, qvalue[keep]


def _acted(events: _Events) -> tuple[numbers.Ints, numbers.Ints]:
    """Return who acted on what, each combination once."""
    width = len(events.names)
    code = numbers.distinct(events.target * width + events.account)
    return code % width, code // width


def _components(pairs: numbers.CoActions, n_accounts: int, min_size: int) -> numbers.Ints:
    label = group_labels(pairs.first, pairs.second, n_accounts)
    size = np.bincount(label, minlength=1)
    inside = size[label] >= min_size if n_accounts else np.zeros(0, dtype=np.bool_)
    out = np.full(n_accounts, -1, dtype=np.int64)
    out[inside] = np.unique(label[inside], return_inverse=True)[1]
    return out


def _rings(
    events: _Events,
    label: numbers.Ints,
    pairs: numbers.CoActions,
    qvalue: numbers.Floats,
    span: float,
    known: frozenset[str],
) -> tuple[Ring, ...]:
    n_rings = int(label.max(initial=-1)) + 1
    if not n_rings:
        return ()
    inside = events.where(label[events.account] >= 0)
    chance = numbers.simultaneity(events.target, events.at, span, len(events.targets))
    total = _n_total(events)
    together = _together(inside, label, span)
    worst = np.zeros(n_rings)
    own = label[pairs.first] >= 0
    np.maximum.at(worst, label[pairs.first[own]], qvalue[own])
    found = [
        _ring(inside, np.flatnonzero(together & (label[inside.account] == i)), chance, total, known)
        for i in range(n_rings)
    ]
    order = sorted(range(n_rings), key=lambda i: (-found[i][2], found[i][0][0].account_id))
    return tuple(
        Ring(
            f"R{rank + 1:03d}", found[i][0], found[i][1], found[i][2], float(worst[i]), found[i][3]
        )
        for rank, i in enumerate(order)
    )


def _n_total(events: _Events) -> numbers.Ints:
    return np.bincount(_acted(events)[1], minlength=len(events.targets)).astype(np.int64)


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
    chance: numbers.Floats,
    total: numbers.Ints,
    known: frozenset[str],
) -> tuple[tuple[Member, ...], tuple[SharedAttribute, ...], float, int]:
    """Describe one ring: members, targets, score and confirmations."""
    import datetime as dt

    weight = 1.0 - chance
    members = []
    for account in np.unique(events.account[own]).tolist():
        mine = own[events.account[own] == account]
        targets = np.unique(events.target[mine])
        first = dt.datetime.fromtimestamp(float(events.at[mine].min()), dt.UTC)
        name = events.names[account]
        members.append(
            Member(name, len(targets), float(weight[targets].sum()), first, name in known)
        )
    shared = []
    for target in np.unique(events.target[own]).tolist():
        there = np.unique(events.account[own[events.target[own] == target]])
        shared.append(
            SharedAttribute(
                _TARGET_TYPE,
                events.targets[target],
                len(there),
                int(total[target]),
                float(weight[target]),
                tuple(events.names[a] for a in there.tolist()),
            )
        )
    shared.sort(key=lambda s: (-(s.n_in_ring - 1) * s.weight, s.attribute))
    members.sort(key=lambda m: (-m.evidence, m.account_id))
    terms = [(s.n_in_ring - 1) * s.weight for s in shared]
    score = sum(terms) - max(terms, default=0.0)
    ties = sum(s.n_in_ring for s in shared) - len(shared) - len(members) + 1
    return tuple(members), tuple(shared), float(score), max(ties, 0)
