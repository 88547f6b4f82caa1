"""Attribute a change of a ratio, k events out of n at risk, to segments, to the mix, or to everything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution import evidence, precision, search
from rcakit.stats.attribution.candidates import Nesting, candidate_weights
from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.model import Evaluation
from rcakit.stats.attribution.outcome import Attribution, ErrorRate, Segment, Verdict
from rcakit.stats.attribution.rate_model import (
    AT_RISK,
    EVENTS,
    PAST_EVENTS,
    PAST_REFERENCE,
    REFERENCE,
    SPREAD,
    SQUARES,
    LeafFit,
    RateModel,
    binomial_size,
    distance_from_past,
    level_of,
    reachable,
)
from rcakit.stats.attribution.rate_noise import (
    PRIOR_EVENTS,
    UNTRUSTED_DAYS,
    RateNoise,
    leaf_rates,
    rate_noise,
    set_aside_incident_days,
)
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.decomposition import Kitagawa, kitagawa, simpson_alarm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SHARE_OF_ALPHA_FOR_SEGMENTS = (
    0.6  # of the rest, half each for a shared change of rates and for the mix
)
_LEAST_EXPLAINED = 0.5  # share of the change of rates below which segments are not its place
_SPLIT = 0.5  # a mix verdict needs the mix to carry at least half of the change
_ODDS = np.exp(np.concatenate([-np.geomspace(0.1, 3.0, 10), np.geomspace(0.1, 4.0, 14)]))


def attribute_ratios(
    codes: Integers,
    sizes: tuple[int, ...],
    observed: Floats,
    denominator: Floats,
    *,
    history: History,
    max_depth: int = 3,
    max_segments: int = 20,
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    hierarchy: Sequence[Nesting] = (),
    families: Sequence[int] | None = None,
) -> Attribution:
    """Name the segments whose rates explain a change of a ratio, or say that the mix or nothing does.

    Parameters
    ----------
    codes, sizes
        Leaf table, as in `counts.attribute_counts`.
    observed, denominator
        Events and numbers at risk per leaf over the period, shape (n_leaves,), events at most the latter.
    history
        Daily events and numbers at risk per leaf before the period (`value`, `denominator`).
    max_depth, max_segments, alpha, error_rate, confidence_level
        As in `counts.attribute_counts`.
    hierarchy
        Dimensions whose values lie inside those of another; the outer value is named when the rest of it
        moved too, or when it holds nothing else.
    families
        As in `lattice.Lattice`.

    Notes
    -----
    Segments are judged given their numbers at risk, so a pure change of mix names none. `excess` is in
    events; `rate_effect` and `mix_effect` are the segment's parts of the change of the overall ratio, and
    with those of all other leaves they sum to `change` exactly. Where no segment is named the rate part of
    the total is shrunk towards zero by what rates usually vary, and the mix part is the rest. Noise is
    quasi-binomial.

    References
    ----------
    Kulldorff (1997), Commun. Statist. Theory Meth. 26, 1481-1496 (Bernoulli scan); Kitagawa (1955), J. Amer.
    Statist. Assoc. 50, 1168-1194 (split); Efron & Morris (1973), J. Amer. Statist. Assoc. 68, 117-130
    (shrinkage by 1 - variance / square).
    """
    codes = np.asarray(codes, np.int64)
    history, n_set_aside = set_aside_incident_days(history)
    events, at_risk = np.asarray(observed, float), np.asarray(denominator, float)
    past_events = sum_by(history.leaf, history.value, len(codes))
    past_at_risk = sum_by(history.leaf, history.at_risk, len(codes))
    rates = leaf_rates(past_events, past_at_risk)
    noise = rate_noise(history, codes=codes, sizes=sizes, rates=rates)
    reference = at_risk * rates
    leaves = np.stack(
        [events, at_risk, reference, past_events, past_at_risk * rates, reference * rates]
    )
    columns = _weighted(leaves, rates, noise.correlation, history.n_days)
    lattice = Lattice(codes, sizes, columns, max_depth=max_depth, families=families)
    model = RateModel(noise, noise.segment_of(lattice), lattice.values)
    log_weight, n_candidates = candidate_weights(
        lattice, lattice.sums[REFERENCE], reachable(lattice.sums)
    )
    finder = search.Search(
        lattice,
        columns,
        model=model,
        log_weight=log_weight,
        alpha=alpha * (_SHARE_OF_ALPHA_FOR_SEGMENTS if error_rate == "family_wise" else 1.0),
        # Without a single event in the baseline no segment differs from another in what is usual.
        max_segments=max_segments if past_events.any() else 0,
        error_rate=error_rate,
        hierarchy=hierarchy,
        fit=LeafFit(leaves, rates, noise.correlation),
    )
    leads = search.leads(lattice, distance_from_past(lattice.sums) - log_weight)
    finder.run()
    parts = kitagawa(events, at_risk, past_events, past_at_risk, fallback_rate=rates)
    past = _Past(history, rates)
    segments = _describe_all(finder, leaves, noise, parts, past, confidence_level)
    composition = _composition_pvalue(history, rates, at_risk)
    conclusion = _conclude(
        finder, leaves, noise, segments, parts, composition, n_candidates, alpha, confidence_level
    )
    ranked = search.lead_with([segment.codes for segment in segments], leads)
    notes = conclusion.notes
    if n_set_aside:
        notes = (f"{n_set_aside} baseline days with unusual rates were set aside.", *notes)
    if simpson_alarm(parts, past_at_risk).is_reversed:
        reversal = (
            "The ratio moved against nearly all of its parts: the mix hides what the rates did."
        )
        notes = (*notes, reversal)
    return replace(conclusion, leads=ranked, notes=notes)


def _weighted(leaves: Floats, rates: Floats, correlation: Floats, n_days: int) -> Floats:
    """Rows of the lattice: leaves weighted by the inverse of their variance over that of a binomial.

    So a few large leaves that wobble do not drown the rest. A short history hardly knows how much they do;
    with two weeks or less every event counts the same. The last row is the variance beyond a binomial.

    References
    ----------
    Rao & Scott (1992), Biometrics 48, 577-585 (counts divided by their design effect).
    """
    at_risk = leaves[AT_RISK]
    trusted = correlation * max(0.0, 1.0 - UNTRUSTED_DAYS / max(n_days, 1))
    weight = 1.0 / (1.0 + trusted * at_risk)
    beyond = weight * (1.0 + correlation * at_risk) - 1.0
    spread = weight * at_risk * rates * (1.0 - rates) * beyond
    return np.vstack([leaves * weight, spread])


def _composition_pvalue(history: History, rates: Floats, at_risk: Floats) -> float:
    """Is the ratio that baseline rates give on the period's mix unusual against the days before?"""
    n_days = history.n_days
    expected = sum_by(history.day, history.at_risk * rates[history.leaf], n_days)
    total = sum_by(history.day, history.at_risk, n_days)
    usual = total > 0
    if usual.sum() < 4:
        return 1.0
    daily = expected[usual] / total[usual]
    now = float((at_risk * rates).sum() / max(at_risk.sum(), 1e-12))
    spread = float(np.std(daily, ddof=1)) * np.sqrt(1.0 / history.n_period_days + 1.0 / usual.sum())
    if spread <= 0.0:
        return 1.0
    statistic = abs(now - float(total[usual] @ daily / total[usual].sum())) / spread
    return float(2.0 * special.stdtr(int(usual.sum()) - 1, -statistic))


