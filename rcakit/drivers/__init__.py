"""Where did the change come from, and what else changed then?"""

from rcakit.drivers.changes import ChangeResult, match_changes
from rcakit.drivers.explanation import explain
from rcakit.drivers.result import DriverResult

__all__ = ["ChangeResult", "DriverResult", "explain", "match_changes"]
