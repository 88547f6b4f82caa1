"""Follow counts through time: what a series led us to expect, and how surprising today is."""

from rcakit.stats.filters.counts import FilteredCounts, filter_counts
from rcakit.stats.filters.options import FilterOptions
from rcakit.stats.filters.scan import rolling_sum
from rcakit.stats.filters.state import FilterState

__all__ = ["FilterOptions", "FilterState", "FilteredCounts", "filter_counts", "rolling_sum"]
