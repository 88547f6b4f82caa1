"""How often is the exact name wrong, and how often would it be for somebody who is told everything else?

Run: python -m benchmarks.drivers_names [n per family] [families] [--development]
Told are the true mean of every leaf, its noise, all other causes, and how causes are drawn; asked is only which
segment the cause is. The most probable answer is then wrong least often of all answers (Bayes), so its errors
are those of the question.
"""

import sys

import numpy as np
from scipy import special

from benchmarks import drivers_counts, drivers_rates
from benchmarks.drivers_rates_made import rate_instance
from benchmarks.drivers_reports import (
    DEVELOPMENT_SEED,
    RATIOS,
    REPORTING_SEED,
    Cause,
    Instance,
    count_instance,
    members,
)
from benchmarks.table import publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.ratios import attribute_ratios

ALL = ("C1", "C3", "C5", "rate:R1", "rate:R2", "rate:R3", "rate:MR")
RATE_RATIOS = (1.5, 2.0, 3.0, 0.5)
MASS = {False: (100.0, 5_000.0), True: (50.0, np.inf)}  # of what causes are planted in


def log_likelihood(case: Instance, mean: np.ndarray) -> np.ndarray:
    """Log-likelihood of every leaf given its mean, up to a constant."""
    y = case.observed
    if case.denominator is None:
        size = case.settings["leaf_size"]
        return special.xlogy(y, mean) - (y + size) * np.log(mean + size)
    n = np.maximum(case.denominator, 1.0)
    rate = np.clip(mean / n, 1e-6, 1.0 - 1e-6)
    weight = case.settings["n_period"] / case.settings["correlation"] - 1.0
    a, b = rate * weight, (1.0 - rate) * weight
    return special.betaln(y + a, np.maximum(n - y, 0.0) + b) - special.betaln(a, b)


def told_all_but_the_name(case: Instance, cause: Cause) -> tuple[int, ...]:
    """The most probable segment of one cause, the other causes being known."""
    mean = np.maximum(case.settings["true_mean"], 1e-9)
    for other in case.causes:
        if other is not cause:
            mean = np.where(members(case.codes, other.codes), other.ratio * mean, mean)
    is_rate = case.denominator is not None
    quiet = log_likelihood(case, mean)
    gains = [log_likelihood(case, r * mean) - quiet for r in (RATE_RATIOS if is_rate else RATIOS)]
    lattice = Lattice(case.codes, case.sizes, np.stack([mean, *gains]), max_depth=3)
    mass = lattice.sums[0]
    low, high = MASS[is_rate]
    prior = np.log(np.maximum(mass, 1e-300)) - np.log(special.comb(len(case.sizes), lattice.depth))
    prior[(mass < low) | (mass > min(high, 0.4 * mean.sum()))] = -np.inf
    return lattice.segment(int(np.argmax(special.logsumexp(lattice.sums[1:], axis=0) + prior)))


def measure(name: str, seeds: range) -> dict[str, object]:
    """Wrong names of causes with z >= 5: ours among those we name, and those of somebody told the rest."""
    family, is_rate = name.removeprefix("rate:"), name.startswith("rate:")
    n = wrong = least = named = ties = 0
    for seed in seeds:
        case = (rate_instance if is_rate else count_instance)(family, seed)
        table = case.codes, case.sizes, case.observed
        if not case.causes:
            continue
        if case.denominator is None:
            found = attribute_counts(*table, history=case.history).segments
        else:
            found = attribute_ratios(*table, case.denominator, history=case.history).segments
        for cause in case.causes:
            if cause.z < 5:
                continue
            own = members(case.codes, cause.codes)
            n += 1
            best = members(case.codes, told_all_but_the_name(case, cause))
            least += not np.array_equal(best, own)
            claims = [s for s in found if (members(case.codes, s.codes) & own).any()]
            names = [members(case.codes, s.codes) for s in claims]
            rivals = [members(case.codes, t.codes) for s in claims for t in s.alternatives]
            is_exact = any(np.array_equal(name, own) for name in names)
            named += bool(claims)
            wrong += bool(claims) and not is_exact
            ties += bool(claims) and (is_exact or any(np.array_equal(t, own) for t in rivals))
    meaning = (drivers_rates if is_rate else drivers_counts).MEANING[family]
    return {
        "family": f"{name} ({meaning})",
        "planted": n,
        "named": named,
        "wrong name": share(wrong, named),
        "wrong when told the rest": share(least, n),
        "name or tie right": share(ties, named),
    }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 100
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_names",
        title="Wrong names, and how many nobody could avoid",
        notes=(
            f"{n} made-up instances per family, causes with z >= 5 against the noise the generator has. Told the "
            "rest: the most probable segment given the true means and noise of all leaves, all other causes, and "
            "the law that causes are drawn from; no method is wrong less often. Means estimated from a history "
            "leave less to tell names apart."
        ),
        rows=(measure(name, range(first, first + n)) for name in words[1:] or ALL),
        keep=bool(words[1:]),
    )
