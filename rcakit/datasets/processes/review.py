"""How does a queue of review work go? Which case comes, whether it is decided right, who notices."""

import numpy as np
from numpy.typing import NDArray

from rcakit.datasets.processes.choices import Codes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MOST_LIKELY = 0.95


def draw_each(weights: Floats, rng: np.random.Generator) -> Codes:
    """Draw one value per row, each row from weights of its own.

    Parameters
    ----------
    weights
        Weight of each value in each row, shape (n_rows, n_values); rows need not sum to 1.
    rng
        Source of randomness: one number per row whatever the weights, so that rows whose weights
        stay the same keep their value.
    """
    ladder = np.cumsum(weights, axis=1)
    at = rng.random(len(weights)) * ladder[:, -1]
    return np.asarray((at[:, np.newaxis] >= ladder).sum(axis=1), dtype=np.int64)


def scaled_chance(chance: Floats, factors: list[tuple[Flags, float]]) -> Floats:
    """Multiply a chance where causes act, never beyond 95 %.

    Parameters
    ----------
    chance
        Usual chance of each row, shape (n_rows,).
    factors
        Which rows each cause touches, and its factor.
    """
    scaled = chance.copy()
    for touched, factor in factors:
        scaled = np.where(touched, np.minimum(scaled * factor, _MOST_LIKELY), scaled)
    return scaled


def noticed(
    is_wrong: Flags, *, found_share: float, false_chance: Floats | float, draw: Floats
) -> Flags:
    """Say which decisions a second look calls wrong: most wrong ones, and a few right ones.

    Parameters
    ----------
    is_wrong
        Whether each decision is wrong, shape (n_rows,).
    found_share
        Share of wrong decisions that a second look finds.
    false_chance
        Chance that it calls a right decision wrong, shape (n_rows,).
    draw
        Random numbers between 0 and 1, shape (n_rows,).
    """
    return np.asarray(np.where(is_wrong, draw < found_share, draw < false_chance))
