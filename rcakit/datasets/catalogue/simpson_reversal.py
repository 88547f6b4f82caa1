"""A site looks worse than the others and is better: it is sent the hard work."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="simpson_reversal",
    description="A site looks worse because it is sent the hard work; at equal work it is better.",
    verdict="reversed_by_mix",
    causes=(
        Cause(
            cause_id="hard_work",
            segment={"site": "Fir"},
            effect=60.0,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="hard_share",
        ),
        Cause(
            cause_id="better_site",
            segment={"site": "Fir"},
            effect=0.78,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="error",
        ),
    ),
    tables=REVIEW_TABLES,
)
