"""Does a run tell the truth however it ends?"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from rcakit import playbook, runner
from rcakit.runner import single

CELLS = {
    "error": "raise ValueError('no')",
    "endless": "import time\ntime.sleep(600)",
    "death": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "leaving": "import sys\nsys.exit(0)",
}


def book(folder: Path, cell: str) -> Path:
    """Write a playbook of three cells of which the middle one has a fault."""
    notebook = nbformat.v4.new_notebook()
    parameters = nbformat.v4.new_code_cell("days: int = 7  # days, 1–9")
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells = [
        parameters,
        nbformat.v4.new_code_cell(CELLS.get(cell, cell)),
        nbformat.v4.new_code_cell("done = True"),
    ]
    path = folder / "fault.ipynb"
    nbformat.write(notebook, path)
    return path


def left_behind(out: Path) -> list[str]:
    """List what a run left where only complete reports belong."""
    return [path.name for path in (out / "fault").glob("*")] if (out / "fault").exists() else []


@pytest.mark.parametrize(
    ("cell", "timeout", "status", "words"),
    [
        ("error", None, "failed", "raised ValueError: no"),
        ("endless", 4.0, "timeout", "longer than the 4 seconds"),
        ("death", None, "killed", "kernel died"),
        ("leaving", None, "failed", "left by SystemExit"),
    ],
)
def test_status_tells_how_it_ended(tmp_path, cell, timeout, status, words):
    """The status is the runner's own, and what failed lies apart with its notebook."""
    found = playbook.find(str(book(tmp_path, cell)))
    ended = runner.run(found, out=tmp_path / "out", timeout=timeout)
    assert ended.status == status
    assert words in str(ended.error)
    assert left_behind(tmp_path / "out") == []
    assert json.loads((ended.folder / "run.json").read_text())["status"] == status
    cells = nbformat.read(ended.folder / "notebook.ipynb", as_version=4).cells
    assert cells[-1].metadata["papermill"]["status"] == "never run"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_cancel_without_traces(tmp_path, sent):
    """An interrupt or a request to terminate ends the run and its kernel, with exit code 130."""
    process = start(tmp_path)
    process.send_signal(sent)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelled" in told
    assert "Traceback" not in told
    assert left_behind(tmp_path / "out") == []
    assert kernels_below(tmp_path) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_early_signals_say_cancelled(tmp_path, sent):
    """Before a run has begun, too, an interrupt is 130 and never 1, which would mean failed."""
    code = "import os, sys; sys.argv = ['rcakit', 'list']\nfrom rcakit import cli, playbook\n"
    code += f"playbook.available = lambda: os.kill(os.getpid(), {int(sent)}) or []\ncli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "cancelled" in done.stderr


def test_deadline_counts_the_pages(tmp_path, monkeypatch):
    """A run whose pages take too long is a timeout, and shows no report."""
    slow = lambda *_, **__: time.sleep(1.5) or []  # noqa: E731 - one line says it
    monkeypatch.setattr("rcakit.runner.single._write_outputs", slow)
    monkeypatch.setattr("rcakit.runner.single.execute", lambda *_, **__: single.Ending("ok"))
    found = playbook.find(str(book(tmp_path, "done = 1")))
    ended = runner.run(found, out=tmp_path / "out", timeout=1.0)
    assert ended.status == "timeout"
    assert "pages were not made within the 1 seconds" in str(ended.error)
    assert left_behind(tmp_path / "out") == []


def test_killed_runner_is_cleaned_up(tmp_path):
    """After kill -9 nothing looks like a report, the kernel ends, and the next run tidies up."""
    process = start(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    assert all(name.endswith(".part") for name in left_behind(tmp_path / "out"))
    runner.run(playbook.find(str(book(tmp_path, "done = 1"))), out=tmp_path / "out")
    assert [name for name in left_behind(tmp_path / "out") if name.endswith(".part")] == []
    deadline = time.monotonic() + 20
    while kernels_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert kernels_below(tmp_path) == []


def start(folder: Path) -> "subprocess.Popen[str]":
    """Start a run that would never end, and wait until its kernel is busy."""
    marker = folder / "busy"
    cell = f"open({str(marker)!r}, 'w').close()\nimport time\ntime.sleep(600)"
    command = [sys.executable, "-m", "rcakit", "run", str(book(folder, cell))]
    process = subprocess.Popen(
        [*command, "--out", str(folder / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "RCAKIT_TEST": str(folder)},
    )
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert marker.exists()
    return process


def kernels_below(folder: Path) -> list[int]:
    """Return the kernels that a test started and that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"RCAKIT_TEST={folder}".encode() in (entry / "environ").read_bytes()
            is_kernel = b"ipykernel_launcher" in (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if is_ours and is_kernel:
            found.append(int(entry.name))
    return found
