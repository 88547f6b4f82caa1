"""Do findings leave the kit whole, valid and harmless?"""

import csv
import json
import re

import jsonschema
import polars as pl
import pytest
from click.testing import CliRunner

from rcakit import cli
from rcakit.errors import ParameterError, SourceError
from rcakit.findings import KINDS, Finding, withheld
from rcakit.report import exports, paper


def _call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.mark.parametrize("form", ["markdown", "csv", "parquet", "xlsx"])
def test_runs_are_exported(demo_run, tmp_path, form):
    """The command writes each form, by folder or by id."""
    target = tmp_path / f"out.{form}"
    named = demo_run.run_id if form == "csv" else demo_run.folder
    done = _call("export", named, "--as", form, "--to", target, "--out", demo_run.folder.parents[1])
    assert done.exit_code == 0, done.output
    assert target.stat().st_size > 500


def test_charter_has_its_parts(demo_run, tmp_path):
    """Problem, baseline, target, evidence and owner, with the numbers of the run."""
    text = exports.export(demo_run.folder, "markdown", to=tmp_path / "f.md").read_text("utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads == ["Problem", "Baseline", "Target", "Evidence", "Owner and next steps"]
    assert "Expected: 2\u202f589 reports" in text
    assert "about 259 reports" in text
    assert "Owner of the change" in text


def test_tables_hold_numbers(demo_run, tmp_path):
    """CSV and Parquet hold the same rows, with numbers as numbers."""
    table = pl.read_parquet(exports.export(demo_run.folder, "parquet", to=tmp_path / "f.parquet"))
    path = exports.export(demo_run.folder, "csv", to=tmp_path / "f.csv")
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    assert tuple(table.columns) == exports.COLUMNS
    assert table.height == len(rows) == len(demo_run.findings)
    assert table["estimate"].dtype == pl.Float64
    assert [float(row["estimate"]) for row in rows] == table["estimate"].to_list()


def test_findings_keep_their_schema(demo_run):
    """What a run publishes is valid by the schema that ships."""
    jsonschema.Draft202012Validator.check_schema(exports.schema())
    jsonschema.validate(list(demo_run.findings), exports.schema())


def test_schema_knows_every_field():
    """The schema lists the fields and kinds of a finding, and no others."""
    finding = exports.schema()["$defs"]["finding"]
    full = {
        **withheld(
            "driver", "It rose.", why="w", unit="u", method="m", segment={"a": "b"}
        ).to_record()
    }
    assert set(finding["properties"]["kind"]["enum"]) == set(KINDS)
    assert set(full) <= set(finding["properties"])
    assert set(finding["required"]) <= set(full)


@pytest.mark.parametrize(
    "broken", [{"kind": "guess"}, {"claim": ""}, {"estimate": None}, {"n_obs": -1}, {"extra": 1}]
)
def test_schema_refuses_broken_findings(demo_run, broken):
    """An unknown kind, an empty claim or a number that is missing without a reason is refused."""
    record = {**demo_run.findings[0], **broken}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([record], exports.schema())


def test_schema_refuses_two_verdicts(demo_run):
    """A run has one verdict."""
    verdict = next(item for item in demo_run.findings if item["kind"] == "verdict")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([verdict, verdict], exports.schema())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        (" @x", "' @x"),
        ("\t+1", "'\t+1"),
        ("a=1", "a=1"),
        (-3.5, -3.5),
        (None, None),
    ],
)
def test_formulas_become_text(value, written):
    """Text that a spreadsheet would run has an apostrophe before it; numbers pass."""
    assert exports.without_formula(value) == written


def test_unknown_runs_exit_two(tmp_path):
    """A run that is not there is refused in a line."""
    for words in (["export", "nothing"], ["pdf", "nothing"], ["reveal", "nothing", "a-b"]):
        done = _call(*words, "--out", tmp_path)
        assert done.exit_code == 2
        assert "no runs have an id that begins with" in done.output


def test_half_runs_are_refused(tmp_path):
    """A folder without findings is no complete run."""
    with pytest.raises(SourceError, match="must hold a complete run"):
        exports.export(tmp_path, "csv")


def test_unknown_forms_are_refused(tmp_path):
    """A form that is none is named with those that are."""
    with pytest.raises(ParameterError, match="form must be one of"):
        exports.export(tmp_path, "docx")


def test_pseudonyms_can_be_revealed(demo_run, tmp_path):
    """Who holds the notebook can look a pseudonym up; others are refused."""
    for name in ("notebook.ipynb", "run.json"):
        (tmp_path / name).write_bytes((demo_run.folder / name).read_bytes())
    told = Finding(
        claim="In account_id = meera91 reports rose.", kind="driver", segment={"account_id": "meera91"},
        estimate=5.0, ci_lower=4.0, ci_upper=6.0, unit="reports", n_obs=50, method="m",
    )  # fmt: skip
    (tmp_path / "findings.json").write_text(json.dumps([told.to_record()]))
    text = exports.export(tmp_path, "markdown").read_text("utf-8")
    shown = re.search(r"account-[a-z2-7]{8}", text)[0]
    assert "meera91" not in text
    assert exports.reveal(tmp_path, [shown]) == {shown: "meera91"}
    with pytest.raises(ParameterError, match="must be of this run"):
        exports.reveal(tmp_path, ["account-aaaaaaaa"])


def test_pages_become_paper(demo_run, chromium, tmp_path):
    """The command prints A4 with Chromium, charts drawn."""
    done = _call("pdf", demo_run.folder, "--to", tmp_path / "page.pdf")
    assert done.exit_code == 0, done.output
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert re.search(rb"/MediaBox ?\[ ?0 0 59[45][.\d]* 84[12]", printed)
    assert len(printed) > 50_000


def test_missing_chromium_is_told(demo_run, monkeypatch):
    """Without a Chromium the message says how to get one."""
    monkeypatch.setenv("RCAKIT_CHROMIUM", "no-such-browser")
    with pytest.raises(SourceError, match="printed by Chromium, and none was found"):
        paper.pdf(demo_run.folder)
