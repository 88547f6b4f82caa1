"""The ledger: every run, what it found and which files it wrote, in ``reports/ledger.sqlite``.

The folders of the runs hold the truth; the ledger is the index over them that makes questions
cheap: what ran, what is unchanged, what did the run before find.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rcakit.errors import PlaybookError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAME", "Ledger", "open_ledger"]

NAME = "ledger.sqlite"

_COLUMNS = {
    "runs": (
        "run_id", "playbook", "parameters", "status", "started_at", "ended_at", "seconds",
        "logical_date", "data_fingerprint", "playbook_hash", "versions", "verdict", "strength",
        "answer", "path", "error", "attempts", "job",
    ),
    "findings": (
        "run_id", "position", "kind", "claim", "estimate", "ci_lower", "ci_upper", "unit", "n_obs",
        "strength", "segment", "change_id", "verdict", "record",
    ),
    "files": ("run_id", "path", "sha256", "bytes"),
    "jobs": ("job", "source", "started_at", "ended_at"),
}  # fmt: skip
_JSON = {"parameters", "versions", "segment", "record"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  run_id TEXT PRIMARY KEY,
  playbook TEXT NOT NULL,
  parameters TEXT NOT NULL,      -- JSON
  status TEXT NOT NULL,          -- running, ok, failed, timeout, killed, cancelled
  started_at TEXT NOT NULL,      -- UTC, ISO
  ended_at TEXT,
  seconds REAL,
  logical_date TEXT,             -- the day that a scheduled run is about
  data_fingerprint TEXT,
  playbook_hash TEXT,
  versions TEXT,                 -- JSON
  verdict TEXT,
  strength TEXT,
  answer TEXT,
  path TEXT,                     -- folder of the run, below the ledger's folder
  error TEXT,
  attempts INTEGER NOT NULL DEFAULT 1,
  job TEXT                       -- the batch or schedule that asked for it
);
CREATE INDEX IF NOT EXISTS runs_by_playbook ON runs (playbook, started_at);
CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status, started_at);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job);
CREATE TABLE IF NOT EXISTS findings (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  position INTEGER NOT NULL,     -- in published order, from 0
  kind TEXT NOT NULL,
  claim TEXT NOT NULL,
  estimate REAL, ci_lower REAL, ci_upper REAL, unit TEXT, n_obs INTEGER,
  strength TEXT,
  segment TEXT,                  -- JSON
  change_id TEXT,
  verdict TEXT,
  record TEXT NOT NULL,          -- JSON: the whole finding
  PRIMARY KEY (run_id, position)
);
CREATE TABLE IF NOT EXISTS files (
  run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (run_id, path)
);
CREATE TABLE IF NOT EXISTS jobs (
  job TEXT PRIMARY KEY,
  source TEXT NOT NULL,          -- what was asked for, as a hash
  started_at TEXT NOT NULL,
  ended_at TEXT                  -- null while it is unfinished
);
"""
# Several runners may write at once: each waits this long for its turn.
_PATIENCE_SECONDS = 60.0


