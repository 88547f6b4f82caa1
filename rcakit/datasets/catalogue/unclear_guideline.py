"""Accuracy fell in one policy at all sites alike: the guideline, not the reviewers."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Change, Scenario

SCENARIO = Scenario(
    name="unclear_guideline",
    description="A new guideline is misread everywhere: accuracy falls in its policy at all sites.",
    verdict="guideline",
    causes=(
        Cause(
            cause_id="unclear_guideline",
            segment={"policy": "nudity"},
            effect=5.0,
            first_day=-28,
            duration_hours=28 * 24,
            change=Change(
                -29, "18:00", "policy", "Nudity guideline v4 in force", {"policy": "nudity"}
            ),
            forbidden=(
                {"wave": "1"},
                {"wave": "2"},
            ),
            table="decisions",
            measure="error",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