def _describe_all(
    finder: search.Search,
    leaves: Floats,
    noise: RateNoise,
    parts: Kitagawa,
    past: "_Past",
    confidence_level: float,
) -> tuple[Segment, ...]:
    """Effect, intervals, error rates and near ties of every found segment, strongest first."""
    described = []
    for found in list(finder.found):
        finder.restore(found)
        evaluation = finder.evaluate()
        group = finder.lattice.group(found.codes)
        described.append(
            _describe_one(
                finder, evaluation, group, found, leaves, noise, parts, past, confidence_level
            )
        )
        finder.put_back(found)
    return finder.with_qvalues(sorted(described, key=lambda segment: -segment.log_evalue))


def _describe_one(
    finder: search.Search,
    evaluation: Evaluation,
    group: int,
    found: search.Found,
    leaves: Floats,
    noise: RateNoise,
    parts: Kitagawa,
    past: "_Past",
    confidence_level: float,
) -> Segment:
    """Numbers of one segment, its leaves being in the lattice and the other segments out of it."""
    weighted = finder.lattice.sums[:, group]
    own = leaves[:, found.leaves]
    plain = own.sum(axis=1)
    observed, at_risk = float(plain[EVENTS]), float(binomial_size(plain[:, None])[0])
    factor = float(evaluation.mean[group] / (level_of(weighted[:, None])[0] * weighted[REFERENCE]))
    mean = min(factor * float(level_of(plain[:, None])[0] * plain[REFERENCE]), 0.999 * at_risk)
    rate = mean / at_risk
    within, around = _variance_parts(
        evaluation, group, weighted, own, factor, noise.correlation[found.leaves]
    )
    modelled = within + around * mean / (1.0 - rate)
    within, around = _checked(finder, noise, past, group, found, factor, rate, (within, around))
    inflation = within + around * mean / (1.0 - rate)
    log_weight = float(finder.log_weight[group])
    log_tail = float(evaluation.log_qvalue[group]) - log_weight
    inner, outer = evidence.widths_after_selection(
        log_tail,
        finder.log_hurdle - log_weight,
        confidence_level=confidence_level,
        spread=float(np.sqrt(inflation / modelled)),
    )
    below, above = (inner, outer) if observed > mean else (outer, inner)
    sd = float(np.sqrt(mean * (1.0 - rate) * inflation))
    everyone, usual = float(plain[AT_RISK]), mean / plain[AT_RISK]
    missed = max(1.0 - observed / everyone, 1.0 / everyone)
    design = within * _unlike(own[EVENTS], own[AT_RISK]) + around * observed / missed
    pooled = observed / design, everyone / design
    low, high = _rate_interval(*pooled, below)[0], _rate_interval(*pooled, above)[1]
    return Segment(
        codes=found.codes,
        observed=float(observed),
        expected=mean,
        excess=float(observed - mean),
        excess_lower=float(observed - mean - below * sd),
        excess_upper=float(observed - mean + above * sd),
        ratio=float(observed / mean),
        ratio_lower=float(low / usual),
        ratio_upper=float(high / usual),
        log_evalue=_log_evalue(observed / modelled, at_risk / modelled, rate),
        pvalue=float(min(1.0, 2.0 * np.exp(log_tail))),
        qvalue=float(np.exp(finder.log_qvalue_around(evaluation, group))),
        n_leaves=len(found.leaves),
        rate_effect=float(parts.rate[found.leaves].sum()),
        mix_effect=float(parts.mix[found.leaves].sum()),
        alternatives=search.near_ties(finder, evaluation, group, found),
    )


