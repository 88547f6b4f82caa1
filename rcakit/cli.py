"""The command line: parsing and printing only."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from rcakit.playbook import Playbook
    from rcakit.runner import Outcome, Run

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_PARAMETERS = 2
EXIT_CODES = {"failed": 1, "timeout": 3, "killed": 4, "cancelled": 130}

_DEMO = {
    "source": "data_samples/app_release_report_bug/reports.parquet",
    "changes": "data_samples/app_release_report_bug/change_log.csv",
    "time": "created_at",
}


_STATUSES = ("ok", *EXIT_CODES, "running")
_SHOWN = (
    "run_id", "playbook", "status", "error", "answer", "verdict", "strength", "started_at",
    "seconds", "attempts", "logical_date", "parameters", "data_fingerprint", "playbook_hash",
    "versions", "job", "path",
)  # fmt: skip

_notify_option = click.option(
    "--notify-on",
    type=click.Choice(["failure", "strong", "moderate", "weak"]),
    help="Send a note when a run fails or, unless `failure`, finds something new of at least this "
    "strength. Where to: apprise addresses in the secret RCAKIT_NOTIFY.",
)


class _Commands(click.Group):
    """Says 130 to whoever interrupts, at whatever moment: click would say 1, which means failed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; a request to terminate counts as an interrupt."""
        import signal
        import threading

        is_main = threading.current_thread() is threading.main_thread()  # no other may
        before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_main else None
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
            sys.exit(EXIT_CODES["cancelled"])
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rcakit")
def main() -> None:
    """Find out what made a Trust & Safety number move, and write the page about it.

    Start with `rcakit demo`.
    """


@main.command()
@click.option("--out", default="reports", show_default=True, help="Folder for the report.")
def demo(out: str) -> None:
    """Run one investigation on the data that ship with rcakit."""
    click.echo("Reports jumped in the sample data. What made them jump, and is it real?\n")
    _run("metric_spike", _DEMO, out)


@main.command(name="list")
def list_() -> None:
    """List the playbooks: those that ship, and those in ./playbooks."""
    from rcakit.playbook import available

    for playbook in available():
        click.echo(f"{playbook.name:<20} {_question(playbook)}")


@main.command()
@click.argument("playbook")
def describe(playbook: str) -> None:
    """Say what a playbook asks, and its parameters."""
    found = _find(playbook)
    with _refusing():
        click.echo(f"{found.title}\n{found.question}\n")
        width = max((len(item.name) for item in found.parameters), default=0)
        for item in found.parameters:
            click.echo(f"  {item.name:<{width}}  {item.type_text} = {item.default!r}")
            click.echo(f"  {'':<{width}}  {item.comment}")


@main.command()
@click.argument("playbook")
@click.option(
    "-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE",
    help="Set a parameter; lists as JSON. May be repeated.",
)  # fmt: skip
@click.option("--out", default="reports", show_default=True, help="Folder for the report.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End the run after this long.")
@click.option("--force", is_flag=True, help="Run even if nothing has changed since the last run.")
@_notify_option
def run(
    playbook: str,
    given: tuple[str, ...],
    out: str,
    timeout: float | None,
    force: bool,  # noqa: FBT001 - click passes options by name
    notify_on: str | None,
) -> None:
    """Run a playbook, by name or by the path of its notebook.

    Where playbook, parameters, data and versions are those of an earlier run, that report is shown
    and nothing is run; --force runs anyway.

    Exit code: 0 ok, 1 failed, 2 bad parameters, 3 timeout, 4 killed, 130 cancelled.
    """
    values: dict[str, Any] = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator:
            _refuse(f"-p must be NAME=VALUE, got {pair!r}.")
        values[name.strip()] = value
    _run(playbook, values, out, timeout, reuse=not force, notify_on=notify_on)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", default="reports", show_default=True, help="Folder for the reports.")
@click.option("--force", is_flag=True, help="Repeat runs that are done.")
@_notify_option
def batch(
    file: str,
    out: str,
    force: bool,  # noqa: FBT001 - click passes options by name
    notify_on: str | None,
) -> None:
    """Run what a TOML file asks for, a few runs at a time.

    The same command again takes up a batch that was killed or cancelled: runs that are done are
    not repeated. The file holds max_parallel, retries, timeout, and [[runs]] with playbook,
    [runs.parameters] and [runs.grid].

    Exit code: 0 all ok, 1 some are not, 2 bad file or parameters, 130 cancelled.
    """
    from rcakit import runner

    with _refusing():
        done = runner.run_batch(file, out=out, force=force, tell=_tell_outcome)
    click.echo(str(done))
    for outcome in done.outcomes:
        _notify(None if outcome.is_done_before else outcome.run, out, notify_on)
    sys.exit(EXIT_CODES["cancelled"] if done.is_cancelled else 0 if done.is_ok else EXIT_FAILED)


@main.command(name="run-due")
@click.argument("schedule", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", default="reports", show_default=True, help="Folder for the reports.")
@click.option("--now", metavar="TIME", help="Take this ISO time for now.")
@click.option("--dry-run", is_flag=True, help="Say what is due, and run nothing.")
@_notify_option
def run_due(
    schedule: str,
    out: str,
    now: str | None,
    dry_run: bool,  # noqa: FBT001 - click passes options by name
    notify_on: str | None,
) -> None:
    """Run what is due by a TOML schedule: for cron and systemd timers.

    Call it as often as you like: what has run for its day is not run again, and where another
    call is still at work this one leaves at once. The day that a run is about is handed to the
    playbook as a parameter.

    Exit code: 0 all ok or nothing due, 1 some are not ok, 2 bad file, 130 cancelled.
    """
    from rcakit import runner

    with _refusing():
        done = runner.run_due(schedule, out=out, now=now, dry_run=dry_run, tell=_tell_outcome)
    click.echo(str(done))
    for outcome in done.outcomes:
        _notify(None if outcome.is_done_before else outcome.run, out, notify_on)
    sys.exit(EXIT_CODES["cancelled"] if done.is_cancelled else 0 if done.is_ok else EXIT_FAILED)


@main.command()
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
@click.option("--playbook", help="Only runs of this playbook.")
@click.option("--status", type=click.Choice([*_STATUSES]), help="Only runs that ended so.")
@click.option("-n", "--limit", default=20, show_default=True, help="At most so many; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
def runs(
    out: str,
    playbook: str | None,
    status: str | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """List the runs of the ledger, the newest first."""
    from rcakit.ledger import open_ledger

    with _refusing(), open_ledger(out, create=False) as ledger:
        rows = ledger.runs(playbook=playbook, status=status, limit=limit or None)
    if as_json:
        _echo_json(rows)
        return
    if not rows:
        click.echo("No runs yet. Start with `rcakit demo`.")
    for row in rows:
        first = (row["answer"] or row["error"] or "").partition("\n")[0]
        click.echo(
            f"{row['run_id']}  {row['status']:<9}  {row['playbook']}  {first[:100]}".rstrip()
        )


@main.command()
@click.argument("run_id", metavar="RUN")
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with findings and files.")
def show(run_id: str, out: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Show one run: how it ended, what it found, which files it wrote.

    RUN is the id, its first characters, or `last`.
    """
    from rcakit.ledger import open_ledger

    with _refusing(), open_ledger(out, create=False) as ledger:
        row = ledger.find(run_id)
        findings, files = ledger.findings(row["run_id"]), ledger.files(row["run_id"])
    if as_json:
        _echo_json({**row, "findings": [item["record"] for item in findings], "files": files})
        return
    for name in _SHOWN:
        if row[name] is not None:
            value = row[name] if isinstance(row[name], str | float | int) else _json(row[name])
            click.echo(f"{name:<16}  {str(value).replace(chr(10), ' ')}")
    for item in findings:
        click.echo(f"  {item['strength']:<8}  {item['kind']:<14}  {item['claim']}")
    for item in files:
        click.echo(f"  {item['sha256'][:12]}  {item['bytes']:>9}  {item['path']}")


