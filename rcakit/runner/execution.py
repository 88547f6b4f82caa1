"""Execute one notebook, save it at every step, and say how it really ended."""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import errors
from rcakit.kernels import KernelWatch, Stop, forget_dead_kernel
from rcakit.redaction import Redactor

if TYPE_CHECKING:
    from rcakit.playbook import Playbook
    from rcakit.runner.single import Progress, Status

__all__ = ["Ending", "execute", "mark_cells_never_run", "save"]

_ENGINE = "rcakit"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended.

    Attributes
    ----------
    status
        The runner's own, never papermill's.
    error
        Why it is not ``ok``.
    redactor
        What knows the secrets that the notebook used.
    """

    status: "Status"
    error: str | None = None
    redactor: Redactor = field(default_factory=Redactor)


def execute(
    playbook: "Playbook",
    values: Mapping[str, Any],
    output: Path,
    *,
    progress: "Progress | None" = None,
    timeout: float | None = None,
    stop: Stop | None = None,
) -> Ending:
    """Execute a playbook and keep its notebook at ``output``, as far as it came.

    Parameters
    ----------
    playbook, values
        What to run, with checked parameters.
    output
        Where the notebook is saved before and after every cell, without secrets.
    progress
        Called before each code cell.
    timeout
        Seconds until the run is ended.
    stop
        Through which another thread can end it.

    Raises
    ------
    OSError
        The notebook could not be saved.
    """
    redactor = Redactor()
    # At once, before anything is imported or started: whatever happens then, a notebook is kept.
    _replace(output, playbook.path.read_text("utf-8"))
    with KernelWatch(timeout, redactor=redactor, stop=stop) as watch:
        status, error = _executed(playbook, values, output, watch, progress)
        if watch.has_expired:
            status, error = "timeout", f"it ran longer than the {timeout:g} seconds it was given"
        elif watch.is_stopped:
            status, error = "cancelled", "it was cancelled"
    return Ending(status, error and redactor.text(error), redactor)


def _executed(
    playbook: "Playbook",
    values: Mapping[str, Any],
    output: Path,
    watch: KernelWatch,
    progress: "Progress | None",
) -> "tuple[Status, str | None]":
    papermill = _imported()
    from papermill.exceptions import PapermillException, PapermillExecutionError

    _register_engine()
    # Papermill guesses parameters by a pattern and warns of those it misses; ours are checked already.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    # Papermill fills braces in paths; a folder may be called so.
    path = str(playbook.path).replace("{", "{{").replace("}", "}}")
    try:
        executed = papermill.execute_notebook(
            path,
            None,
            parameters=dict(values),
            engine_name=_ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
            kernel_manager_class=watch.manager_class,
            keep=lambda notebook: save(notebook, output, watch.redactor),
            on_cell_start=_teller(playbook, progress),
        )
    except PapermillExecutionError as failed:
        return "failed", _reason(failed.ename, failed.evalue)
    except KeyboardInterrupt:
        forget_dead_kernel()
        return "cancelled", "it was cancelled"
    except PapermillException as failed:
        return "failed", _reason(type(failed).__name__, str(failed))
    except RuntimeError as died:  # nbclient's DeadKernelError among them
        return "killed", watch.post_mortem(str(died).partition("\n")[0])
    if not _is_whole(executed):  # papermill takes a cell that leaves by sys.exit(0) for a success
        return "failed", "a cell left by SystemExit, and what stands below it never ran"
    return "ok", None


def _imported() -> Any:
    """Import papermill without what it imports only to read from Hadoop and to check addresses."""
    # jsonschema would build grammars of internationalised addresses: two seconds for nothing.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    unused = "pyarrow.fs"
    is_hidden = unused not in sys.modules
    if is_hidden:
        sys.modules[unused] = None  # type: ignore[assignment]
    try:
        import papermill
    finally:
        if is_hidden:
            sys.modules.pop(unused, None)
    return papermill


def save(notebook: Any, path: Path, redactor: Redactor) -> None:
    """Save a notebook without secrets, whole or not at all."""
    from nbformat.v4 import writes_json

    shown = redactor.tree(notebook) if redactor else notebook
    _replace(path, redactor.text(writes_json(shown)) + "\n")


def _replace(path: Path, text: str) -> None:
    """Write a file beside its place and move it in: what was there before is whole until then."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def mark_cells_never_run(path: Path) -> None:
    """Tell, in a saved notebook whose runner was killed, which cells ran and which did not."""
    import nbformat
    from nbformat.v4 import writes_json

    if not path.exists():
        return
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, ValueError, OSError):
        return  # it is kept as it is
    _mark(notebook)
    _replace(path, writes_json(notebook) + "\n")


def _mark(notebook: Any) -> None:
    """Mark code cells that never began, and the one that began and did not end."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        known = cell.metadata.get("papermill", {}).get("status")
        if known == "running":
            cell.metadata["papermill"]["status"] = "interrupted"
        elif known not in {"completed", "failed", "interrupted"}:
            cell.metadata["papermill"] = {"status": "never run"}
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "never-run"]


def _is_whole(notebook: Any) -> bool:
    """Tell whether every code cell came to its end."""
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return all(cell.metadata["papermill"]["status"] == "completed" for cell in codes)


@lru_cache(maxsize=1)
def _register_engine() -> None:
    """Have papermill keep its books by our rules: it calls whatever did not fail completed."""
    from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

    class TrueBooks(NotebookExecutionManager):  # type: ignore[misc, unused-ignore]
        """Saves by the runner's own door, and marks each cell by what happened to it."""

        keep: Callable[[Any], None]

        def save(self, **_: Any) -> None:
            self.keep(self.nb)
            self.last_save_time = self.now()

        def cell_complete(self, cell: Any, cell_index: int | None = None, **more: Any) -> None:
            # Called on the way out of a dead kernel or an interrupt too.
            if sys.exc_info()[0] is not None and cell.metadata.papermill["status"] != self.FAILED:
                cell.metadata.papermill["status"] = "interrupted"
                return
            super().cell_complete(cell, cell_index, **more)

        def notebook_complete(self, **_: Any) -> None:
            self.end_time = self.now()
            self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
            _mark(self.nb)
            if not _is_whole(self.nb):
                self.nb.metadata.papermill["exception"] = True
            self.save()

    class Engine(NBClientEngine):  # type: ignore[misc, unused-ignore]
        """Papermill's engine with those books."""

        @classmethod
        def execute_notebook(
            cls, nb: Any, kernel_name: str, *, keep: Callable[[Any], None], **options: Any
        ) -> Any:
            for unused in ("output_path", "progress_bar", "autosave_cell_every"):
                options.pop(unused, None)
            books = TrueBooks(nb, progress_bar=False)
            books.keep = keep
            books.notebook_start()
            try:
                cls.execute_managed_notebook(books, kernel_name, **options)
            finally:
                books.notebook_complete()
            return books.nb

    papermill_engines.register(_ENGINE, Engine)


def _teller(playbook: "Playbook", progress: "Progress | None") -> Callable[..., None]:
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
