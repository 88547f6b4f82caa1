"""RiskLoc, written anew after the description of Kalander (2022), arXiv:2205.10004; it cannot be installed.

Leaves are parted in two at a deviation that mirrors the quiet side, and weighted by their distance from that
point. An element's risk is the weighted share of its leaves on the abnormal side, less what of their
deviations is left once the element's own deviation has been spread over them (the ripple effect). Layers are
searched from the coarsest on; the element found is taken out, until too little of the deviation is left.
Thresholds are the published ones. What the description leaves open is chosen so that development files B0, S
and L come out about as published.
"""

import itertools

import numpy as np
import pandas as pd

RISK = 0.5  # least risk of a cause
POWER = 0.02  # least part of the abnormal deviation that a cause explains
EXTREMES = 5  # distinct deviations left aside at either end

Segments = list[tuple[int, ...]]


def riskloc(
    codes: np.ndarray,
    observed: np.ndarray,
    expected: np.ndarray,
    *,
    risk: float = RISK,
    power: float = POWER,
    max_layer: int | None = None,
) -> Segments:
    """Causes as codes per dimension, -1 where any value is meant."""
    n_dimensions = codes.shape[1]
    leaves = pd.DataFrame(codes, columns=range(n_dimensions))
    leaves["v"], leaves["f"] = observed, expected
    leaves = leaves[(leaves.v > 0) | (leaves.f > 0)].copy()
    leaves["d"] = 2.0 * (leaves.f - leaves.v) / (leaves.f + leaves.v)
    cutoff = _cutoff(leaves.d.to_numpy())
    leaves["is_abnormal"] = leaves.d > cutoff if cutoff > 0 else leaves.d < cutoff
    leaves["weight"] = (leaves.d - cutoff).abs().clip(upper=1.0)
    least = power * abs((leaves.f - leaves.v)[leaves.is_abnormal].sum())
    causes: Segments = []
    while len(leaves):
        abnormal = leaves[leaves.is_abnormal]
        if abs((abnormal.f - abnormal.v).sum()) < max(least, 1e-9):
            break
        found = _search(leaves, n_dimensions, max_layer or n_dimensions, risk=risk, least=least)
        if found is None:
            break
        causes.append(found)
        leaves = leaves[~_inside(leaves, found)]
    return causes


def _cutoff(deviation: np.ndarray) -> float:
    """The mirror image of the nearer end of the deviations, a few extreme ones left aside."""
    distinct = np.unique(deviation)
    skip = min(EXTREMES, (len(distinct) - 1) // 2)
    return float(-min(distinct[skip], distinct[-1 - skip], key=abs))


def _inside(leaves: pd.DataFrame, element: tuple[int, ...]) -> np.ndarray:
    inside = np.ones(len(leaves), bool)
    for dimension, code in enumerate(element):
        if code >= 0:
            inside &= leaves[dimension].to_numpy() == code
    return inside


def _search(
    leaves: pd.DataFrame, n_dimensions: int, max_layer: int, *, risk: float, least: float
) -> tuple[int, ...] | None:
    """The riskiest element of the coarsest layer that holds one."""
    abnormal = leaves[leaves.is_abnormal].assign(power=lambda rows: rows.f - rows.v)
    for layer in range(1, max_layer + 1):
        best: tuple[float, tuple[int, ...] | None] = (risk, None)
        for dimensions in itertools.combinations(range(n_dimensions), layer):
            names = list(dimensions)
            sums = abnormal.groupby(names, sort=False)[["power", "weight"]].sum()
            sums = sums[sums.power.abs() >= least]  # elements without power are pruned
            if not len(sums):
                continue
            quiet = leaves[~leaves.is_abnormal].groupby(names, sort=False).weight.sum()
            sums["quiet"] = quiet.reindex(sums.index).fillna(0.0)
            sums["share"] = sums.weight / (sums.weight + sums.quiet + 1.0)
            for key, row in sums.sort_values("share", ascending=False).iterrows():
                if row.share < best[0]:
                    break
                values = key if isinstance(key, tuple) else (key,)
                fixed = dict(zip(dimensions, values, strict=True))
                element = tuple(int(fixed.get(j, -1)) for j in range(n_dimensions))
                score = row.share - _left_over(leaves[_inside(leaves, element)])
                if score >= best[0]:
                    best = (score, element)
        if best[1] is not None:
            return best[1]
    return None


def _left_over(own: pd.DataFrame) -> float:
    """Part of the leaves' gaps that stays once the element's own gap is spread over them."""
    v, f = own.v.to_numpy(), own.f.to_numpy()
    spread = f * v.sum() / f.sum() if f.sum() > 0 else np.zeros(len(f))
    return float(np.abs(spread - v).sum() / max(np.abs(f - v).sum(), 1e-12))
