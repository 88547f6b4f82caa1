"""One site has no counterpart at equal work: the right answer is "cannot tell"."""

from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.scenario import ALWAYS_FIRST_DAY, ALWAYS_HOURS, Cause, Scenario

SCENARIO = Scenario(
    name="site_without_counterpart",
    description="One site does work that nobody else does: whether it is worse at equal work is not in the data.",
    verdict="cannot_tell",
    causes=(
        Cause(
            cause_id="legal_requests",
            segment={"site": "Fir"},
            effect=1.0,
            first_day=ALWAYS_FIRST_DAY,
            duration_hours=ALWAYS_HOURS,
            table="decisions",
            measure="exclusive",
        ),
    ),
    tables=REVIEW_TABLES,
)