@main.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(before: str, after: str, out: str, as_json: bool) -> None:  # noqa: FBT001 - by name
    """Say which findings of the second run are new, gone, or moved beyond their intervals.

    RUN is the id, its first characters, or `last`.
    """
    from rcakit import runner
    from rcakit.ledger import open_ledger

    with _refusing(), open_ledger(out, create=False) as ledger:
        rows = [ledger.find(item) for item in (before, after)]
        found = [[f["record"] for f in ledger.findings(row["run_id"])] for row in rows]
    for row in rows:
        if row["status"] != "ok":
            _refuse(f"run {row['run_id']} is {row['status']}: it has no findings to compare.")
    told = runner.compare_findings(*found)
    if as_json:
        _echo_json(told.to_record())
        return
    for row in rows:
        click.echo(
            f"{row['run_id']}  {row['playbook']}  {row['logical_date'] or row['started_at']}"
        )
    click.echo(f"\n{told}")


@main.command()
@click.argument("name")
@click.option("--into", default="playbooks", show_default=True, help="Folder to write it to.")
def new(name: str, into: str) -> None:
    """Write the skeleton of a new playbook, ready to run."""
    import nbformat

    from rcakit.playbook import scaffold

    with _refusing():
        notebook = scaffold(name)
    path = Path(into) / f"{name}.ipynb"
    if path.exists():
        _refuse(f"{path} exists already. Choose another name, or move it away.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
    except OSError as problem:
        _refuse(f"{path} cannot be written: {problem.strerror}. Choose another --into.")
    click.echo(f"{path}\nRun it: rcakit run {path}")


@main.command()
@click.argument("run")
@click.option("--to", type=click.Path(dir_okay=False), help="File to write; beside the page.")
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
def pdf(run: str, to: str | None, out: str) -> None:
    """Print the page of a run (its id or folder) to an A4 PDF, by Chromium."""
    from rcakit.report.paper import pdf as printed

    with _refusing():
        click.echo(_shown(printed(_folder(run, out), to=to).absolute()))


@main.command()
@click.argument("run")
@click.option(
    "--as", "form", type=click.Choice(["markdown", "csv", "parquet", "xlsx"]), default="markdown",
    show_default=True, help="Markdown is a block for a charter or ticket.",
)  # fmt: skip
@click.option("--to", type=click.Path(dir_okay=False), help="File to write; in the folder.")
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
def export(run: str, form: Any, to: str | None, out: str) -> None:
    """Write the findings of a run (its id or folder) for a ticket, Tableau or Excel."""
    from rcakit.report.exports import export as written

    with _refusing():
        click.echo(_shown(written(_folder(run, out), form, to=to).absolute()))


@main.command()
@click.argument("run")
@click.argument("pseudonyms", nargs=-1, required=True)
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
def reveal(run: str, pseudonyms: tuple[str, ...], out: str) -> None:
    """Say what stands behind pseudonyms of a page, for those who hold its notebook."""
    from rcakit.report.exports import reveal as revealed

    with _refusing():
        for shown, value in revealed(_folder(run, out), pseudonyms).items():
            click.echo(f"{shown}\t{value}")


@main.command()
@click.option("--out", default="reports", show_default=True, help="Folder of the reports.")
def gallery(out: str) -> None:
    """Write index.html over all runs: search, filters, last states, findings through time."""
    from rcakit.ledger import open_ledger
    from rcakit.report.gallery import by_run, read_runs, with_personal, write_gallery
    from rcakit.report.gallery import gallery as made

    with _refusing():
        with open_ledger(out, create=False) as ledger:
            runs = with_personal(ledger.runs(), out)
            findings = by_run(ledger.findings())
        if not runs:  # a share of reports without their ledger
            runs, findings = read_runs(out)
        click.echo(_shown(write_gallery(out, made(runs, findings)).absolute()))


class _refusing:  # noqa: N801 - reads as a verb: with _refusing(): ...
    """Turn an error that the user can mend into one line and exit code 2."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Print the error without a traceback."""
        from rcakit.errors import RcaError

        if isinstance(error, RcaError):
            _refuse(f"{type(error).__name__}: {error}")


def _question(playbook: "Playbook") -> str:
    """Return what a playbook asks, or why it cannot be read."""
    from rcakit.errors import PlaybookError

    try:
        return playbook.question or playbook.title
    except PlaybookError as broken:
        return f"(cannot be read: {broken})"


def _find(name: str) -> "Playbook":
    from rcakit.playbook import find

    with _refusing():
        return find(name)
    raise AssertionError  # _refuse has left


def _folder(run: str, out: str) -> Path:
    """Return the folder of a run that is named by its folder, its page, or the start of its id."""
    from rcakit.errors import SourceError
    from rcakit.ledger import open_ledger

    given = Path(run)
    if given.is_dir() or given.is_file():
        return given if given.is_dir() else given.parent
    with open_ledger(out, create=False) as ledger:
        path = ledger.find(run)["path"]
    if not path:
        raise SourceError(f"run {run!r} has no folder yet: it is still running.")
    return Path(out) / str(path)


def _run(
    name: str,
    values: dict[str, Any],
    out: str,
    timeout: float | None = None,
    *,
    reuse: bool = True,
    notify_on: str | None = None,
) -> None:
    from rcakit import runner
    from rcakit.errors import ParameterError, PlaybookError

    playbook = _find(name)
    with _refusing():
        playbook.check(values)
    try:
        with _Progress(playbook.name) as progress:
            finished = runner.run(
                playbook, values, out=out, progress=progress, timeout=timeout, reuse=reuse
            )
    except ParameterError as problem:
        _refuse(f"ParameterError: {problem}")
        raise
    except PlaybookError as problem:
        click.echo(f"failed: {problem}", err=True)
        sys.exit(EXIT_FAILED)
    _notify(finished, out, notify_on)
    if finished.status != "ok":
        _tell_failure(finished)
    if finished.is_reused:
        told = "Nothing has changed since this run, so nothing was run. --force runs it anyway."
        click.echo(told, err=True)
    click.echo(f"\n{finished.answer}\n\n{_shown(finished.report)}")


def _notify(finished: "Run | None", out: str, notify_on: str | None) -> None:
    """Send a note where one was asked for; a note that cannot be sent changes no run."""
    if notify_on is None or finished is None or finished.is_reused:
        return
    from rcakit.errors import RcaError
    from rcakit.runner import notify

    try:
        notify(finished, out=out, on=notify_on)
    except RcaError as problem:
        click.echo(f"no note was sent: {problem}", err=True)


def _tell_outcome(outcome: "Outcome", n_done: int, n_items: int) -> None:
    """Say, run by run, how far a batch has come."""
    told = "done before" if outcome.is_done_before else outcome.status
    click.echo(f"{n_done}/{n_items}  {told:<11}  {outcome.item}", err=True)


def _echo_json(value: Any) -> None:
    click.echo(_json(value, indent=1))


def _json(value: Any, indent: int | None = None) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent)


