"""Nothing happened to quality: the right answer is that there is nothing to explain."""

from rcakit.datasets.review_work import REVIEW_DECOYS, REVIEW_TABLES
from rcakit.datasets.scenario import Scenario

SCENARIO = Scenario(
    name="quality_quiet",
    description="Nothing happens to quality.",
    verdict="no_drop",
    decoys=REVIEW_DECOYS,
    tables=REVIEW_TABLES,
)
