"""The command line: parsing and printing only."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from rcakit.playbook import Playbook
    from rcakit.runner import Run

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_PARAMETERS = 2
EXIT_CODES = {"failed": 1, "timeout": 3, "killed": 4, "cancelled": 130}

_DEMO = {
    "source": "data_samples/app_release_report_bug/reports.parquet",
    "changes": "data_samples/app_release_report_bug/change_log.csv",
    "time": "created_at",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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
def run(playbook: str, given: tuple[str, ...], out: str, timeout: float | None) -> None:
    """Run a playbook, by name or by the path of its notebook.

    Exit code: 0 ok, 1 failed, 2 bad parameters, 3 timeout, 4 killed, 130 cancelled.
    """
    values: dict[str, Any] = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        if not separator:
            _refuse(f"-p must be NAME=VALUE, got {pair!r}.")
        values[name.strip()] = value
    _run(playbook, values, out, timeout)


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


def _run(name: str, values: dict[str, Any], out: str, timeout: float | None = None) -> None:
    from rcakit import runner
    from rcakit.errors import PlaybookError

    playbook = _find(name)
    with _refusing():
        playbook.check(values)
    try:
        with _Progress(playbook.name) as progress:
            finished = runner.run(playbook, values, out=out, progress=progress, timeout=timeout)
    except PlaybookError as problem:
        click.echo(f"failed: {problem}", err=True)
        sys.exit(EXIT_FAILED)
    if finished.status != "ok":
        _tell_failure(finished)
    click.echo(f"\n{finished.answer}\n\n{_shown(finished.report)}")


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