def _tell_failure(finished: "Run") -> None:
    click.echo(f"{finished.status}: {finished.error}", err=True)
    click.echo(f"The notebook as far as it came: {_shown(finished.folder)}", err=True)
    sys.exit(EXIT_CODES[finished.status])


def _shown(path: Path) -> str:
    """Return a path as short as it can be said from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _refuse(message: str) -> None:
    click.echo(message, err=True)
    sys.exit(EXIT_PARAMETERS)


class _Progress:
    """A progress bar, cell by cell; one line per heading where there is no terminal."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._is_terminal = self._bar.console.is_terminal
        self._heading = ""
        self._title = title

    def __enter__(self) -> Self:
        """Start."""
        self._task = self._bar.add_task(f"{self._title}: starting", total=None)
        if self._is_terminal:
            self._bar.start()
        return self

    def __call__(self, number: int, total: int, heading: str) -> None:
        """Show which cell runs now."""
        self._bar.update(
            self._task,
            description=f"{self._title}: {heading}",
            completed=number - 1,
            total=total,
        )
        if not self._is_terminal and heading != self._heading:
            click.echo(f"  {number}/{total} {heading}", err=True)
        self._heading = heading

    def __exit__(self, *_: object) -> None:
        """Clear the bar."""
        if self._is_terminal:
            self._bar.stop()
