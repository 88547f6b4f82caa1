"""Find the segments of a lattice that stand out from the rest, one after the other.

Each segment is tested against everything outside it, so a factor that all leaves share cancels and a global
rise is not taken for many causes. The search is greedy; a found segment's leaves leave the lattice exactly.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.candidates import Nesting, parents
from rcakit.stats.attribution.lattice import ANY, Lattice, members
from rcakit.stats.attribution.model import Evaluation, Model, weighted_llr
from rcakit.stats.attribution.outcome import Alternative, ErrorRate, Segment
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.multiplicity import benjamini_hochberg

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NEAR_TIE = 2.0  # nats; a likelihood ratio of e**2 = 7.4 is "positive", not "strong" (Kass & Raftery 1995, p. 777)
_N_LEADS = 8
_SWEEPS = 2  # rounds of revising each segment given the others
_CONTENDERS = 16  # best segments by sums that are compared leaf by leaf
_CONTENDERS_WITHIN = (
    0.3  # share of the best score by which sums of unlike leaves may misjudge a rival
)
_RIVALS = 4  # tried in the place of a found segment whose leaves did not move alike
_NATS_PER_ATTRIBUTE = 1.0
MOST_GENEROUS = 0.5  # a hurdle that chance alone passes in at most every other table
_REST_LIKE_PARENT = (
    3.0  # nats for "the rest of the parent moved too" before the parent is preferred
)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A segment the search has chosen.

    Parameters
    ----------
    codes
        Code per dimension, -1 where any value is meant.
    leaves
        Its leaves that no earlier segment holds, shape (n_leaves,).
    groups
        Groups of the lattice that hold them.
    """

    codes: tuple[int, ...]
    leaves: Integers
    groups: Integers


