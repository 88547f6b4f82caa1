"""Segments named under a family-wise error rate, and under a false discovery rate by e-values.

Run: python -m benchmarks.drivers_discoveries [n per family] [families] [--development]
Families as in drivers_counts and drivers_rates, those of rates with "rate:" before their name.
"""

import sys
from collections.abc import Iterator

import numpy as np

from benchmarks import drivers_counts, drivers_rates
from benchmarks.drivers_counts import QUIET, Score
from benchmarks.drivers_rates_made import rate_instance
from benchmarks.drivers_reports import DEVELOPMENT_SEED, REPORTING_SEED, Instance, count_instance
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.outcome import Attribution, ErrorRate
from rcakit.stats.attribution.ratios import attribute_ratios

ALL = ("N0", "N2", "C1", "C3", "C5", "C12", "UD", "HC", "rate:R0", "rate:R1", "rate:R3")
RULES: tuple[tuple[ErrorRate, float], ...] = (
    ("family_wise", 0.01),
    ("false_discovery", 0.05),
    ("false_discovery", 0.10),
)
QUIET_RATES = {"R0", "RG", "MIX"}


def attribute(case: Instance, rule: ErrorRate, alpha: float) -> Attribution:
    """Name the segments of an instance under one error rate."""
    table = case.codes, case.sizes, case.observed
    if case.denominator is None:
        return attribute_counts(*table, history=case.history, alpha=alpha, error_rate=rule)
    return attribute_ratios(
        *table, case.denominator, history=case.history, alpha=alpha, error_rate=rule
    )


def measure(name: str, seeds: range) -> Iterator[dict[str, object]]:
    """Score every rule on the same instances of one family."""
    family, is_rate = name.removeprefix("rate:"), name.startswith("rate:")
    scores = {rule: Score() for rule in RULES}
    for seed in seeds:
        case = (rate_instance if is_rate else count_instance)(family, seed)
        if case.causes or family in QUIET | QUIET_RATES:
            for rule, score in scores.items():
                score.add(case, attribute(case, *rule))
    meaning = (drivers_rates if is_rate else drivers_counts).MEANING[family]
    for (rule, alpha), score in scores.items():
        planted = score.hits + score.missed
        yield {
            "family and rule": f"{name} ({meaning}): {rule.replace('_', ' ')} {alpha:.2f}",
            "n": score.n,
            "FDR": f"{np.mean(score.false_shares):.3f}",
            "FDR elsewhere": f"{np.mean(score.elsewhere):.3f}",
            "found": share(score.hits, planted),
            "named/planted": share(score.hits + score.false, planted),
            "F1 all": f1(score.hits, score.false, score.missed),
        }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 100
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_discoveries",
        title="Family-wise error rate and false discovery rate",
        notes=(
            f"{n} made-up instances per family, at most 20 names. FDR counts every name that is not exactly "
            "the planted one, FDR elsewhere those whose excess was not planted for at least half; that is "
            "what the rate bounds. Found is the share of planted segments named exactly."
        ),
        rows=(row for name in words[1:] or ALL for row in measure(name, range(first, first + n))),
        keep=bool(words[1:]),
    )
