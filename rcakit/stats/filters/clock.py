"""Which phase of each cycle a step falls on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Clock:
    """Which phase of each cycle a step falls on."""

    periods: tuple[int, ...]
    phases: tuple[NDArray[np.intp], ...]

    def sizes(self) -> tuple[int, ...]:
        """Number of factors of each cycle."""
        # An irregular cycle may not show all its phases in one call; 31 covers months.
        return (*self.periods, *(max(31, int(p.max()) + 1) for p in self.phases))

    def table(self, start: int, n_steps: int) -> NDArray[np.intp]:
        """Phases of the steps of this call, shape (n_cycles, n_steps)."""
        steps = np.arange(start, start + n_steps)
        rows = [steps % p for p in self.periods] + [p[:n_steps] for p in self.phases]
        return np.array(rows, dtype=np.intp).reshape(len(rows), n_steps)
