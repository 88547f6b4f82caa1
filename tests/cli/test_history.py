"""Do the commands over past runs tell what the ledger knows?"""

import json

import nbformat
import pytest
from click.testing import CliRunner

from rcakit import cli, playbook
from rcakit.ledger import open_ledger
from rcakit.runner.single import begun, unchanged

FINDING = {
    "kind": "driver", "claim": "It is concentrated in Android.", "estimate": 12.0, "ci_lower": 9.0,
    "ci_upper": 15.0, "unit": "reports", "n_obs": 400, "strength": "strong", "method": "counted",
    "segment": {"platform": "android"},
}  # fmt: skip


def _call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture
def out(tmp_path):
    """Return a folder of reports with three runs in its ledger."""
    with open_ledger(tmp_path) as ledger:
        for number, status in ((1, "ok"), (2, "ok"), (3, "timeout")):
            row = {"run_id": f"run-{number}", "playbook": "metric_spike", "status": status}
            row |= {"parameters": {"window_days": 28}, "answer": "It rose.\nIn Android."}
            row |= {"started_at": f"2026-04-0{number}T06:00:00+00:00"}
            ledger.record(row, [FINDING] if number == 2 else [])
    return tmp_path


def test_runs_lists_the_newest_first(out):
    """Each run is a line; filters and JSON work."""
    lines = _call("runs", "--out", out).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["run-3", "timeout"],
        ["run-2", "ok"],
        ["run-1", "ok"],
    ]
    assert _call("runs", "--out", out, "--status", "timeout").stdout.count("\n") == 1
    rows = json.loads(_call("runs", "--out", out, "--json", "-n", 1).stdout)
    assert rows[0]["parameters"] == {"window_days": 28}
    assert "No runs yet" in _call("runs", "--out", out / "none").stdout


def test_show_tells_one_run(out):
    """A run is shown with its findings; an unknown one is refused in a line."""
    told = _call("show", "run-2", "--out", out).stdout
    assert "It rose. In Android." in told
    assert "strong    driver          It is concentrated in Android." in told
    assert json.loads(_call("show", "run-2", "--out", out, "--json").stdout)["findings"] == [
        FINDING
    ]
    done = _call("show", "run", "--out", out)
    assert (done.exit_code, "3 runs have an id" in done.stderr) == (2, True)


def test_diff_tells_what_is_new(out):
    """Two runs are compared by their findings; one that failed has none."""
    done = _call("diff", "run-1", "run-2", "--out", out)
    assert "New (1)\n  It is concentrated in Android." in done.stdout
    assert json.loads(_call("diff", "run-2", "run-1", "--out", out, "--json").stdout)["gone"]
    done = _call("diff", "run-1", "last", "--out", out)
    assert (done.exit_code, "run-3 is timeout" in done.stderr) == (2, True)


def test_unchanged_runs_are_shown(tmp_path):
    """The same question of the same data is answered by the report that is there."""
    (tmp_path / "rows.csv").write_text("a\n1\n")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("source: str = ''  # file")]
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, tmp_path / "book.ipynb")
    words = ["run", tmp_path / "book.ipynb", "--out", tmp_path / "out", "-p"]
    words += [f"source={tmp_path / 'rows.csv'}"]
    first, again = _call(*words), _call(*words)
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert "Nothing has changed since this run" in again.stderr
    assert first.stdout == again.stdout
    (tmp_path / "rows.csv").write_text("a\n2\n")
    found = playbook.find(str(tmp_path / "book.ipynb"))
    record = begun(found, {"source": str(tmp_path / "rows.csv")}, {})
    with open_ledger(tmp_path / "out") as ledger:
        assert unchanged(ledger, tmp_path / "out", record) is None
