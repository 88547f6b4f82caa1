"""Coverage of the 95 % intervals of exactly named segments, counts and rates, baselines estimated.

Run: python -m benchmarks.drivers_coverage [n per family] [families] [--development]
Families as in drivers_counts and drivers_rates, those of rates with "rate:" before their name.
"""

import sys

from benchmarks import drivers_counts, drivers_rates
from benchmarks.drivers_counts import QUIET, Score
from benchmarks.drivers_rates_made import FAMILIES as RATE_FAMILIES
from benchmarks.drivers_rates_made import rate_instance
from benchmarks.drivers_reports import DEVELOPMENT_SEED, FAMILIES, REPORTING_SEED, count_instance
from benchmarks.table import publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.ratios import attribute_ratios

WITHOUT_CAUSE = {"R0", "RG", "MIX"}
ALL = (
    *(name for name in FAMILIES if name not in QUIET),
    *(f"rate:{name}" for name in RATE_FAMILIES if name not in WITHOUT_CAUSE),
)


def measure(name: str, seeds: range) -> dict[str, object]:
    """Count intervals that hold what was planted."""
    score = Score()
    family, is_rate = name.removeprefix("rate:"), name.startswith("rate:")
    for seed in seeds:
        case = rate_instance(family, seed) if is_rate else count_instance(family, seed)
        if not case.causes:
            continue
        table = case.codes, case.sizes, case.observed
        if is_rate:
            result = attribute_ratios(*table, case.denominator, history=case.history)
        else:
            result = attribute_counts(*table, history=case.history)
        score.add(case, result)
    meaning = (drivers_rates if is_rate else drivers_counts).MEANING[family]
    n = len(score.covered)
    return {
        "family": f"{name} ({meaning})",
        "tables": score.n,
        "intervals": n,
        "excess covered": share(sum(score.covered), n),
        "ratio covered": share(sum(score.ratio_covered), n),
        "standard error": f"{(0.95 * 0.05 / max(n, 1)) ** 0.5:.3f}",
    }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 400
    first = DEVELOPMENT_SEED + 30_000 if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_coverage",
        title="Coverage of the intervals of named segments",
        notes=(
            "Made-up instances, the first of them those of drivers_counts and drivers_rates. "
            "Judged are segments that were named exactly, so selection is part of it. The standard error is "
            "that of a share of .95."
        ),
        rows=(measure(name, range(first, first + n)) for name in words[1:] or ALL),
        keep=bool(words[1:]),
    )
