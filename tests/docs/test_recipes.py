"""Do the recipes of the docs hold: is each block what it says, and does its command exist?"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

from rcakit import cli, testing
from rcakit.runner.batch import LIMITS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "running.md").read_text("utf-8")


def _blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def _check_command(line):
    """Check that a command of rcakit exists and knows the options that a recipe gives it."""
    words = shlex.split(line.partition(">>")[0])
    command = cli.main.commands[
        words[words.index(next(w for w in words if w.endswith("rcakit"))) + 1]
    ]
    known = {name for option in command.params for name in option.opts}
    given = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
    assert given <= known, f"{line}: {given - known}"


def test_shell_recipes_name_real_options():
    """Every rcakit command in a shell block, a crontab line or a unit exists, options and all."""
    lines = [
        line
        for kind in ("sh", "text", "ini")
        for block in _blocks(kind)
        for line in block.splitlines()
    ]
    commands = [line for line in lines if re.search(r"(^|[/=])rcakit ", line)]
    assert len(commands) >= 8
    for line in commands:
        _check_command(line.partition("ExecStart=")[2] or line)


def test_crontab_line_is_understood():
    """Five fields of time, then a command that a shell can parse."""
    (line,) = _blocks("text")
    *times, command = line.strip().split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in times)
    subprocess.run(["sh", "-n", "-c", command], check=True)


def test_systemd_takes_the_units(tmp_path):
    """systemd itself finds nothing wrong with the service and the timer."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for name, text in zip(("rcakit.service", "rcakit.timer"), _blocks("ini"), strict=True):
        # The program and the folder of the recipe are not here; any other will do.
        local = text.replace("/srv/investigations/.venv/bin/rcakit", sys.executable)
        (tmp_path / name).write_text(local.replace("/srv/investigations", str(tmp_path)))
    units = [tmp_path / "rcakit.service", tmp_path / "rcakit.timer"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if "rcakit" in line]
    assert told == []


def test_airflow_recipe_makes_one_task(monkeypatch):
    """The DAG is Python that makes one task with a command of rcakit; Airflow itself is not here."""
    made = []

    class Dag:
        def __init__(self, **given):
            assert given["catchup"] is False

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    def module(name, **names):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**names))

    module("airflow", DAG=Dag)
    module("pendulum", datetime=lambda *_, **__: None)
    for part in (
        "airflow.providers",
        "airflow.providers.standard",
        "airflow.providers.standard.operators",
    ):
        module(part)
    module(
        "airflow.providers.standard.operators.bash", BashOperator=lambda **given: made.append(given)
    )
    (recipe,) = [block for block in _blocks("python") if "airflow" in block]
    exec(compile(recipe, "recipe", "exec"), {})  # noqa: S102 - our own text
    (task,) = made
    _check_command(task["bash_command"].replace("{{ macros.ds_add(ds, -1) }}", "2026-03-31"))


def test_toml_recipes_have_known_keys():
    """The batch and the schedule of the docs are what the runner reads."""
    batch, schedule = (tomllib.loads(block) for block in _blocks("toml"))
    assert set(batch) - {"runs"} <= set(LIMITS)
    assert set(schedule) - {"schedules"} <= set(LIMITS)
    assert testing.NBVAL_SANITISER.is_file()
