"""How long until a row arrives in the warehouse?"""

import numpy as np
from numpy.typing import NDArray

MEDIAN_DELAY_SECONDS = 20 * 60
# With a sigma of 1.1 the mean delay is 37 minutes: 2.5 % of a day, which is what the last day of an extract lacks.
_LOG_SD = 1.1

# Clients that were offline, batches that were retried: about a day late, and rarely a week.
_STRAGGLER_SHARE = 0.01
_STRAGGLER_MEAN_SECONDS = 86_400


def ingestion_delays(n_rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ingestion delays in seconds: a lognormal body and a thin tail of stragglers, shape (n_rows,)."""
    body = MEDIAN_DELAY_SECONDS * np.exp(rng.normal(0, _LOG_SD, size=n_rows))
    is_straggler = rng.random(n_rows) < _STRAGGLER_SHARE
    straggling = rng.exponential(_STRAGGLER_MEAN_SECONDS, size=n_rows)
    return np.ceil(body + is_straggler * straggling).astype(np.int64)
