"""Run one playbook, truthfully: complete outputs or none, and a status that never lies.

A run is built beside its place and moved in with one rename when it is complete. What failed lies
apart, below ``failed/``, with the notebook as far as it came.
"""

import datetime as dt
import importlib.metadata
import json
import logging
import os
import platform
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rcakit import errors
from rcakit.errors import PlaybookError
from rcakit.findings import Finding
from rcakit.playbook import Playbook
from rcakit.report import Answer, collect, compose, page
from rcakit.sources.fingerprint import fingerprint
from rcakit.validation import check_number

__all__ = ["Progress", "Run", "Status", "run"]

Status = Literal["ok", "failed", "timeout", "killed", "cancelled"]
# Called before each code cell with its number, the number of code cells, and the heading above it.
Progress = Callable[[int, int, str], None]

_VERSIONS = ("rcakit", "narwhals", "polars", "pandas", "numpy", "scipy", "papermill", "altair")


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
    """

    run_id: str
    playbook: str
    status: Status
    folder: Path
    findings: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None

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
) -> Run:
    """Run a playbook and write its report.

    Parameters
    ----------
    playbook
        What `rcakit.playbook.find` returned.
    parameters
        Values by name; checked before a kernel starts.
    out
        Folder below which ``<playbook>/<run_id>/`` is made, with ``report.html``,
        ``notebook.ipynb``, ``findings.json`` and ``run.json``.
    progress
        Called before each code cell.
    timeout
        Seconds after which the whole run is ended.

    Returns
    -------
    Run
        Its status is ``ok``; ``failed`` when a cell raised; ``timeout``; ``killed`` when the kernel
        died, for example for want of memory; ``cancelled`` after an interrupt or a request to
        terminate.

    Raises
    ------
    ParameterError
        A parameter is unknown or has a wrong value; nothing was started or written.
    PlaybookError
        The output folder cannot be written.
    """
    values = playbook.check(parameters or {})
    if timeout is not None:
        check_number(timeout, "timeout", gt=0, hint="It is in seconds.")
    started = dt.datetime.now(dt.UTC)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    home = _made(Path(out).absolute() / playbook.name)
    _clear_abandoned(home)
    staging = _made(home / f".{run_id}.{os.getpid()}.part")
    record: dict[str, Any] = {
        "run_id": run_id,
        "playbook": playbook.name,
        "status": "failed",
        "parameters": values,
        "data_fingerprint": fingerprint(values.get("source")),
        "started_at": started.isoformat(timespec="seconds"),
        "versions": _versions(),
    }
    try:
        error, status = _execute(playbook, values, staging / "notebook.ipynb", progress, timeout)
        record |= {"status": status, "finished_at": _now()}
        if error is not None:
            return _set_aside(staging, Path(out).absolute(), record, error)
        findings = _write_outputs(playbook, values, staging, record)
        staging.replace(home / run_id)
        _sync(home)
    except OSError as problem:
        raise PlaybookError(f"the report could not be written to {home}: {problem}.") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_if_empty(home)
    return Run(run_id, playbook.name, "ok", home / run_id, tuple(findings))


def _execute(
    playbook: Playbook,
    values: Mapping[str, Any],
    output: Path,
    progress: Progress | None,
    timeout: float | None,
) -> tuple[str | None, Status]:
    """Execute the notebook; return why it failed, if it did, and the status."""
    # jsonschema would build grammars of internationalised addresses: two seconds for nothing.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from papermill.exceptions import PapermillException, PapermillExecutionError

    from rcakit.kernels import KernelWatch

    # Papermill guesses parameters by a pattern and warns of those it misses; ours are checked already.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with _termination_as_interrupt(), KernelWatch(timeout) as watch:
            try:
                papermill.execute_notebook(
                    str(playbook.path),
                    str(output),
                    parameters=dict(values),
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    log_output=False,
                    kernel_manager_class=watch.manager_class,
                    on_cell_start=_teller(playbook, progress),
                )
            except RuntimeError as died:  # nbclient's DeadKernelError among them
                if watch.has_expired:
                    return f"it ran longer than the {timeout:g} seconds it was given", "timeout"
                return f"its kernel died ({str(died).partition(chr(10))[0]})", "killed"
            # A kernel that ends between two cells can leave a notebook that looks complete.
            if watch.has_expired:
                return f"it ran longer than the {timeout:g} seconds it was given", "timeout"
    except PapermillExecutionError as failed:
        return _reason(failed.ename, failed.evalue), "failed"
    except KeyboardInterrupt:
        return "it was cancelled", "cancelled"
    except PapermillException as failed:
        return _reason(type(failed).__name__, str(failed)), "failed"
    return None, "ok"


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Treat a request to terminate like one to interrupt, so that nothing is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _teller(playbook: Playbook, progress: Progress | None) -> Callable[..., None]:
    """Return a hook that says which code cell starts, under which heading."""
    n_cells = sum(cell.cell_type == "code" for cell in playbook.notebook.cells) + 1
    number, heading = 0, ""

    def tell(cell: Any, cell_index: int) -> None:
        nonlocal number, heading
        del cell_index
        if cell.cell_type == "markdown":
            heading = _heading(cell.source) or heading
            return
        number += 1
        if progress is not None:
            progress(number, n_cells, heading)

    return tell


def _heading(source: str) -> str:
    titles = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
    return titles[-1] if titles else ""


def _reason(name: str, message: str) -> str:
    """Say why a cell failed; errors that a user can mend stand for themselves."""
    first = message.strip().partition("\n")[0]
    return f"{name}: {first}" if hasattr(errors, name) else f"a cell raised {name}: {first[:500]}"


def _write_outputs(
    playbook: Playbook, values: Mapping[str, Any], staging: Path, record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Write findings, run record and page into the staging folder."""
    import nbformat

    notebook: nbformat.NotebookNode = nbformat.read(staging / "notebook.ipynb", as_version=4)
    findings = collect(notebook)
    _write(staging / "findings.json", _json(findings))
    _write(staging / "run.json", _json(record))
    meanings = [
        {"name": item.name, "value": str(values[item.name]), "meaning": item.comment}
        for item in playbook.parameters
    ]
    _write(staging / "report.html", page(notebook, findings, record, parameters=meanings))
    return findings


def _set_aside(staging: Path, out: Path, record: dict[str, Any], error: str) -> Run:
    """Move what a failed run left below ``failed/``, whole."""
    record = {**record, "error": error}
    _mark_cells_never_run(staging / "notebook.ipynb")
    _write(staging / "run.json", _json(record))
    home = _made(out / "failed" / record["playbook"])
    staging.replace(home / record["run_id"])
    return Run(
        record["run_id"],
        record["playbook"],
        record["status"],
        home / record["run_id"],
        error=error,
    )


def _mark_cells_never_run(path: Path) -> None:
    """Tell cells that ran from those that did not: papermill calls all of them completed."""
    if not path.exists():
        return
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.execution_count is None:
            cell.metadata["papermill"] = {"status": "never run"}
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "never-run"]
    nbformat.write(notebook, path)


def _clear_abandoned(home: Path) -> None:
    """Remove what a run left that was killed itself; its process number is in the name."""
    for folder in home.glob(".*.part"):
        owner = folder.name.split(".")[-2]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise PlaybookError(
            f"the folder {str(folder)!r} cannot be made: {problem.strerror}. Choose another --out."
        ) from None
    return folder


def _remove_if_empty(folder: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _write(path: Path, text: str) -> None:
    """Write a file and make sure that it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make sure that a rename is on the disk, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _VERSIONS}
    return {"python": platform.python_version(), **found}