def _unlike(events: Floats, at_risk: Floats) -> float:
    """Variance of the sum of leaves' events over that of one binomial; unlike leaves vary less.

    Every leaf with two or more at risk gives an unbiased guess, k (n - k) / (n - 1), of its own variance.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., eq. 3.8 (unbiased variance of a proportion).
    """
    everyone, seen = float(at_risk.sum()), float(events.sum())
    pooled = seen * (1.0 - seen / everyone)
    several = at_risk >= 2.0
    k, n = events[several], at_risk[several]
    own = float((k * (n - k) / np.maximum(n - 1.0, 1.0)).sum())
    own += pooled * float(at_risk[~several].sum()) / everyone
    return min(1.0, max(own, 0.5) / max(pooled, 0.5))


def _variance_parts(
    evaluation: Evaluation,
    group: int,
    weighted: Floats,
    own: Floats,
    factor: float,
    correlation: Floats,
) -> tuple[float, float]:
    """Variance of a segment's plain events: inside over that of a binomial, and squared variation of the mean.

    What the outside and the drift of the segment add is that of the weighted sum; leaves, and the past of
    the leaves, vary more than there.
    """
    past_events = own[PAST_EVENTS].sum()
    spared = np.maximum(own[REFERENCE] - own[SQUARES], 1e-12)
    within = 1.0 + float((correlation * own[AT_RISK] * spared).sum() / spared.sum())
    effective = evaluation.mean[group]
    binomial = effective * (1.0 - effective / binomial_size(weighted[:, None])[0])
    inside = 1.0 + factor * weighted[SPREAD] / binomial
    around = (evaluation.size[group] - inside) * binomial / effective**2
    around += within / (past_events + PRIOR_EVENTS)
    around -= inside / (weighted[PAST_EVENTS] + PRIOR_EVENTS)
    return within, float(max(0.0, around))


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """Days before the period, and the baseline rate of every leaf, shape (n_leaves,)."""

    history: History
    rates: Floats


