"""Does a batch run everything once, whatever happens to it on the way?"""

import os
import signal
import subprocess
import sys
import time

import pytest

from rcakit import runner
from rcakit.errors import ParameterError, PlaybookError
from rcakit.ledger import open_ledger
from rcakit.runner.batch import exclusive, read_batch

FLAKY = """
from pathlib import Path
marker = Path(folder) / f"tried-{i}"
is_second = marker.exists()
marker.write_text("")
if i == 1 and not is_second or i == 2:
    raise ValueError("not yet")
"""


def _write(path, text):
    path.write_text(text)
    return path


def _grid(book, values, head=""):
    return f'{head}\n[[runs]]\nplaybook = "{book}"\n[runs.grid]\ni = {values}\n'


def test_failures_are_tried_again(tmp_path, write_book):
    """A try that fails is repeated as the same run; one that never succeeds fails alone."""
    parameters = 'i: int = 0  # any\nfolder: str = ""  # where'
    book = write_book(FLAKY, parameters=parameters)
    head = "max_parallel = 3\nretries = 1"
    text = _grid(book, "[1, 2, 3, 3]", head) + f'[runs.parameters]\nfolder = "{tmp_path}"\n'
    done = runner.run_batch(_write(tmp_path / "b.toml", text), out=tmp_path / "out")
    with open_ledger(tmp_path / "out") as ledger:
        rows = {row["parameters"]["i"]: row for row in ledger.runs()}
    assert {i: (row["status"], row["attempts"]) for i, row in rows.items()} == {
        1: ("ok", 2), 2: ("failed", 2), 3: ("ok", 1)
    }  # fmt: skip
    assert not done.is_ok
    assert str(done).startswith("3 runs: 1 failed, 2 ok.\n  failed: small")
    assert "not yet" in str(done)


def test_killed_batches_are_taken_up(tmp_path, write_book):
    """After kill -9 the same command ends the batch: each run once, nothing left behind."""
    book = write_book("import time\ntime.sleep(i)")
    file = _write(tmp_path / "b.toml", _grid(book, "[0, 2, 1]", "max_parallel = 1"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "rcakit", "batch", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the first has ended
    time.sleep(0.5)
    process.kill()
    process.communicate()
    done = runner.run_batch(file, out=out)
    with open_ledger(out) as ledger:
        rows = ledger.runs()
    assert sorted(row["parameters"]["i"] for row in rows) == [0, 1, 2]
    assert {row["status"] for row in rows} == {"ok"}
    assert str(done).startswith("3 runs: 1 done before, 2 ok")
    assert sorted(p.name for p in (out / "small").iterdir()) == sorted(r["run_id"] for r in rows)
    assert str(runner.run_batch(file, out=out)) == "3 runs: 3 done before."


def test_interrupts_end_the_batch(tmp_path, write_book):
    """An interrupt ends the runs at work as cancelled and begins no other."""
    book = write_book(
        f"open({str(tmp_path / 'busy')!r}, 'w').close()\nimport time\ntime.sleep(600)"
    )
    file = _write(tmp_path / "b.toml", _grid(book, "[1, 2, 3]", "max_parallel = 2"))
    command = [sys.executable, "-m", "rcakit", "batch", str(file), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "busy").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.startswith("3 runs: 2 cancelled, 1 not begun.")
    with open_ledger(tmp_path / "out") as ledger:
        assert [row["status"] for row in ledger.runs()] == ["cancelled", "cancelled"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_parallel = ", "must be TOML"),
        ("max_paralel = 2", "unknown key 'max_paralel'.*Did you mean 'max_parallel'"),
        ("max_parallel = 0", r"must have at least one \[\[runs\]\]"),
        (
            "max_parallel = 0\n[[runs]]\nplaybook = 'BOOK'",
            "max_parallel must be a number between 1 and 64",
        ),
        ("[[runs]]\nplay = 'BOOK'", "unknown key 'play'"),
        ("[[runs]]\nparameters = {}", "must name its playbook"),
        ("[[runs]]\nplaybook = 'BOOK'\n[runs.grid]\ni = 3", "i must be a list of values"),
        ("[[runs]]\nplaybook = 'BOOK'\n[runs.grid]\nk = [3]", "has no parameter 'k'"),
        ("[[runs]]\nplaybook = 'BOOK'\n[runs.grid]\ni = ['x']", "i must be int"),
        (
            "[[runs]]\nplaybook = 'BOOK'\n[runs.parameters]\ni = 1\n[runs.grid]\ni = [3]",
            "not both",
        ),
    ],
)
def test_wrong_files_start_nothing(tmp_path, write_book, text, message):
    """Everything in a batch file is checked before anything runs."""
    file = _write(tmp_path / "b.toml", text.replace("BOOK", str(write_book("1"))))
    with pytest.raises(ParameterError, match=message):
        runner.run_batch(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_grids_make_every_combination(tmp_path, write_book):
    """A grid is every combination, with the fixed parameters, each once."""
    book = write_book("1", parameters="i: int = 0  # any\nk: str = ''  # any\nx: int = 1  # any")
    text = f'[[runs]]\nplaybook = "{book}"\n[runs.parameters]\nx = 5\n[runs.grid]\n'
    batch = read_batch(_write(tmp_path / "b.toml", text + 'i = [1, 2, 1]\nk = ["a", "b"]\n'))
    made = [(item.values["i"], item.values["k"], item.values["x"]) for item in batch.items]
    assert made == [(1, "a", 5), (1, "b", 5), (2, "a", 5), (2, "b", 5)]


def test_batches_exclude_each_other(tmp_path, write_book):
    """Two commands never work off the same file at once."""
    file = _write(tmp_path / "b.toml", _grid(write_book("1"), "[1]"))
    with exclusive(file), pytest.raises(PlaybookError, match="by another rcakit now"):
        runner.run_batch(file, out=tmp_path / "out")
