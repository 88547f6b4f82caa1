"""What would the one treated unit have done, told from a mixture of untreated ones?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SyntheticControl", "placebo_ratios", "simplex_weights", "synthetic_control"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SyntheticControl:
    """One treated unit against its synthetic twin.

    Attributes
    ----------
    weights
        Share of each donor, shape ``(J,)``; adds up to one.
    gaps
        Treated minus synthetic, all periods, shape ``(T,)``.
    effect
        Mean gap after treatment.
    pre_rmse, post_rmse
        Root mean squared gap before and after.
    """

    weights: Floats
    gaps: Floats
    effect: float
    pre_rmse: float
    post_rmse: float


def simplex_weights(donors: Floats, target: Floats) -> Floats:
    """Return weights of at least zero that add up to one and fit the target best.

    Parameters
    ----------
    donors
        Shape ``(T, J)``.
    target
        Shape ``(T,)``.

    Notes
    -----
    Non-negative least squares of Lawson and Hanson (1974, Solving Least Squares Problems, p. 161)
    on ``donors - target``, whose solution is scaled to one: an exact active-set method. Gradient
    searches from equal weights stall on such problems.
    """
    from scipy import optimize

    scale = float(np.abs(donors).max()) or 1.0
    difference = (donors - target[:, None]) / scale
    system = np.vstack([difference, np.ones(donors.shape[1])])
    found, _ = optimize.nnls(system, np.append(np.zeros(target.size), 1.0))
    return found / found.sum()


def synthetic_control(outcomes: Floats, treated: int, first: int) -> SyntheticControl:
    """Fit the treated unit before treatment and read the gap after it.

    Parameters
    ----------
    outcomes
        Shape ``(n, T)``; all rows but `treated` are donors.
    treated
        Row of the treated unit.
    first
        Position of the first treated period.

    References
    ----------
    Abadie, Diamond and Hainmueller (2010), Journal of the American Statistical Association 105,
    p. 495; outcomes before treatment are the only predictors.
    """
    donors = np.delete(outcomes, treated, axis=0)
    weights = simplex_weights(donors[:, :first].T, outcomes[treated, :first])
    gaps = outcomes[treated] - weights @ donors
    return SyntheticControl(
        weights=weights,
        gaps=gaps,
        effect=float(gaps[first:].mean()),
        pre_rmse=math.sqrt(float(np.mean(gaps[:first] ** 2))),
        post_rmse=math.sqrt(float(np.mean(gaps[first:] ** 2))),
    )


def placebo_ratios(outcomes: Floats, treated: int, first: int) -> list[SyntheticControl]:
    """Pretend that each donor was treated, the treated unit left out.

    References
    ----------
    Abadie, Diamond and Hainmueller (2010), p. 501.
    """
    donors = np.delete(outcomes, treated, axis=0)
    return [synthetic_control(donors, j, first) for j in range(donors.shape[0])]
