"""Run one playbook, truthfully: complete outputs or none, and a status that never lies.

A run is built beside its place and moved in with one rename when it is complete. What failed lies
apart, below ``failed/``, with the notebook as far as it came. The ledger keeps every run.
"""

import datetime as dt
import hashlib
import importlib.metadata
import logging
import platform
import secrets
import shutil
import sqlite3
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import rcakit
from rcakit.errors import PlaybookError
from rcakit.findings import Finding
from rcakit.kernels import Stop
from rcakit.ledger import Ledger, open_ledger
from rcakit.playbook import Playbook
from rcakit.redaction import Redactor, check_no_secrets
from rcakit.report import Answer, analyst_page, collect, compose, page
from rcakit.runner import folders, personal
from rcakit.runner.execution import Ending, execute, mark_cells_never_run
from rcakit.runner.folders import Place
from rcakit.runner.signals import termination_as_interrupt, uninterrupted
from rcakit.validation import check_number

__all__ = ["Progress", "Run", "Status", "begun", "mend", "run", "unchanged"]

Status = Literal["ok", "failed", "timeout", "killed", "cancelled"]
# Called before each code cell with its number, the number of code cells, and the heading above it.
Progress = Callable[[int, int, str], None]

_VERSIONS = ("narwhals", "polars", "pandas", "numpy", "scipy", "papermill", "altair")
_PACKAGE = Path(__file__).resolve().parents[1]

_log = logging.getLogger("rcakit")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a playbook.

    Attributes
    ----------
    run_id, playbook, status
        What ran, and how it ended.
    folder
        Where its files are.
    findings
        What it published, as records.
    error
        Why it failed; None when it did not.
    is_reused
        Whether nothing was run, because this earlier run had all the same before it.
    """

    run_id: str
    playbook: str
    status: Status
    folder: Path
    findings: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None
    is_reused: bool = False

    @property
    def report(self) -> Path:
        """The reader's page."""
        return self.folder / "report.html"

    @property
    def answer(self) -> Answer:
        """The answer in at most three sentences."""
        return compose([Finding.from_record(record) for record in self.findings])


def run(
    playbook: Playbook,
    parameters: Mapping[str, Any] | None = None,
    *,
    out: str | Path = "reports",
    progress: Progress | None = None,
    timeout: float | None = None,
    reuse: bool = False,
    stop: Stop | None = None,
    note: Mapping[str, Any] | None = None,
) -> Run:
    """Run a playbook, write its report and enter it in the ledger.

    Parameters
    ----------
    playbook
        What `rcakit.playbook.find` returned.
    parameters
        Values by name; checked before a kernel starts.
    out
        Folder below which ``<playbook>/<run_id>/`` is made, with ``report.html``,
        ``analyst.html``, ``notebook.ipynb``, ``findings.json`` and ``run.json``.
    progress
        Called before each code cell.
    timeout
        Seconds after which the whole run is ended; the making of its pages counts.
    reuse
        Return the newest complete run instead, when playbook, parameters, data and versions are
        those of that run. Data that cannot be fingerprinted are never taken for unchanged.
    stop
        Through which another thread can cancel the run.
    note
        For batches and schedules: ``run_id``, ``job``, ``attempts`` and ``logical_date``.

    Returns
    -------
    Run
        Its status is ``ok``; ``failed`` when a cell raised or the disk was full; ``timeout``;
        ``killed`` when the kernel died, for example for want of memory; ``cancelled`` after an
        interrupt or a request to terminate.

    Raises
    ------
    ParameterError
        A parameter is unknown or has a wrong value; nothing was started or written.
    PlaybookError
        The output folder or the ledger cannot be written.
    """
    values = playbook.check(parameters or {})
    check_no_secrets(iter(values))
    if timeout is not None:
        check_number(timeout, "timeout", gt=0, hint="It is in seconds.")
    home = folders.made(Path(out).absolute())
    record = begun(playbook, values, note or {})
    with open_ledger(home) as ledger:
        mend(ledger, home)
        earlier = unchanged(ledger, home, record) if reuse else None
        if earlier is not None:
            return earlier
        with termination_as_interrupt():
            return _run(playbook, values, record, ledger, home, progress, timeout, stop)


