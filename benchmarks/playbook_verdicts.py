"""Do cohort_gap and quality_drop find what was planted, in every scenario and over many seeds?

    python -m benchmarks.playbook_verdicts [--seeds 20] [--first 2000]

Asks the room functions that reach the verdicts of the two playbooks, as the playbooks ask them.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

import rcakit
from benchmarks.table import publish
from rcakit import cohorts, quality

GAPS = {
    "simpson_reversal": ("site", "Fir", "is_correct"),
    "apparent_disparity": ("region", "south", "handle_hours"),
    "real_disparity": ("region", "south", "handle_hours"),
    "site_without_counterpart": ("site", "Fir", "is_correct"),
    "quality_quiet": ("region", "south", "handle_hours"),
}
DROPS = (
    "qa_drop_untrained_wave",
    "shared_outdated_guideline",
    "unclear_guideline",
    "quality_mix_shift",
    "strict_audit_team",
    "unrecorded_difficulty",
    "inverted_reviewer",
    "quality_quiet",
)


def gap(scenario: str, seed: int) -> tuple[str, str, bool]:
    """Return verdict and truth of a comparison; a comparison names no segment."""
    cohort, focus, outcome = GAPS[scenario]
    data = rcakit.datasets.make(scenario, rng=seed)
    found = cohorts.compare(
        data.tables["decisions"],
        cohort=cohort,
        focus=focus,
        outcomes=outcome,
        adjust_for="policy",
    )
    planted = "no_gap" if scenario == "quality_quiet" else data.truth["verdict"]
    return str(found.verdict().verdict), planted, True


def drop(scenario: str, seed: int) -> tuple[str, str, bool]:
    """Return verdict and truth of a fall, and whether the segment named is the one planted."""
    data = rcakit.datasets.make(scenario, rng=seed)
    agreed = quality.agreement(
        data.tables["ratings"], item="item_id", rater="rater_id", label="label", n_resamples=100
    )
    found = quality.explain_drop(
        data.tables["decisions"],
        time="decided_date",
        is_correct="is_correct",
        is_overturned="is_overturned",
        teams=["wave", "site"],
        mix="policy",
        auditors="audit_team",
        agreement=agreed,
    )
    named = [item.segment for item in found.findings() if item.kind == "driver"]
    planted = [cause["segment"] for cause in data.truth["causes"] if cause["segment"]]
    return found.verdict, data.truth["verdict"], not named or named[0] in planted


def rows(n_seeds: int, first: int) -> Iterator[dict[str, object]]:
    """Ask every scenario with every seed."""
    asked: list[tuple[str, str, Callable[[str, int], tuple[str, str, bool]]]] = [
        *(("cohort_gap", name, gap) for name in GAPS),
        *(("quality_drop", name, drop) for name in DROPS),
    ]
    for playbook, scenario, ask in asked:
        told = [ask(scenario, seed) for seed in range(first, first + n_seeds)]
        wrong = Counter(verdict for verdict, planted, _ in told if verdict != planted)
        yield {
            "playbook": playbook,
            "scenario": scenario,
            "planted": told[0][1],
            "right": f"{sum(v == p for v, p, _ in told)} of {n_seeds}",
            "wrong segment": sum(not fits for _, _, fits in told),
            "other verdicts": ", ".join(f"{n} {word}" for word, n in wrong.items()) or "none",
        }


def main() -> None:
    """Ask, print and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=2000)
    given = parser.parse_args()
    publish(
        "playbook_verdicts",
        title="Verdicts of cohort_gap and quality_drop",
        notes=f"Small data sets, seeds {given.first} to {given.first + given.seeds - 1}, which served "
        "no tuning.",
        rows=rows(given.seeds, given.first),
    )


if __name__ == "__main__":
    main()
