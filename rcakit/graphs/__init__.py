"""Do these accounts act together, and how do we know that it is not coincidence?"""

from rcakit.graphs.lockstep import find_lockstep
from rcakit.graphs.rings import find_rings

__all__ = ["find_lockstep", "find_rings"]
