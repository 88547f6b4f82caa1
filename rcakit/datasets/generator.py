"""Make a data set: the one door to the generator."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from rcakit.datasets.catalogue import SCENARIOS
from rcakit.datasets.dataset import Dataset
from rcakit.datasets.networks import NETWORKS, make_network
from rcakit.datasets.process_changes import TRIALS, make_trial
from rcakit.datasets.sizes import SIZES
from rcakit.datasets.tables import TABLES
from rcakit.datasets.truth import tell
from rcakit.datasets.world import World
from rcakit.errors import ParameterError

# Stories that share neither tables nor calendar with the reports: process changes, networks.
_OTHER_WORLDS: tuple[tuple[Mapping[str, Any], Callable[..., Dataset]], ...] = (
    (TRIALS, make_trial),
    (NETWORKS, make_network),
)


def scenarios() -> dict[str, str]:
    """List the scenarios that `make` knows.

    Returns
    -------
    dict
        Name to one-line description.

    Examples
    --------
    >>> import rcakit.datasets
    >>> rcakit.datasets.scenarios()["quality_quiet"]
    'Nothing happens to quality.'
    """
    described = {name: scenario.description for name, scenario in SCENARIOS.items()}
    for stories, _ in _OTHER_WORLDS:
        described |= {name: story.description for name, story in stories.items()}
    return described


def make(scenario: str, *, size: str = "small", rng: int | np.random.Generator = 0) -> Dataset:
    """Make up Trust & Safety tables whose causes are known.

    Parameters
    ----------
    scenario
        What happened: one of the names that `scenarios` lists.
    size
        ``"tiny"`` (70 days, 150 reports a day), ``"small"`` (120 days, 500), ``"medium"`` (400 days, 5,000) or
        ``"large"`` (400 days, 50,000; about a minute and 15 GB of memory). Rates grow with the size, causes stay the
        same.
    rng
        A seed, 0 or above, or a numpy Generator to draw one from. The same seed gives the same data, and the scenarios
        share their usual days under one seed.

    Returns
    -------
    Dataset
        ``.tables`` maps names to polars frames; ``.truth`` says what was planted.

    Raises
    ------
    ParameterError
        If the scenario or the size is unknown, or `rng` is not a seed.

    Notes
    -----
    Counts are negative binomial by day, region and surface, with a weekday pattern, slow growth and good and bad days
    that all counts share. Not made for estimating how common anything is in the real world.

    Examples
    --------
    >>> import rcakit.datasets
    >>> data = rcakit.datasets.make("quiet", size="tiny")
    >>> sorted(data.tables)
    ['accounts', 'change_log', 'denominators', 'reports']
    >>> data.truth["verdict"]
    'no_evidence'
    """
    _check_choice(
        "scenario", scenario, sorted(scenarios()), "rcakit.datasets.scenarios() describes each."
    )
    _check_choice("size", size, SIZES, "Start with small.")
    for stories, make_other in _OTHER_WORLDS:
        if scenario in stories:
            return make_other(scenario, size=size, seed=_seed(rng))
    story = SCENARIOS[scenario]
    world = World(SIZES[size], _seed(rng))
    built = {name: TABLES[name].build(world, story) for name in story.tables}
    excess = {
        cause_id: n_rows for table in built.values() for cause_id, n_rows in table.excess.items()
    }
    return Dataset({name: table.frame for name, table in built.items()}, tell(world, story, excess))


def _seed(rng: object) -> int:
    """Read a seed, or draw one, so that the truth can name it."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    message = f"rng must be an integer of 0 or above or a numpy Generator, got {rng!r}. Use 0 for the samples' data."
    raise ParameterError(message)


def _check_choice(name: str, value: object, allowed: Collection[str], advice: str) -> None:
    """Refuse a value that is not on the list."""
    if value not in tuple(allowed):
        message = f'{name} must be one of {", ".join(allowed)}, got "{value}". {advice}'
        raise ParameterError(message)
