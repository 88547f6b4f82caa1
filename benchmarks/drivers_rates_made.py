"""Made-up violations per review with known causes, mix shifts and roll-outs; baselines not given.

Seeds as in `reports_generator`.
"""

import numpy as np

from benchmarks.drivers_reports import SIX, Cause, Instance, members, pick_segment, world
from rcakit.stats.attribution.history import History

FAMILIES = ("R0", "R1", "R2", "R3", "RG", "MIX", "MR", "ROLL", "RVEN")
VERDICT = {"R0": "no_evidence", "RG": "broad", "MIX": "mix"}


def rate_instance(family: str, seed: int) -> Instance:
    """One ratio instance: R0 null, R1-R3 causes, RG shared factor, MIX mix only, MR mix and cause, ROLL roll-out."""
    rng = np.random.default_rng([seed, 100 + FAMILIES.index(family)])
    n_period = int(rng.choice([1, 1, 3, 7]))
    w = world(
        rng,
        names=SIX,
        n_leaves=int(rng.integers(1_000, 8_000)),
        daily_volume=float(np.exp(rng.uniform(np.log(3_000), np.log(40_000)))),
        n_days=int(rng.choice([28, 70])),
        n_period=n_period,
        shared_sd=float(rng.uniform(0.03, 0.08)),
        leaf_size=50.0,
    )
    n_leaves, n_all = len(w.codes), len(w.weekday)
    logit = rng.normal(rng.uniform(-3.0, -1.0), 0.3, n_leaves)
    for j, size in enumerate(w.sizes):
        logit += rng.normal(0.0, 0.35, size)[w.codes[:, j]]
    rate = 1.0 / (1.0 + np.exp(-logit))
    volume = np.repeat(w.mean[:, None], n_all, axis=1) * w.day_factor[None]
    volume *= rng.gamma(50.0, 1.0 / 50.0, volume.shape)
    period = np.arange(n_all) >= w.n_days
    if family == "ROLL":
        volume *= _rollout(w)
    if family in {"MIX", "MR"}:
        volume *= 1.0 + (_mix_shift(w, rate)[:, None] - 1.0) * period[None]
    at_risk = rng.poisson(volume)
    shared = rng.lognormal(0.0, rng.uniform(0.01, 0.05), n_all)
    scale = 1.0
    if family == "MIX":
        shared[period] = 1.0  # mix only: the rates stay exactly
    if family == "RG":
        scale = float(rng.choice([1.3, 1.5, 0.7]))
        shared[period] *= scale
    correlation = float(rng.choice([0.002, 0.01]))
    concentration = 1.0 / correlation - 1.0
    mean = np.clip(rate[:, None] * shared[None], 1e-4, 0.95)
    drawn = rng.beta(mean * concentration, (1.0 - mean) * concentration)
    events = rng.binomial(at_risk, drawn)
    observed, denominator = events[:, period].sum(axis=1), at_risk[:, period].sum(axis=1)
    expected = (at_risk * mean)[:, period].sum(axis=1)
    quiet = observed.astype(float)
    observed, causes = _plant(
        family, w, rng, observed.astype(float), denominator.astype(float), expected, correlation
    )
    leaf, day = np.nonzero(at_risk[:, : w.n_days])
    history = History(
        leaf,
        day,
        events[leaf, day].astype(float),
        w.weekday[: w.n_days],
        w.weekday[w.n_days :],
        denominator=at_risk[leaf, day].astype(float),
    )
    verdict = VERDICT.get(family, "localised" if causes else "no_evidence")
    return Instance(
        family,
        w.codes,
        w.sizes,
        observed,
        history,
        causes,
        verdict,
        denominator.astype(float),
        {
            "n_period": n_period,
            "correlation": correlation,
            "true_mean": expected,
            "shared_z": abs(np.log(scale)) / 0.05,
        },
        quiet=quiet,
    )


def _rollout(w) -> np.ndarray:
    """The newest app version takes over during the last three weeks; the others shrink alike."""
    version = w.codes[:, w.names.index("app_version")]
    newest = w.sizes[w.names.index("app_version")] - 1
    start = w.n_days - 21
    share = 1.0 / (1.0 + np.exp(-(np.arange(len(w.weekday)) - start - 10) / 3.0))
    return np.where((version == newest)[:, None], 0.02 + 2.0 * share[None], 1.0 - 0.4 * share[None])


def _mix_shift(w, rate: np.ndarray) -> np.ndarray:
    """Volume moves strongly towards the values of one dimension whose rates are high."""
    best, shift = 0.0, np.ones(len(rate))
    for j, size in enumerate(w.sizes):
        mass = np.bincount(w.codes[:, j], w.mean, minlength=size)
        mean_rate = np.bincount(w.codes[:, j], w.mean * rate, minlength=size) / np.maximum(
            mass, 1e-12
        )
        high = mean_rate > np.average(mean_rate, weights=np.maximum(mass, 1e-12))
        factor = np.where(high, 2.5, 0.7)[w.codes[:, j]]
        change = abs(
            (w.mean * factor * rate).sum()
            / (w.mean * factor).sum()
            / ((w.mean * rate).sum() / w.mean.sum())
            - 1
        )
        if change > best:
            best, shift = change, factor
    return shift


def _plant(family, w, rng, observed, denominator, expected, correlation):
    """Raise or lower rates in segments, at most to one; z counts the wobble that single leaves have."""
    number = {"R1": 1, "R2": 2, "R3": 3, "MR": 1, "ROLL": 1, "RVEN": 1}.get(family, 0)
    causes, free = [], np.ones(len(observed), bool)
    for _ in range(number):
        ratio = float(rng.choice([1.5, 2.0, 3.0, 0.5]))
        if family == "ROLL":
            codes = tuple(
                w.sizes[j] - 1 if n == "app_version" else -1 for j, n in enumerate(w.names)
            )
        elif family == "RVEN":
            vendor = int(rng.integers(w.sizes[w.names.index("vendor")]))
            codes, ratio = (
                tuple(vendor if n == "vendor" else -1 for n in w.names),
                float(rng.choice([0.5, 0.6])),
            )
        else:
            codes = pick_segment(
                w,
                expected,
                depth=int(rng.integers(1, 4)),
                low=50.0,
                high=0.4 * expected.sum(),
                free=free,
            )
        if codes is None:
            continue
        inside = members(w.codes, codes)
        before, realised = observed[inside].sum(), ratio
        if ratio > 1.0:
            spare = denominator[inside] - observed[inside]
            rate = expected[inside] / np.maximum(denominator[inside], 1.0)
            extra = np.clip((ratio - 1.0) * rate / np.maximum(1.0 - rate, 1e-9), 0.0, 1.0)
            observed[inside] += rng.binomial(spare.astype(int), extra)
            room = (denominator[inside] - expected[inside]) * extra
            realised = float(1.0 + room.sum() / max(expected[inside].sum(), 1e-9))
        else:
            observed[inside] = rng.binomial(observed[inside].astype(int), ratio)
        clumped = 1.0 + correlation * np.maximum(denominator[inside] / w.n_period - 1.0, 0.0)
        sampling = expected[inside] * (
            1.0 - expected[inside] / np.maximum(denominator[inside], 1.0)
        )
        noise = (sampling * clumped).sum() * (1.0 + w.n_period / w.n_days)
        z = abs(ratio - 1.0) * expected[inside].sum() / np.sqrt(max(noise, 1e-9))
        free &= ~inside
        causes.append(Cause(codes, realised, float(observed[inside].sum() - before), float(z)))
    return observed, tuple(causes)
