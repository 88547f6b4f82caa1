"""How would the reference have fared with the cohort's mix? Weighting, doubly robust.

The reference is weighted by the odds of belonging to the cohort (propensity), and what the weights
leave unbalanced is taken out by a regression fitted with the same weights. The result is right if
either of the two models is. Its error counts the estimation of both.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "Adjustment",
    "Estimand",
    "adjust",
    "adjusted_influence",
    "balance",
    "e_value",
    "effective_size",
    "fit_propensity",
    "oaxaca_blinder",
    "standardised_mean",
    "target_mix",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Estimand = str

_MAX_STEPS = 50
_START_ROWS = 20_000
_CHUNK_ROWS = 8_192  # rows whose weighted copy stays in the processor's cache


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A fitted propensity and the weights that follow from it.

    Attributes
    ----------
    design
        Covariates with an intercept, shape ``(n, p)``.
    in_cohort
        Which rows belong to the cohort, shape ``(n,)``.
    propensity, weight
        Chance of belonging to the cohort, and the weight of each row for the estimand.
    estimand
        ``att`` (the cohort's mix) or ``ate`` (everybody's mix).
    """

    design: Floats
    in_cohort: Flags
    propensity: Floats
    weight: Floats
    estimand: Estimand
    information: Floats  # mean of e(1-e)xx', for the error of the propensity
    # weighted cross-products per group, kept because every outcome needs the same
    _breads: dict[bool, Floats] = field(default_factory=dict, repr=False, compare=False)

    def bread(self, group: Flags) -> Floats:
        """Return the mean of ``wxx'`` over a group: the cohort, or the reference."""
        of_cohort = bool(self.in_cohort[np.argmax(group)])
        if of_cohort not in self._breads:
            self._breads[of_cohort] = _gram(self.design, self.weight * group) / group.size
        return self._breads[of_cohort]


def fit_propensity(design: Floats, in_cohort: Flags) -> tuple[Floats, bool]:
    """Return logistic coefficients by Newton's method, and whether a maximum was found.

    Without one, covariates tell the groups apart completely: there is no overlap.

    Parameters
    ----------
    design
        Covariates with an intercept, shape ``(n, p)``.
    in_cohort
        Shape ``(n,)``.

    Notes
    -----
    Starts on a sample of the rows when there are many: Newton's last two steps need all of them,
    the first five do not.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, p. 115.
    """
    n, p = design.shape
    beta = np.zeros(p)
    target = in_cohort.astype(np.float64)
    if n > 4 * _START_ROWS:
        step = n // _START_ROWS
        part, _ = _newton(design[::step], target[::step], beta)
        beta = part if np.all(np.isfinite(part)) and np.max(np.abs(part)) < 30 else beta
    return _newton(design, target, beta)


def adjust(
    design: Floats, in_cohort: Flags, *, estimand: Estimand = "att", trim: float = 0.0
) -> tuple[Adjustment | None, Flags]:
    """Fit the propensity and return the weights, with the rows that were kept.

    Parameters
    ----------
    design, in_cohort
        As for `fit_propensity`.
    estimand
        ``att`` weighs the reference to the cohort's mix; ``ate`` weighs both to everybody's.
    trim
        Rows with a propensity below this or above one minus this are left out.

    Returns
    -------
    adjustment, kept
        None when the groups do not overlap.
    """
    beta, found = fit_propensity(design, in_cohort)
    kept = np.ones(in_cohort.size, dtype=np.bool_)
    if not found:
        return None, kept
    propensity = special.expit(design @ beta)
    if trim > 0:
        kept = (propensity >= trim) & (propensity <= 1 - trim)
        if kept[in_cohort].sum() < 2 or kept[~in_cohort].sum() < 2:
            return None, kept
        design, in_cohort, propensity = design[kept], in_cohort[kept], propensity[kept]
    odds = propensity / np.maximum(1 - propensity, 1e-12)
    if estimand == "att":
        weight = np.where(in_cohort, 1.0, odds)
    else:
        weight = np.where(in_cohort, 1 / np.maximum(propensity, 1e-12), 1 + odds)
    info = _gram(design, propensity * (1 - propensity)) / in_cohort.size
    return Adjustment(design, in_cohort, propensity, weight, estimand, info), kept


