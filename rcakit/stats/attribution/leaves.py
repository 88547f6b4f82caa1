"""What should each leaf of the table have shown, and how much does it usually wobble?

A leaf is one combination of dimension values that occurs in the data. This module turns a daily history of
leaf counts into an expected count for the period under study, a forecast of the total, and the components of
variance that a scan over segments needs.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.attribution.totals import TotalForecast, forecast_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MIN_DAYS_FOR_WEEKDAYS = 21  # three of each weekday: fewer and the profile is mostly noise
_MIN_BLOCKS = 6  # with fewer blocks a variance over blocks says nothing
_WINSORISED = 0.01  # share of the largest squared residuals brought down: incidents in the history are not noise
_BLOCKS_OF_ALL = 10  # blocks that the wobble of all values of a dimension counts for in that of one
_BOUND = 6.0  # standard deviations beyond which a residual in the history is an incident
_CACHED_CELLS = 1 << 19
_ALL_VALUES = 2_000  # up to so many values every one is followed
_MOST_VALUES = 200  # the largest values carry nearly all information
_FOLLOWED_EVENTS = 50.0
_MIN_VALUES_FOR_WINSORISING = 50  # below this the 99 % point is the maximum
_RARE_LEAF = 0.1  # share of days with events, below which two on one day are a clump
_WEEKDAYS_OF_ALL = 3.0  # weekdays that the profiles of all values count for in that of one
_PROFILE_FLOOR = (
    0.0025  # squared: profiles closer than 5 % to that of the total need not be told apart
)
_MIN_RARE_DAYS = 50  # fewer of their days say nothing about clumps
_MOST_RARE_ENTRIES = 200_000  # enough for a ratio to three digits


@dataclass(frozen=True, slots=True, eq=False)
class LeafBaseline:
    """Expected value of every leaf over the period.

    Parameters
    ----------
    expected
        Expected value per leaf, shape (n_leaves,); sums to the forecast total.
    history
        Sum over the baseline per leaf, shape (n_leaves,).
    total
        The forecast of the sum over all leaves.
    by_value
        Daily values of the larger values of every dimension.
    """

    expected: Floats
    history: Floats
    total: TotalForecast
    by_value: "tuple[ValueDays, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class ValueDays:
    """Daily values of the larger values of one dimension, and what their shares of the days would be.

    Parameters
    ----------
    values
        Codes of the values, largest first, shape (n_values,).
    seen, mean
        What they showed and what their share of the day's total is, shape (n_values, n_days).
    profile
        Factor on `mean` by which each value's weekdays differ from those of the total, shape (n_values, n_days).
    spread
        Squared variation of the mean of same weekdays about `profile`, per day, shape (n_values,).
    signal
        Squared variation of the profile, shape (n_values,).
    """

    values: Integers
    seen: Floats
    mean: Floats
    profile: Floats
    spread: Floats
    signal: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """Daily values of the values of one dimension that are large enough to be followed.

    Parameters
    ----------
    values
        Their codes, ascending, shape (n_values,).
    seen
        Shape (n_values, n_days).
    """

    values: Integers
    seen: Floats

    def last(self, n_days: int) -> "DayTable":
        """Keep the last days."""
        return DayTable(self.values, self.seen[:, -n_days:])


def day_tables(
    history: History, *, codes: Integers, sizes: tuple[int, ...]
) -> tuple[DayTable, ...]:
    """Add up every day for the larger values of every dimension.

    Parameters
    ----------
    history
        Daily leaf values.
    codes, sizes
        Leaf table.

    Notes
    -----
    Entries are read once for several dimensions together, as long as the cells of their combinations fit
    into the processor's cache. Of a dimension with very many values only the 200 largest and those with 50
    events or more are kept.
    """
    rows = [_followed(history, codes[:, j], size) for j, size in enumerate(sizes)]
    together: list[list[int]] = []
    for j in range(len(sizes)):
        room = min(_CACHED_CELLS, len(history.leaf)) // history.n_days
        home = next((g for g in together if _n_cells(rows, [*g, j]) <= room), None)
        if home is None:
            together.append([j])
        else:
            home.append(j)
    tables: dict[int, DayTable] = {}
    for group in together:
        tables |= _tables_of(history, codes, rows, group)
    return tuple(tables[j] for j in range(len(sizes)))


def _n_cells(rows: list[tuple[Integers, Integers]], group: list[int]) -> int:
    return math.prod(len(rows[j][0]) + 1 for j in group)


def _followed(history: History, code: Integers, size: int) -> tuple[Integers, Integers]:
    """Codes of the values to follow, ascending, and the row of every value; others share the last row."""
    if size <= _ALL_VALUES:
        return np.arange(size), np.arange(size)
    per_value = sum_by(code[history.leaf], history.value, size)
    bound = min(
        _FOLLOWED_EVENTS, float(np.partition(per_value, size - _MOST_VALUES)[-_MOST_VALUES])
    )
    values = np.flatnonzero(per_value >= max(bound, 1e-300))
    row = np.full(size, len(values))
    row[values] = np.arange(len(values))
    return values, row


def _tables_of(
    history: History, codes: Integers, rows: list[tuple[Integers, Integers]], group: list[int]
) -> dict[int, DayTable]:
    """Tables of dimensions whose combinations are added up together."""
    shape = tuple(len(rows[j][0]) + 1 for j in group)
    key = np.zeros(len(codes), dtype=np.int64)
    for j, n_rows in zip(group, shape, strict=True):
        key = key * n_rows + rows[j][1][codes[:, j]]
    n_days = history.n_days
    cell = (key * n_days)[history.leaf]
    cell += history.day
    cube = sum_by(cell, history.value, math.prod(shape) * n_days).reshape(*shape, n_days)
    tables = {}
    for axis, j in enumerate(group):
        others = tuple(k for k in range(len(group)) if k != axis)
        tables[j] = DayTable(rows[j][0], cube.sum(axis=others)[:-1])
    return tables


def leaf_baseline(
    history: History,
    *,
    codes: Integers,
    sizes: tuple[int, ...],
    scale: float = 1.0,
    total: TotalForecast | None = None,
    tables: tuple[DayTable, ...] | None = None,
) -> LeafBaseline:
    """Expected value per leaf: its share of the baseline times the forecast total.

    Where the values of a dimension differ in their weekday profile (a country with another weekend), the
    share is that of the weekdays of the period, shrunk towards the share over all days.

    Parameters
    ----------
    history
        Daily leaf values before the period.
    codes
        Dimension codes of every leaf, shape (n_leaves, n_dimensions).
    sizes
        Number of values of every dimension.
    scale
        Variance-to-mean ratio of a leaf value: 1 for counts.
    total
        A forecast from a longer history that ends on the same day; made from this one by default.
    tables
        From `day_tables` for the same history; made by default.

    Notes
    -----
    Leaves that never occurred before have expectation zero: the prior count a new value deserves belongs to
    the segment that is tested, not to the leaf, or the sum of thousands of unseen leaves would be biased.
    """
    n_leaves = len(codes)
    per_leaf = sum_by(history.leaf, history.value, n_leaves)
    if total is None:
        total = forecast_of(history, scale=scale)
    share = per_leaf / max(per_leaf.sum(), 1e-12)
    has_profiles = history.n_days >= _MIN_DAYS_FOR_WEEKDAYS
    if tables is None:
        tables = day_tables(history, codes=codes, sizes=sizes)
    totals = history.day_totals()
    by_value = tuple(
        _value_days(
            table,
            sum_by(codes[:, j], share, size),
            totals=totals,
            weekday=history.weekday if has_profiles else None,
            base=scale,
        )
        for j, (size, table) in enumerate(zip(sizes, tables, strict=True))
    )
    if total.has_weekdays and len(history.period_weekday) % 7:
        share = share * _leaf_weekday_factor(history, codes, sizes, totals, per_leaf, by_value)
        share /= max(share.sum(), 1e-300)
    return LeafBaseline(
        expected=share * total.mean, history=per_leaf, total=total, by_value=by_value
    )


def _value_days(
    table: DayTable,
    value_share: Floats,
    *,
    totals: Floats,
    weekday: Integers | None,
    base: float,
) -> ValueDays:
    """Compare the 200 largest values of a dimension, which carry nearly all information, with their shares."""
    least = max(0.5, 2.0 * base / len(totals) * _MIN_BLOCKS)
    large = np.flatnonzero(value_share[table.values] * totals.mean() >= least)
    order = np.argsort(-value_share[table.values[large]])[:_MOST_VALUES]
    frequent = table.values[large[order]]
    seen = table.seen[large[order]]
    mean = value_share[frequent, None] * totals
    if weekday is not None and len(frequent) > 1:
        profile, spread, signal = _weekday_profiles(seen, mean, weekday)
    else:
        profile = np.ones_like(mean)
        spread = signal = np.zeros(len(frequent))
    return ValueDays(frequent, seen, mean, profile, spread, signal)


def _weekday_profiles(
    seen: Floats, mean: Floats, weekday: Integers
) -> tuple[Floats, Floats, Floats]:
    """Factor by which weekdays of single values differ from those of the total, as far as they surely do.

    Deviations are shrunk by what the days of one weekday differ among themselves; how much there is to see is
    judged from all values together and from the value's own seven weekdays.
    """
    days = (weekday[:, None] == np.arange(7)).astype(float)
    n_days = np.maximum(days.sum(axis=0), 1.0)
    deviation = (seen @ days) / np.maximum(mean @ days, 1e-12) - 1.0
    deviation[:, days.sum(axis=0) == 0] = 0.0
    level = np.maximum(mean.mean(axis=1), 1e-12)
    residual = seen - mean * (1.0 + deviation[:, weekday])
    spread = (residual**2).sum(axis=1) / max(1, len(weekday) - 7) / level**2
    error = spread[:, None] / n_days
    beyond = (deviation**2 - error).mean(axis=1)
    weight = 1.0 / (error.mean(axis=1) + _PROFILE_FLOOR)
    of_all = max(0.0, float((weight * beyond).sum() / weight.sum()))
    signal = (_WEEKDAYS_OF_ALL * of_all + 7.0 * np.maximum(beyond, 0.0)) / (_WEEKDAYS_OF_ALL + 7.0)
    trust = signal[:, None] / np.maximum(signal[:, None] + error, 1e-300)
    return np.maximum(1.0 + (trust * deviation)[:, weekday], 0.05), spread, signal


def _leaf_weekday_factor(
    history: History,
    codes: Integers,
    sizes: tuple[int, ...],
    totals: Floats,
    per_leaf: Floats,
    by_value: tuple[ValueDays, ...],
) -> Floats:
    """Product over dimensions of how much a value's share rises on the weekdays of the period.

    Dimensions are fitted one after the other on what the earlier ones left, so two dimensions that carry the
    same profile (country and language) are not counted twice.
    """
    on_period_day = np.isin(history.weekday, history.period_weekday)
    factor = np.ones(len(codes))
    if on_period_day.all() or not on_period_day.any():
        return factor
    n_same_days = int(on_period_day.sum())
    expected = per_leaf * (totals[on_period_day].sum() / max(float(per_leaf.sum()), 1e-12))
    for dimension, size in enumerate(sizes):
        table = by_value[dimension]
        if not table.signal.any():
            continue
        code = codes[:, dimension]
        observed = table.seen[:, on_period_day].sum(axis=1)
        fitted = sum_by(code, expected * factor, size)[table.values]
        deviation = observed / np.maximum(fitted, 1e-12) - 1.0
        trust = table.signal / np.maximum(table.signal + table.spread / n_same_days, 1e-300)
        of_value = np.ones(size)
        of_value[table.values] = np.maximum(1.0 + trust * deviation, 0.05)
        factor *= of_value[code]
    return factor


@dataclass(frozen=True, slots=True, eq=False)
class Dispersion:
    """Components of the variance of a segment's value over the period, given the shared factor.

    The variance of a segment with mean m and leaf means m_i is
    ``clump * m + sum(leaf_i * m_i**2) + sum(segment[j][its value] for its dimensions j) * m**2``.

    Parameters
    ----------
    clump
        Variance-to-mean ratio of rare segments, one per dimension, shape (n_dimensions,): 1 for counts that
        come one by one, more where one actor sends many at once or rows carry amounts.
    leaf
        Squared coefficient of variation of every leaf's own period factor, shape (n_leaves,).
    segment
        Squared coefficient of variation of the period factor of every value, one array (n_values,) per
        dimension; measured against a total that holds the value itself.
    base
        Variance-to-mean ratio of a single leaf: 1 for counts that come one by one.
    history_ratio
        Period length over baseline length: the relative variance of an expectation from history.
    """

    clump: Floats
    leaf: Floats
    segment: tuple[Floats, ...]
    base: float
    history_ratio: float


def dispersion_from_history(
    history: History,
    *,
    codes: Integers,
    sizes: tuple[int, ...],
    baseline: LeafBaseline,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Dispersion:
    """Estimate the variance components of segments from how they wobbled before the period.

    Moments of squared residuals about (leaf share x fitted day total x realised day factor), so the effect
    that all leaves share on a day is taken out first; the largest 1 % of residuals are brought down to the 99 % point.

    Parameters
    ----------
    history, codes, sizes
        As in `leaf_baseline`.
    baseline
        What `leaf_baseline` returned.
    scale
        From `row_scale`.

    Notes
    -----
    `segment` is measured on blocks as long as the period where the history holds six of them, so slow drift
    of a country or an app version counts as noise. Assumes that the history was mostly quiet.

    References
    ----------
    Breslow (1984), Applied Statistics 33, 38-44 (moment estimate of extra-Poisson variation).
    """
    base, largest = scale
    n_dimensions = codes.shape[1]
    totals = history.day_totals()
    share = baseline.history / max(baseline.history.sum(), 1e-12)
    leaf = _leaf_components(history, share, totals, base)
    clump, segment = np.empty(n_dimensions), []
    for dimension, size in enumerate(sizes):
        clump[dimension], by_value = _value_components(
            history,
            codes[:, dimension],
            size,
            share,
            totals,
            base,
            leaf,
            baseline.by_value[dimension],
        )
        segment.append(by_value)
    return Dispersion(
        clump=np.maximum(clump, largest),
        leaf=leaf / history.n_period_days,
        segment=tuple(segment),
        base=base,
        history_ratio=history.n_period_days / max(1, history.n_days),
    )


def row_scale(history: History, *, n_leaves: int) -> tuple[float, float]:
    """Variance-to-mean ratio of a leaf that is too rare for anything else to show, and the size of a clump.

    Parameters
    ----------
    history
        Daily leaf values before the period.
    n_leaves
        Number of leaves.

    Returns
    -------
    tuple of float
        Second over first and third over second cumulant. For rows that carry amounts (`sum_squares`) both are
        that of a compound Poisson sum, the sum of squared row values over the sum of row values. For counts
        1, or more where events come several at a time, as the counts of rare leaves on single days show. The
        largest 1 % of these are brought down, so that a burst in the history does not make all others usual.

    References
    ----------
    Daley & Vere-Jones (2003), An Introduction to the Theory of Point Processes I, 2nd ed., ex. 2.1.11.
    """
    if history.sum_squares is not None:
        return history.event_size, history.event_size
    n_seen = np.bincount(history.leaf, minlength=n_leaves)
    rare = (n_seen > 0) & (n_seen < _RARE_LEAF * history.n_days)
    rare[np.arange(n_leaves) % (1 + len(history.leaf) // _MOST_RARE_ENTRIES) > 0] = False
    if n_seen[rare].sum() < _MIN_RARE_DAYS:
        return 1.0, 1.0
    per_leaf = sum_by(history.leaf, history.value, n_leaves)
    own = rare[history.leaf]
    seen, mean = history.value[own], per_leaf[history.leaf[own]] / history.n_days
    seen = np.minimum(seen, np.quantile(seen, 1.0 - _WINSORISED))
    second = max(float(((seen - mean) * seen).sum()), 1e-12)
    third = float(((seen - mean) * (seen - 2.0 * mean) * seen).sum())
    ratio = max(1.0, second / float(seen.sum()))
    return ratio, max(ratio, third / second)


def _leaf_components(history: History, share: Floats, totals: Floats, base: float) -> Floats:
    """Squared variation of every leaf's day factor, shape (n_leaves,).

    One figure for all from the leaves that are large enough to show it; each of these then gets its own as
    far as leaves differ by more than chance allows, plus one standard deviation of what is left unknown.

    References
    ----------
    Morris (1983), J. Amer. Statist. Assoc. 78, 47-55 (empirical Bayes by moments).
    """
    n_days = history.n_days
    mean = share * totals.mean()
    rank = max(0, len(mean) - 20_000)
    use = np.flatnonzero(mean >= max(0.2 * base, float(np.partition(mean, rank)[rank])))
    if len(use) == 0:
        return np.zeros(len(share))
    position = np.full(len(share), -1)
    position[use] = np.arange(len(use))
    row = position[history.leaf]
    entry = np.flatnonzero(row >= 0)
    row, value, whole = row[entry], history.value[entry], totals[history.day[entry]]
    share, mean = share[use], mean[use]
    power = share**2 * (totals**2).sum()
    noise = base * share * totals.sum() * (1.0 - 1.0 / n_days)
    cross = sum_by(row, value * whole, len(use)) * share
    residual = sum_by(row, value**2, len(use)) - 2.0 * cross + power - noise
    own = residual / power
    weight = (mean / (mean + base)) ** 2
    of_all = max(0.0, _winsorised_mean(own, weight))
    variance = base * mean + of_all * mean**2
    error = (2.0 + 6.0 * of_all + base / variance) * variance**2 / (n_days * mean**4)
    precision = 1.0 / (error + of_all**2)
    between = max(0.0, _winsorised_mean((own - of_all) ** 2 - error, precision))
    trust = between / (between + error)
    unknown = np.sqrt(between * (1.0 - trust))
    component = np.full(len(position), of_all + np.sqrt(between))
    component[use] = np.maximum(0.0, of_all + trust * (own - of_all)) + unknown
    return component


def _value_components(
    history: History,
    code: Integers,
    size: int,
    share: Floats,
    totals: Floats,
    base: float,
    leaf: Floats,
    table: ValueDays,
) -> tuple[float, Floats]:
    """Clump ratio of rare values and squared variation of every value's factor, for one dimension."""
    n_days = history.n_days
    value_share = sum_by(code, share, size)
    clump = _clump_ratio(history, code, value_share, totals, base)
    if len(table.values) < 2:
        return clump, np.zeros(size)
    leaf_power = sum_by(code, leaf * share**2, size)[table.values]
    longest = min(history.n_period_days, max(1, n_days // _MIN_BLOCKS))
    own_share = value_share[table.values]
    of_all, of_each = _block_components(table, own_share, leaf_power, totals, base, 1)
    of_all, of_each = of_all / history.n_period_days, of_each / history.n_period_days
    if longest > 1:
        slow = _block_components(table, own_share, leaf_power, totals, base, longest)
        of_all, of_each = (of_all, of_each) if of_all >= slow[0] else slow
    component = np.full(size, of_all)
    component[table.values] = of_each
    return clump, component


def _block_components(
    table: ValueDays,
    share: Floats,
    leaf_power: Floats,
    totals: Floats,
    base: float,
    length: int,
) -> tuple[float, Floats]:
    """Squared variation of values' factors over blocks of `length` days, beyond counting and leaf noise.

    One figure for all values, and one per value: its own, held to that of all by a few blocks, and raised by
    one standard error, since a variance from few blocks may be too small by chance.
    """
    n_blocks = len(totals) // length
    first = len(totals) - n_blocks * length

    def summed(days: Floats) -> Floats:
        return days[:, first:].reshape(len(days), n_blocks, length).sum(axis=2)

    blocks, mean = summed(table.seen), summed(table.mean * table.profile)
    whole = summed(totals[None])
    noise = base * mean * (1.0 - share[:, None]) + leaf_power[:, None] * whole**2 / length
    followed = table.signal / np.maximum(table.signal + table.spread * 7.0 / len(totals), 1e-300)
    n_free = n_blocks - 1.0 - followed[:, None] * 6.0 * n_blocks / len(totals)
    squared = (blocks - mean) ** 2 * n_blocks / np.maximum(1.0, n_free)
    weight = (mean / (mean + base)) ** 2 * (1.0 - share[:, None])
    power = np.maximum(mean**2, 1e-12)
    of_all = extra_variation(squared.ravel(), noise.ravel(), power.ravel(), weight.ravel())
    bounded = np.minimum(squared, _BOUND**2 * (noise + of_all * power))
    own = np.maximum(0.0, ((bounded - noise) / power).mean(axis=1))
    own = (_BLOCKS_OF_ALL * of_all + n_blocks * own) / (_BLOCKS_OF_ALL + n_blocks)
    return of_all, own * (1.0 + np.sqrt(2.0 / (_BLOCKS_OF_ALL + n_blocks)))


def _clump_ratio(
    history: History, code: Integers, value_share: Floats, totals: Floats, base: float
) -> float:
    """Variance-to-mean ratio of values too rare to be counted twice on a day, unless they come in clumps."""
    rare = value_share * totals.mean() < 0.1 * base
    if value_share[rare].sum() * totals.sum() < 20 * base:
        return base
    entry = rare[code][history.leaf]
    key = code[history.leaf[entry]] * history.n_days + history.day[entry]
    _, cell = np.unique(key, return_inverse=True)
    counts = sum_by(cell, history.value[entry], int(cell.max()) + 1)
    return float(max(base, (counts**2).sum() / counts.sum()))


def extra_variation(squared: Floats, noise: Floats, power: Floats, weight: Floats) -> float:
    """Component c of a variance ``noise + c * power``, robust to a few incidents.

    A first estimate brings the largest 1 % down to the 99 % point; it sets the bound of six standard
    deviations for the second, so that the natural skew of small counts is not cut off with the incidents.

    Parameters
    ----------
    squared
        Squared residual per cell, shape (n_cells,).
    noise
        Known part of the variance per cell.
    power
        What the component multiplies.
    weight
        Weight per cell.
    """
    power = np.maximum(power, 1e-12)
    first = max(0.0, _winsorised_mean((squared - noise) / power, weight))
    bounded = np.minimum(squared, _BOUND**2 * (noise + first * power))
    total = float(weight.sum())
    return max(0.0, float((weight * (bounded - noise) / power).sum()) / total) if total > 0 else 0.0


def _winsorised_mean(values: Floats, weights: Floats) -> float:
    """Weighted mean with the largest 1 % of the weighted values brought down to the 99 % point."""
    if values.size == 0 or weights.sum() <= 0:
        return 0.0
    product = values * weights
    if values.size >= _MIN_VALUES_FOR_WINSORISING:
        product = np.minimum(product, np.quantile(product, 1.0 - _WINSORISED))
    return float(product.sum() / weights.sum())
