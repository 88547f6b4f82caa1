"""Accuracy fell everywhere alike, for a reason that no column holds: the right answer is "cannot tell"."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Cause, Scenario

SCENARIO = Scenario(
    name="unrecorded_difficulty",
    description="Cases get harder everywhere alike, and nothing recorded says so: the cause is not in the data.",
    verdict="cannot_tell",
    causes=(
        Cause(
            cause_id="harder_cases",
            segment={},
            effect=2.2,
            first_day=-28,
            duration_hours=28 * 24,
            forbidden=(
                {"wave": "2"},
                {"policy": "hate_speech"},
                {"audit_team": "vendor"},
            ),
            table="decisions",
            measure="error",
        ),
    ),
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
