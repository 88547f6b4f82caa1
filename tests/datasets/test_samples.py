"""The sample files: are they what the generator writes?"""

import json
from pathlib import Path

import polars as pl
import pytest

from rcakit.datasets import scenarios, write_samples
from rcakit.datasets.samples import OTHER_SAMPLES, SAMPLE_SIZES
from rcakit.datasets.tables import TABLES

SAMPLES = Path(__file__).parents[2] / "data_samples"


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory) -> Path:
    """The samples, written anew."""
    folder = tmp_path_factory.mktemp("data_samples")
    write_samples(folder)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_samples_repeat_every_byte(rewritten):
    """Writing the samples again gives the committed bytes."""
    committed, anew = files_in(SAMPLES), files_in(rewritten)
    assert sorted(committed) == sorted(anew)
    assert [name for name in committed if committed[name] != anew[name]] == []


def test_samples_stay_below_limit():
    """All samples together take less than 4 MB."""
    assert sum(len(content) for content in files_in(SAMPLES).values()) < 4_000_000


def test_samples_cover_their_list():
    """Every scenario that ships has a folder and a truth."""
    truth = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))
    folders = {path.name for path in SAMPLES.iterdir() if path.is_dir()}
    others = {path.parent.name for path in SAMPLES.glob("*/truth.json")}
    assert set(truth) == set(SAMPLE_SIZES)
    assert others == set(OTHER_SAMPLES)
    assert set(truth) | others == folders
    assert folders <= set(scenarios())


@pytest.mark.parametrize("name", TABLES)
def test_dictionary_explains_every_column(name):
    """The data dictionary has one row for every column of every table."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    section = readme.split(f"### {name} ")[1].split("###")[0]
    assert all(
        f"| `{column.name}` |" in section and column.meaning in section
        for column in TABLES[name].COLUMNS
    )


def test_dictionary_explains_every_truth_key():
    """The data dictionary mentions every key of the truth."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for truth in json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8")).values():
        keys = {*truth, *(key for entry in truth["causes"] + truth["decoys"] for key in entry)}
        assert all(f"{key}`" in readme or f"{key}[]" in readme for key in keys)


def test_hostile_names_survive_files(bug):
    """The accounts file gives back every hostile name unharmed."""
    accounts = pl.read_csv(SAMPLES / "app_release_report_bug" / "accounts.csv")
    assert accounts["username"].equals(bug.tables["accounts"]["username"])
