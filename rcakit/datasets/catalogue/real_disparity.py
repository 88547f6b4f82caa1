"""One region waits longer, and still does at equal case mix."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="real_disparity",
    description="One region waits longer at equal case mix.",
    verdict="gap_persists",
    causes=(
        Cause(
            cause_id="slower_policies",
            segment={"region": "south"},
            effect=4.0,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="hard_share",
        ),
        Cause(
            cause_id="slower_region",
            segment={"region": "south"},
            effect=1.3,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="hours",
        ),
    ),
    tables=REVIEW_TABLES,
)
