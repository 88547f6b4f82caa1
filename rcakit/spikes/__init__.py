"""When did it change, and is it real?"""

from rcakit.spikes.detection import detect
from rcakit.spikes.result import SpikeResult

__all__ = ["SpikeResult", "detect"]
