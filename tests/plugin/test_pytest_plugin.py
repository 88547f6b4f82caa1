"""Does the plugin run a playbook over its scenarios, and fail when it should?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from rcakit import playbook, testing

PUBLISH = """
import rcakit
from rcakit import report
from rcakit.findings import Finding
rows = len(rcakit.read(source).collect())
found = Finding(claim=f"There are {rows} rows.", kind="verdict", estimate=rows, ci_lower=rows,
                ci_upper=rows, unit="rows", n_obs=rows, method="counted", verdict="counted")
report.publish(found)
"""
TABLES = {"scenario": "quiet", "size": "tiny", "parameters": {"source": "{reports}"}}


def _book(folder, *scenarios):
    """Write a playbook that counts rows and declares scenarios."""
    notebook = playbook.scaffold("rows")
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = 'source: str = "none.parquet"  # file with the rows'
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        if "parameters" not in cell.metadata.get("tags", []):
            cell.source = "None"
    code[-1].source = PUBLISH.strip()
    notebook.metadata["rcakit"] = {"scenarios": list(scenarios)}
    nbformat.write(notebook, folder / "rows.ipynb")


def _pytest(folder, *words, at="."):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "rcakit.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(
        [*command, "-q", *words, at], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip


def test_scenarios_pass_and_fail(tmp_path):
    """What must be found is found; what ends otherwise than declared fails in words."""
    _book(
        tmp_path,
        {"name": "good", **TABLES, "must_find": [{"kind": "verdict", "claim": r"\d{2,} rows"}]},
        {"name": "absent", "status": "ok"},
    )
    done = _pytest(tmp_path, "--rcakit-playbooks")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 2 passed" in done.stdout
    assert "it ended as failed, not ok: SourceError" in done.stdout
    assert "Traceback" not in done.stdout


SHIPPED = sorted((Path(__file__).parents[2] / "playbooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_playbooks_declare_scenarios(path):
    """Every playbook says what it must find in data with a known cause, and what it must not claim."""
    declared = json.loads(path.read_text("utf-8"))["metadata"]["rcakit"]["scenarios"]
    sound = [item for item in declared if item.get("status", "ok") == "ok"]
    assert len(sound) >= 3
    verdicts = {f["verdict"] for s in sound for f in s["must_find"] if f["kind"] == "verdict"}
    assert len(verdicts) >= 2, "a playbook that always says the same passes too"
    assert all(item["must_not_claim"] for item in sound)


def test_shipped_playbook_passes_one():
    """One scenario through the plugin as it ships; `make playbooks` runs all of them."""
    book = next(path for path in SHIPPED if path.stem == "cohort_gap")
    done = _pytest(book.parent, "--rcakit-playbooks", "-o", "addopts=", "-k", "real", at=book.name)
    assert "1 passed" in done.stdout, done.stdout


def test_plugin_sleeps_unasked(tmp_path):
    """Without the option nothing is collected, and nothing of weight is imported."""
    _book(tmp_path)
    (tmp_path / "test_light.py").write_text(
        "import sys\n\ndef test_light():\n"
        "    heavy = {'rcakit.runner', 'rcakit.testing', 'polars', 'papermill'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    done = _pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_broken_playbooks_are_told(tmp_path):
    """A notebook that breaks the contract fails, and an unknown key of a scenario does."""
    notebook = playbook.scaffold("rows")
    notebook.cells = notebook.cells[:4]
    notebook.metadata["rcakit"] = {"scenarios": [{"name": "odd", "must_finde": []}]}
    nbformat.write(notebook, tmp_path / "rows.ipynb")
    done = _pytest(tmp_path, "--rcakit-playbooks")
    assert "headings must be" in done.stdout
    assert "has no ['must_finde']" in done.stdout


RECORD = {"kind": "driver", "claim": "It rose by 12.", "segment": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("pattern", "is_match"),
    [
        ({"kind": "driver"}, True),
        ({"kind": ["effect", "driver"]}, True),
        ({"segment": {"a": "1"}}, True),
        ({"segment": {"a": "2"}}, False),
        ({"claim": r"by \d+"}, True),
        ({"strength": "strong"}, False),
    ],
)
def test_patterns_match_by_field(pattern, is_match):
    """A pattern matches by its fields; what it leaves out may be anything."""
    wrong = {"must_find" if not is_match else "must_not_claim": [pattern]}
    testing.check_findings([RECORD], **{"must_find" if is_match else "must_not_claim": [pattern]})
    with pytest.raises(AssertionError):
        testing.check_findings([RECORD], **wrong)


POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<p>no policy</p>", "no content security policy"),
        (POLICY.replace("'none'", "*"), "allows what it does not name"),
        (POLICY + '<img src="https://elsewhere.example/x.png">', "loads from elsewhere"),
        (
            POLICY + "<style>p{background:url(//elsewhere.example/x)}</style>",
            "loads from elsewhere",
        ),
        (POLICY + "<style>@import 'x.css';</style>", "loads from elsewhere"),
    ],
)
def test_pages_must_stand_alone(tmp_path, text, message):
    """A page without a policy, or with an address that a browser would ask, is refused."""
    path = tmp_path / "page.html"
    path.write_text(text)
    with pytest.raises(AssertionError, match=message):
        testing.check_page(path)
    path.write_text(POLICY + json.dumps({"$schema": "https://vega.github.io/schema.json"}))
    testing.check_page(path)
