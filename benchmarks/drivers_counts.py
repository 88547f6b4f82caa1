"""Counts with estimated baselines: verdicts, exact segments, false discoveries, coverage, time.

Run: python -m benchmarks.drivers_counts [n per family] [families] [--development]
"""

import sys
import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.drivers_reports import (
    DEVELOPMENT_SEED,
    FAMILIES,
    REPORTING_SEED,
    Instance,
    count_instance,
    members,
)
from benchmarks.table import f1, publish, share
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.outcome import Attribution

MEANING = {
    "N0": "null",
    "N1": "holiday null",
    "N2": "global rise",
    "DROP": "global drop",
    "C1": "one cause",
    "C3": "three causes",
    "C5": "five causes",
    "C12": "twelve causes",
    "UD": "up and down, net near zero",
    "OV": "two that overlap",
    "VEN": "one vendor",
    "SP": "sparse",
    "HC": "2,000 agents",
    "LONG": "one cause, 1-30 days",
    "CORE": "one cause, few dimensions",
    "ROLL": "one cause after a roll-out",
}

QUIET = {"N0", "N1", "N2", "DROP"}


@dataclass
class Score:
    """Sums over the instances of a family."""

    n: int = 0
    verdicts: int = 0
    hits: int = 0
    false: int = 0
    missed: int = 0
    strong_hits: int = 0
    strong_missed: int = 0
    false_shares: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    ratio_covered: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    strong_verdicts: list[bool] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)
    untied: list[float] = field(default_factory=list)
    n_ties: list[int] = field(default_factory=list)

    def add(self, case: Instance, result: Attribution) -> None:
        """Compare what was found with what was planted, by the leaves they hold."""
        found = {members(case.codes, s.codes).tobytes(): s for s in result.segments}
        true = {members(case.codes, c.codes).tobytes(): c for c in case.causes}
        hits = set(found) & set(true)
        strong = {key for key, cause in true.items() if cause.z >= 5}
        self.n += 1
        self.verdicts += result.verdict == case.verdict
        z = max((cause.z for cause in case.causes), default=case.settings.get("shared_z", np.inf))
        if case.verdict == "no_evidence" or z >= 5:
            self.strong_verdicts.append(result.verdict == case.verdict)
        self.hits += len(hits)
        self.false += len(found) - len(hits)
        self.missed += len(true) - len(hits)
        self.strong_hits += len(hits & strong)
        self.strong_missed += len(strong - hits)
        self.false_shares.append((len(found) - len(hits)) / max(1, len(found)))
        taken, elsewhere, untied = np.zeros(len(case.codes), bool), 0, 0
        for key, segment in found.items():
            ties = {members(case.codes, tie.codes).tobytes() for tie in segment.alternatives}
            self.n_ties.append(len(ties - {key}))
            untied += key not in hits and not ties & set(true)
            inside = members(case.codes, segment.codes)
            elsewhere += key not in hits and not case.holds_cause(inside & ~taken, segment.excess)
            if key in hits:
                added, ratio = case.truth(true[key], inside & ~taken)
                self.covered.append(segment.excess_lower <= added <= segment.excess_upper)
                self.ratio_covered.append(segment.ratio_lower <= ratio <= segment.ratio_upper)
            taken |= inside
        self.elsewhere.append(elsewhere / max(1, len(found)))
        self.untied.append(untied / max(1, len(found)))

    def false_discoveries(self) -> dict[str, object]:
        """Columns on false discoveries, which both tables of drivers have."""
        return {
            "FDR": f"{np.mean(self.false_shares):.3f}",
            "FDR, ties counted": f"{np.mean(self.untied):.3f}",
            "FDR elsewhere": f"{np.mean(self.elsewhere):.3f}",
            "ties listed": f"{np.mean(self.n_ties):.2f}" if self.n_ties else "",
        }

    def row(self, family: str) -> dict[str, object]:
        """One line of the table."""
        planted = self.hits + self.missed
        return {
            "family": f"{family} ({MEANING[family]})",
            "n": self.n,
            "verdict right": share(self.verdicts, self.n),
            "verdict right z>=5": share(sum(self.strong_verdicts), len(self.strong_verdicts)),
            "F1 z>=5": f1(self.strong_hits, self.false, self.strong_missed),
            "F1 all": f1(self.hits, self.false, self.missed),
            **self.false_discoveries(),
            "named/planted z>=5": share(
                self.strong_hits + self.false, self.strong_hits + self.strong_missed
            ),
            "named/planted": share(self.hits + self.false, planted),
            "excess covered": share(sum(self.covered), len(self.covered)),
            "ratio covered": share(sum(self.ratio_covered), len(self.ratio_covered)),
            "CPU s": f"{np.mean(self.seconds):.3f}",
        }


def measure(family: str, seeds: range) -> dict[str, object]:
    """Score one family."""
    score = Score()
    for seed in seeds:
        case = count_instance(family, seed)
        if family not in QUIET and not case.causes:
            continue
        began = time.process_time()
        result = attribute_counts(case.codes, case.sizes, case.observed, history=case.history)
        score.seconds.append(time.process_time() - began)
        score.add(case, result)
    return score.row(family)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    n = int(words[0]) if words else 100
    first = DEVELOPMENT_SEED if "--development" in sys.argv else REPORTING_SEED
    publish(
        "drivers_counts",
        title="Drivers of counts",
        notes=(
            f"{n} made-up instances per family, baselines estimated from 70-84 days, alpha = .01. FDR "
            "counts every name that is not exactly the planted one; with ties counted, a claim is false only "
            "if no tie that it lists is the planted one either (ties listed: other names per claim, those of "
            "the same leaves not counted); FDR elsewhere counts claims whose excess was not planted for at "
            "least half. z is the strength of a cause against the noise the generator "
            "has, for the verdict that of the strongest cause or of the shared change."
        ),
        rows=(measure(family, range(first, first + n)) for family in words[1:] or FAMILIES),
        keep=bool(words[1:]),
    )
