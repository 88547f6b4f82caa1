"""Between which limits does a process vary by chance alone?

Every chart here is a `Limits`: a statistic per subgroup, the centre and the limits at three standard
errors. Limits come from the baseline subgroups only; the others are judged against them.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "Limits",
    "c4",
    "c_limits",
    "cusum",
    "d2",
    "d3",
    "dispersion",
    "ewma",
    "individuals",
    "laney_limits",
    "laney_sigma_z",
    "moving_range_sigma",
    "negative_binomial_limits",
    "negative_binomial_scores",
    "np_limits",
    "p_limits",
    "r_limits",
    "s_limits",
    "u_limits",
    "xbar_limits",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Mean moving range of two in standard deviations, rounded as in Laney (2002) and Wheeler (1992).
_D2_OF_TWO = 1.128
_SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """One chart: arrays of one value per subgroup, and the standard error behind the limits."""

    statistic: Floats
    center: Floats
    lower: Floats
    upper: Floats
    sigma: Floats  # standard error of the statistic, per subgroup


@cache
def d2(n: int) -> float:
    """Return the mean range of n standard normal values: 1.128 for two, 2.326 for five.

    Rounded to three digits, as textbooks and R print and use it.

    References
    ----------
    Tippett (1925), Biometrika 17, p. 364; Montgomery (2013), appendix VI.
    """
    return round(_mean_range(n), 3)


@cache
def d3(n: int) -> float:
    """Return the standard deviation of the range of n standard normal values: 0.853 for two.

    References
    ----------
    Tippett (1925), Biometrika 17, p. 364.
    """
    coarse, fine = _mean_square_range(n, 401), _mean_square_range(n, 801)
    mean_square = (4 * fine - coarse) / 3  # the error falls with the square of the step
    return math.sqrt(mean_square - _mean_range(n) ** 2)


def c4(n: int) -> float:
    """Return the mean standard deviation of n standard normal values: 0.9400 for five."""
    log_ratio = special.gammaln(n / 2) - special.gammaln((n - 1) / 2)
    return float(math.sqrt(2 / (n - 1)) * math.exp(log_ratio))


def moving_range_sigma(values: Floats) -> float:
    """Return the short-term standard deviation: mean moving range over 1.128."""
    return float(np.mean(np.abs(np.diff(values)))) / _D2_OF_TWO


def individuals(values: Floats, baseline: Flags) -> Limits:
    """Return an individuals (XmR) chart.

    Parameters
    ----------
    values
        One value per subgroup, in time order, shape ``(n,)``.
    baseline
        Which subgroups set the limits.

    References
    ----------
    Wheeler and Chambers (1992), Understanding Statistical Process Control, p. 48.
    """
    inside = values[baseline]
    sigma = moving_range_sigma(inside)
    return _around(values, float(np.mean(inside)), np.full(values.shape, sigma))


def xbar_limits(
    mean: Floats, spread: Floats, size: Floats, baseline: Flags, *, by: str = "range"
) -> Limits:
    """Return a chart of subgroup means.

    Parameters
    ----------
    mean, spread, size
        Per subgroup: mean, range or standard deviation, number of values (at least 2).
    baseline
        Which subgroups set the limits.
    by
        ``range`` or ``deviation``: what ``spread`` is.

    References
    ----------
    Montgomery (2013), Introduction to Statistical Quality Control, 7th ed., p. 236 and 259.
    """
    sigma = _within_sigma(spread[baseline], size[baseline], by=by)
    center = float(np.average(mean[baseline], weights=size[baseline]))
    return _around(mean, center, sigma / np.sqrt(size))


def r_limits(spread: Floats, size: Floats, baseline: Flags) -> Limits:
    """Return a chart of subgroup ranges (Montgomery 2013, p. 237)."""
    sigma = _within_sigma(spread[baseline], size[baseline], by="range")
    center = sigma * np.array([d2(int(n)) for n in size])
    width = sigma * np.array([d3(int(n)) for n in size])
    return _bounded(spread, center, width)


def s_limits(spread: Floats, size: Floats, baseline: Flags) -> Limits:
    """Return a chart of subgroup standard deviations (Montgomery 2013, p. 261)."""
    sigma = _within_sigma(spread[baseline], size[baseline], by="deviation")
    constants = np.array([c4(int(n)) for n in size])
    return _bounded(spread, sigma * constants, sigma * np.sqrt(1 - constants**2))


def p_limits(count: Floats, size: Floats, baseline: Flags) -> Limits:
    """Return a chart of shares with binomial limits (Montgomery 2013, p. 300)."""
    share = float(count[baseline].sum() / size[baseline].sum())
    sigma = np.sqrt(share * (1 - share) / size)
    return _bounded(count / size, np.full(size.shape, share), sigma, ceiling=1.0)


def np_limits(count: Floats, size: Floats, baseline: Flags) -> Limits:
    """Return a chart of numbers of cases out of equal samples (Montgomery 2013, p. 310)."""
    share = float(count[baseline].sum() / size[baseline].sum())
    sigma = np.sqrt(size * share * (1 - share))
    return _bounded(count, size * share, sigma, ceiling=size)


def c_limits(count: Floats, baseline: Flags) -> Limits:
    """Return a chart of counts with Poisson limits (Montgomery 2013, p. 318)."""
    mean = float(np.mean(count[baseline]))
    return _bounded(count, np.full(count.shape, mean), np.full(count.shape, math.sqrt(mean)))


def u_limits(count: Floats, size: Floats, baseline: Flags) -> Limits:
    """Return a chart of counts per unit with Poisson limits (Montgomery 2013, p. 323)."""
    rate = float(count[baseline].sum() / size[baseline].sum())
    return _bounded(count / size, np.full(size.shape, rate), np.sqrt(rate / size))


def laney_sigma_z(statistic: Floats, center: Floats, sigma: Floats) -> float:
    """Return how much wider than its nominal error a rate varies from one subgroup to the next.

    One: no more than binomial or Poisson chance. Laney's mean moving range of z over 1.128.

    References
    ----------
    Laney (2002), Quality Engineering 14, p. 533.
    """
    z = (statistic - center) / sigma
    return float(np.mean(np.abs(np.diff(z)))) / _D2_OF_TWO


def laney_limits(plain: Limits, baseline: Flags, *, ceiling: float | None = None) -> Limits:
    """Widen a p or u chart to a p' or u' chart by the variation seen between subgroups.

    References
    ----------
    Laney (2002), Quality Engineering 14, p. 533; Mohammed, Panesar, Laney and Wilson (2013),
    BMJ Quality and Safety 22, p. 362.
    """
    sigma_z = laney_sigma_z(
        plain.statistic[baseline], plain.center[baseline], plain.sigma[baseline]
    )
    return _bounded(plain.statistic, plain.center, plain.sigma * sigma_z, ceiling=ceiling)


def dispersion(statistic: Floats, center: Floats, sigma: Floats) -> tuple[float, float]:
    """Return Pearson's dispersion of a rate and the p-value of "no more than chance".

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, p. 127.
    """
    z = (statistic - center) / sigma
    df = z.size - 1
    total = float(np.sum(z**2))
    return total / df, float(special.chdtrc(df, total))


def ewma(
    values: Floats, center: float, sigma: Floats, *, weight: float = 0.2, nsigmas: float = _SIGMAS
) -> Limits:
    """Return an exponentially weighted moving average, which sees small lasting shifts.

    Parameters
    ----------
    values, sigma
        Value and its standard error per subgroup.
    center
        Where the average starts.
    weight
        Weight of the newest value, in (0, 1].
    nsigmas
        Width of the limits.

    References
    ----------
    Roberts (1959), Technometrics 1, p. 239; Montgomery (2013), p. 433.
    """
    smoothed = np.empty_like(values)
    last = center
    for i, value in enumerate(values):
        last = weight * value + (1 - weight) * last
        smoothed[i] = last
    steps = np.arange(1, values.size + 1)
    error = sigma * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * steps)))
    half = nsigmas * error
    middle = np.full(values.shape, center)
    return Limits(smoothed, middle, middle - half, middle + half, half / _SIGMAS)


def cusum(z: Floats, *, shift: float = 1.0, decision: float = 5.0) -> tuple[Limits, Limits]:
    """Return the upper and the lower cumulative sum of standardised values.

    Parameters
    ----------
    z
        Standardised values, shape ``(n,)``.
    shift
        Shift worth finding, in standard errors; half of it is the allowance.
    decision
        Signal beyond this many standard errors.

    References
    ----------
    Page (1954), Biometrika 41, p. 100; Montgomery (2013), p. 417.
    """
    up, down = np.empty_like(z), np.empty_like(z)
    high = low = 0.0
    for i, value in enumerate(z):
        high = max(0.0, high + value - shift / 2)
        low = min(0.0, low + value + shift / 2)
        up[i], down[i] = high, low
    zero, bound = np.zeros_like(z), np.full(z.shape, decision)
    third = bound / _SIGMAS
    return Limits(up, zero, -bound, bound, third), Limits(down, zero, -bound, bound, third)


def negative_binomial_scores(
    count: Floats, exposure: Floats, weekday: npt.NDArray[np.int64], baseline: Flags
) -> tuple[Floats, Floats, float]:
    """Return normal scores of counts after their weekday pattern, and the expected counts.

    Parameters
    ----------
    count, exposure
        Events and what they are counted in, per day; exposure 1 for plain counts.
    weekday
        0 (Monday) to 6, per day.
    baseline
        Which days set the pattern.

    Returns
    -------
    scores, expected, alpha
        ``scores`` are standard normal when nothing changed: mid-p values of a negative binomial
        with the weekday's mean and variance ``mean + alpha * mean**2``.

    Notes
    -----
    Plain c and u limits call ordinary weekends signals; this is the chart to use on daily counts.
    Days that stand out in a first pass are left out of the pattern in the second.

    References
    ----------
    Dunn and Smyth (1996), J. Comput. Graph. Stat. 5, p. 236 (quantile residuals, here mid-p).
    """
    kept = baseline
    for _ in range(2):  # once more without the days that stand out, so that they set no pattern
        expected = _weekday_means(count, exposure, weekday, kept)
        df = max(int(kept.sum()) - len(np.unique(weekday[kept])), 1)
        alpha = _dispersion_alpha(count[kept], expected[kept], df)
        scores = _normal_scores(count, expected, alpha)
        kept = baseline & (np.abs(scores) <= _SIGMAS)
    return scores, expected, alpha


def negative_binomial_limits(expected: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return the counts that lie three standard normal scores below and above the expected ones."""
    from scipy import stats

    tails = special.ndtr([-_SIGMAS, _SIGMAS])
    spread = (
        stats.nbinom(1 / alpha, 1 / (1 + alpha * expected))
        if alpha > 0
        else stats.poisson(expected)
    )
    return spread.ppf(tails[0]).astype(np.float64), spread.ppf(tails[1]).astype(np.float64)


