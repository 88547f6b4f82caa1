"""Many runs from one file: a few at a time, retried, and taken up again where they were killed.

::

    max_parallel = 4                     # runs at a time
    retries = 1                          # more tries for a run that does not end well
    timeout = 900                        # seconds for each try

    [[runs]]
    playbook = "metric_spike"
    [runs.parameters]
    source = "reports.parquet"
    [runs.grid]                          # one run for each combination
    window_days = [7, 28]
    value = ["n_reports", "n_appeals"]
"""

import datetime as dt
import fcntl
import hashlib
import itertools
import json
import queue
import secrets
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rcakit import wording
from rcakit.errors import ParameterError, PlaybookError
from rcakit.kernels import Stop, close_event_loop
from rcakit.ledger import Ledger, open_ledger
from rcakit.playbook import Playbook, find
from rcakit.redaction import Redactor, check_no_secrets
from rcakit.runner import folders
from rcakit.runner.signals import termination_as_interrupt, uninterrupted
from rcakit.runner.single import Run, begun, mend, run, unchanged
from rcakit.validation import check_integer, check_number, did_you_mean

__all__ = [
    "LIMITS",
    "Batch",
    "Item",
    "Limits",
    "Outcome",
    "Summary",
    "Task",
    "check_keys",
    "exclusive",
    "read_batch",
    "read_toml",
    "run_batch",
    "work_off",
]


