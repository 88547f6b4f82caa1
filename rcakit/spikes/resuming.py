"""Go on where an earlier run stopped: only what is new is computed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.spikes.calendars import count_holidays
from rcakit.spikes.engines import REWIND, Followed, follow
from rcakit.spikes.grid import Grid, add_totals
from rcakit.spikes.judgement import Judge, judged
from rcakit.spikes.question import Question, as_levels
from rcakit.spikes.result import SpikeResult
from rcakit.spikes.state import State
from rcakit.stats import scans
from rcakit.stats.scans import Law
from rcakit.validation import refusal

__all__ = ["resumed"]

Floats = NDArray[np.float64]


def resumed(
    data: Any,
    ask: Question,
    judge: Judge,
    earlier: State,
    *,
    totals: bool,
    words: Mapping[str, Any],
) -> SpikeResult:
    """Go on where an earlier run stopped: only periods after its last day are computed."""
    asked = {**ask.settings(), "totals": totals, "direction": judge.direction}
    other = {k: v for k, v in asked.items() if earlier.settings[k] != v}
    if other:
        name = next(iter(other))
        raise refusal(
            name,
            f"{earlier.settings[name]!r} as in the state",
            other[name],
            "Or run without state.",
        )
    grid = ask.grid(data, earlier)
    if totals and ask.keys:
        grid = add_totals(grid)
    family = earlier.settings["family"]
    if family == "gauge":
        grid = as_levels(grid)
    whole = _after_tail(earlier, grid, ask)
    n_tail = len(earlier.days)
    mark = earlier.first_step + n_tail - REWIND
    resume = next(m for m in earlier.checkpoints if m.step == mark)
    recent = _columns(whole, slice(n_tail - REWIND, None))
    new = follow(
        recent, family, direction=judge.direction, unit_size=earlier.unit_size, resume=resume
    )
    tail = earlier.tail
    fresh = slice(REWIND, None)
    before = _tail_law(earlier, new)
    law = Law(
        *(
            np.concatenate([getattr(before, name), getattr(new.law, name)[:, fresh]], axis=1)
            for name in ("expected", "noise", "error")
        )
    )
    old = tuple(m for m in earlier.checkpoints if m.step <= mark)
    followed = Followed(
        family=family,
        law=law,
        pvalue=np.concatenate([tail["pvalue"], new.pvalue[:, fresh]], axis=1),
        span=np.concatenate([tail["span"], new.span[:, fresh]], axis=1),
        unit_size=earlier.unit_size,
        checkpoints=(*old, *(m for m in new.checkpoints if m.step > mark)),
        level=_extended(tail.get("level"), new.level, fresh),
        base=_extended(tail.get("base"), new.base, fresh),
        variance=_extended(tail.get("variance"), new.variance, fresh),
        n_set_aside=new.n_set_aside,
    )
    return judged(
        whole,
        followed,
        judge,
        settings=earlier.settings,
        words=words,
        offset=earlier.first_step,
    )


def _tail_law(earlier: State, new: Followed) -> Law:
    """Return the forecasts of the tail, their variance split as a full run would split it now."""
    tail = earlier.tail
    if "variance" not in tail:
        return Law(tail["expected"], tail["noise"], tail["error"])
    unit = earlier.unit_size
    end: Any = new.checkpoints[-1].state
    law = scans.split(tail["expected"] / unit, tail["variance"], end)
    return Law(tail["expected"], law.noise * unit**2, law.error)


def _extended(tail: Floats | None, new: Floats | None, fresh: slice) -> Floats | None:
    if tail is None or new is None:
        return None
    return np.concatenate([tail, new[:, fresh]], axis=1)


def _after_tail(earlier: State, new: Grid, ask: Question) -> Grid:
    """Put new periods after the tail of a state."""
    tail = earlier.tail

    def joined(name: str, values: Floats | None) -> Floats | None:
        return None if values is None else np.concatenate([tail[name], values], axis=1)

    n_tail = len(earlier.days)
    days = (*earlier.days, *new.days)
    whole = replace(
        new,
        days=days,
        counts=joined("counts", new.counts),  # type: ignore[arg-type]
        exposure=joined("exposure", new.exposure),  # type: ignore[arg-type]
        rows=joined("rows", new.rows),  # type: ignore[arg-type]
        trials=joined("trials", new.trials),
        squares=joined("squares", new.squares),
        completeness=np.concatenate([tail["completeness"], new.completeness]),
        completeness_error=np.concatenate([np.zeros(n_tail), new.completeness_error]),
    )
    if ask.calendar is None:
        return whole
    return replace(whole, holidays=count_holidays(ask.calendar, days, ask.every))


def _columns(grid: Grid, part: slice) -> Grid:
    """Return some periods of a grid."""

    def cut(values: Floats | None) -> Floats | None:
        return None if values is None else values[:, part]

    return replace(
        grid,
        days=grid.days[part],
        counts=grid.counts[:, part],
        exposure=grid.exposure[:, part],
        rows=grid.rows[:, part],
        trials=cut(grid.trials),
        squares=cut(grid.squares),
        completeness=grid.completeness[part],
        completeness_error=grid.completeness_error[part],
        holidays=None if grid.holidays is None else grid.holidays[part],
    )
