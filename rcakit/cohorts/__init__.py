"""Who differs, once like is compared with like?

`compare` asks it of outcomes, `time_to_event` of how long things take, `disparity` of protected or
regional groups at equal case mix, `retention` of groups by when they started.
"""

from rcakit.cohorts.comparison import CohortResult, compare
from rcakit.cohorts.fairness import DisparityResult, disparity
from rcakit.cohorts.start_period import RetentionResult, retention
from rcakit.cohorts.waiting import SurvivalResult, time_to_event

__all__ = [
    "CohortResult",
    "DisparityResult",
    "RetentionResult",
    "SurvivalResult",
    "compare",
    "disparity",
    "retention",
    "time_to_event",
]
