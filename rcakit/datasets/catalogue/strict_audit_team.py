"""Accuracy fell on paper: one audit team got stricter, and appeals know nothing of it."""

from rcakit.datasets.scenario import REVIEW_TABLES, Cause, Change, Decoy, Scenario

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