def _dispersion_alpha(count: Floats, mean: Floats, df: int) -> float:
    """Return alpha at which Pearson's statistic equals its degrees of freedom; 0 for Poisson."""
    square = (count - mean) ** 2

    def excess(alpha: float) -> float:
        return float(np.sum(square / (mean + alpha * mean**2))) - df

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while excess(high) > 0:
        high *= 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _weekday_means(
    count: Floats, exposure: Floats, weekday: npt.NDArray[np.int64], kept: Flags
) -> Floats:
    """Return the count each weekday leads to expect; days never seen get the overall rate."""
    total = np.bincount(weekday[kept], count[kept], minlength=7)
    volume = np.bincount(weekday[kept], exposure[kept], minlength=7)
    overall = total.sum() / max(volume.sum(), 1e-12)
    rate = np.where(volume > 0, total / np.maximum(volume, 1e-12), overall)
    return np.maximum(rate[weekday] * exposure, 1e-9)


def _normal_scores(count: Floats, mean: Floats, alpha: float) -> Floats:
    """Map counts to normal scores by the mid-p value of a negative binomial (or Poisson)."""
    positive = np.maximum(count, 1e-9)
    if alpha > 0:
        size, share = 1 / alpha, 1 / (1 + alpha * mean)
        below = np.where(count > 0, special.betainc(size, positive, share), 0.0)
        up_to = special.betainc(size, count + 1, share)
    else:
        below = np.where(count > 0, special.gammaincc(positive, mean), 0.0)
        up_to = special.gammaincc(count + 1, mean)
    return np.asarray(special.ndtri(np.clip((below + up_to) / 2, 1e-12, 1 - 1e-12)))


