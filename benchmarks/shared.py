"""Where the open data lie that some benchmarks read; they are not part of the repository."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("RCAKIT_SHARED", Path(__file__).parents[1].parent / "shared"))
