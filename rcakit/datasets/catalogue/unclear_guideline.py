"""Accuracy fell in one policy at all sites alike: the guideline, not the reviewers."""

from rcakit.datasets.scenario import REVIEW_TABLES, Cause, Change, Decoy, Scenario

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
