"""The door: what `make` accepts, refuses and repeats."""

import subprocess
import sys

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from rcakit.datasets import make, scenarios
from rcakit.errors import ParameterError


def test_unknown_scenario_names_choices():
    """An unknown scenario is refused with the names that exist."""
    message = r'scenario must be one of .*app_release_report_bug, .*quiet, .*got "fire"\. rcakit\.datasets\.scenarios\(\)'
    with pytest.raises(ParameterError, match=message):
        make("fire")


def test_unknown_size_names_choices():
    """An unknown size is refused with the names that exist."""
    with pytest.raises(
        ParameterError, match=r'size must be one of tiny, small, medium, large, got "huge"\.'
    ):
        make("quiet", size="huge")


@pytest.mark.parametrize("rng", [-1, 1.5, True, None, "0"])
def test_ill_typed_seed_is_refused(rng):
    """A seed is a whole number of 0 or above."""
    with pytest.raises(
        ParameterError, match="rng must be an integer of 0 or above or a numpy Generator, got"
    ):
        make("quiet", size="tiny", rng=rng)


def test_scenarios_describe_in_one_line():
    """Every scenario has a one-line description that ends like a sentence."""
    assert all(text.endswith(".") and "\n" not in text for text in scenarios().values())


def test_same_seed_same_data(story):
    """The same seed gives the same tables and the same truth."""
    again = make(story.truth["scenario"], rng=story.truth["seed"])
    assert again.truth == story.truth
    for name, frame in story.tables.items():
        assert_frame_equal(again.tables[name], frame)


def test_other_seed_other_reports(quiet):
    """Another seed gives other reports."""
    assert not make("quiet", rng=1).tables["reports"].equals(quiet.tables["reports"])


def test_generator_draws_recorded_seed():
    """A numpy Generator stands for the seed that the truth records."""
    drawn = make("quiet", size="tiny", rng=np.random.default_rng(5))
    repeated = make("quiet", size="tiny", rng=drawn.truth["seed"])
    assert_frame_equal(drawn.tables["reports"], repeated.tables["reports"])


def test_package_import_stays_light():
    """Importing the package loads neither polars nor numpy."""
    code = "import sys, rcakit.datasets; print({'polars', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
