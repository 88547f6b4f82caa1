"""One rater swaps the labels, too few to move the accuracy of all."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="inverted_reviewer",
    description="One reviewer of the double-checked sample swaps the labels; audited accuracy stays.",
    verdict="reviewers",
    causes=(
        Cause(
            cause_id="swapped_labels",
            segment={"rater_id": "rater-3"},
            effect=0.16,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="ratings",
            measure="skill",
        ),
    ),
    tables=REVIEW_TABLES,
)
