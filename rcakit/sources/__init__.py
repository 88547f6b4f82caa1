"""Where do rows come from, and can they carry the question?"""

from rcakit.sources.inspection import DataResult, inspect, suggest_dimensions, unit_of
from rcakit.sources.reading import read

__all__ = ["DataResult", "inspect", "read", "suggest_dimensions", "unit_of"]