class Search:
    """State of one greedy search: the lattice, what is still in it, and what was taken out.

    Parameters
    ----------
    lattice
        Sums of `columns`.
    columns
        Numbers per leaf, as the model wants them, shape (n_rows, n_leaves).
    model
        How to evaluate groups: counts or ratios.
    log_weight
        From `candidate_weights`.
    alpha
        Error rate.
    max_segments
        The search stops here even if more is significant.
    error_rate
        Which one: the chance of naming anything that did not move, or the expected share of such names
        among all names, which finds more where many segments moved.
    hierarchy
        Dimensions whose values lie inside those of another.
    fit
        Log-likelihood ratio of the own factor of some leaves against the factor they were to have, leaf by
        leaf; by default the groups' sums tell it well enough.
    """

    __slots__ = (
        "alive",
        "alpha",
        "columns",
        "error_rate",
        "fit",
        "found",
        "hierarchy",
        "lattice",
        "log_hurdle",
        "log_weight",
        "max_segments",
        "model",
        "totals",
        "untouched",
    )

    def __init__(
        self,
        lattice: Lattice,
        columns: Floats,
        *,
        model: Model,
        log_weight: Floats,
        alpha: float,
        max_segments: int = 20,
        error_rate: ErrorRate = "family_wise",
        hierarchy: Sequence[Nesting] = (),
        fit: Callable[[Integers, float], float] | None = None,
    ) -> None:
        self.lattice, self.columns, self.model = lattice, columns, model
        self.log_weight, self.hierarchy, self.fit = log_weight, hierarchy, fit
        self.alpha, self.max_segments, self.error_rate = alpha, max_segments, error_rate
        self.log_hurdle = float(np.log(alpha))
        self.alive = np.ones(columns.shape[1], bool)
        self.totals = columns.sum(axis=1)
        self.found: list[Found] = []
        self.untouched: Evaluation | None = None

    def run(self) -> None:
        """Take out the best segment until none is significant, then revise each given the others."""
        if self.error_rate == "false_discovery":
            self.log_hurdle = np.log(min(self._level(self.max_segments), MOST_GENEROUS))
        while len(self.found) < self.max_segments:
            chosen = self.best()
            if chosen is None:
                break
            self.remove(chosen)
        for found in list(self.found):
            self.divide(found)
        for _ in range(_SWEEPS):
            if len(self.found) < 2 or not self.revise():
                break
        self.merge_nested()
        if self.error_rate == "false_discovery":
            self._keep_discoveries()

    def _keep_discoveries(self) -> None:
        """Give back the weakest segment until the evidence suffices for as many segments as are left."""
        while self.found:
            self.log_hurdle = np.log(self._level(len(self.found)))
            log_qvalues = {found: self._log_qvalue(found) for found in list(self.found)}
            weakest = max(log_qvalues, key=log_qvalues.__getitem__)
            if log_qvalues[weakest] <= self.log_hurdle:
                break
            self.restore(weakest)

    def _level(self, n_found: int) -> float:
        """Adjusted p-value that each of so many segments must reach for a false discovery rate of alpha.

        Notes
        -----
        An adjusted p-value in the k-th step of `alpha / harmonic(n)`, n names at most, counts as an e-value
        of 1 / (k alpha), all candidates paid for: it has mean one where nothing happened. Any set whose k
        e-values reach 1 / (k alpha) then has that rate, under any dependence between candidates.

        References
        ----------
        Wang & Ramdas (2022), JRSS B 84, 822-852, sec. 4 (e-values); Blanchard & Roquain (2008), Electron. J.
        Statist. 2, 963-992, prop. 3.8 (the same steps as a shape function).
        """
        return self.alpha * max(n_found, 1) / _harmonic(max(self.max_segments, 1))

    def _log_qvalue(self, found: Found) -> float:
        """Log of the adjusted p-value of a found segment, the other segments being gone."""
        self.restore(found)
        log_qvalue = self.log_qvalue_around(self.evaluate(), self.lattice.group(found.codes))
        self.put_back(found)
        return log_qvalue

    def merge_nested(self) -> None:
        """Where a segment and the rest of its parent both moved the same way, name the parent alone."""
        for child in list(self.found):
            if child not in self.found:
                continue
            around = [f for f in self.found if f is not child and _contains(f.codes, child.codes)]
            alike = [f for f in around if self._direction(f) == self._direction(child)]
            if alike:
                self.restore(child)
                self.restore(alike[0])
                self.remove(alike[0].codes)

    def _direction(self, found: Found) -> bool:
        """Whether a found segment lies above what the leaves outside all segments did."""
        row = self.model.expected_row
        inside = self.columns[:, found.leaves].sum(axis=1)
        return bool(inside[0] * self.totals[row] > inside[row] * self.totals[0])

    def evaluate(self) -> Evaluation:
        """Every group against its complement among the leaves that are left."""
        if self.found:
            return self.model.evaluate(self.lattice.sums, self.totals, self.log_weight)
        if self.untouched is None:
            self.untouched = self.model.evaluate(self.lattice.sums, self.totals, self.log_weight)
        return self.untouched

    def best(self) -> tuple[int, ...] | None:
        """The significant segment with the best score, or None."""
        evaluation = self.evaluate()
        taken = [self.lattice.group(found.codes) for found in self.found]
        if taken:  # what is left of a found segment is not a second finding
            evaluation.log_qvalue[taken], evaluation.score[taken] = 0.0, -np.inf
        significant = np.flatnonzero(evaluation.log_qvalue <= self.log_hurdle)
        if len(significant) == 0:
            return None
        groups = np.append(significant, self._restless(evaluation, significant)).astype(np.int64)
        return self.widen(evaluation, self._best_fit(evaluation, groups))

    def _restless(self, evaluation: Evaluation, significant: Integers) -> list[int]:
        """A part of a significant group that fits better than any, though its past is too restless to tell.

        That something happened in the whole is sure; where in it is a question of fit. A restless value moves
        wherever it occurs, so the rest of no parent may have moved as the part did.
        """
        unsure = evaluation.log_qvalue > self.log_hurdle
        better = np.flatnonzero(unsure & (evaluation.score > evaluation.score[significant].max()))
        for group in better[np.argsort(-evaluation.score[better], kind="stable")][:_CONTENDERS]:
            if self.log_qvalue_around(evaluation, group) <= self.log_hurdle and all(
                self._gain_of_rest(group, parent, evaluation) < 0.0
                for parent in parents(self.lattice.segment(group), self.hierarchy)
            ):
                return [int(group)]
        return []

    def log_qvalue_around(self, evaluation: Evaluation, group: int) -> float:
        """Log of the adjusted p-value of a group, or of the surest around it where only that one is significant."""
        own, hurdle = float(evaluation.log_qvalue[group]), self.log_hurdle
        if own <= hurdle:
            return own
        segment = self.lattice.segment(group)
        fixed = [j for j, code in enumerate(segment) if code != ANY]
        around = [
            self.lattice.group([code if j in kept else ANY for j, code in enumerate(segment)])
            for n_kept in range(1, len(fixed))
            for kept in itertools.combinations(fixed, n_kept)
        ]
        surest = float(evaluation.log_qvalue[around].min(initial=0.0))
        return surest if surest <= hurdle else own

    def _best_fit(self, evaluation: Evaluation, groups: Integers) -> int:
        """The group with the best score, once the few best are compared leaf by leaf."""
        order = groups[np.argsort(-evaluation.score[groups], kind="stable")][:_CONTENDERS]
        score = evaluation.score[order]
        order = order[score >= score[0] - max(NEAR_TIE, _CONTENDERS_WITHIN * score[0])]
        if len(order) < 2:
            return int(order[0])
        return int(max(order.tolist(), key=lambda group: self._worth(evaluation, group)))

    def _worth(self, evaluation: Evaluation, group: int) -> float:
        """Nats that a name explains, less its description."""
        return self._fit_of(evaluation, group) - self._length(group)

    def _length(self, group: int) -> float:
        """Nats that the description of a name costs.

        The geometric mean of two priors: the name's part of the error rate, and odds of e per attribute. The
        first alone would let a rare long name be cheaper than the short one it lies in.
        """
        depth = float(self.lattice.depth[group])
        return 0.5 * (float(self.log_weight[group]) + _NATS_PER_ATTRIBUTE * depth)

    def divide(self, found: Found) -> None:
        """Name several segments instead of a found one where they explain its leaves better.

        Two causes that share a value look like one weaker cause in all of that value. So where its leaves did
        not move alike, each of its best rivals is tried first, with what is still significant after it. Where
        all of it moved, only not alike, one name is enough: that the rest of it stayed must be worth the
        longer description.

        References
        ----------
        Rissanen (1978), Automatica 14, 465-471 (shortest description: every name pays for its own).
        """
        child = self._uneven(found)
        if child is None:
            return
        self.restore(found)
        evaluation = self.evaluate()
        codes, n_others = self.lattice.codes[found.leaves], len(self.found)
        group, own = self.lattice.group(found.codes), self.columns[:, found.leaves].sum(axis=1)
        best, names = self._worth(evaluation, group), [found.codes]
        for rival in self._rivals(evaluation, group, found, child):
            worth, chosen = 0.0, self.lattice.segment(rival)
            while len(self.found) < self.max_segments:
                worth += self._worth(self.evaluate(), self.lattice.group(chosen))
                self.remove(chosen)
                following = self.best()
                if following is None or not members(codes, following).any():
                    break
                chosen = following
            tried = self.found[n_others:]
            rest = self.columns[:, found.leaves[self.alive[found.leaves]]].sum(axis=1)
            stayed = -self.model.gain_of_rest(own, rest, evaluation, group)
            longer = sum(self._length(self.lattice.group(part.codes)) for part in tried)
            if worth > best and stayed > longer - self._length(group):
                best, names = worth, [part.codes for part in tried]
            for part in tried:
                self.restore(part)
        for name in names:
            self.remove(name)

    def _rivals(
        self, evaluation: Evaluation, group: int, found: Found, child: tuple[int, ...]
    ) -> list[int]:
        """Significant groups to name first instead of an uneven one: its unlike part, and the best few."""
        codes = self.lattice.codes[found.leaves]
        order = np.argsort(-evaluation.score, kind="stable")[:_CONTENDERS].tolist()
        dimensions = tuple(j for j, code in enumerate(child) if code != ANY)
        known = any(cuboid.dimensions == dimensions for cuboid in self.lattice.cuboids)
        part = [self.lattice.group(child)] if known else []
        return [
            rival
            for rival in dict.fromkeys(part + order)
            if rival != group
            and evaluation.log_qvalue[rival] <= self.log_hurdle
            and members(codes, self.lattice.segment(rival)).any()
        ][:_RIVALS]

    def _uneven(self, found: Found) -> tuple[int, ...] | None:
        """The part of a segment, by one value more, that moved most unlike the rest of it.

        None unless that part and one more value explain clearly more than the segment does.
        """
        seen, mean = self.model.moved(self.totals[:, None])
        factor = float(seen[0] / max(mean[0], 1e-12))

        def gain(sums: Floats) -> Floats:
            seen, mean = self.model.moved(sums)
            return weighted_llr(np.maximum(seen, 0.0), factor * mean)

        def values(leaves: Integers) -> list[tuple[float, float, int, int]]:
            """Best split of every free dimension: gain of both sides, of the value, dimension, value."""
            own, codes = self.columns[:, leaves], self.lattice.codes[leaves]
            best = []
            for j in free:
                n_values = int(codes[:, j].max()) + 1
                sums = np.array([sum_by(codes[:, j], row, n_values) for row in own])
                inside, rest = gain(sums), gain(own.sum(axis=1)[:, None] - sums)
                value = int(np.argmax(inside + rest))
                best.append((float((inside + rest)[value]), float(inside[value]), j, value))
            return best

        free = [j for j, code in enumerate(found.codes) if code == ANY]
        if not free:
            return None
        whole = float(gain(self.columns[:, found.leaves].sum(axis=1)[:, None])[0])
        _, first, dimension, value = max(values(found.leaves))
        others = found.leaves[self.lattice.codes[found.leaves, dimension] != value]
        if len(others) == 0:
            return None
        second = max(inside for _, inside, _, _ in values(others))
        if first + second - whole < _REST_LIKE_PARENT:
            return None
        return tuple(value if j == dimension else code for j, code in enumerate(found.codes))

    def _fit_of(self, evaluation: Evaluation, group: int) -> float:
        """Nats for a group: what its leaves say, and what those say that an earlier segment holds.

        How a cause moves leaves of unlike rates is a guess, and so is one scale for all; both readings count
        by half.
        """
        segment = self.lattice.segment(group)
        taken = self._gain_of_taken(evaluation, group, segment)
        if self.fit is None:
            return float(evaluation.llr[group]) + taken
        row = self.model.expected_row
        factor = evaluation.mean[group] / max(self.lattice.sums[row, group], 1e-12)
        leaves = np.flatnonzero(self.lattice.members(segment) & self.alive)
        return 0.5 * (self.fit(leaves, float(factor)) + float(evaluation.llr[group])) + taken

    def _gain_of_taken(self, evaluation: Evaluation, group: int, segment: Sequence[int]) -> float:
        """Nats by which leaves of other found segments say that this segment moved them as well.

        Where two causes overlap both move what they share. What the other one does alone is seen in its
        leaves outside this segment; without any, nobody knows.
        """
        seen, expected = self.model.weighted_rows
        sums = self.lattice.sums[:, group]
        factor = evaluation.mean[group] / max(sums[self.model.expected_row], 1e-12)
        ratio = max(sums[seen] / max(factor * sums[expected], 1e-12), 1e-6)
        gain = 0.0
        for other in self.found:
            inside = members(self.lattice.codes[other.leaves], segment)
            if not inside.any() or inside.all():
                continue
            own = self.columns[:, other.leaves]
            shared, alone = own[:, inside].sum(axis=1), own[:, ~inside].sum(axis=1)
            mean = alone[seen] / max(alone[expected], 1e-12) * shared[expected]
            moved = shared[seen] * np.log(ratio) - (ratio - 1.0) * mean
            gain += moved / (1.0 + shared[expected] / max(alone[expected], 1e-12))
        return float(gain)

    def suspect(self, shift_of_rest: Callable[[float], float], *, margin: float) -> bool:
        """Take out one segment that explains a change of the total better than a shift of everything.

        Parameters
        ----------
        shift_of_rest
            Nats against "the rest is as usual", from the factor by which the rest moved.
        margin
            Nats by which the segment must beat the shared shift, its description paid for.

        Returns
        -------
        bool
            Whether there is one. The change of the total must be beyond doubt before this is asked.

        Notes
        -----
        Compared are "this segment moved, the rest is as usual" and "everything moved alike". Against the
        second the segment's adjusted tail speaks, against the first the factor of the rest.
        """
        evaluation = self.evaluate()
        row = self.model.expected_row
        rest = self.totals[:, None] - self.lattice.sums
        for group in np.argsort(evaluation.log_qvalue)[:_N_LEADS]:
            against_shift = -float(evaluation.log_qvalue[group])
            if against_shift < margin:
                break
            factor = float(rest[0, group] / max(rest[row, group], 1e-12))
            if against_shift - shift_of_rest(factor) >= margin:
                self.remove(self.widen(evaluation, int(group)))
                return True
        return False

    def forget_row(self, row: int) -> None:
        """Leave the last row of the sums out from now on."""
        self.columns, self.totals = self.columns[:row], self.totals[:row]
        self.lattice.sums = self.lattice.sums[:row]
        self.untouched = None

    def widen(self, evaluation: Evaluation, group: int) -> tuple[int, ...]:
        """Prefer a parent when the rest of that parent moved as the child did.

        The complement test: the rest of the parent (parent without child) must fit the child's rate ratio
        better than no change by 3 nats; else the child stands.
        """
        segment = self.lattice.segment(group)
        taken = {found.codes for found in self.found}
        while True:
            group = self.lattice.group(segment)
            gains = [
                (self._gain_of_rest(group, parent, evaluation), parent)
                for parent in parents(segment, self.hierarchy)
                if parent not in taken and self._is_as_sure(evaluation, group, parent)
            ]
            best_gain, wider = max(gains, default=(0.0, segment))
            if best_gain < _REST_LIKE_PARENT:
                return segment
            segment = wider

    def _is_as_sure(self, evaluation: Evaluation, group: int, parent: tuple[int, ...]) -> bool:
        """Whether a parent is significant itself, or no less so than the child."""
        wider = evaluation.log_qvalue[self.lattice.group(parent)]
        return bool(wider <= max(self.log_hurdle, float(evaluation.log_qvalue[group])))

    def _gain_of_rest(self, group: int, parent: tuple[int, ...], evaluation: Evaluation) -> float:
        """Nats by which the rest of a parent fits the child's effect better than no change."""
        child = self.lattice.sums[:, group]
        rest = self.lattice.sums[:, self.lattice.group(parent)] - child
        segment = self.lattice.segment(group)
        taken = self._gain_of_taken(evaluation, group, parent)
        taken -= self._gain_of_taken(evaluation, group, segment)
        if np.abs(rest).max() <= 1e-9 * np.abs(child).max():
            # The same rows: the shorter description is the better one, unless rows of others deny it.
            shorter = self.log_weight[group] - self.log_weight[self.lattice.group(parent)]
            return np.inf if taken + max(0.0, float(shorter)) >= 0.0 else -np.inf
        return self.model.gain_of_rest(child, rest, evaluation, group) + taken

    def with_qvalues(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """Named segments with the smallest rate, of the kind that is controlled, at which each is named."""
        if self.error_rate == "family_wise" or not segments:
            return tuple(segments)
        penalty = _harmonic(self.max_segments) / len(segments)
        qvalues = benjamini_hochberg([segment.qvalue * penalty for segment in segments])
        return tuple(map(lambda one, q: replace(one, qvalue=float(q)), segments, qvalues))

    def remove(self, segment: Sequence[int]) -> None:
        """Take the remaining leaves of a segment out of the lattice."""
        leaves = np.flatnonzero(members(self.lattice.codes, segment) & self.alive)
        self._take(Found(tuple(segment), leaves, self.lattice.groups_of(leaves)))

    def _take(self, found: Found) -> None:
        self._shift(found, out=True)
        self.found.append(found)

    def restore(self, found: Found) -> None:
        """Put the leaves of a found segment back."""
        self._shift(found, out=False)
        self.found.remove(found)

    def put_back(self, found: Found) -> None:
        """Take the leaves of a segment out again that `restore` has just put back."""
        self._take(found)

    def deal_leaves(self, order: Sequence[tuple[int, ...]]) -> bool:
        """Give leaves of two found segments to the one that comes first; say whether any changed hands."""
        if len(self.found) < 2:
            return False
        before = {found.codes: len(found.leaves) for found in self.found}
        for found in list(self.found):
            self.restore(found)
        for codes in order:
            self.remove(codes)
        return any(before[found.codes] != len(found.leaves) for found in self.found)

    def _shift(self, found: Found, *, out: bool) -> None:
        columns = self.columns[:, found.leaves] * (1.0 if out else -1.0)
        self.lattice.subtract(found.groups, columns)
        self.totals = self.totals - columns.sum(axis=1)
        self.alive[found.leaves] = not out

    def _deal_shared(self, found: Found) -> None:
        """Give the leaves of a segment that was put back to the others that hold them too."""
        for position, other in enumerate(self.found):
            inside = members(self.lattice.codes[found.leaves], other.codes)
            inside &= self.alive[found.leaves]
            if not inside.any() or inside.all():
                continue
            leaves = found.leaves[inside]
            shared = Found(other.codes, leaves, self.lattice.groups_of(leaves))
            self._shift(shared, out=True)
            groups = (
                part.groups.reshape(len(self.lattice.cuboids), -1) for part in (other, shared)
            )
            self.found[position] = Found(
                other.codes,
                np.concatenate([other.leaves, leaves]),
                np.concatenate(list(groups), axis=1).ravel(),
            )

    def revise(self) -> bool:
        """Put each segment back and choose again with the others gone; say whether anything changed."""
        changed = False
        for codes in [found.codes for found in self.found]:
            position = next(i for i, found in enumerate(self.found) if found.codes == codes)
            found = self.found[position]
            self.restore(found)
            self._deal_shared(found)
            again = self.best()
            if again is None:
                changed = True
                continue
            self.remove(again)
            self.found.insert(position, self.found.pop())
            changed |= again != codes
        return changed


def _harmonic(n: int) -> float:
    """Sum of 1 / k for k from 1 to n."""
    return float((1.0 / np.arange(1, n + 1)).sum())


def _contains(outer: Sequence[int], inner: Sequence[int]) -> bool:
    """Whether every leaf of `inner` lies in `outer`."""
    return all(a in (ANY, b) for a, b in zip(outer, inner, strict=True))


def near_ties(
    search: Search, evaluation: Evaluation, group: int, found: Found
) -> tuple[Alternative, ...]:
    """Segments that share leaves with the found one and fit within 2 nats of it or better."""
    gap = evaluation.llr[group] - evaluation.llr
    near = np.flatnonzero((gap <= NEAR_TIE) & (evaluation.llr > 0))
    near = near[np.argsort(gap[near] + 0.01 * search.lattice.depth[near])][:50]
    own = np.zeros(len(search.alive), bool)
    own[found.leaves] = True
    ties = []
    for other in near:
        codes = search.lattice.segment(int(other))
        inside = members(search.lattice.codes, codes) & search.alive
        if other != group and (inside & own).any():
            ties.append(Alternative(codes, float(gap[other]), bool((inside == own).all())))
    return tuple(ties[:10])


def leads(lattice: Lattice, score: Floats) -> tuple[tuple[int, ...], ...]:
    """Segments with the best scores, best first, without any claim of significance."""
    if len(score) == 0:
        return ()
    best = np.argpartition(-score, min(_N_LEADS, len(score) - 1))[:_N_LEADS].tolist()
    order = sorted(best, key=lambda group: (-score[group], group))
    return tuple(lattice.segment(group) for group in order if score[group] > -np.inf)


def lead_with(
    segments: Sequence[tuple[int, ...]], others: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    """The strongest chosen segment first, then the leads, then the rest of the chosen, each once."""
    return tuple(dict.fromkeys([*segments[:1], *others, *segments[1:]]))
