"""Remember where the filters stood, so that a new day costs only that day."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import SourceError
from rcakit.spikes.engines import Checkpoint
from rcakit.stats.filters import FilterState
from rcakit.stats.gauges import GaugeState

__all__ = ["State"]

_FORMAT = 2
_ANEW = "Run detect once on the whole history, and save result.state."
# Arrays of the last periods, so that open incidents can be told: name, in this order.
_TAIL = ("counts", "exposure", "trials", "squares", "rows", "expected", "noise", "error")
_JUDGED = ("pvalue", "qvalue", "span")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where the filters stood after the last complete period.

    Attributes
    ----------
    settings
        Options that the next call must share: keys, value, exposure, every, tz, family, calendar …
    series
        Key values of each series.
    first_step
        Number of the first period of the tail, counted from the very first.
    days
        Periods of the tail.
    tail
        Counts, forecasts and judgements of the tail, shape (n_series, n_tail).
    unit_size
        What one count stands for.
    checkpoints
        The filters' memory before the tail and after it.
    """

    settings: Mapping[str, Any]
    series: tuple[tuple[Any, ...], ...]
    first_step: int
    days: tuple[dt.date | dt.datetime, ...]
    tail: Mapping[str, NDArray[Any]]
    unit_size: NDArray[np.float64]
    checkpoints: tuple[Checkpoint, ...]

    @property
    def last_day(self) -> dt.date:
        """Return the last period that need not be given again."""
        day = self.days[-1]
        return day.date() if isinstance(day, dt.datetime) else day

    def save(self, path: str | Path) -> Path:
        """Write the state to one file; arrays and plain JSON, nothing that runs when read.

        Parameters
        ----------
        path
            File to write, usually ending in ``.npz``.
        """
        head = {
            "format": _FORMAT,
            "settings": dict(self.settings),
            "series": [list(values) for values in self.series],
            "first_step": self.first_step,
            "days": [day.isoformat() for day in self.days],
            "steps": [mark.step for mark in self.checkpoints],
            "kind": "gauge" if self.settings["family"] == "gauge" else "count",
        }
        arrays = {f"tail.{name}": values for name, values in self.tail.items()}
        for i, mark in enumerate(self.checkpoints):
            arrays |= {f"state.{i}.{name}": a for name, a in _to_arrays(mark.state).items()}
            if mark.dispersion is not None:
                arrays[f"dispersion.{i}"] = mark.dispersion
        target = Path(path)
        text = np.frombuffer(json.dumps(head, default=str).encode(), dtype=np.uint8)
        with target.open("wb") as file:
            np.savez_compressed(file, head=text, unit_size=self.unit_size, **arrays)  # type: ignore[arg-type]
        return target

    @classmethod
    def load(cls, path: str | Path) -> "State":
        """Read what `save` wrote.

        Raises
        ------
        SourceError
            The file is missing, or was not written by `save`.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            head = json.loads(arrays["head"].tobytes())
        except (OSError, ValueError, KeyError) as broken:
            raise SourceError(
                f"{str(path)!r} must be a state written by State.save, got {broken}. {_ANEW}"
            ) from None
        if head["format"] != _FORMAT:
            raise SourceError(
                f"{str(path)!r} must be a state of format {_FORMAT}, got format {head['format']} of "
                f"another version. {_ANEW}"
            )
        marks = []
        for i, step in enumerate(head["steps"]):
            prefix = f"state.{i}."
            part = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
            state = _gauge(part) if head["kind"] == "gauge" else FilterState.from_arrays(part)
            marks.append(Checkpoint(step, state, arrays.get(f"dispersion.{i}")))
        every = head["settings"]["every"]
        read = dt.datetime.fromisoformat if every == "1h" else dt.date.fromisoformat
        return cls(
            settings=head["settings"],
            series=tuple(tuple(values) for values in head["series"]),
            first_step=head["first_step"],
            days=tuple(read(day) for day in head["days"]),
            tail={k.removeprefix("tail."): a for k, a in arrays.items() if k.startswith("tail.")},
            unit_size=arrays["unit_size"],
            checkpoints=tuple(marks),
        )


def _to_arrays(state: FilterState | GaugeState) -> dict[str, NDArray[Any]]:
    if isinstance(state, FilterState):
        return dict(state.to_arrays())
    return {f.name: np.asarray(getattr(state, f.name)) for f in fields(state)}


def _gauge(arrays: Mapping[str, NDArray[Any]]) -> GaugeState:
    values: dict[str, Any] = {f.name: arrays[f.name] for f in fields(GaugeState)}
    values["n_steps"] = int(arrays["n_steps"])
    return GaugeState(**values)
