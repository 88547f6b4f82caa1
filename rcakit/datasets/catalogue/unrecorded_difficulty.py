"""Accuracy fell everywhere alike, for a reason that no column holds: the right answer is "cannot tell"."""

from rcakit.datasets.scenario import REVIEW_TABLES, Cause, Change, Decoy, Scenario

SCENARIO = Scenario(
    name="unrecorded_difficulty",
    description="Cases get harder everywhere alike, and nothing recorded says so: the cause is not in the data.",
    verdict="cannot_tell",
    causes=(
        Cause(
            cause_id="harder_cases",
            segment={},
            effect=2.2,
            first_day=-28,
            duration_hours=28 * 24,
            forbidden=(
                {"wave": "2"},
                {"policy": "hate_speech"},
                {"audit_team": "vendor"},
            ),
            table="decisions",
            measure="error",
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
