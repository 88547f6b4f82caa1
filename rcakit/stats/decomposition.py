"""Did the rates change or the mix, and does the total hide what the parts did?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Kitagawa:
    """Exact split of the change of a ratio into rate and mix.

    Parameters
    ----------
    change
        New ratio minus old ratio.
    rate, mix
        Part of every group, shape (n_groups,). All parts sum to `change`.
    """

    change: float
    rate: Floats
    mix: Floats

    @property
    def rate_total(self) -> float:
        """Change that would remain had the composition stayed."""
        return float(self.rate.sum())

    @property
    def mix_total(self) -> float:
        """Change that the composition alone brings; the rest after the rate part, so the sum is exact."""
        return self.change - self.rate_total


def kitagawa(
    numerator: Floats,
    denominator: Floats,
    base_numerator: Floats,
    base_denominator: Floats,
    *,
    fallback_rate: Floats | None = None,
) -> Kitagawa:
    """Split the change of a ratio of sums into what rates did and what the mix did.

    Parameters
    ----------
    numerator, denominator
        Sums per group in the period, shape (n_groups,).
    base_numerator, base_denominator
        The same in the baseline.
    fallback_rate
        Rate taken for a group without denominator on one side, shape (n_groups,); by default the rate of the
        other side, so a group that appears or vanishes is pure mix.

    Notes
    -----
    A group's mix part is its change of share times how far its mean rate lies from the overall mean rate: a
    group with an average rate that grows has no mix effect. Arithmetic on a fixed grouping; says nothing
    about causes, and depends on the grouping.

    References
    ----------
    Kitagawa (1955), J. Amer. Statist. Assoc. 50, 1168-1194, eq. 5.
    """
    share, base_share = denominator / denominator.sum(), base_denominator / base_denominator.sum()
    rate, base_rate = _rates(numerator, denominator), _rates(base_numerator, base_denominator)
    overall, base_overall = (
        numerator.sum() / denominator.sum(),
        base_numerator.sum() / base_denominator.sum(),
    )
    other, base_other = (
        (base_rate, rate) if fallback_rate is None else (fallback_rate, fallback_rate)
    )
    rate = np.where(np.isnan(rate), other, rate)
    base_rate = np.where(np.isnan(base_rate), base_other, base_rate)
    rate, base_rate = np.nan_to_num(rate), np.nan_to_num(base_rate)
    centre = 0.5 * (overall + base_overall)
    return Kitagawa(
        change=float(overall - base_overall),
        rate=0.5 * (share + base_share) * (rate - base_rate),
        mix=(share - base_share) * (0.5 * (rate + base_rate) - centre),
    )


def _rates(numerator: Floats, denominator: Floats) -> Floats:
    """Ratio per group, nan without denominator."""
    return np.where(
        denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), np.nan
    )


@dataclass(frozen=True, slots=True)
class SimpsonAlarm:
    """Whether the total tells another story than its parts.

    Parameters
    ----------
    is_reversed
        The total moved one way and at least 90 % of the base denominator lies in groups that moved the other.
    is_masked
        The parts that rose and fell are each at least twice as large as the net change.
    share_against
        Share of the base denominator in groups that moved against the total.
    """

    is_reversed: bool
    is_masked: bool
    share_against: float


_NEARLY_ALL = 0.9
_MASKING = 2.0


def simpson_alarm(parts: Kitagawa, base_denominator: Floats) -> SimpsonAlarm:
    """Warn when a ratio and the rates of its groups move in opposite directions.

    Parameters
    ----------
    parts
        The split of the change by group.
    base_denominator
        Baseline denominators per group, shape (n_groups,).

    Notes
    -----
    Looks at signs and sizes only, not at significance: small groups flip sign by chance, hence the weighting
    by denominator. Not for groups that are mostly noise.

    References
    ----------
    Simpson (1951), J. R. Statist. Soc. B 13, 238-241.
    """
    against = np.sign(parts.rate) * np.sign(parts.change) < 0
    moved = parts.rate != 0
    weight = base_denominator * moved
    share = float((weight * against).sum() / weight.sum()) if weight.sum() > 0 else 0.0
    contributions = parts.rate + parts.mix
    risen, fallen = contributions[contributions > 0].sum(), -contributions[contributions < 0].sum()
    return SimpsonAlarm(
        is_reversed=bool(parts.change != 0 and share >= _NEARLY_ALL),
        is_masked=bool(
            min(risen, fallen) >= _MASKING * abs(parts.change) and min(risen, fallen) > 0
        ),
        share_against=share,
    )
