"""What the stories of review work share: their tables, and two logged changes that did nothing."""

from rcakit.datasets.scenario import Change, Decoy

__all__ = ["REVIEW_DECOYS", "REVIEW_TABLES"]

REVIEW_TABLES = ("decisions", "ratings", "quality_weeks", "change_log")

REVIEW_DECOYS = (
    Decoy(
        Change(-30, "09:30", "ui", "Review tool 5.2 released", {}),
        "right time, but it touched everybody, every policy and every audit",
    ),
    Decoy(
        Change(-6, "22:00", "staffing", "Night shift at Alder doubled", {"site": "Alder"}),
        "three weeks too late, and Alder is like the others",
    ),
)
