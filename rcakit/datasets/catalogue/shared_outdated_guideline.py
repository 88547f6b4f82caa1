"""Everybody reads the same wrong page: agreement stays high while appeals are granted more often."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Change, Scenario

SCENARIO = Scenario(
    name="shared_outdated_guideline",
    description="Reviewers and auditors follow the same outdated guideline: audits see nothing, appeals do.",
    verdict="shared_error",
    causes=(
        Cause(
            cause_id="outdated_guideline",
            segment={"policy": "fraud"},
            effect=5.0,
            first_day=-28,
            duration_hours=28 * 24,
            change=Change(
                -29, "18:00", "policy", "Fraud guideline v3 in force", {"policy": "fraud"}
            ),
            forbidden=({"policy": "spam"},),
            table="decisions",
            measure="unseen_error",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
