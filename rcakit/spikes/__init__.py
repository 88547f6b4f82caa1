"""When did it change, and is it real?"""

from rcakit.spikes.detection import detect
from rcakit.spikes.levels import ChangepointResult, changepoints
from rcakit.spikes.result import SpikeResult
from rcakit.spikes.screening import screen
from rcakit.spikes.state import State

__all__ = ["ChangepointResult", "SpikeResult", "State", "changepoints", "detect", "screen"]
