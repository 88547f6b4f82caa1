"""How far apart are two arms, judged from counts, sums and cross-products alone?

Every metric is a ratio of means, numerator over denominator; a plain mean has the denominator one.
A column measured before the experiment (again a ratio of means) takes noise away. One quadruple of
means and its covariance per arm therefore answers for means, proportions, counts and ratios.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "Arm",
    "Contrast",
    "fieller",
    "independent_contrast",
    "means_and_covariances",
    "t_critical",
    "two_sided_pvalue",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's estimate.

    Attributes
    ----------
    value
        Mean or ratio, after adjustment.
    variance
        Sampling variance of the value.
    """

    value: float
    variance: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Treatment against control.

    Attributes
    ----------
    control, treatment
        The arms, after adjustment; independent of each other.
    df
        Degrees of freedom of the standard error.
    variance_ratio
        Variance of the effect with the covariate over the variance without; 1 without covariate.
    n_clusters
        Randomised groups behind the numbers; 0 when the rows themselves were randomised.
    n_control, n_treatment
        Rows in each arm.
    """

    control: Arm
    treatment: Arm
    df: float
    variance_ratio: float = 1.0
    n_clusters: int = 0
    n_control: int = 0
    n_treatment: int = 0

    @property
    def effect(self) -> float:
        """Return treatment minus control."""
        return self.treatment.value - self.control.value

    @property
    def standard_error(self) -> float:
        """Return the standard error of the effect."""
        return math.sqrt(self.treatment.variance + self.control.variance)

    @property
    def statistic(self) -> float:
        """Return the effect in standard errors; nan when there is no variation."""
        return self.effect / self.standard_error if self.standard_error > 0 else math.nan


def t_critical(alpha: float, df: float) -> float:
    """Return the two-sided critical value of Student's t."""
    return float(special.stdtrit(df, 1 - alpha / 2))


def two_sided_pvalue(statistic: float, df: float) -> float:
    """Return the two-sided p-value of Student's t."""
    return float(2 * special.stdtr(df, -abs(statistic)))


def means_and_covariances(n: Floats, sums: Floats, products: Floats) -> tuple[Floats, Floats]:
    """Return means and sample covariances from sums and sums of products.

    Parameters
    ----------
    n
        Number of units, shape ``(...)``.
    sums
        Sums of k columns, shape ``(..., k)``.
    products
        Sums of their products, shape ``(..., k, k)``.

    Notes
    -----
    Cancellation costs about twice the digits of mean over standard deviation; do not use it for
    columns such as epoch seconds. A variance below 1e-12 of the squared mean is taken as zero.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / n[..., None]
        centred = products - n[..., None, None] * means[..., :, None] * means[..., None, :]
        covariances = centred / (n[..., None, None] - 1)
        noise = 1e-12 * np.abs(means[..., :, None] * means[..., None, :])
    return means, np.where(np.abs(covariances) <= noise, 0.0, covariances)


def independent_contrast(
    n: Floats, means: Floats, covariances: Floats, *, adjust: bool
) -> Contrast:
    """Compare two arms of independently randomised units, stratum by stratum.

    Parameters
    ----------
    n
        Units by arm (control first) and stratum, shape ``(2, S)``; every cell at least 2.
    means
        Means of numerator, denominator, covariate numerator and covariate denominator,
        shape ``(2, S, 4)``.
    covariances
        Their sample covariances, shape ``(2, S, 4, 4)``.
    adjust
        Whether to use the covariate.

    Notes
    -----
    Strata are weighted by their share of all units (post-stratification; Miratrix, Sekhon and Yu
    2013, JRSS B 75, p. 373, eq. 3). A ratio is linearised (delta method; Deng, Knoblich and Lu
    2018, KDD, sec. 3.1). The covariate enters with the slope that minimises the variance of the
    effect (CUPED; Deng, Xu, Kohavi and Walker 2013, WSDM, eq. 4). Degrees of freedom are Welch and
    Satterthwaite's, over all cells.
    """
    weights = n.sum(axis=0) / n.sum()
    pooled = np.einsum("s,ask->ak", weights, means)
    spread = np.einsum("s,askl,as->askl", weights**2, covariances, 1 / n)
    outcome, covariate = _gradients(pooled, 0), _gradients(pooled, 2)
    slope = _slope(spread, outcome, covariate) if adjust else 0.0
    gradient = outcome - slope * covariate
    cells = np.einsum("ak,askl,al->as", gradient, spread, gradient)
    plain = np.einsum("ak,askl,al->", outcome, spread, outcome)
    total = cells.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        df = total**2 / (cells**2 / (n - 1)).sum()
    values = pooled[:, 0] / pooled[:, 1]
    if adjust:
        before = pooled[:, 2] / pooled[:, 3]
        values = values - slope * (before - np.average(before, weights=n.sum(axis=1)))
    variances = np.maximum(cells.sum(axis=1), 0.0)
    return Contrast(
        control=Arm(float(values[0]), float(variances[0])),
        treatment=Arm(float(values[1]), float(variances[1])),
        df=float(df),
        variance_ratio=float(total / plain) if plain > 0 else math.nan,
        n_control=int(n[0].sum()),
        n_treatment=int(n[1].sum()),
    )


def fieller(contrast: Contrast, critical: float) -> tuple[float, float, float]:
    """Return the relative effect (treatment over control, minus one) and its interval.

    The interval is nan when the control is not clearly different from zero: then every relative
    effect is compatible with the data. For a negative control the sign follows the absolute effect.

    References
    ----------
    Fieller (1954), Journal of the Royal Statistical Society B 16, p. 176.
    """
    c, t = contrast.control, contrast.treatment
    if c.value == 0 or math.isnan(c.value):
        return math.nan, math.nan, math.nan
    ratio = t.value / c.value
    a = c.value**2 - critical**2 * c.variance
    b = t.value * c.value
    root = b**2 - a * (t.value**2 - critical**2 * t.variance)
    if a <= 0 or root < 0:
        return math.copysign(1, c.value) * (ratio - 1), math.nan, math.nan
    ends = ((b - math.sqrt(root)) / a - 1, (b + math.sqrt(root)) / a - 1)
    if c.value < 0:
        return 1 - ratio, -ends[1], -ends[0]
    return ratio - 1, ends[0], ends[1]


def _gradients(pooled: Floats, first: int) -> Floats:
    """Linearise the ratio of columns ``first`` and ``first + 1`` at each arm's means."""
    gradient = np.zeros_like(pooled)
    gradient[:, first] = 1 / pooled[:, first + 1]
    gradient[:, first + 1] = -pooled[:, first] / pooled[:, first + 1] ** 2
    return gradient


def _slope(spread: Floats, outcome: Floats, covariate: Floats) -> float:
    together = np.einsum("ak,askl,al->", outcome, spread, covariate)
    alone = np.einsum("ak,askl,al->", covariate, spread, covariate)
    return float(together / alone) if alone > 0 else 0.0
