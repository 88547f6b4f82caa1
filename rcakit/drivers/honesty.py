"""What must a reader know before believing a split of a change?"""

from collections.abc import Iterator

import numpy as np

from rcakit import wording
from rcakit.drivers.leaf_table import LeafTable, Span
from rcakit.stats.attribution.outcome import Attribution
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.decomposition import kitagawa, simpson_alarm

__all__ = ["notes"]

_MANY_VALUES = 500
_HUGE = 5.0  # times the usual size of rows
# What a table calls the values it did not list.
_COLLECTIVE = frozenset(
    {"other", "others", "(other)", "rest", "misc", "unknown", "n/a", "__other__"}
)


def notes(
    attribution: Attribution, leaves: LeafTable, span: Span | None, *, asked_days: int | None
) -> tuple[str, ...]:
    """Say what the split cannot show, in sentences; none where there is nothing to say."""
    said = [
        *attribution.notes,
        *_about_huge_rows(attribution, leaves),
        *_about_adding_up(attribution, leaves),
        *(_about_days(leaves, span, asked_days) if span else ()),
        *_about_dimensions(leaves),
        *_about_reversal(attribution, leaves),
    ]
    return tuple(dict.fromkeys(said))


def _about_huge_rows(attribution: Attribution, leaves: LeafTable) -> Iterator[str]:
    """Say where the largest rows lie, where a few of them make up a period that rose."""
    squares, history = leaves.squares, leaves.history
    if squares is None or history is None or leaves.denominator is not None:
        return
    if not history.value.any() or attribution.change <= 0:
        return
    size = float(squares.sum() / max(leaves.observed.sum(), 1e-300))
    if size < _HUGE * history.event_size:
        return
    largest = int(squares.argmax())
    where = wording.segment(leaves.segment(tuple(map(int, leaves.codes[largest]))))
    n_alike = max(1, round(float(leaves.observed.sum()) / size))
    yield (
        f"A few huge rows make up the period: it counts like {wording.plural(n_alike, 'row')} of one size. "
        f"The largest lie in {where}; look at them first."
    )


def _about_adding_up(attribution: Attribution, leaves: LeafTable) -> Iterator[str]:
    segments = attribution.segments
    if any(
        tie.is_same_leaves and leaves.segment(tie.codes) != leaves.segment(item.codes)
        for item in segments
        for tie in item.alternatives
    ):
        yield "Some segments hold the same rows as another description; the data cannot separate them."
    if leaves.missing_share > 0:
        yield (
            f"A number is missing in {wording.percent(leaves.missing_share)} of the rows, which "
            "count as zero."
        )
    if leaves.denominator is not None and segments:
        yield (
            "Effects of a rate are in events beyond the usual rate; the rate and mix parts of all "
            "segments and the rest add up to the change of the rate."
        )
    elif len(segments) > 1:
        yield "Effects add up: a row that lies in two segments counts for the stronger one."
    gross = sum(abs(item.excess) for item in segments)
    net = abs(sum(item.excess for item in segments))
    if len(segments) > 1 and gross > 3 * net:
        yield (
            "Offsetting causes: segments rose and fell by far more than the net change shows, so "
            "shares of the change say little."
        )


def _about_days(leaves: LeafTable, span: Span, asked_days: int | None) -> Iterator[str]:
    if span.baseline is None:
        return
    n_baseline, n_period = span.n_baseline_days, span.n_period_days
    if span.every != "1d":
        noun = "week" if span.every == "1w" else "month"
        n_before = len(span.occasions(*span.baseline))
        yield f"The table holds one date a {noun}: {wording.plural(n_before, noun)} are the baseline."
    if asked_days and n_baseline < asked_days:
        yield f"The data reach back {n_baseline} days before the period, not {asked_days}."
    if n_period > n_baseline:
        yield (
            f"Unequal windows: the period ({n_period} days) is longer than its baseline "
            f"({n_baseline} days)."
        )
    if gap := (span.period[0] - span.baseline[1]).days - 1:
        yield (
            f"{wording.plural(gap, 'day')} between baseline and period "
            f"{'was' if gap == 1 else 'were'} left out; what changed in between counts as change too."
        )
    if leaves.usual.sum() == 0:
        yield "The baseline is zero, so there is nothing to compare with; ratios mean nothing."


def _about_dimensions(leaves: LeafTable) -> Iterator[str]:
    if not leaves.dimensions:
        yield "No dimension was given, so nobody can tell where the change comes from."
    for j, (dimension, values) in enumerate(zip(leaves.dimensions, leaves.values, strict=True)):
        name = wording.name(dimension)
        if values == (None,):
            yield f"{name} is missing in every row, so it tells nothing apart."
        elif len(values) == 1:
            yield f"{name} has one value, so it tells nothing apart."
        elif None in values:
            rows = leaves.codes[:, j] == len(values) - 1
            amount = wording.amount(float(leaves.observed[rows].sum()))
            yield f"Missing values of {name} are a value of their own ({amount} in the period)."
        if len(values) > _MANY_VALUES:
            yield (
                f"{name} has {wording.amount(len(values))} values: few of them are large enough to "
                "stand out. Use entity= for accounts and the like."
            )
        collective = [v for v in values if isinstance(v, str) and v.lower() in _COLLECTIVE]
        if collective:
            yield (
                f"{name} is cut short: {wording.name(collective[0])} stands for values that were "
                "not listed, and a cause inside it has no name."
            )


def _about_reversal(attribution: Attribution, leaves: LeafTable) -> Iterator[str]:
    """Warn when a rate moved against the rates of nearly all values of a dimension."""
    history = leaves.history
    if leaves.denominator is None or history is None or attribution.verdict == "no_evidence":
        return
    n = len(leaves.codes)
    now = leaves.observed, leaves.denominator
    past = sum_by(history.leaf, history.value, n), sum_by(history.leaf, history.at_risk, n)
    for j, (dimension, size) in enumerate(zip(leaves.dimensions, leaves.sizes, strict=True)):
        columns = [sum_by(leaves.codes[:, j], column, size) for column in (*now, *past)]
        if size < 2 or min(columns[1].sum(), columns[3].sum()) <= 0:
            continue
        alarm = simpson_alarm(kitagawa(*columns), columns[3])
        if alarm.is_reversed:
            direction = "rose" if attribution.change > 0 else "fell"
            opposite = "fell" if attribution.change > 0 else "rose"
            yield (
                f"Simpson's paradox: the whole rate {direction} although it {opposite} in values of "
                f"{wording.name(dimension)} that hold {wording.percent(alarm.share_against)} of the "
                "baseline. Read the rates inside, not the total."
            )
        elif alarm.is_masked and np.isfinite(attribution.change):
            yield (
                f"Values of {wording.name(dimension)} rose and fell by at least twice the net "
                "change; the total masks them."
            )