def _checked(
    finder: search.Search,
    noise: RateNoise,
    past: _Past,
    group: int,
    found: search.Found,
    factor: float,
    rate: float,
    parts: tuple[float, float],
) -> tuple[float, float]:
    """Variance parts of a segment, held against its own days and against the rest of the period."""
    within, around = parts
    sums, totals = finder.lattice.sums[:, group], finder.totals
    outside = 1.0 / max(factor * float(totals[REFERENCE] - sums[REFERENCE]), 1e-12)
    share = float(sums[REFERENCE] / max(totals[REFERENCE], 1e-12))
    drift = float(noise.segment_of(finder.lattice)[group]) / max(1.0 - share, 1e-6) ** 2
    clustered = precision.clustered_variance(
        finder.lattice,
        finder.columns,
        found.leaves,
        factor=factor,
        seen=EVENTS,
        expected=lambda sums: level_of(sums) * sums[REFERENCE],
        modelled=outside,
    )
    history = past.history
    own = np.zeros(len(finder.alive), bool)
    own[found.leaves] = True
    events, around_events = precision.days_of(history, own, finder.alive & ~own, history.value)
    reference = history.at_risk * past.rates[history.leaf]
    usual, around_usual = precision.days_of(history, own, finder.alive & ~own, reference)
    days = precision.own_days(
        events,
        usual * around_events / np.maximum(around_usual, 1e-12),
        around_events,
        per_event=within * (1.0 - rate),
        squared=drift,
        scale=1.0,
        weekday=history.weekday,
        n_period_days=history.n_period_days,
    )
    rest = max(0.0, around - outside)
    return within * days.dispersion, rest * days.dispersion + clustered


def _log_evalue(events: float, at_risk: float, rate: float) -> float:
    """Likelihood ratio averaged over odds ratios fixed in advance."""
    moved = _ODDS * rate / (1.0 - rate + _ODDS * rate)
    llr = events * np.log(moved / rate) + (at_risk - events) * np.log((1.0 - moved) / (1.0 - rate))
    return float(special.logsumexp(llr) - np.log(len(_ODDS)))


def _rate_interval(events: float, at_risk: float, z: float) -> tuple[float, float]:
    """Wilson interval of a rate on effective counts, `z` standard deviations to either side.

    References
    ----------
    Wilson (1927), J. Amer. Statist. Assoc. 22, 209-212.
    """
    rate, n = events / at_risk, at_risk
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - width)), float(min(1.0, centre + width))


