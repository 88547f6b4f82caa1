"""Accuracy fell because the work got harder: at equal work nobody got worse."""

from rcakit.datasets.scenario import REVIEW_TABLES, Cause, Change, Decoy, Scenario

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
