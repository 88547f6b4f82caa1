"""Nothing happened to quality: the right answer is that there is nothing to explain."""

from rcakit.datasets.scenario import REVIEW_TABLES, Change, Decoy, Scenario

SCENARIO = Scenario(
    name="quality_quiet",
    description="Nothing happens to quality.",
    verdict="no_drop",
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
