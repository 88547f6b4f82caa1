"""Ratios with estimated baselines: verdicts, exact segments, rate and mix parts, coverage.

Run: python -m benchmarks.drivers_rates [n per family] [families] [--development]
"""

import sys
import time

import numpy as np

from benchmarks.drivers_counts import Score
from benchmarks.drivers_rates_made import FAMILIES, rate_instance
from benchmarks.drivers_reports import DEVELOPMENT_SEED, REPORTING_SEED
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.ratios import attribute_ratios

MEANING = {
    "R0": "null",
    "RG": "global rise",
    "MIX": "mix only",
    "R1": "one cause",
    "R2": "two causes",
    "R3": "three causes",
    "MR": "mix and one cause",
    "ROLL": "roll-out of a version",
    "RVEN": "one vendor",
}


def measure(family: str, seeds: range) -> dict[str, object]:
    """Score one family."""
    score, rate_parts, gaps = Score(), [], []
    for seed in seeds:
        case = rate_instance(family, seed)
        if family not in {"R0", "RG", "MIX"} and not case.causes:
            continue
        began = time.process_time()
        result = attribute_ratios(
            case.codes, case.sizes, case.observed, case.denominator, history=case.history
        )
        score.seconds.append(time.process_time() - began)
        score.add(case, result)
        rate_parts.append(abs(result.rate_effect) / max(abs(result.change), 1e-12))
        gaps.append(abs(result.rate_effect + result.mix_effect - result.change))
    return {
        "family": f"{family} ({MEANING.get(family, family)})",
        "n": score.n,
        "verdict right": share(score.verdicts, score.n),
        "verdict right z>=5": share(sum(score.strong_verdicts), len(score.strong_verdicts)),
        "F1 z>=5": f1(score.strong_hits, score.false, score.strong_missed),
        **score.false_discoveries(),
        "named/planted z>=5": share(
            score.strong_hits + score.false, score.strong_hits + score.strong_missed
        ),
        "excess covered": share(sum(score.covered), len(score.covered)),
        "ratio covered": share(sum(score.ratio_covered), len(score.ratio_covered)),
        "rate part, mean": f"{np.mean(rate_parts):.3f}",
        "rate part < 10 %": share(int((np.array(rate_parts) < 0.1).sum()), score.n),
        "largest gap of parts": f"{max(gaps):.0e}",
        "CPU s": f"{np.mean(score.seconds):.3f}",
    }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 100
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_rates",
        title="Drivers of ratios",
        notes=(
            f"{n} made-up instances per family, baselines estimated, alpha = .01. Columns as in "
            "drivers_counts; the rate part is that of the whole change."
        ),
        keep=bool(words[1:]),
        rows=(measure(family, range(first, first + n)) for family in words[1:] or FAMILIES),
    )
