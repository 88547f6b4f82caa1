"""Attribute a change of counts, or of sums of row values, to segments."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution import count_model, evidence, precision, search
from rcakit.stats.attribution.candidates import Nesting, candidate_weights
from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.leaves import (
    Dispersion,
    LeafBaseline,
    day_tables,
    dispersion_from_history,
    extra_variation,
    leaf_baseline,
    row_scale,
)
from rcakit.stats.attribution.model import Evaluation
from rcakit.stats.attribution.outcome import Attribution, ErrorRate, Segment, Verdict
from rcakit.stats.attribution.steadiness import last_days, steady_days, without_bursts
from rcakit.stats.attribution.totals import TotalForecast, forecast_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LEAST_EXPLAINED = 0.5  # share of the change below which segments are not its place
_SHARE_OF_ALPHA_FOR_SEGMENTS = (
    0.5  # the union bound counts dependent candidates as if they were not: it keeps well below
)
_SHARE_OF_ALPHA_FOR_TOTAL = 0.4  # a tenth is kept back: the noise of the total is only estimated
_MARGIN_OVER_SHIFT = 4.0  # nats: a shared shift is taken for a local cause in at most exp(-4) = 2 %
_LARGE_LEAF = 2.0  # expected events a leaf needs to show its overdispersion
_RATIOS = np.exp(
    np.concatenate([-np.geomspace(0.1, 4.0, 12), np.geomspace(0.1, 6.0, 16)])
)  # effects of e-values


def attribute_counts(
    codes: Integers,
    sizes: tuple[int, ...],
    observed: Floats,
    *,
    history: History,
    squares: Floats | None = None,
    max_depth: int = 3,
    max_segments: int = 20,
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    hierarchy: Sequence[Nesting] = (),
    families: Sequence[int] | None = None,
) -> Attribution:
    """Name the segments that explain a change of counts, or say that none does.

    Parameters
    ----------
    codes
        Dimension codes per leaf, shape (n_leaves, n_dimensions), each from 0 to its size.
    sizes
        Number of values per dimension.
    observed
        Value per leaf over the period, shape (n_leaves,), non-negative: counts, or sums of row values when
        the history carries `sum_squares`.
    history
        Daily leaf values before the period.
    squares
        Sum of the squared row values per leaf over the period, shape (n_leaves,), where rows bring amounts. A
        rise is then held against its own rows: what a few huge ones make is no rise of their segment.
    max_depth
        Largest number of dimensions of a segment.
    max_segments
        The search stops here even if more is significant; a note says so.
    alpha
        Probability of naming anything, a segment or a broad change, when nothing happened.
    error_rate
        `false_discovery`: `alpha` bounds the expected share of named segments that did not move apart. Then no
        segment is named because the total moved.
    confidence_level
        Of all intervals.
    hierarchy
        Dimensions whose values lie inside those of another; the outer value is named when the rest of it
        moved too, or when it holds nothing else.
    families
        As in `lattice.Lattice`.

    Notes
    -----
    Noise is negative binomial with components estimated from the history (`leaves.Dispersion`). Family-wise
    control is a weighted union bound over all candidates, valid under any dependence if the noise is right.
    Not for histories shorter than about two weeks, nor when the baseline itself contains the change.

    References
    ----------
    Kulldorff (1997), Commun. Statist. Theory Meth. 26, 1481-1496; Neill (2012), J. R. Statist. Soc. B 74,
    337-360 (scans over subsets); Tarone (1990), Biometrics 46, 515-522.
    """
    codes, observed = np.asarray(codes, np.int64), np.asarray(observed, float)
    arrivals = row_scale(history, n_leaves=len(codes))
    scale = arrivals[0]
    total = forecast_of(history, scale=scale)
    history, n_bursts = without_bursts(history, n_leaves=len(codes))
    tables = day_tables(history, codes=codes, sizes=sizes)
    n_steady = steady_days(history, codes=codes, sizes=sizes, tables=tables)
    is_cut = n_steady < history.n_days
    if is_cut:
        history = last_days(history, n_steady)
        tables = tuple(table.last(n_steady) for table in tables)
        total = replace(total, day_factor=total.day_factor[-n_steady:])
    baseline = leaf_baseline(
        history, codes=codes, sizes=sizes, scale=scale, total=total, tables=tables
    )
    dispersion = dispersion_from_history(
        history, codes=codes, sizes=sizes, baseline=baseline, scale=arrivals
    )
    columns = count_model.leaf_columns(
        observed, baseline.expected, base=scale, leaf=dispersion.leaf, squares=squares
    )
    lattice = Lattice(codes, sizes, columns, max_depth=max_depth, families=families)
    noise = _noise(lattice, dispersion, baseline)
    ratio = max(baseline.total.mean, 1e-12) / max(baseline.history.sum(), 1e-12)
    seen = (lattice.sums[0] + lattice.sums[1] / ratio) / scale
    # One more event adds at most the log of (baseline + period length) / period length.
    weights = candidate_weights(
        lattice, lattice.sums[count_model.EXPECTED], seen * np.log1p(1.0 / ratio)
    )
    conclusion = _attribute(
        lattice,
        columns,
        noise,
        weights,
        baseline.total,
        alpha=alpha,
        error_rate=error_rate,
        max_segments=max_segments,
        confidence_level=confidence_level,
        hierarchy=hierarchy,
        history=history,
    )
    notes = _notes_on_history(n_bursts=n_bursts, n_steady=n_steady if is_cut else None)
    return replace(conclusion, notes=(*notes, *conclusion.notes))


def _notes_on_history(*, n_bursts: int, n_steady: int | None) -> list[str]:
    """Sentences on what was left out of the baseline."""
    notes = []
    if n_steady is not None:
        notes.append(
            "The mix of values changed lastingly during the baseline (a roll-out, say); segments are "
            f"compared with its last {n_steady} days."
        )
    if n_bursts:
        notes.append(
            f"{n_bursts} bursts of one day in the baseline were set aside, so that their end is no drop."
        )
    return notes


def attribute_forecast_counts(
    codes: Integers,
    sizes: tuple[int, ...],
    observed: Floats,
    expected: Floats,
    *,
    forecast_sd: float = 0.05,
    max_depth: int = 3,
    max_segments: int = 20,
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    hierarchy: Sequence[Nesting] = (),
    families: Sequence[int] | None = None,
) -> Attribution:
    """Name the segments that explain the gap between counts and a forecast of every leaf.

    Parameters
    ----------
    codes, sizes, observed
        As in `attribute_counts`.
    expected
        Forecast count per leaf, shape (n_leaves,), non-negative.
    forecast_sd
        Relative standard deviation of the forecast of the total; it cannot be learnt without a history.
    max_depth, max_segments, alpha, error_rate, confidence_level, hierarchy, families
        As in `attribute_counts`.

    Notes
    -----
    The overdispersion of leaves is estimated from the period itself, robustly; wobble of whole segments
    cannot be, so prefer `attribute_counts` where a history exists.
    """
    codes, observed = np.asarray(codes, np.int64), np.asarray(observed, float)
    expected = np.asarray(expected, float)
    mean = expected * (observed.sum() / max(expected.sum(), 1e-12))
    large = mean >= _LARGE_LEAF
    weight = (mean[large] / (mean[large] + 1.0)) ** 2
    leaf = extra_variation(
        (observed[large] - mean[large]) ** 2, mean[large], mean[large] ** 2, weight
    )
    columns = count_model.leaf_columns(observed, expected, base=1.0, leaf=leaf)
    lattice = Lattice(codes, sizes, columns, max_depth=max_depth, families=families)
    n_groups = len(lattice.depth)
    noise = count_model.Noise(
        base=1.0,
        clump=np.ones(n_groups),
        segment=np.zeros(n_groups),
        history_ratio=0.0,
        prior_mean=0.5 * min(1.0, float(expected.mean())),
        values=lattice.values,
    )
    total = TotalForecast(
        mean=float(expected.sum()),
        sd=float(np.hypot(np.sqrt(expected.sum()), forecast_sd * expected.sum())),
        sd_estimation=0.0,
        shared_sd=forecast_sd,
        degrees_of_freedom=1_000,
        day_factor=np.empty(0),
        period_factor=np.array([expected.sum()]),
        has_trend=False,
        has_weekdays=True,
    )
    weights = candidate_weights(lattice, lattice.sums[count_model.EXPECTED], None)
    conclusion = _attribute(
        lattice,
        columns,
        noise,
        weights,
        total,
        alpha=alpha,
        error_rate=error_rate,
        max_segments=max_segments,
        confidence_level=confidence_level,
        hierarchy=hierarchy,
    )
    note = f"No history: the forecast of the total is taken to be right within {forecast_sd:.0%} (one sd)."
    return replace(conclusion, notes=(note, *conclusion.notes))


def _attribute(
    lattice: Lattice,
    columns: Floats,
    noise: count_model.Noise,
    weights: tuple[Floats, int],
    total: TotalForecast,
    *,
    alpha: float,
    error_rate: ErrorRate,
    max_segments: int,
    confidence_level: float,
    hierarchy: Sequence[Nesting] = (),
    history: History | None = None,
) -> Attribution:
    """Search, describe, conclude."""
    log_weight, n_candidates = weights
    level = alpha * (_SHARE_OF_ALPHA_FOR_SEGMENTS if error_rate == "family_wise" else 1.0)
    finder = search.Search(
        lattice,
        columns,
        model=count_model.CountModel(noise),
        log_weight=log_weight,
        alpha=level,
        max_segments=max_segments,
        error_rate=error_rate,
        hierarchy=hierarchy,
    )
    leads = search.leads(lattice, count_model.distance_from_past(lattice.sums, noise) - log_weight)
    finder.run()
    whole = total.pvalue(float(columns[count_model.OBSERVED].sum()))
    is_sure = whole <= alpha * _SHARE_OF_ALPHA_FOR_TOTAL
    if not finder.found and is_sure and error_rate == "family_wise":
        _take_suspect(finder, total)
    segments = _describe_all(finder, noise, history, confidence_level)
    conclusion = _conclude(
        finder, noise, segments, total, n_candidates, alpha, confidence_level, max_segments
    )
    return replace(
        conclusion, leads=search.lead_with([segment.codes for segment in segments], leads)
    )


def _take_suspect(finder: search.Search, total: TotalForecast) -> None:
    """Where the total changed for sure, ask once more whether one segment did it, at a lower hurdle.

    The change itself is significant at its own share of alpha, so a quiet table still names nothing more
    often than alpha; the hurdle only guards against calling a shared shift a local one.
    """

    def shift_of_rest(factor: float) -> float:
        return 0.5 * float(special.ndtri(0.5 * max(total.pvalue(factor * total.mean), 1e-300))) ** 2

    if len(finder.columns) > count_model.SQUARES:
        finder.forget_row(count_model.SQUARES)
        finder.suspect(shift_of_rest, margin=_MARGIN_OVER_SHIFT)
    elif finder.suspect(shift_of_rest, margin=_MARGIN_OVER_SHIFT):
        finder.run()


def _noise(lattice: Lattice, dispersion: Dispersion, baseline: LeafBaseline) -> count_model.Noise:
    """Spread the components of variance over the groups of the lattice."""
    clump, segment = np.empty(len(lattice.depth)), np.empty(len(lattice.depth))
    for cuboid in lattice.cuboids:
        groups = slice(cuboid.start, cuboid.start + len(cuboid.keys))
        clump[groups] = dispersion.clump[list(cuboid.dimensions)].max()
        segment[groups] = sum(
            dispersion.segment[dimension][code] for dimension, code in cuboid.codes_by_dimension()
        )
    total = baseline.total
    ratio = total.mean / max(baseline.history.sum(), 1e-12)
    return count_model.Noise(
        base=dispersion.base,
        clump=clump,
        segment=segment,
        history_ratio=dispersion.history_ratio,
        prior_mean=0.5 * dispersion.base * ratio,  # Jeffreys: half an event in the baseline
        values=lattice.values,
    )


def _describe_all(
    finder: search.Search,
    noise: count_model.Noise,
    history: History | None,
    confidence_level: float,
) -> tuple[Segment, ...]:
    """Effect, intervals, error rates and near ties of every found segment, strongest first.

    A leaf that lies in two segments belongs to the one that is listed first.
    """

    def described(found: search.Found) -> Segment:
        finder.restore(found)
        evaluation = finder.evaluate()
        group = finder.lattice.group(found.codes)
        one = _describe_one(finder, noise, evaluation, group, found, history, confidence_level)
        finder.put_back(found)
        return one

    order = sorted(map(described, list(finder.found)), key=lambda segment: -segment.log_evalue)
    if finder.deal_leaves([segment.codes for segment in order]):
        order = [described(found) for found in list(finder.found)]
    return finder.with_qvalues(order)


def _describe_one(
    finder: search.Search,
    noise: count_model.Noise,
    evaluation: Evaluation,
    group: int,
    found: search.Found,
    history: History | None,
    confidence_level: float,
) -> Segment:
    """Numbers of one segment, its leaves being in the lattice and the other segments out of it."""
    base = noise.base
    observed = float(finder.lattice.sums[count_model.OBSERVED, group])
    raw = float(finder.lattice.sums[count_model.EXPECTED, group])
    mean = float(evaluation.mean[group])
    usual, variance, known = _variance(finder, noise, mean, group, found, history)
    size, searched_size = (
        float(evidence.negative_binomial_size(np.array(mean / base), np.array(v / base**2)))
        for v in (variance, usual)
    )
    expected = mean * raw / (raw + noise.prior_mean)
    log_weight = float(finder.log_weight[group])
    log_tail = float(evaluation.log_qvalue[group]) - log_weight
    inner, outer = evidence.widths_after_selection(
        log_tail,
        finder.log_hurdle - log_weight,
        confidence_level=confidence_level,
        spread=float(np.sqrt(variance / usual)),
        degrees_of_freedom=known,
    )
    widths = (inner, outer) if observed > mean else (outer, inner)
    high, low = (
        float(
            evidence.negative_binomial_quantile(
                float(special.ndtr(z)), np.array(mean / base), np.array(size)
            )
        )
        * base
        for z in (widths[0], -widths[1])
    )
    ratio_low, ratio_high = evidence.profile_ratio_interval(
        observed / base, mean / base, size, widths=widths
    )
    return Segment(
        codes=found.codes,
        observed=observed,
        expected=expected,
        excess=float(observed - expected),
        excess_lower=float(observed - high),
        excess_upper=float(observed - low),
        ratio=observed / mean,
        ratio_lower=ratio_low,
        ratio_upper=ratio_high,
        log_evalue=evidence.negative_binomial_log_evalue(
            observed / base, mean / base, searched_size, _RATIOS
        ),
        pvalue=float(min(1.0, 2.0 * np.exp(log_tail))),
        qvalue=float(np.exp(finder.log_qvalue_around(evaluation, group))),
        n_leaves=len(found.leaves),
        rate_effect=np.nan,
        mix_effect=np.nan,
        alternatives=search.near_ties(finder, evaluation, group, found),
    )


def _variance(
    finder: search.Search,
    noise: count_model.Noise,
    mean: float,
    group: int,
    found: search.Found,
    history: History | None,
) -> tuple[float, float, float]:
    """Variance of a segment's sum about its mean: as the model has it, and as its own days and the rest say.

    The third figure is the degrees of freedom behind the second.
    """
    expected, weighted = finder.lattice.sums[
        [count_model.EXPECTED, count_model.WEIGHTED_EXPECTED], group
    ]
    whole = float(finder.totals[count_model.WEIGHTED_EXPECTED])
    factor = mean / (float(expected) + noise.prior_mean)
    outside = 1.0 / max(factor * (whole - float(weighted)), 1e-12)
    share = float(weighted) / max(whole, 1e-12)
    own, own_weighted = finder.columns[[count_model.EXPECTED, count_model.WEIGHTED_EXPECTED]][
        :, found.leaves
    ]
    wobble = own * np.maximum(own / np.maximum(own_weighted, 1e-300) - noise.base, 0.0)
    per_event = max(float(noise.clump[group]), _own_size(finder.columns[:, found.leaves], mean))
    squared = factor**2 * float(wobble.sum()) / mean**2
    squared += float(noise.segment[group]) / max(1.0 - share, 1e-6) ** 2
    inside = per_event * mean + squared * mean**2
    usual = inside + mean**2 * outside
    clustered = precision.clustered_variance(
        finder.lattice,
        finder.columns,
        found.leaves,
        factor=factor,
        seen=count_model.WEIGHTED_OBSERVED,
        expected=lambda sums: sums[count_model.WEIGHTED_EXPECTED],
        modelled=outside,
    )
    past = precision.OwnDays()
    if history is not None:
        own_leaves = np.zeros(len(finder.alive), bool)
        own_leaves[found.leaves] = True
        plain, scaled = finder.columns[[count_model.EXPECTED, count_model.WEIGHTED_EXPECTED]]
        # Outside, leaves weigh as in the search: large ones that wobble say little about the shared factor.
        weight = np.where(own_leaves, 1.0, scaled / np.maximum(plain, 1e-300))
        seen, around = precision.days_of(
            history,
            own_leaves,
            finder.alive & ~own_leaves,
            history.value * weight[history.leaf],
        )
        past = precision.own_days(
            seen,
            around,
            around,
            per_event=per_event,
            squared=squared,
            scale=1.0,
            weekday=history.weekday,
            n_period_days=history.n_period_days,
        )
    variance = past.dispersion * inside + mean**2 * clustered
    estimated = 1.0 + noise.history_ratio
    return usual * estimated, variance * estimated, past.degrees_of_freedom


def _own_size(leaves: Floats, mean: float) -> float:
    """Sum of squares over sum of the rows of a segment that rose; zero for counts and for falls."""
    observed = leaves[count_model.OBSERVED].sum()
    if len(leaves) <= count_model.SQUARES or observed <= mean:
        return 0.0
    leaves = leaves[:, leaves[count_model.WEIGHTED_OBSERVED] > 0.0]
    weight = leaves[count_model.WEIGHTED_OBSERVED] / leaves[count_model.OBSERVED]
    return float((leaves[count_model.SQUARES] / weight**2).sum() / observed)


def _conclude(
    finder: search.Search,
    noise: count_model.Noise,
    segments: tuple[Segment, ...],
    total: TotalForecast,
    n_candidates: int,
    alpha: float,
    confidence_level: float,
    max_segments: int,
) -> Attribution:
    """Put the total, the shared factor and the segments into one verdict."""
    observed = float(finder.columns[count_model.OBSERVED].sum())
    low, high = total.interval(confidence_level=confidence_level)
    factor, factor_low, factor_high, factor_pvalue = _shared_factor(
        finder, noise, total, confidence_level
    )
    is_broad = factor_pvalue <= alpha * _SHARE_OF_ALPHA_FOR_TOTAL
    change = observed - total.mean
    # Segments that hold little of a change of everything are not where it comes from.
    explained = sum(segment.excess for segment in segments) * np.sign(change)
    names_it = bool(segments) and not (is_broad and explained < _LEAST_EXPLAINED * abs(change))
    verdict: Verdict = "localised" if names_it else "broad" if is_broad else "no_evidence"
    return Attribution(
        verdict=verdict,
        segments=segments,
        observed=observed,
        expected=total.mean,
        change=observed - total.mean,
        change_lower=observed - high,
        change_upper=observed - low,
        pvalue=total.pvalue(observed),
        shared_factor=factor,
        shared_factor_lower=factor_low,
        shared_factor_upper=factor_high,
        shared_factor_pvalue=factor_pvalue,
        rate_effect=np.nan,
        mix_effect=np.nan,
        mix_pvalue=np.nan,
        n_candidates=n_candidates,
        leads=(),
        notes=_notes(
            noise, segments, total, observed, is_broad=is_broad, max_segments=max_segments
        ),
    )


def _shared_factor(
    finder: search.Search, noise: count_model.Noise, total: TotalForecast, confidence_level: float
) -> tuple[float, float, float, float]:
    """Factor of everything outside the segments, its interval, and its p-value against usual days."""
    rest_observed, rest_expected = finder.totals[[count_model.OBSERVED, count_model.EXPECTED]]
    if rest_expected <= 0.0:
        return np.nan, np.nan, np.nan, total.pvalue(float(rest_observed))
    factor = rest_observed / rest_expected
    counting = noise.base * max(rest_observed, 1.0)
    estimation = (total.sd_estimation / max(total.mean, 1e-12) * rest_observed) ** 2
    width = 1.96 * (confidence_level / 0.95) * np.sqrt(counting + estimation) / rest_expected
    scaled = factor * total.mean  # what the total would have been without the segments
    return factor, max(0.0, factor - width), factor + width, total.pvalue(float(scaled))


def _notes(
    noise: count_model.Noise,
    segments: tuple[Segment, ...],
    total: TotalForecast,
    observed: float,
    *,
    is_broad: bool,
    max_segments: int,
) -> tuple[str, ...]:
    """Sentences a reader must know before believing the result."""
    notes = []
    change = observed - total.mean
    gross = sum(abs(segment.excess) for segment in segments)
    if (
        segments
        and gross > 3.0 * abs(change)
        and len({segment.excess > 0 for segment in segments}) == 2
    ):
        notes.append("Segments moved in opposite directions and nearly cancel in the total.")
    if len(segments) >= max_segments:
        notes.append(f"The search stopped at {max_segments} segments; there may be more.")
    if segments and is_broad:
        notes.append(
            "Everything outside the segments moved too, beyond its usual day-to-day noise."
        )
    if noise.clump.size and noise.clump.max() > 2.0 * noise.base:
        notes.append("Rare values arrive in clumps; their evidence is discounted accordingly.")
    if not total.has_weekdays:
        notes.append("The history is too short or too thin for a weekday profile.")
    if total.has_trend:
        notes.append("The forecast of the total follows a trend.")
    return tuple(notes)
