"""From table to matched change, over many seeds of every made-up scenario: is the whole chain right?

Run: python -m benchmarks.drivers_pipeline [seeds] [size]
Spikes finds the period, drivers the segment, the change log the change, as the playbook metric_spike does.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import rcakit
from benchmarks.table import publish, share

SCENARIOS = ("app_release_report_bug", "ingestion_outage", "global_rise", "quiet")
DEVELOPMENT_SEEDS = 100  # seeds below were looked at while the chain was built
WINDOW, BASELINE, HISTORY = 28, 28, 84  # days, as in the playbook


@dataclass(frozen=True, slots=True)
class Chain:
    """What one run of the chain said, and what is true."""

    truth: dict[str, Any]
    period: tuple[str, str]
    result: Any
    matched: tuple[str, ...]

    @property
    def cause(self) -> dict[str, Any] | None:
        """The planted cause, if any."""
        return self.truth["causes"][0] if self.truth["causes"] else None

    @property
    def is_named(self) -> bool:
        """Whether the first name is the planted segment, or one that says the same."""
        cause = self.cause
        wanted = [cause["segment"], *cause["acceptable"]] if cause and cause["segment"] else []
        return bool(self.result.segments) and self.result.segments[0] in wanted

    @property
    def n_false(self) -> int:
        """Names beside the planted one."""
        return len(self.result.segments) - self.is_named

    @property
    def is_covered(self) -> bool:
        """Whether the first interval holds the planted excess."""
        first = self.result.attribution.segments[0]
        return bool(first.excess_lower <= self.cause["excess"] <= first.excess_upper)


def chain(scenario: str, seed: int, size: str) -> Chain:
    """Run detect, choose_period, explain and match_changes on one made-up world."""
    made = rcakit.datasets.make(scenario, size=size, rng=seed)
    table, log = made.tables["reports"], made.tables["change_log"]
    dimensions = rcakit.sources.suggest_dimensions(table, leave_out=["created_at"])
    data = rcakit.sources.inspect(
        table, time="created_at", dimensions=dimensions, window_days=WINDOW + BASELINE
    )
    spikes = rcakit.spikes.detect(
        table, time="created_at", start=data.days_before(WINDOW + HISTORY), as_of=data.as_of
    )
    period = spikes.choose_period(None, window_days=WINDOW)
    result = rcakit.drivers.explain(
        table,
        time="created_at",
        period=period,
        dimensions=dimensions,
        baseline=BASELINE,
        max_causes=5,
    )
    matches = rcakit.drivers.match_changes(result, log)
    fitting = tuple(match.change_id for match in matches.matches if match.is_plausible)
    return Chain(made.truth, (str(period[0]), str(period[1])), result, fitting)


def rows(n: int, size: str) -> Iterator[dict[str, object]]:
    """One row per scenario."""
    for scenario in SCENARIOS:
        runs = [chain(scenario, DEVELOPMENT_SEEDS + k, size) for k in range(n)]
        local = [run for run in runs if run.cause and run.cause["segment"]]
        right = [run for run in local if [*run.period] == run.cause["window"]]
        decoys = [{decoy["change_id"] for decoy in run.truth["decoys"]} for run in runs]
        wanted = [{run.cause["change_id"]} - {None} if run.cause else set() for run in runs]
        yield {
            "scenario": scenario,
            "n": n,
            "verdict right": share(sum(r.result.verdict == r.truth["verdict"] for r in runs), n),
            "period exact": share(len(right), len(local)),
            "segment right": share(sum(run.is_named for run in local), len(local)),
            "segment right, period exact": share(sum(run.is_named for run in right), len(right)),
            "false names": sum(run.n_false for run in runs),
            "excess covered, period exact": share(
                sum(run.is_covered for run in right if run.is_named),
                sum(run.is_named for run in right),
            ),
            "change matched": share(
                sum(w == set(r.matched) for r, w in zip(runs, wanted, strict=True)), n
            ),
            "decoys believed": sum(
                len(d & set(r.matched)) for r, d in zip(runs, decoys, strict=True)
            ),
        }


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    size = sys.argv[2] if len(sys.argv) > 2 else "small"
    publish(
        "drivers_pipeline",
        title="The chain from table to matched change",
        notes=(
            f"Seeds {DEVELOPMENT_SEEDS} to {DEVELOPMENT_SEEDS + n - 1}, size {size}. Excess is that of the "
            "whole window, so its interval is judged where the period is exact."
        ),
        rows=rows(n, size),
    )
