"""Which patterns inside the limits are too regular to be chance?

Every rule returns, per subgroup, whether the pattern is complete there. Positions are in standard
errors from the centre (`z`), so that limits may differ from one subgroup to the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

__all__ = [
    "RULE_SETS",
    "Anhoej",
    "Rule",
    "alternating",
    "anhoej",
    "apply_rules",
    "avoiding",
    "beyond_limits",
    "hugging",
    "same_side",
    "some_beyond",
    "trend",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rule:
    """One named pattern: what it is called, what it says, and where it is complete."""

    name: str
    text: str
    find: Callable[[Floats], Flags]


def beyond_limits(z: Floats) -> Flags:
    """Find single points beyond three standard errors."""
    return np.abs(z) > 3.0


def some_beyond(z: Floats, *, need: int, of: int, distance: float) -> Flags:
    """Find ``need`` of ``of`` points beyond a distance on one side, the last one among them."""
    found = np.zeros(z.shape, dtype=np.bool_)
    for far in (z > distance, z < -distance):
        found |= far & (_last(far, of) >= need)
    return found


def same_side(z: Floats, *, run: int) -> Flags:
    """Find ``run`` or more points in a row on one side of the centre."""
    return (_run_length(z > 0) >= run) | (_run_length(z < 0) >= run)


def trend(z: Floats, *, run: int) -> Flags:
    """Find ``run`` points in a row, each above (or each below) the one before."""
    step = np.diff(z, prepend=z[:1])
    up, down = _run_length(step > 0), _run_length(step < 0)
    return (up >= run - 1) | (down >= run - 1)


def alternating(z: Floats, *, run: int) -> Flags:
    """Find ``run`` points in a row that alternate up and down."""
    step = np.sign(np.diff(z, prepend=z[:1]))
    turned = np.zeros(z.shape, dtype=np.bool_)
    turned[1:] = step[1:] * step[:-1] < 0
    return _run_length(turned) >= run - 2


def hugging(z: Floats, *, run: int) -> Flags:
    """Find ``run`` points in a row within one standard error: too quiet, often mixed streams."""
    return _run_length(np.abs(z) < 1.0) >= run


def avoiding(z: Floats, *, run: int) -> Flags:
    """Find ``run`` points in a row beyond one standard error, on either side."""
    return _run_length(np.abs(z) > 1.0) >= run


_BEYOND = Rule("beyond_limits", "one point beyond the limits", beyond_limits)
_TWO_OF_THREE = Rule(
    "two_of_three",
    "two of three points beyond two standard errors on one side",
    lambda z: some_beyond(z, need=2, of=3, distance=2.0),
)
_FOUR_OF_FIVE = Rule(
    "four_of_five",
    "four of five points beyond one standard error on one side",
    lambda z: some_beyond(z, need=4, of=5, distance=1.0),
)

# Western Electric (1956), Statistical Quality Control Handbook, p. 25; Nelson (1984), J. Quality
# Technology 16, p. 237.
RULE_SETS: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "western_electric": (
            _BEYOND,
            _TWO_OF_THREE,
            _FOUR_OF_FIVE,
            Rule("run_of_8", "eight in a row on one side", lambda z: same_side(z, run=8)),
        ),
        "nelson": (
            _BEYOND,
            Rule("run_of_9", "nine in a row on one side", lambda z: same_side(z, run=9)),
            Rule("trend_of_6", "six in a row rising or falling", lambda z: trend(z, run=6)),
            Rule("alternating_14", "fourteen in a row up, down", lambda z: alternating(z, run=14)),
            _TWO_OF_THREE,
            _FOUR_OF_FIVE,
            Rule(
                "hugging_15", "fifteen in a row close to the centre", lambda z: hugging(z, run=15)
            ),
            Rule("avoiding_8", "eight in a row away from the centre", lambda z: avoiding(z, run=8)),
        ),
        "anhoej": (_BEYOND,),
        "limits": (_BEYOND,),
    }
)


def apply_rules(z: Floats, rules: str) -> dict[str, Flags]:
    """Return, per rule of a set, where its pattern is complete; missing points break a run.

    Parameters
    ----------
    z
        Distance from the centre in standard errors, in time order; nan for a missing subgroup.
    rules
        Name of a set in `RULE_SETS`.
    """
    with np.errstate(invalid="ignore"):
        return {rule.name: rule.find(z) for rule in RULE_SETS[rules]}


@dataclass(frozen=True, slots=True)
class Anhoej:
    """Runs around the centre: longest run and number of crossings with what chance allows."""

    longest_run: int
    longest_run_max: int
    crossings: int
    crossings_min: int

    @property
    def is_signal(self) -> bool:
        """Tell whether the process shifted: a run too long or crossings too few."""
        return self.longest_run > self.longest_run_max or self.crossings < self.crossings_min


def anhoej(values: Floats, center: Floats) -> Anhoej:
    """Test for a shift by runs around the centre alone, without any limits.

    Points on the centre line count for nothing.

    References
    ----------
    Anhøj and Olesen (2014), PLoS ONE 9, e113825: longest run above ``round(log2(n)) + 3`` or
    crossings below the 5th percentile of a binomial with ``n - 1`` trials and chance one half.
    """
    from scipy import stats

    side = np.sign(values - center)
    side = side[(side != 0) & ~np.isnan(side)]
    n = side.size
    if n < 2:
        return Anhoej(n, n, 0, 0)
    changes = np.flatnonzero(np.diff(side) != 0)
    runs = np.diff(np.r_[-1, changes, n - 1])
    return Anhoej(
        longest_run=int(runs.max()),
        longest_run_max=round(np.log2(n)) + 3,
        crossings=int(changes.size),
        crossings_min=int(stats.binom.ppf(0.05, n - 1, 0.5)),
    )


def _run_length(is_true: Flags) -> npt.NDArray[np.int64]:
    """Return, per position, how many in a row are true up to here."""
    position = np.arange(1, is_true.size + 1)
    last_false = np.maximum.accumulate(np.where(is_true, 0, position))
    return position - last_false


def _last(is_true: Flags, width: int) -> npt.NDArray[np.int64]:
    """Return, per position, how many of the last ``width`` are true."""
    total = np.cumsum(is_true)
    before = np.r_[np.zeros(width, dtype=total.dtype), total[:-width]] if total.size > width else 0
    return np.asarray(total - before)
