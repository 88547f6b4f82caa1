"""A site looks worse than the others and is better: it is sent the hardest work."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="simpson_reversal",
    description="A site looks worse because it is sent the hardest work; at equal work it is better.",
    verdict="reversed_by_mix",
    causes=(
        Cause(
            cause_id="hard_policy",
            segment={"policy": "hate_speech"},
            effect=1.8,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="error",
        ),
        Cause(
            cause_id="hardest_work",
            segment={"site": "Fir"},
            effect=60.0,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="hardest_share",
        ),
        Cause(
            cause_id="better_site",
            segment={"site": "Fir"},
            effect=0.7,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="error",
        ),
    ),
    tables=REVIEW_TABLES,
)
