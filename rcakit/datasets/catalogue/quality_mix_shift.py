"""Accuracy fell because the work got harder: at equal work nobody got worse."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Change, Scenario

SCENARIO = Scenario(
    name="quality_mix_shift",
    description="Accuracy falls because more of the work is hard; at equal work nothing changed.",
    verdict="mix",
    causes=(
        Cause(
            cause_id="harder_work",
            segment={},
            effect=12.0,
            first_day=-28,
            duration_hours=28 * 24,
            change=Change(-29, "18:00", "routing", "Easy queues move to automation", {}),
            forbidden=(
                {"wave": "2"},
                {"policy": "hate_speech"},
            ),
            table="decisions",
            measure="hard_share",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