def _run(
    playbook: Playbook,
    values: Mapping[str, Any],
    record: dict[str, Any],
    ledger: Ledger,
    out: Path,
    progress: Progress | None,
    timeout: float | None,
    stop: Stop | None,
) -> Run:
    place = folders.place_of(out, record)
    # A run that is taken up again keeps its id; its complete report is never built over.
    if place.final.exists():
        raise PlaybookError(f"run {record['run_id']} exists already in {place.final}.")
    ending = Ending("failed")
    began = time.monotonic()
    try:
        with folders.staged(place) as staging:
            try:
                folders.write(staging / "run.json", folders.as_json(record))
                _enter(ledger, record)
                ending = execute(
                    playbook,
                    values,
                    staging / "notebook.ipynb",
                    progress=progress,
                    timeout=timeout,
                    stop=stop,
                )
                if ending.status == "ok":
                    findings = _write_outputs(playbook, values, staging, record, ending.redactor)
                    if timeout is None or time.monotonic() - began <= timeout:
                        return _published(place, record, findings, ledger)
                    reason = f"its pages were not made within the {timeout:g} seconds it was given"
                    ending = Ending("timeout", reason, ending.redactor)
            except OSError as problem:
                reason = f"the report could not be written to {place.home}: {problem}"
                ending = Ending("failed", reason, ending.redactor)
            except KeyboardInterrupt:
                ending = Ending("cancelled", "it was cancelled", ending.redactor)
            except PlaybookError:
                raise
            except Exception as problem:  # noqa: BLE001 - whatever it is, the notebook is kept
                record["traceback"] = traceback.format_exc()
                reason = f"the report could not be made: {type(problem).__name__}: {problem}"
                ending = Ending("failed", reason, ending.redactor)
            return _set_aside(place, record, ending, ledger)
    except OSError as problem:
        raise PlaybookError(
            f"the report could not be written to {place.home}: {problem}."
        ) from None


def unchanged(
    ledger: Ledger, out: Path, record: Mapping[str, Any], *, is_closed: bool = False
) -> Run | None:
    """Return the newest complete run that had all the same before it, if its report is still there.

    Parameters
    ----------
    ledger, out
        Where to look.
    record
        ``playbook``, ``playbook_hash``, ``parameters``, ``data_fingerprint`` and ``versions``.
    is_closed
        Whether the playbook is known to read no data beyond those of the fingerprint.
    """
    if record["data_fingerprint"] is None and not is_closed:
        return None
    row = ledger.find_same(record)
    place = row and folders.place_of(out, row)
    if not row or not place or not place.final.is_dir():
        return None
    findings = tuple(folders.read_findings(place.final))
    return Run(row["run_id"], row["playbook"], "ok", place.final, findings, is_reused=True)


def mend(ledger: Ledger, out: Path) -> None:
    """Bring ledger and folders in line after a runner was killed: none of its runs is left unsaid.

    A run that was moved into its place is entered as it ended; one that was still being built is
    set aside as killed, with its notebook as far as it came.
    """
    for row in ledger.runs(status="running"):
        place = folders.place_of(out, row)
        with folders.abandoned(place.staging) as is_abandoned:
            if not is_abandoned:
                continue
            for folder in (place.final, place.failed):
                record = folders.read_record(folder)
                if record and record["status"] != "running" and not place.staging.exists():
                    findings = folders.read_findings(folder)
                    _enter(ledger, record, findings, folder, if_status="running")
                    break
            else:
                _enter_killed(ledger, place, folders.read_record(place.staging) or row)
    for staging in out.glob("*/.*.part"):  # of runs that the ledger had not heard of yet
        with folders.abandoned(staging) as is_abandoned:
            record = folders.read_record(staging)
            if is_abandoned and record:
                _enter_killed(ledger, folders.place_of(out, record), record)
            elif is_abandoned and staging.exists() and _age_seconds(staging) > 60:
                shutil.rmtree(staging, ignore_errors=True)


def _enter_killed(ledger: Ledger, place: Place, known: Mapping[str, Any]) -> None:
    error = "the runner itself was killed"
    record = {**known, "status": "killed", "error": error, "finished_at": _now()}
    folder = None
    if place.staging.exists():
        mark_cells_never_run(place.staging / "notebook.ipynb")
        folder = folders.set_aside(place, record)
        folders.remove_if_empty(place.home)
    if folder is not None or ledger.runs(run_id=record["run_id"]):
        _enter(ledger, record, [], folder, if_status="running")


def _age_seconds(folder: Path) -> float:
    return time.time() - folder.stat().st_mtime


