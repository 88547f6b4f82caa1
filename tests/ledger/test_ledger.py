"""Does the ledger keep what it is told, once, and give it back?"""

import sqlite3
import threading

import pytest

from rcakit.errors import PlaybookError
from rcakit.ledger import NAME, open_ledger

RUN = {
    "run_id": "20260401T060000Z-aaaaaa",
    "playbook": "metric_spike",
    "parameters": {"source": "reports.parquet", "window_days": 28},
    "status": "ok",
    "started_at": "2026-04-01T06:00:00+00:00",
    "path": "metric_spike/20260401T060000Z-aaaaaa",
}
FINDING = {
    "kind": "driver",
    "claim": "It is concentrated in Android.",
    "estimate": 12.5,
    "ci_lower": 9.0,
    "ci_upper": 16.0,
    "unit": "reports",
    "n_obs": 400,
    "strength": "strong",
    "segment": {"platform": "android"},
}


def _run(**changed):
    return {**RUN, **changed}


def test_rows_come_back_whole(tmp_path):
    """Parameters and segments come back as they were, not as text."""
    with open_ledger(tmp_path) as ledger:
        ledger.record(RUN, [FINDING])
    with open_ledger(tmp_path) as ledger:
        (row,) = ledger.runs()
        (finding,) = ledger.findings(RUN["run_id"])
    assert row["parameters"] == RUN["parameters"]
    assert (row["attempts"], row["verdict"], row["error"]) == (1, None, None)
    assert (finding["position"], finding["segment"]) == (0, FINDING["segment"])
    assert finding["record"] == FINDING


def test_recording_again_changes_one_row(tmp_path):
    """A run has one row: what is said later replaces, what is left out stays."""
    with open_ledger(tmp_path) as ledger:
        ledger.record(_run(status="running"))
        ledger.record({"run_id": RUN["run_id"], **_run(status="ok")}, [FINDING, FINDING])
        ledger.record(_run(verdict="localised"), [FINDING])
        (row,) = ledger.runs()
        assert len(ledger.findings()) == 1
    assert (row["status"], row["verdict"]) == ("ok", "localised")


def test_files_carry_their_hashes(tmp_path):
    """Every file of a run is listed with its size and its hash."""
    folder = tmp_path / RUN["path"]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    with open_ledger(tmp_path) as ledger:
        ledger.record(RUN)
        (file,) = ledger.files(RUN["run_id"])
    assert (file["path"], file["bytes"], file["sha256"][:8]) == ("run.json", 2, "44136fa3")


def test_filters_and_order_hold(tmp_path):
    """The newest comes first, and filters leave out the rest."""
    with open_ledger(tmp_path) as ledger:
        for hour in range(3):
            status = "failed" if hour == 1 else "ok"
            started = f"2026-04-01T0{hour}:00:00+00:00"
            ledger.record(_run(run_id=f"run{hour}", started_at=started, status=status))
        assert [row["run_id"] for row in ledger.runs()] == ["run2", "run1", "run0"]
        assert [row["run_id"] for row in ledger.runs(status="ok", limit=1)] == ["run2"]
        assert ledger.runs(playbook="other") == []


def test_runs_are_found_by_start(tmp_path):
    """A few characters of an id are enough when only one run has them."""
    with open_ledger(tmp_path) as ledger:
        ledger.record(_run(run_id="abc1"))
        ledger.record(_run(run_id="abd2", started_at="2026-04-02T06:00:00+00:00"))
        assert ledger.find("abc")["run_id"] == "abc1"
        assert ledger.find("last")["run_id"] == "abd2"
        for start, message in (("ab", "2 runs"), ("x", "no runs"), ("%", "no runs")):
            with pytest.raises(PlaybookError, match=f"{message} have an id"):
                ledger.find(start)


def test_writers_wait_their_turn(tmp_path):
    """Many threads that record at once lose nothing."""

    def write(number):
        with open_ledger(tmp_path) as ledger:
            for step in range(5):
                ledger.record(_run(run_id=f"run{number}-{step}"), [FINDING])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_ledger(tmp_path) as ledger:
        assert len(ledger.runs()) == len(ledger.findings()) == 30


def test_reading_makes_no_file(tmp_path):
    """Asking for runs where none are leaves the folder as it was."""
    with open_ledger(tmp_path / "none", create=False) as ledger:
        assert ledger.runs() == []
    assert not (tmp_path / "none").exists()


def test_ledger_writes_ahead(tmp_path):
    """Readers and a writer do not block each other, and closing leaves one file."""
    with open_ledger(tmp_path) as ledger:
        ledger.record(RUN)
        mode = sqlite3.connect(tmp_path / NAME).execute("PRAGMA journal_mode").fetchone()
        assert mode == ("wal",)


def test_broken_ledgers_are_refused(tmp_path):
    """A file that is no database is named, with what to do."""
    (tmp_path / NAME).write_text("not a database, but long enough to be looked at as one" * 9)
    with pytest.raises(PlaybookError, match=r"cannot be opened.*move the file away"):
        open_ledger(tmp_path)


def test_jobs_resume_until_closed(tmp_path):
    """An unfinished job is taken up again; a finished one is not."""
    with open_ledger(tmp_path) as ledger:
        assert ledger.open_job("hash", "one", "2026-04-01") == "one"
        assert ledger.open_job("hash", "two", "2026-04-02") == "one"
        ledger.close_job("one", "2026-04-02")
        assert ledger.open_job("hash", "two", "2026-04-02") == "two"
