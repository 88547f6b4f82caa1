"""What do several reviewers say of the same item, each alone?"""

import numpy as np
import polars as pl

from rcakit.datasets.processes.review import scaled_chance
from rcakit.datasets.scenario import Scenario
from rcakit.datasets.tables.column import Built, Column, conform
from rcakit.datasets.world import World

ABOUT = "One row per label of the double-checked sample: 600 items, each labelled by five raters."

COLUMNS = (
    Column("item_id", pl.String(), "", "Item of the sample."),
    Column("rater_id", pl.String(), "", "Who labelled it."),
    Column("label", pl.String(), "", "keeps or violates."),
)

_N_ITEMS, _VIOLATING_SHARE = 600, 0.35
_SKILL = np.array([0.93, 0.9, 0.88, 0.86, 0.84])


def build(world: World, scenario: Scenario) -> Built:
    """Make the ratings; a cause on ``skill`` multiplies a rater's chance of the right label."""
    rng = world.stream("ratings")
    truth = rng.random(_N_ITEMS) < _VIOLATING_SHARE
    draw = rng.random((_N_ITEMS, _SKILL.size))
    names = np.array([f"rater-{i}" for i in range(_SKILL.size)])
    skill, excess = _SKILL, {}
    for cause in scenario.causes_on("ratings"):
        is_theirs = names == cause.segment["rater_id"]
        less = scaled_chance(skill, [(is_theirs, cause.effect)])
        excess[cause.cause_id] = int(np.sum((draw < skill) & (draw >= less)))
        skill = less
    label = np.where(draw < skill, truth[:, np.newaxis], ~truth[:, np.newaxis])
    frame = pl.DataFrame(
        {
            "item_id": np.repeat([f"i{i:04d}" for i in range(_N_ITEMS)], _SKILL.size),
            "rater_id": list(names) * _N_ITEMS,
            "label": np.where(label.ravel(), "violates", "keeps"),
        }
    )
    return Built(conform(frame, COLUMNS), excess)
