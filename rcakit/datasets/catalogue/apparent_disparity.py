"""One region waits longer because its cases are of slower policies, and for no other reason."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="apparent_disparity",
    description="One region waits longer, but only because its cases are of slower policies.",
    verdict="explained_by_mix",
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
    ),
    tables=REVIEW_TABLES,
)
