"""Accuracy fell on paper: one audit team got stricter, and appeals know nothing of it."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Change, Scenario

SCENARIO = Scenario(
    name="strict_audit_team",
    description="One audit team starts to call right decisions wrong; appeals see no change.",
    verdict="auditors",
    causes=(
        Cause(
            cause_id="strict_auditors",
            segment={"audit_team": "vendor"},
            effect=14.0,
            first_day=-28,
            duration_hours=28 * 24,
            change=Change(
                -29, "18:00", "vendor", "New audit form at the vendor", {"audit_team": "vendor"}
            ),
            forbidden=(
                {"wave": "2"},
                {"policy": "hate_speech"},
            ),
            table="decisions",
            measure="audit_error",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
