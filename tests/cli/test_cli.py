"""Do the exit codes and the words of the command line tell the truth?"""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rcakit import cli, playbook, runner, testing
from rcakit.errors import PlaybookError


def _call(*words):
    return CliRunner().invoke(cli.main, list(words))


def test_list_names_each_question():
    """Each playbook stands with its question."""
    done = _call("list")
    assert done.exit_code == 0
    assert "metric_spike" in done.stdout
    assert "What made this number jump or fall" in done.stdout


def test_list_survives_broken_notebooks(tmp_path, monkeypatch):
    """A broken notebook in the own folder is told, and hides no other."""
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "broken.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    done = _call("list")
    assert done.exit_code == 0
    assert "broken" in done.stdout
    assert "metric_spike" in done.stdout


def test_describe_shows_each_parameter():
    """Name, type, default and meaning of every parameter are shown."""
    done = _call("describe", "metric_spike")
    assert done.exit_code == 0
    for parameter in playbook.find("metric_spike").parameters:
        assert f"  {parameter.name} " in done.stdout
        assert parameter.comment in done.stdout


@pytest.mark.parametrize("words", [("describe", "metric_spik"), ("run", "metric_spik")])
def test_unknown_playbooks_exit_two(words, tmp_path):
    """An unknown playbook is one line on stderr and exit code 2."""
    done = _call(*words)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Did you mean 'metric_spike'?" in done.stderr


def test_broken_notebooks_exit_two(tmp_path):
    """A file that is no notebook is refused in a line."""
    (tmp_path / "broken.ipynb").write_text("{}")
    for command in ("describe", "run"):
        done = _call(command, str(tmp_path / "broken.ipynb"))
        assert done.exit_code == 2
        assert "is not a notebook" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_unwritable_folders_exit_one(tmp_path):
    """Where no report can be written the run fails before it starts, in one line."""
    (tmp_path / "file").write_text("")
    done = _call("run", "metric_spike", "--out", str(tmp_path / "file" / "reports"))
    assert done.exit_code == 1
    assert done.stderr.startswith("failed: the folder")
    assert "Choose another --out" in done.stderr
    assert "Traceback" not in done.output


def test_new_writes_what_runs(tmp_path):
    """A new playbook keeps the contract, runs as it is, and is never overwritten."""
    done = _call("new", "my_question", "--into", str(tmp_path))
    path = tmp_path / "my_question.ipynb"
    assert done.exit_code == 0
    testing.check_playbook(path)
    ran = _call("run", str(path), "--out", str(tmp_path / "reports"))
    assert ran.exit_code == 0, ran.stderr
    (folder,) = (tmp_path / "reports" / "my_question").iterdir()
    assert json.loads((folder / "run.json").read_text("utf-8"))["status"] == "ok"
    again = _call("new", "my_question", "--into", str(tmp_path))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


def test_new_refuses_bad_places(tmp_path):
    """A folder that cannot be made, or a name that is none, is refused in words."""
    (tmp_path / "file").write_text("")
    done = _call("new", "my_question", "--into", str(tmp_path / "file"))
    assert (done.exit_code, "cannot be written" in done.stderr) == (2, True)
    done = _call("new", "My Question")
    assert (done.exit_code, "NAME must be lower-case" in done.stderr) == (2, True)


def test_program_starts_by_name():
    """The module can be run, and knows its version."""
    done = subprocess.run(
        [sys.executable, "-m", "rcakit", "--version"], capture_output=True, text=True, check=True
    )
    assert "0.1.0" in done.stdout


def test_sources_of_impossible_names_fail(tmp_path):
    """A source whose name no file can have fails like a missing one, and leaves nothing."""
    out = tmp_path / "reports"
    source = "x" * 400 + ".csv"
    done = runner.run(playbook.find("metric_spike"), {"source": source}, out=out)
    assert (done.status, done.error[:11]) == ("failed", "SourceError")
    assert not (out / "metric_spike").exists()


def test_runner_refuses_unwritable(tmp_path):
    """The runner says which folder cannot be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaybookError, match="cannot be made"):
        runner.run(playbook.find("metric_spike"), {}, out=tmp_path / "file")
