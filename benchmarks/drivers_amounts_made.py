"""Amounts with forecasts and planted causes, written anew after the description in Kalander (2022).

S: five dimensions, one to three faults of one to three elements each, any depth, noise up to 25 %.
L: four dimensions, one to five faults, each one single leaf, noise up to 10 %.
Values are Weibull; the forecast error is relative and symmetric; a fault moves its leaves by a common share.
"""

from dataclasses import dataclass

import numpy as np

DEVELOPMENT_SEED = 0
REPORTING_SEED = 600_000
SIZES = {"S": (10, 12, 10, 8, 5), "L": (10, 24, 10, 15)}


@dataclass(frozen=True, slots=True)
class AmountInstance:
    """Leaves, values, forecasts and the planted segments."""

    codes: np.ndarray
    sizes: tuple[int, ...]
    observed: np.ndarray
    expected: np.ndarray
    causes: tuple[tuple[int, ...], ...]


def amount_instance(kind: str, seed: int) -> AmountInstance:
    """Draw one instance of kind S, L, or N (as S without any fault)."""
    rng = np.random.default_rng([seed, "SLN".index(kind)])
    sizes = SIZES["L" if kind == "L" else "S"]
    codes = np.indices(sizes).reshape(len(sizes), -1).T
    value = 100.0 * rng.weibull(rng.uniform(0.5, 1.0), len(codes))
    value[rng.random(len(codes)) < rng.uniform(0.0, 0.25)] = 0.0
    noise = rng.uniform(0.0, 0.1 if kind == "L" else 0.25)
    other = value * (1.0 + noise * rng.standard_normal(len(codes)))
    swap = rng.random(len(codes)) < 0.5
    observed, expected = np.where(swap, other, value), np.maximum(np.where(swap, value, other), 0.0)
    rises = observed.sum() > expected.sum()
    causes: list[tuple[int, ...]] = []
    for _ in range(0 if kind == "N" else rng.integers(1, 6 if kind == "L" else 4)):
        fault = _fault(rng, sizes, kind, causes)
        severity = rng.uniform(0.5 if kind == "L" else 0.2, 1.0) + noise
        spread = 0.0 if kind == "L" else rng.uniform(0.0, 0.1)
        fault = [segment for segment in fault if value[_inside(codes, segment)].sum() > 0]
        for segment in fault:
            inside = np.flatnonzero(_inside(codes, segment))
            left = np.maximum(1.0 - rng.normal(severity, spread, len(inside)), 0.0)
            if rises:
                expected[inside] = observed[inside] * left
            else:
                observed[inside] = expected[inside] * left
        causes.extend(fault)
    return AmountInstance(codes, sizes, np.maximum(observed, 0.0), expected, tuple(causes))


def _inside(codes: np.ndarray, segment: tuple[int, ...]) -> np.ndarray:
    fixed = [j for j, code in enumerate(segment) if code >= 0]
    return (codes[:, fixed] == np.array(segment)[fixed]).all(axis=1)


def _fault(
    rng: np.random.Generator, sizes: tuple[int, ...], kind: str, earlier: list[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Distinct elements of one cuboid that share no value with earlier faults."""
    for _ in range(1_000):
        depth = len(sizes) if kind == "L" else int(rng.integers(1, len(sizes) + 1))
        dimensions = rng.choice(len(sizes), depth, replace=False)
        n_elements = 1 if kind == "L" else int(rng.integers(1, 4))
        elements = set()
        for _ in range(n_elements):
            elements.add(
                tuple(
                    int(rng.integers(size)) if j in dimensions else -1
                    for j, size in enumerate(sizes)
                )
            )
        clash = any(a[j] == b[j] >= 0 for a in elements for b in earlier for j in range(len(sizes)))
        same_cuboid = any(
            [x >= 0 for x in a] == [x >= 0 for x in b] for a in elements for b in earlier
        )
        if len(elements) == n_elements and not clash and (depth == len(sizes) or not same_cuboid):
            return list(elements)
    return []
