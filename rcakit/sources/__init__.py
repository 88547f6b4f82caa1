"""Where do rows come from, and can they carry the question?"""

from rcakit.sources.inspection import DataResult, inspect
from rcakit.sources.reading import read

__all__ = ["DataResult", "inspect", "read"]
