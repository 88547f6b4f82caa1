"""The page on paper: an A4 PDF, printed by a Chromium where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from rcakit.errors import SourceError

__all__ = ["find_chromium", "pdf"]

_NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge", "msedge",
)  # fmt: skip
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_SECONDS = 180


def find_chromium() -> str | None:
    """Return the command of a Chromium: ``RCAKIT_CHROMIUM``, or one that is installed."""
    named = os.environ.get("RCAKIT_CHROMIUM")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in (*_NAMES, *_PLACES))
    return next((path for path in found if path), None)


def pdf(page: str | Path, *, to: str | Path | None = None) -> Path:
    """Print a page to an A4 PDF.

    Parameters
    ----------
    page
        ``report.html``, or the folder of a run.
    to
        File to write; beside the page when left out.

    Raises
    ------
    SourceError
        There is no page, no Chromium, or it did not print.
    """
    source = Path(page) / "report.html" if Path(page).is_dir() else Path(page)
    if not source.is_file():
        raise SourceError(f"page {str(source)!r} must exist. Give the folder of a run.")
    target = Path(to) if to is not None else source.with_suffix(".pdf")
    chromium = find_chromium()
    if chromium is None:
        raise SourceError(
            "a PDF is printed by Chromium, and none was found. Install it (Debian: apt-get install "
            "chromium), name it in RCAKIT_CHROMIUM, or print the page from any browser."
        )
    with tempfile.TemporaryDirectory(prefix="rcakit-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        said = _print(chromium, source, printed, Path(folder))
        if not printed.is_file() or not printed.read_bytes().startswith(b"%PDF"):
            raise SourceError(f"Chromium did not print {str(source)!r}: {said}.")
        try:
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(printed, part)
            part.replace(target)
        except OSError as problem:
            raise SourceError(f"{str(target)!r} cannot be written: {problem.strerror}.") from None
    return target


def _print(chromium: str, source: Path, printed: Path, profile: Path) -> str:
    """Run Chromium once, with a profile of its own and no network; return what it complained of."""
    command = [
        chromium,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile / 'profile'}",
        "--virtual-time-budget=20000",
        "--no-pdf-header-footer",
        f"--print-to-pdf={printed}",
        f"{source.absolute().as_uri()}#paper",  # has the page open what is collapsed
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # Chromium refuses to sandbox for root
    try:
        done = subprocess.run(  # noqa: S603 - a browser that the user installed
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_SECONDS} seconds"
    except OSError as problem:
        return str(problem.strerror)
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