def _conclude(
    finder: search.Search,
    leaves: Floats,
    noise: RateNoise,
    segments: tuple[Segment, ...],
    parts: Kitagawa,
    composition: float,
    n_candidates: int,
    alpha: float,
    confidence_level: float,
) -> Attribution:
    """Put the total, the shared factor, the mix and the segments into one verdict."""
    events, at_risk = leaves.sum(axis=1)[[EVENTS, AT_RISK]]
    observed = float(events / at_risk)
    share = alpha * (1.0 - _SHARE_OF_ALPHA_FOR_SEGMENTS) / 2.0
    factor, factor_sd, factor_pvalue = _shared_factor(finder, noise)
    is_broad, is_mix = factor_pvalue <= share, composition <= share
    if is_mix and is_broad:
        is_broad = abs(parts.rate_total) > _SPLIT * abs(parts.change)
    # Segments that hold little of a change of all rates are not where it comes from.
    explained = sum(segment.rate_effect for segment in segments) * np.sign(parts.rate_total)
    names_it = bool(segments) and not (
        is_broad and explained < _LEAST_EXPLAINED * abs(parts.rate_total)
    )
    verdict: Verdict = (
        "localised" if names_it else "broad" if is_broad else "mix" if is_mix else "no_evidence"
    )
    rate_part = parts.rate_total
    if not segments:  # chance alone moves observed rates: what it usually does is not theirs
        usual = observed * float(np.hypot(factor_sd, noise.shared_sd))
        rate_part *= max(0.0, 1.0 - usual**2 / max(rate_part**2, 1e-300))
    z = special.ndtri(0.5 + confidence_level / 2.0)
    usual_mix = abs(parts.mix_total) if composition > 0.05 else 0.0
    sd = np.hypot(
        np.hypot(noise.shared_sd * observed, usual_mix),
        np.sqrt(observed * (1 - observed) / at_risk),
    )
    return Attribution(
        verdict=verdict,
        segments=segments,
        observed=observed,
        expected=observed - parts.change,
        change=parts.change,
        change_lower=float(parts.change - z * sd),
        change_upper=float(parts.change + z * sd),
        pvalue=float(
            2.0 * special.stdtr(noise.degrees_of_freedom, -abs(parts.change) / max(sd, 1e-300))
        ),
        shared_factor=factor,
        shared_factor_lower=factor * float(np.exp(-z * factor_sd)),
        shared_factor_upper=factor * float(np.exp(z * factor_sd)),
        shared_factor_pvalue=factor_pvalue,
        rate_effect=rate_part,
        mix_effect=parts.change - rate_part,
        mix_pvalue=composition,
        n_candidates=n_candidates,
        leads=(),
        notes=_notes(segments, is_mix=is_mix, is_broad=is_broad),
    )


def _shared_factor(finder: search.Search, noise: RateNoise) -> tuple[float, float, float]:
    """Factor on the rates outside the segments, its log standard error, and its p-value against usual days."""
    events, reference, past_events, past_reference = finder.totals[
        [EVENTS, REFERENCE, PAST_EVENTS, PAST_REFERENCE]
    ]
    if reference <= 0 or past_reference <= 0:
        return np.nan, np.nan, 1.0
    factor = (events + 0.5) / (reference * past_events / past_reference + 0.5)
    sd = np.sqrt(1.0 / (events + 0.5) + 1.0 / (past_events + 0.5))
    statistic = abs(np.log(factor)) / np.hypot(sd, noise.shared_sd)
    return (
        float(factor),
        float(sd),
        float(2.0 * special.stdtr(noise.degrees_of_freedom, -statistic)),
    )


def _notes(segments: tuple[Segment, ...], *, is_mix: bool, is_broad: bool) -> tuple[str, ...]:
    """Sentences a reader must know before believing the result."""
    notes = []
    if segments and is_broad:
        notes.append("Rates outside the segments moved too, beyond their usual day-to-day noise.")
    if segments and is_mix:
        notes.append("The mix moved too, beyond its usual day-to-day noise.")
    return tuple(notes)
