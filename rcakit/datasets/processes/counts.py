"""How many events fall on a day?"""

import numpy as np
from numpy.typing import NDArray


def negative_binomial(
    mean: NDArray[np.float64], dispersion: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw counts that scatter more than Poisson.

    Parameters
    ----------
    mean
        Expected counts, any shape.
    dispersion
        The k of NB2, broadcast against `mean`: the variance is ``mean + mean**2 / k``.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Counts, of the shape of `mean`.

    References
    ----------
    Hilbe, Negative Binomial Regression, 2nd ed. (2011), section 8.2: the Poisson-gamma mixture.
    """
    return rng.poisson(mean * rng.gamma(dispersion, 1 / dispersion, size=mean.shape))


def mean_one_noise(
    shape: tuple[int, ...], sd: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw lognormal factors with mean 1 and a relative standard deviation of about `sd`."""
    return np.exp(rng.normal(-(sd**2) / 2, sd, size=shape))
