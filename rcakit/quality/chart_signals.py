"""Which points of a chart are signals, how far did the process move, and what limits the answer?"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rcakit import wording
from rcakit.quality.chart_limits import positions
from rcakit.quality.subgroups import Subgroups
from rcakit.results import Record
from rcakit.stats import run_rules
from rcakit.stats.control_limits import Limits

__all__ = ["caveats_of", "judge"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_COUNTED = ("p", "np", "c", "u", "p_prime", "u_prime", "seasonal")
_ENOUGH_SUBGROUPS = 20  # Montgomery (2013), p. 235


def judge(
    charts: list[Limits], labels: list[Any], rules: str, kind: str, baseline: Flags
) -> tuple[list[Record], list[Record], tuple[float, float, float]]:
    """Return the points with the rules each breaks, the signals, and the shift they show."""
    found: dict[int, list[tuple[str, str]]] = {}
    # smoothed and cumulated points follow each other, so runs of them are no evidence
    applied = "limits" if kind in {"ewma", "cusum"} else rules
    for limits in charts:
        z = positions(limits)
        for rule in run_rules.RULE_SETS[applied]:
            for i in np.flatnonzero(run_rules.apply_rules(z, applied)[rule.name]):
                found.setdefault(int(i), []).append((rule.name, rule.text))
    main = charts[0]
    if len(charts) > 1:
        larger = np.abs(charts[1].statistic) > np.abs(main.statistic)
        main = Limits(
            np.where(larger, charts[1].statistic, main.statistic),
            main.center,
            main.lower,
            main.upper,
            main.sigma,
        )
    if rules == "anhoej" and kind not in {"ewma", "cusum"}:
        runs = run_rules.anhoej(main.statistic, main.center)
        if runs.is_signal:
            text = (
                f"longest run {runs.longest_run} (at most {runs.longest_run_max}), "
                f"{runs.crossings} crossings (at least {runs.crossings_min})"
            )
            found.setdefault(len(labels) - 1, []).append(("anhoej", text))
    points = [
        {
            "subgroup": label,
            "statistic": float(main.statistic[i]),
            "center": float(main.center[i]),
            "lower": float(main.lower[i]),
            "upper": float(main.upper[i]),
            "rules": "; ".join(dict.fromkeys(name for name, _ in found.get(i, ()))),
        }
        for i, label in enumerate(labels)
    ]
    signals = [
        {"rule": name, "at": labels[i], "text": text}
        for i in sorted(found)
        for name, text in dict.fromkeys(found[i])
    ]
    return points, signals, _shift(main, sorted(found), baseline)


def _shift(limits: Limits, out: list[int], baseline: Flags) -> tuple[float, float, float]:
    """Return how far signalling points lie from the centre; without one, how far the end drifted."""
    gap = limits.statistic - limits.center
    scatter = float(np.std(gap[baseline], ddof=1))
    if out:
        estimate = float(np.mean(gap[out]))
        half = 1.96 * scatter / math.sqrt(len(out))
    else:
        middle = gap.size // 2
        estimate = float(np.mean(gap[middle:]) - np.mean(gap[:middle]))
        half = 1.96 * scatter * math.sqrt(1 / middle + 1 / (gap.size - middle))
    return estimate, estimate - half, estimate + half


def caveats_of(kind: str, groups: Subgroups, baseline: Flags, sigma_z: float) -> tuple[str, ...]:
    """Say what limits the answer of a chart."""
    sentences = []
    n_baseline = int(baseline.sum())
    if n_baseline < _ENOUGH_SUBGROUPS:
        sentences.append(
            f"Limits rest on {n_baseline} subgroups and are provisional; 20 or more are better."
        )
    if groups.n_missing:
        sentences.append(
            f"{wording.plural(groups.n_missing, 'row')} without time or value "
            "did not enter the chart."
        )
    if np.ptp(groups.mean[baseline]) == 0:
        sentences.append(
            "The baseline does not vary at all: check that the data are measured anew."
        )
    if kind in _COUNTED and np.any(groups.total != np.round(groups.total)):
        sentences.append(
            f"The counts are not whole numbers, so the limits of a {kind} chart do not hold: use "
            "kind='xmr'."
        )
    if kind in {"p", "u"} and sigma_z > 1.5:
        sentences.append(
            f"The rate varies {sigma_z:.1f} times as much as chance: use kind='{kind}_prime'."
        )
    if kind in {"p_prime", "u_prime"} and sigma_z < 0.8:
        sentences.append("The rate varies less than chance: the same cases may be counted twice.")
    return tuple(sentences)
