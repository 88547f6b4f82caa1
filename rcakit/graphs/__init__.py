"""Do these accounts act together, and how do we know that it is not coincidence?"""

from rcakit.graphs.expansion import ExpansionResult, expand
from rcakit.graphs.exporting import export, graph
from rcakit.graphs.investigation import Investigation, investigate
from rcakit.graphs.lockstep import co_action_edges, find_lockstep
from rcakit.graphs.result import RingResult
from rcakit.graphs.rings import find_rings
from rcakit.graphs.tracking import TrackResult, track

__all__ = [
    "ExpansionResult",
    "Investigation",
    "RingResult",
    "TrackResult",
    "co_action_edges",
    "expand",
    "export",
    "find_lockstep",
    "find_rings",
    "graph",
    "investigate",
    "track",
]