def begun(playbook: Playbook, values: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run that begins now."""
    started = dt.datetime.now(dt.UTC)
    return {
        "run_id": f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        "playbook": playbook.name,
        "status": "running",
        "parameters": Redactor().tree(values),
        "data_fingerprint": _data_fingerprint(values),
        "playbook_hash": _playbook_hash(playbook),
        "started_at": started.isoformat(timespec="milliseconds"),
        "versions": _versions(),
        "attempts": 1,
        **note,
    }


def _write_outputs(
    playbook: Playbook,
    values: Mapping[str, Any],
    staging: Path,
    record: dict[str, Any],
    redactor: Redactor,
) -> list[dict[str, Any]]:
    """Write findings, run record and page into the staging folder, without secrets."""
    import nbformat

    notebook: nbformat.NotebookNode = nbformat.read(staging / "notebook.ipynb", as_version=4)
    findings = collect(notebook)
    record["personal"] = personal.found(values, notebook, findings)
    record |= redactor.tree(record) | _finished("ok", record["started_at"])
    folders.write(staging / "findings.json", folders.as_json(findings))
    folders.write(staging / "run.json", folders.as_json(record))
    meanings = [
        {
            "name": item.name,
            "value": redactor.text(str(values[item.name])),
            "meaning": item.comment,
        }
        for item in playbook.parameters
    ]
    for name, make in (("report", page), ("analyst", analyst_page)):
        html = make(notebook, findings, record, parameters=meanings)
        folders.write(staging / f"{name}.html", html)
    redactor.sweep(staging)
    return findings


def _published(
    place: Place, record: Mapping[str, Any], findings: list[dict[str, Any]], ledger: Ledger
) -> Run:
    """Move a complete run into its place and enter it; an interrupt comes too late now."""
    with uninterrupted():
        folders.publish(place)
        _enter(ledger, record, findings, place.final)
    return Run(record["run_id"], record["playbook"], "ok", place.final, tuple(findings))


def _set_aside(place: Place, record: dict[str, Any], ending: Ending, ledger: Ledger) -> Run:
    """Keep what a run left that did not come to its end."""
    error = ending.redactor.text(ending.error or "it failed")
    finished = {**_finished(ending.status, record["started_at"]), "error": error}
    record = {**ending.redactor.tree(record), **finished}
    with uninterrupted():
        ending.redactor.sweep(place.staging)
        folders.release_reserve(place.staging)
        with suppress(OSError):  # on a full disk it is kept as it is
            mark_cells_never_run(place.staging / "notebook.ipynb")
        folder = folders.set_aside(place, record)
        _enter(ledger, record, [], folder)
    return Run(record["run_id"], record["playbook"], ending.status, folder, error=error)


def _enter(
    ledger: Ledger,
    record: Mapping[str, Any],
    findings: list[dict[str, Any]] | None = None,
    folder: Path | None = None,
    *,
    if_status: str | None = None,
) -> None:
    """Enter a run in the ledger; one that has ended is safe in its folder if that fails."""
    row = {**record, "ended_at": record.get("finished_at")}
    if folder is not None:
        row["path"] = folder.relative_to(ledger.out).as_posix()
    if findings:
        built = [Finding.from_record(item) for item in findings]
        verdict = next((item for item in built if item.kind == "verdict"), None)
        row["answer"] = "\n".join(compose(built).sentences)
        if verdict is not None:
            row |= {"verdict": verdict.verdict, "strength": verdict.strength}
    try:
        ledger.record(row, findings, if_status=if_status)
    except sqlite3.Error as problem:
        if folder is None:
            raise PlaybookError(f"the ledger could not be written: {problem}.") from None
        _log.warning("run %s is not in the ledger yet: %s", record["run_id"], problem)


def _finished(status: Status, started_at: str) -> dict[str, Any]:
    seconds = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(started_at)).total_seconds()
    return {"status": status, "finished_at": _now(), "seconds": round(seconds, 2)}


def _data_fingerprint(values: Mapping[str, Any]) -> str | None:
    """Return a hash of all files that the parameters name; None where any data are elsewhere."""
    texts = [text for value in values.values() for text in _texts(value)]
    if not texts:
        return None
    from rcakit.sources.fingerprint import fingerprint

    found = {text: fingerprint(text) for text in dict.fromkeys(texts)}
    source = values.get("source")
    if any("://" in text for text in texts) or (isinstance(source, str) and not found[source]):
        return None
    known = [item for item in found.values() if item]
    if len(known) < 2:
        return known[0] if known else None
    return f"sha256:{hashlib.sha256(' '.join(known).encode()).hexdigest()[:32]}"


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _playbook_hash(playbook: Playbook) -> str:
    try:
        content = playbook.path.read_bytes()
    except OSError as problem:
        raise PlaybookError(f"{playbook.path.name} cannot be read: {problem}.") from None
    return f"sha256:{hashlib.sha256(content).hexdigest()[:32]}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _VERSIONS}
    return {
        "python": platform.python_version(),
        "rcakit": f"{rcakit.__version__} (source {_code_hash()})",
        **found,
    }


def _code_hash() -> str:
    """Return a hash of rcakit's own source: in a checkout it changes without its version."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
