"""Accuracy fell for one policy at the sites that were not trained: reviewers, not the guideline."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Change, Scenario

SCENARIO = Scenario(
    name="qa_drop_untrained_wave",
    description="Accuracy falls for hate speech, only at the sites not yet trained on its new guideline.",
    verdict="reviewers",
    causes=(
        Cause(
            cause_id="untrained_wave",
            segment={"policy": "hate_speech", "wave": "2"},
            effect=5.0,
            first_day=-28,
            duration_hours=28 * 24,
            change=Change(
                -29,
                "18:00",
                "policy",
                "Hate speech guideline v7 in force",
                {"policy": "hate_speech"},
            ),
            acceptable=({"wave": "2"},),
            forbidden=(
                {"policy": "spam"},
                {"wave": "1"},
            ),
            table="decisions",
            measure="error",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