def adjusted_influence(
    adjustment: Adjustment, outcome: Floats
) -> tuple[float, float, Floats, Floats, Floats]:
    """Return the cohort's and the reference's adjusted mean, and how each row moves them.

    Parameters
    ----------
    adjustment
        From `adjust`.
    outcome
        Shape ``(n,)``, no missing values.

    Returns
    -------
    mean, reference_mean, influence, reference_influence, pull
        The variance of a difference of means is the mean square of the difference of influences
        over ``n``. ``pull`` is what one more unit of a row's outcome does to its group's mean,
        times ``n``.

    Notes
    -----
    Regression of the outcome within each group, weighted by the propensity weights, then averaged
    over the target mix: consistent if the propensity or the regression is right. The influence
    includes the estimation of the propensity and of the regression.

    References
    ----------
    Kang and Schafer (2007), Statistical Science 22, p. 523 (weighted least squares estimator);
    Wooldridge (2007), J. Econometrics 141, p. 1281; Stefanski and Boos (2002), Am. Stat. 56, p. 29.
    """
    group, target = adjustment.in_cohort, target_mix(adjustment)
    mean, own, pull = standardised_mean(adjustment, outcome, group, target)
    reference_mean, other, other_pull = standardised_mean(adjustment, outcome, ~group, target)
    return mean, reference_mean, own, other, pull + other_pull


def target_mix(adjustment: Adjustment) -> Floats:
    """Return how much each row counts in the mix that is held: they average one."""
    group = adjustment.in_cohort
    return group / float(group.mean()) if adjustment.estimand == "att" else np.ones(group.size)


def standardised_mean(
    adjustment: Adjustment, outcome: Floats, group: Flags, target: Floats
) -> tuple[float, Floats, Floats]:
    """Return the mean a group would have under the target mix, its influence and its pull.

    Parameters
    ----------
    adjustment
        From `adjust`.
    outcome
        Shape ``(n,)``; values outside the group are not used.
    group
        The cohort or the reference.
    target
        From `target_mix`.
    """
    if adjustment.estimand == "att" and group[np.argmax(adjustment.in_cohort)]:
        mean = float(outcome[group].mean())  # the cohort has its own mix as it is
        return mean, target * (outcome - mean), target
    x, n = adjustment.design, group.size
    weight = adjustment.weight * group
    bread = adjustment.bread(group)
    slope = _solve(bread, x.T @ (weight * outcome) / n)
    mix = target @ x / n
    mean = float(mix @ slope)
    predicted, lever = (x @ np.column_stack([slope, _solve(bread, mix)])).T
    pull = weight * lever
    score = pull * (outcome - predicted)
    influence = target * (predicted - mean) + score
    return mean, influence + _propensity_part(adjustment, score, group), pull


def effective_size(weight: Floats) -> float:
    """Return how many equally weighted rows would know as much (Kish 1965, p. 427)."""
    square = float(np.sum(weight**2))
    return float(np.sum(weight)) ** 2 / square if square > 0 else 0.0


def balance(
    columns: Floats, in_cohort: Flags, weight: Floats, is_binary: Flags
) -> tuple[Floats, Floats]:
    """Return standardised mean differences before and after weighting.

    Differences are in standard deviations of the cohort; for 0/1 columns ``sqrt(p(1 - p))``.

    Parameters
    ----------
    columns
        Covariates without intercept, shape ``(n, k)``.
    in_cohort, weight
        Shape ``(n,)``.
    is_binary
        Which columns hold only 0 and 1, shape ``(k,)``.

    References
    ----------
    Austin (2011), Multivariate Behav. Res. 46, p. 412; standardised by the cohort as in Ho, Imai,
    King and Stuart (2011), J. Stat. Software 42(8), p. 14.
    """
    group = in_cohort.astype(np.float64)
    n_inside = group.sum()
    mean = group @ columns / n_inside
    spread = np.sqrt(np.clip(mean * (1 - mean), 0, None))
    for i in np.flatnonzero(~is_binary):
        spread[i] = columns[in_cohort, i].std(ddof=1)
    other = 1 - group
    w_in, w_out = group * weight, other * weight
    raw = mean - other @ columns / other.sum()
    adjusted = w_in @ columns / w_in.sum() - w_out @ columns / w_out.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(spread > 0, 1 / spread, np.nan)
    still = np.abs(raw) < 1e-15
    return np.where(still, 0.0, raw * scale), np.where(still, 0.0, adjusted * scale)


def oaxaca_blinder(
    design: Floats,
    outcome: Floats,
    in_cohort: Flags,
    *,
    weight: Floats | None = None,
    grams: dict[bool, Floats] | None = None,
) -> tuple[float, float]:
    """Split a difference of means into a rate and a mix effect; they add up to it.

    Parameters
    ----------
    design
        Covariates with an intercept, shape ``(n, p)``.
    outcome, in_cohort
        Shape ``(n,)``.
    weight
        For ratios: the denominator of each row.
    grams
        Cross-products of the design per group, kept between outcomes that see the same rows.

    Notes
    -----
    Symmetric: rates are compared at the average mix, mixes at the average rates. With one
    categorical covariate this is Kitagawa's decomposition exactly.

    References
    ----------
    Kitagawa (1955), JASA 50, p. 1181; Reimers (1983), Rev. Econ. Stat. 65, p. 571.
    """
    means, slopes = [], []
    kept = {} if grams is None or weight is not None else grams
    for is_cohort, group in ((True, in_cohort), (False, ~in_cohort)):
        w = group.astype(np.float64) if weight is None else weight * group
        if is_cohort not in kept:
            kept[is_cohort] = _gram(design, w)
        gram = kept[is_cohort]
        means.append(gram[0] / max(gram[0, 0], 1e-300))  # the first column is the intercept
        slopes.append(_solve(gram, (w * outcome) @ design))
    rate = float((means[0] + means[1]) / 2 @ (slopes[0] - slopes[1]))
    mix = float((means[0] - means[1]) @ (slopes[0] + slopes[1]) / 2)
    return rate, mix