@dataclass(frozen=True, slots=True)
class Item:
    """One run that is asked for: a playbook with checked parameters."""

    playbook: Playbook
    values: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the playbook and what was set, in one line."""
        told = [
            f"{name}={wording.visible(value, longest=40)}" for name, value in self.given.items()
        ]
        return Redactor().text(" ".join([self.playbook.name, *told]))


@dataclass(frozen=True, slots=True)
class Limits:
    """How runs are worked off.

    Attributes
    ----------
    max_parallel
        Runs at a time.
    retries
        More tries for a run that does not end well.
    timeout
        Seconds for each try; None for no deadline.
    """

    max_parallel: int = 1
    retries: int = 0
    timeout: float | None = None

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Limits":
        """Take them from the top of a TOML file."""
        timeout = table.get("timeout")
        return cls(
            check_integer(table.get("max_parallel", 1), "max_parallel", ge=1, le=64),
            check_integer(table.get("retries", 0), "retries", ge=0, le=10),
            None if timeout is None else check_number(timeout, "timeout", gt=0),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch file asks for.

    Attributes
    ----------
    items
        The runs, each once.
    limits
        How they are run.
    """

    items: tuple[Item, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one item of a batch ended; ``is_done_before`` when it need not run."""

    item: Item
    status: str
    run: Run | None = None
    error: str | None = None
    is_done_before: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch ended.

    Attributes
    ----------
    outcomes
        In the order of the file; items that were never begun are not among them.
    n_items
        Runs that were asked for.
    is_cancelled
        Whether it was interrupted.
    pending
        What would be run, where nothing was to be run.
    """

    outcomes: tuple[Outcome, ...]
    n_items: int
    is_cancelled: bool = False
    pending: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether every run that was asked for is complete."""
        n_begun = len(self.outcomes) + len(self.pending)
        return n_begun == self.n_items and all(o.status == "ok" for o in self.outcomes)

    def __str__(self) -> str:
        """Return counts, then each run that is not ok with its reason."""
        if not self.n_items:
            return "Nothing is due."
        if self.pending:
            return "\n".join(["Due:", *(f"  {item}" for item in self.pending)])
        counts = Counter("done before" if o.is_done_before else o.status for o in self.outcomes)
        left = self.n_items - len(self.outcomes)
        if left:
            counts["not begun"] = left
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        bad = [o for o in self.outcomes if o.status != "ok"]
        lines = [f"  {o.status}: {o.item}: {o.error}" for o in bad]
        return "\n".join([f"{wording.plural(self.n_items, 'run')}: {told}.", *lines])


LIMITS = ("max_parallel", "retries", "timeout")
Teller = Callable[[Outcome, int, int], None]


def read_batch(path: str | Path) -> Batch:
    """Read a batch file; everything in it is checked before anything runs.

    Raises
    ------
    ParameterError
        The file is no TOML, has an unknown key, or a parameter has a wrong value.
    PlaybookError
        A playbook is unknown.
    """
    table = read_toml(path, {*LIMITS, "runs"})
    entries = table.get("runs", [])
    if not isinstance(entries, list) or not entries:
        raise ParameterError(f"{Path(path).name} must have at least one [[runs]], got none.")
    items = tuple(_each_once(item for entry in entries for item in _items(entry)))
    return Batch(items, Limits.read(table))


def run_batch(
    path: str | Path,
    *,
    out: str | Path = "reports",
    force: bool = False,
    tell: Teller | None = None,
) -> Summary:
    """Run what a batch file asks for.

    Parameters
    ----------
    path
        The file. The same call again takes up a batch that was killed or cancelled: runs that are
        done are not repeated, one that was cut off keeps its id. Of a batch that came to its end,
        runs are repeated whose playbook, parameters, data or versions have changed.
    out
        Folder of the reports.
    force
        Repeat all of them.
    tell
        Called with each outcome, how many are done, and how many there are.
    """
    batch = read_batch(path)
    home = folders.made(Path(out).absolute())
    with exclusive(Path(path)) as is_held, open_ledger(home) as ledger:
        if not is_held:
            raise PlaybookError(
                f"{Path(path).name} is being worked off by another rcakit now. "
                "Wait until it has ended."
            )
        mend(ledger, home)
        job = ledger.open_job(_source(batch), f"batch-{secrets.token_hex(6)}", _now())
        tasks = [_task(item, ledger, home, job, force=force) for item in batch.items]
        summary = work_off(tasks, batch.limits, out=home, tell=tell)
        if not summary.is_cancelled:
            ledger.close_job(job, _now())
    return summary


@dataclass(frozen=True, slots=True)
class Task:
    """An item with what is known of it: the run that is done already, or how to enter it."""

    item: Item
    note: Mapping[str, Any]
    done: Run | None = None


def work_off(
    tasks: Sequence[Task], limits: Limits, *, out: Path, tell: Teller | None = None
) -> Summary:
    """Run tasks, a few at a time; an interrupt ends those at work and begins no other."""
    with termination_as_interrupt():
        return _Work(tasks, limits, out, tell).run()


class _Work:
    """The threads that work off tasks; the work itself is done in kernels."""

    def __init__(
        self, tasks: Sequence[Task], limits: Limits, out: Path, tell: Teller | None
    ) -> None:
        self._tasks, self._limits, self._out, self._tell = tasks, limits, out, tell
        self._stop = Stop()
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[int, Outcome] | None] = queue.SimpleQueue()
        self._outcomes: dict[int, Outcome] = {}

    def run(self) -> Summary:
        """Work off all of them."""
        for number, task in enumerate(self._tasks):
            if task.done is None:
                self._waiting.put(number)
            else:
                self._keep(number, Outcome(task.item, "ok", task.done, is_done_before=True))
        width = min(self._limits.max_parallel, self._waiting.qsize())
        workers = [threading.Thread(target=self._work) for _ in range(width)]
        try:
            for worker in workers:
                worker.start()
            for _ in workers:
                while (ended := self._ended.get()) is not None:
                    self._keep(*ended)
        except KeyboardInterrupt:
            with uninterrupted():
                self._stop.request()
                for worker in workers:
                    worker.join()
                while not self._ended.empty():
                    if (ended := self._ended.get()) is not None:
                        self._keep(*ended)
        ordered = tuple(self._outcomes[number] for number in sorted(self._outcomes))
        return Summary(ordered, len(self._tasks), self._stop.is_requested)

    def _keep(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        if self._tell is not None:
            self._tell(outcome, len(self._outcomes), len(self._tasks))

    def _work(self) -> None:
        while not self._stop.is_requested:
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                break
            self._ended.put((number, self._tried(self._tasks[number])))
        close_event_loop()
        self._ended.put(None)

    def _tried(self, task: Task) -> Outcome:
        """Run one item, again if it does not end well; all tries are one run of the ledger."""
        note = dict(task.note)
        outcome = self._once(task.item, note)
        for _ in range(self._limits.retries):
            if outcome.status in {"ok", "cancelled"} or outcome.run is None:
                break
            note |= {"run_id": outcome.run.run_id, "attempts": note.get("attempts", 1) + 1}
            outcome = self._once(task.item, note)
        return outcome

    def _once(self, item: Item, note: Mapping[str, Any]) -> Outcome:
        limits = self._limits
        try:
            done = run(
                item.playbook,
                item.values,
                out=self._out,
                timeout=limits.timeout,
                stop=self._stop,
                note=note,
            )
        except Exception as problem:  # noqa: BLE001 - one run must not end the others
            return Outcome(item, "failed", error=f"{type(problem).__name__}: {problem}")
        return Outcome(item, done.status, done, done.error)


def _task(item: Item, ledger: Ledger, out: Path, job: str, *, force: bool) -> Task:
    """Return what is to be done about an item: nothing, take it up again, or begin it."""
    note: dict[str, Any] = {"job": job}
    if force:
        return Task(item, note)
    record = begun(item.playbook, item.values, {})
    for row in ledger.runs(job=job, playbook=item.playbook.name):
        if any(row[name] != record[name] for name in ("parameters", "playbook_hash")):
            continue
        if row["status"] != "ok":
            return Task(item, {**note, "run_id": row["run_id"], "attempts": row["attempts"] + 1})
        final = folders.place_of(out, row).final
        if final.is_dir():
            findings = tuple(folders.read_findings(final))
            return Task(item, note, Run(row["run_id"], row["playbook"], "ok", final, findings))
    return Task(item, note, unchanged(ledger, out, record, is_closed=_is_closed(item)))


def read_toml(path: str | Path, known: set[str]) -> dict[str, Any]:
    """Read a TOML file and refuse keys that are not known."""
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ParameterError(f"{str(path)!r} cannot be read: {problem}.") from None
    except tomllib.TOMLDecodeError as problem:
        raise ParameterError(f"{Path(path).name} must be TOML: {problem}.") from None
    check_keys(table, known, Path(path).name)
    return table


def check_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse keys of a table that mean nothing."""
    for key in table:
        if key not in known:
            near = did_you_mean(key, known)
            raise ParameterError(
                f"{where} has the unknown key {key!r}. Known: {', '.join(sorted(known))}. "
                f"{near}".strip()
            )


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Hold a file, so that two commands never work off the same one; tell whether it is held.

    The hold ends with the process, however that ends.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _items(entry: Any) -> Iterator[Item]:
    """Return the runs of one ``[[runs]]``: its parameters with each combination of its grid."""
    if not isinstance(entry, Mapping):
        raise ParameterError(f"runs must be tables written as [[runs]], got {entry!r}.")
    check_keys(entry, {"playbook", "parameters", "grid"}, "[[runs]]")
    if not isinstance(entry.get("playbook"), str):
        raise ParameterError(f"[[runs]] must name its playbook, got {entry.get('playbook')!r}.")
    playbook, fixed = find(entry["playbook"]), dict(entry.get("parameters", {}))
    grid = entry.get("grid", {})
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ParameterError(f"[runs.grid] {name} must be a list of values, got {values!r}.")
        if name in fixed:
            raise ParameterError(
                f"{name} must stand in [runs.parameters] or [runs.grid], not both."
            )
    for chosen in itertools.product(*grid.values()):
        given = {**fixed, **dict(zip(grid, chosen, strict=True))}
        values = playbook.check(given)
        check_no_secrets(iter(values))
        yield Item(playbook, values, given)


def _each_once(items: Iterator[Item]) -> Iterator[Item]:
    seen = set()
    for item in items:
        key = (item.playbook.path.resolve(), json.dumps(item.values, sort_keys=True))
        if key not in seen:
            seen.add(key)
            yield item


def _is_closed(item: Item) -> bool:
    """Tell whether a playbook without data files has no other data that may have changed."""
    code = "\n".join(cell.source for cell in item.playbook.notebook.cells)
    return "://" not in json.dumps(dict(item.values)) and "secret(" not in code


def _source(batch: Batch) -> str:
    """Return a hash of what a batch asks for."""
    asked: Sequence[Any] = [
        [item.playbook.name, item.playbook.path.read_bytes().hex(), item.values]
        for item in batch.items
    ]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
