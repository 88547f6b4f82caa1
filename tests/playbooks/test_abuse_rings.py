"""Does the playbook name the rings that were planted, none in the twin, and no account by its id?"""

import json

import polars as pl
import pytest

import rcakit
from rcakit import playbook, runner


@pytest.fixture(scope="module")
def investigate(tmp_path_factory):
    """Return a function that runs the playbook on a made-up platform."""

    def run(scenario, seed=0, size="tiny", change=None, **given):
        folder = tmp_path_factory.mktemp("rings")
        made = rcakit.datasets.make(scenario, size=size, rng=seed)
        for name in ("attributes", "engagement"):
            table = made.tables[name]
            table = change(table) if change and name == "attributes" else table
            table.write_parquet(folder / f"{name}.parquet")
        parameters = {
            "source": str(folder / "attributes.parquet"),
            "engagement": str(folder / "engagement.parquet"),
        } | given
        done = runner.run(playbook.find("abuse_rings"), parameters, out=folder / "reports")
        return made, done

    return run


def verdicts(done):
    """Return the verdict words that a run published."""
    return [found["verdict"] for found in done.findings if found["kind"] == "verdict"]


def test_rings_are_reported_without_ids(investigate):
    """The page names the rings first, counts them, and holds no id of an account or attribute."""
    made, done = investigate("abuse_rings")
    assert done.status == "ok", done.error
    assert verdicts(done) == ["rings_found"]
    assert done.answer.sentences[0].startswith("2 groups of accounts")
    pages = "".join(
        (done.folder / name).read_text("utf-8") for name in ("report.html", "findings.json")
    )
    ids = {account for ring in made.truth["rings"] for account in ring["accounts"]}
    assert not [account for account in ids if account in pages]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("scenario", ["abuse_rings", "no_abuse_rings"])
def test_verdict_is_the_planted_one(investigate, scenario, seed):
    """On fresh seeds the verdict is that of the truth, with rings and without."""
    made, done = investigate(scenario, seed, size="small")
    assert done.status == "ok", done.error
    assert verdicts(done) == [made.truth["verdict"]]


@pytest.mark.slow
def test_silent_data_is_no_all_clear(investigate):
    """Where every attribute is the same, the page says that it cannot tell."""
    _, done = investigate(
        "no_abuse_rings", change=lambda t: t.with_columns(attribute=pl.lit("same"))
    )
    assert verdicts(done) == ["cannot_tell"]
    assert done.answer.confidence == "Cannot tell"


def test_missing_column_fails_in_one_line(investigate):
    """A wrong column is an error in words, and no report is left."""
    _, done = investigate("no_abuse_rings", attribute="device")
    assert done.status == "failed"
    assert "column 'device' is missing" in done.error
    record = json.loads((done.folder / "run.json").read_text("utf-8"))
    assert record["status"] == "failed"