def _mean_range(n: int) -> float:
    """Integrate ``1 - F**n - (1 - F)**n``."""
    grid, step = np.linspace(-9.0, 9.0, 4001, retstep=True)
    below = special.ndtr(grid)
    return float(np.sum(1 - below**n - (1 - below) ** n) * step)


def _mean_square_range(n: int, n_points: int) -> float:
    """Integrate the joint chance that all values lie between two points, over all pairs."""
    grid, step = np.linspace(-8.0, 8.0, n_points, retstep=True)
    below = special.ndtr(grid)
    high, low = below[None, :], below[:, None]
    density = 1 - high**n - (1 - low) ** n + np.clip(high - low, 0, 1) ** n
    # twice the integral over low < high; the diagonal counts half, and is zero there
    above = 2 * float(np.sum(np.triu(density, 1)))
    return (above + float(np.sum(np.diag(density)))) * float(step) ** 2


def _within_sigma(spread: Floats, size: Floats, *, by: str) -> float:
    constant = d2 if by == "range" else c4
    return float(np.mean(spread / np.array([constant(int(n)) for n in size])))


def _around(statistic: Floats, center: float, sigma: Floats) -> Limits:
    middle = np.full(statistic.shape, center)
    return Limits(statistic, middle, middle - _SIGMAS * sigma, middle + _SIGMAS * sigma, sigma)


def _bounded(
    statistic: Floats, center: Floats, sigma: Floats, *, ceiling: float | Floats | None = None
) -> Limits:
    """Return limits cut at zero, and at a ceiling for shares."""
    lower = np.maximum(center - _SIGMAS * sigma, 0.0)
    upper = center + _SIGMAS * sigma
    upper = upper if ceiling is None else np.minimum(upper, ceiling)
    return Limits(statistic, center, lower, upper, sigma)