def e_value(risk_ratio: float, ci_lower: float, ci_upper: float) -> tuple[float, float]:
    """Return how strong an unmeasured confounder would have to be to explain the ratio away.

    It would have to be tied to both cohort and outcome by this risk ratio. The second value is for
    the interval's bound nearer to 1, and is 1 when the interval holds 1.

    References
    ----------
    VanderWeele and Ding (2017), Ann. Intern. Med. 167, p. 269.
    """
    bound = ci_lower if risk_ratio > 1 else ci_upper
    crosses = ci_lower <= 1 <= ci_upper
    return _e_value(risk_ratio), 1.0 if crosses else _e_value(bound)


def _newton(design: Floats, target: Floats, beta: Floats) -> tuple[Floats, bool]:
    """Climb the likelihood; a step that would lead down is halved until it leads up."""
    before, reached = beta, -math.inf
    for _ in range(_MAX_STEPS):
        curvature, gradient, likelihood = _logistic_step(design, target, beta)
        if not likelihood >= reached - 1e-9 * abs(reached):
            beta = (before + beta) / 2
            continue
        move = _solve(curvature, gradient)
        if not np.all(np.isfinite(move)) or np.max(np.abs(beta)) > 1e6:
            return beta, False
        before, reached, beta = beta, likelihood, beta + move
        if float(gradient @ move) < 1e-7:
            fitted = special.expit(design @ beta)
            sure = np.minimum(fitted, 1 - fitted)
            # a likelihood of one means that the covariates tell the groups apart
            return beta, bool(np.mean(sure) > 1e-6)
    return beta, False


def _logistic_step(design: Floats, target: Floats, beta: Floats) -> tuple[Floats, Floats, float]:
    """Return curvature, gradient and height of the log-likelihood in one pass over the rows."""
    curvature, gradient = np.zeros((beta.size, beta.size)), np.zeros(beta.size)
    likelihood = 0.0
    for start in range(0, design.shape[0], _CHUNK_ROWS):
        rows, wanted = (x[start : start + _CHUNK_ROWS] for x in (design, target))
        chance = special.expit(rows @ beta)
        curvature += (rows * (chance * (1 - chance))[:, None]).T @ rows
        gradient += rows.T @ (wanted - chance)
        likelihood += float(np.sum(np.log(np.maximum(1 - np.abs(wanted - chance), 1e-300))))
    return curvature, gradient, likelihood


def _propensity_part(adjustment: Adjustment, score: Floats, group: Flags) -> Floats:
    """Return what estimating the propensity adds to the influence of a weighted mean."""
    x, n, e = adjustment.design, group.size, adjustment.propensity
    of_cohort = bool(adjustment.in_cohort[np.argmax(group)])
    slope_of_log_weight: Floats | float
    slope_of_log_weight = (
        (0.0 if of_cohort else 1.0)
        if adjustment.estimand == "att"
        else -(1 - e)
        if of_cohort
        else e
    )
    change = x.T @ (score * slope_of_log_weight) / n
    direction = _solve(adjustment.information, change)
    return np.asarray((adjustment.in_cohort - e) * (x @ direction))


def _gram(x: Floats, weight: Floats) -> Floats:
    """Return ``x' W x``, a few thousand rows at a time: several times faster than at once."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, x.shape[0], _CHUNK_ROWS):
        rows = x[start : start + _CHUNK_ROWS]
        total += (rows * weight[start : start + _CHUNK_ROWS, None]).T @ rows
    return total


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Solve, also when columns repeat each other (a level that never occurs in a group)."""
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / np.outer(scale, scale)
    solution, *_ = np.linalg.lstsq(scaled, right / scale, rcond=1e-10)
    return np.asarray(solution / scale)


def _e_value(risk_ratio: float) -> float:
    if not risk_ratio > 0:
        return math.inf if risk_ratio == 0 else math.nan
    ratio = risk_ratio if risk_ratio >= 1 else 1 / risk_ratio
    return ratio + math.sqrt(ratio * (ratio - 1))