class Ledger:
    """The runs below one folder of reports; use it in a ``with`` statement.

    Parameters
    ----------
    connection
        An open database with the tables.
    out
        Folder of the reports.
    """

    def __init__(self, connection: sqlite3.Connection, out: Path) -> None:
        self._connection = connection
        self.out = out

    def __enter__(self) -> Self:
        """Return the ledger."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._connection.close()

    def record(
        self,
        run: Mapping[str, Any],
        findings: Sequence[Mapping[str, Any]] | None = None,
        *,
        if_status: str | None = None,
    ) -> None:
        """Write one run: a new row, or the same row again with what is known now.

        Parameters
        ----------
        run
            Columns of ``runs`` by name; ``run_id``, ``playbook``, ``parameters``, ``status`` and
            ``started_at`` must be among them. What else is left out keeps its value. With
            ``path``, the files in that folder are listed with their hashes.
        findings
            Records, in published order; None leaves them as they are.
        if_status
            Leave a run alone that is known with another status.
        """
        known = {name: _stored(name, run[name]) for name in _COLUMNS["runs"] if name in run}
        with self._writing():
            before = self.runs(run_id=run["run_id"]) if if_status else []
            if before and before[0]["status"] != if_status:
                return
            self._upsert(known)
            if findings is not None:
                self._replace("findings", run["run_id"], _finding_rows(run["run_id"], findings))
            if run.get("path") and run.get("status") != "running":
                folder = self.out / str(run["path"])
                self._replace("files", run["run_id"], _file_rows(run["run_id"], folder))

    def runs(
        self,
        *,
        run_id: str | None = None,
        playbook: str | None = None,
        status: str | None = None,
        job: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return runs as plain dictionaries, the newest first.

        Parameters
        ----------
        run_id, playbook, status, job
            Only runs that have this value.
        limit
            At most this many.
        """
        given = {"run_id": run_id, "playbook": playbook, "status": status, "job": job}
        wanted = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        order = "ORDER BY started_at DESC, run_id DESC LIMIT ?"
        return self._select("runs", f"WHERE {where} {order}", [*wanted.values(), limit or -1])

    def findings(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """Return the findings of one run, or of all, in published order."""
        where = "" if run_id is None else "WHERE run_id = ?"
        values = [] if run_id is None else [run_id]
        return self._select("findings", f"{where} ORDER BY run_id, position", values)

    def files(self, run_id: str) -> list[dict[str, Any]]:
        """Return the files of a run with their hashes and sizes."""
        return self._select("files", "WHERE run_id = ? ORDER BY path", [run_id])

    def find(self, start: str) -> dict[str, Any]:
        """Return the run whose id begins with these characters; ``last`` is the newest.

        Raises
        ------
        PlaybookError
            There is none, or more than one.
        """
        if start == "last":
            found = self.runs(limit=1)
        else:
            escaped = start.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            found = self._select("runs", "WHERE run_id LIKE ? ESCAPE '\\'", [f"{escaped}%"])
        if len(found) != 1:
            raise PlaybookError(
                f"{len(found) or 'no'} runs have an id that begins with {start!r}. "
                "`rcakit runs` lists them."
            )
        return found[0]

    def find_same(self, run: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the newest complete run with this playbook, parameters, data and versions."""
        names = ("playbook", "playbook_hash", "parameters", "data_fingerprint", "versions")
        where = " AND ".join(f"{name} IS ?" for name in names)
        order = "AND status = 'ok' ORDER BY started_at DESC LIMIT 1"
        found = self._select(
            "runs", f"WHERE {where} {order}", [_stored(name, run[name]) for name in names]
        )
        return found[0] if found else None

    def open_job(self, source: str, job: str, started_at: str) -> str:
        """Return the unfinished job of this source, or begin a new one under the name ``job``."""
        unfinished = "WHERE source = ? AND ended_at IS NULL ORDER BY started_at DESC LIMIT 1"
        with self._writing():
            found = self._select("jobs", unfinished, [source])
            if found:
                return str(found[0]["job"])
            self._insert("jobs", [(job, source, started_at, None)])
        return job

    def close_job(self, job: str, ended_at: str) -> None:
        """Say that a job has come to its end."""
        with self._writing():
            self._connection.execute("UPDATE jobs SET ended_at = ? WHERE job = ?", [ended_at, job])

    @contextmanager
    def _writing(self) -> "Iterator[None]":
        """Write all of it or nothing; the lock is taken at once, so that two never wait crosswise."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _upsert(self, known: Mapping[str, Any]) -> None:
        names, places = ", ".join(known), ", ".join("?" * len(known))
        changed = ", ".join(f"{name} = excluded.{name}" for name in known)
        self._connection.execute(
            f"INSERT INTO runs ({names}) VALUES ({places}) "  # noqa: S608 - names are our columns
            f"ON CONFLICT (run_id) DO UPDATE SET {changed}",
            list(known.values()),
        )

    def _replace(self, table: str, run_id: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.execute(
            f"DELETE FROM {table} WHERE run_id = ?",  # noqa: S608 - one of our tables
            [run_id],
        )
        self._insert(table, rows)

    def _insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(_COLUMNS[table]))
        names = ", ".join(_COLUMNS[table])
        self._connection.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({places})",  # noqa: S608 - our tables
            rows,
        )

    def _select(self, table: str, rest: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        names = _COLUMNS[table]
        found = self._connection.execute(
            f"SELECT {', '.join(names)} FROM {table} {rest}",  # noqa: S608 - our tables
            list(values),
        )
        return [
            {name: _read(name, value) for name, value in zip(names, row, strict=True)}
            for row in found
        ]


def open_ledger(out: str | Path, *, create: bool = True) -> Ledger:
    """Open the ledger of a folder of reports.

    Parameters
    ----------
    out
        Folder of the reports.
    create
        Make the ledger where there is none; otherwise an empty one is read.

    Raises
    ------
    PlaybookError
        It cannot be opened.
    """
    folder = Path(out).absolute()
    path = folder / NAME
    place = str(path) if create or path.exists() else ":memory:"
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(place, timeout=_PATIENCE_SECONDS, isolation_level=None)
        # Write-ahead: readers never wait, and a kill leaves the last complete row.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_SCHEMA)
    except (sqlite3.Error, OSError) as problem:
        raise PlaybookError(
            f"the ledger {str(path)!r} cannot be opened: {problem}. Choose another --out, "
            "or move the file away."
        ) from None
    return Ledger(connection, folder)


def _finding_rows(
    run_id: str, findings: Sequence[Mapping[str, Any]]
) -> "Iterator[tuple[Any, ...]]":
    for position, finding in enumerate(findings):
        row = {**finding, "run_id": run_id, "position": position, "record": finding}
        yield tuple(_stored(name, row.get(name)) for name in _COLUMNS["findings"])


def _file_rows(run_id: str, folder: Path) -> "Iterator[tuple[str, str, str, int]]":
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        yield run_id, name, hashlib.sha256(content).hexdigest(), len(content)


def _stored(name: str, value: Any) -> Any:
    if name in _JSON and value is not None:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value


def _read(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON and value is not None else value
