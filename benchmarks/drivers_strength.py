"""From which strength on is the verdict right and the segment exact? One cause, and a shared change.

Run: python -m benchmarks.drivers_strength [n]
"""

import sys
from collections.abc import Iterator

import numpy as np
from scipy import special

from benchmarks.drivers_rates_made import rate_instance
from benchmarks.drivers_reports import REPORTING_SEED, Instance, count_instance, members
from benchmarks.table import publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.ratios import attribute_ratios

ALPHA = 0.01
BANDS = ((0, 3), (3, 4), (4, 5), (5, 6), (6, 8), (8, np.inf))


KINDS = {
    "C1": "one, counts",
    "R1": "one, rates",
    "N2": "shared, counts",
    "RG": "shared, rates",
}


def judged(kind: str, seed: int) -> tuple[float, bool, bool, int] | None:
    """Strength of the change, whether the verdict and the segment are right, and how many were named."""
    case: Instance = (rate_instance if kind.startswith("R") else count_instance)(kind, seed)
    if not case.causes and "shared_z" not in case.settings:
        return None
    if case.denominator is None:
        result = attribute_counts(case.codes, case.sizes, case.observed, history=case.history)
    else:
        result = attribute_ratios(
            case.codes, case.sizes, case.observed, case.denominator, history=case.history
        )
    if not case.causes:
        right = result.verdict == case.verdict
        return float(case.settings["shared_z"]), right, not result.segments, len(result.segments)
    cause = case.causes[0]
    own = members(case.codes, cause.codes)
    found = [(members(case.codes, segment.codes) == own).all() for segment in result.segments]
    return cause.z, result.verdict == case.verdict, any(found), len(found)


def best(band: list[tuple[float, bool, bool, int]]) -> float:
    """Power of the test that knows the place, the direction and the noise, and asks only whether it moved."""
    return float(special.ndtr([case[0] + special.ndtri(ALPHA) for case in band]).mean())


def rows(n: int) -> Iterator[dict[str, object]]:
    """One row per kind and band of strength."""
    for kind, name in KINDS.items():
        seen = [judged(kind, REPORTING_SEED + k) for k in range(n)]
        cases = [case for case in seen if case is not None]
        for low, high in (*BANDS, (5, np.inf), (0, np.inf)):
            band = [case for case in cases if low <= case[0] < high]
            yield {
                "change": f"{name}, z {low} " + (f"to {high}" if np.isfinite(high) else "or more"),
                "n": len(band),
                "verdict right": share(sum(case[1] for case in band), len(band)),
                "segments right": share(sum(case[2] for case in band), len(band)),
                "named": share(sum(case[3] for case in band), len(band)),
                "told where, at most": f"{best(band):.3f}" if band else "",
            }


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    publish(
        "drivers_strength",
        title="One change by its strength",
        notes=(
            f"{n} made-up instances each, the first of them those of drivers_counts and drivers_rates; "
            "all combinations of six dimensions are candidates at alpha = .01. z is the strength against "
            "the noise the generator has. A shared change is right when no segment is named. The last column is "
            "the power at alpha of a test that is told the place, the direction and the noise: nobody's verdict "
            "can be right more often."
        ),
        rows=rows(n),
    )
