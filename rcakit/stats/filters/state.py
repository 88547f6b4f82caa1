"""All that the filter remembers: enough to go on exactly where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit.stats.memory import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]


def _copied(part: Floats) -> Floats:
    copy: Floats = empty(part.shape, part.dtype.type)
    copy[...] = part
    return copy


@dataclass(frozen=True, slots=True)
class FilterState:
    """All that the filter remembers of N series: enough to go on exactly where it stopped.

    Arrays end in the axis of series. K discounts, W the longest scan window.
    """

    n_steps: int
    level_counts: Floats  # (K, N) discounted weighted counts
    level_exposure: Floats  # (K, N) discounted weighted exposure, season included
    log_weights: Floats  # (K + 1, N) of the discounts and of the extrapolation
    season_counts: tuple[Floats, ...]  # per cycle (period, N)
    season_expected: tuple[Floats, ...]  # per cycle (period, N)
    season_factor: tuple[Floats, ...]  # per cycle (period, N), as last worked out
    season_error: tuple[Floats, ...]  # per cycle (period, N) relative variance of the factor
    proportional: Floats  # (N,) discounted sum of squared residuals over the mean
    quadratic: Floats  # (N,) discounted sum of excess squared residuals over the mean squared
    n_dispersion: Floats  # (N,) discounted number of residuals
    log_odds_quadratic: Floats  # (N,) evidence for variance growing with the mean squared
    run: Floats  # (N,) signed length of the present run off the level
    run_counts: Floats  # (N,)
    run_exposure: Floats  # (N,)
    n_seen: Floats  # (N,) observations so far
    recent: Floats  # (7, W - 1, N) counts, base, level, noise; error, drift, growth of level

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Flat named arrays, ready for `numpy.savez`."""
        out: dict[str, NDArray[np.generic]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                out |= {f"{field.name}.{i}": part for i, part in enumerate(value)}
            else:
                out[field.name] = np.asarray(value)
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> FilterState:
        """Undo `to_arrays`; takes what `numpy.load` gives."""
        values: dict[str, object] = {}
        for field in fields(cls):
            if field.name.startswith("season"):
                n_cycles = sum(key.startswith(f"{field.name}.") for key in arrays)
                values[field.name] = tuple(arrays[f"{field.name}.{i}"] for i in range(n_cycles))
            else:
                values[field.name] = arrays[field.name]
        values["n_steps"] = int(arrays["n_steps"])
        return cls(**values)  # type: ignore[arg-type]

    def take(self, series: slice | NDArray[np.intp]) -> FilterState:
        """Keep some of the series."""
        return self._map(lambda part: part[..., series])

    def copy(self) -> FilterState:
        """Give arrays that may be changed in place."""
        return self._map(_copied)

    def _map(self, change: Callable[[Floats], Floats]) -> FilterState:
        values: dict[str, Any] = {"n_steps": self.n_steps}
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            many = isinstance(value, tuple)
            values[field.name] = tuple(map(change, value)) if many else change(value)
        return FilterState(**values)

    @staticmethod
    def join(states: Sequence[FilterState]) -> FilterState:
        """Put blocks of series side by side."""
        if len(states) == 1:
            return states[0]
        values: dict[str, Any] = {}
        for field in fields(FilterState):
            parts = [getattr(state, field.name) for state in states]
            if isinstance(parts[0], tuple):
                values[field.name] = tuple(
                    np.concatenate(cycle, axis=-1) for cycle in zip(*parts, strict=True)
                )
            elif field.name == "n_steps":
                values[field.name] = parts[0]
            else:
                values[field.name] = np.concatenate(parts, axis=-1)
        return FilterState(**values)
