"""Everybody reads the same wrong page: agreement stays high while appeals are granted more often."""

from rcakit.datasets.scenario import REVIEW_TABLES, Cause, Change, Decoy, Scenario

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
    decoys=(
        Decoy(
            Change(-30, "09:30", "ui", "Review tool 5.2 released", {}),
            "right time, but it touched everybody, every policy and every audit",
        ),
        Decoy(
            Change(-6, "22:00", "staffing", "Night shift at Alder doubled", {"site": "Alder"}),
            "three weeks too late, and Alder is like the others",
        ),
    ),
    tables=REVIEW_TABLES,
)
