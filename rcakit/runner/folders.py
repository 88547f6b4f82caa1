"""Where runs lie on disk: built beside their place, moved in whole, and mended after a kill.

::

    reports/
      ledger.sqlite
      <playbook>/<run_id>/            complete reports, and nothing else
      <playbook>/.<run_id>.part/      a run at work; its folder is locked while its runner lives
      failed/<playbook>/<run_id>/     what a run left that did not come to its end
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rcakit.errors import PlaybookError

__all__ = [
    "Place",
    "abandoned",
    "as_json",
    "made",
    "place_of",
    "publish",
    "read_findings",
    "read_record",
    "release_reserve",
    "remove_if_empty",
    "set_aside",
    "staged",
    "write",
]

_RESERVE = ".reserve"
# Enough for the record of a run and its rows in the ledger when the disk is full.
_RESERVE_BYTES = 256 * 1024


class Place:
    """The places of one run.

    Parameters
    ----------
    out
        Folder of the reports, absolute.
    playbook, run_id
        Which run.
    """

    def __init__(self, out: Path, playbook: str, run_id: str) -> None:
        self.out = out
        self.home = out / playbook
        self.final = self.home / run_id
        self.staging = self.home / f".{run_id}.part"
        self.failed = out / "failed" / playbook / run_id

    def free_failed(self) -> Path:
        """Return where what failed may go: what an earlier attempt left is kept."""
        place, attempt = self.failed, 1
        while place.exists():
            attempt += 1
            place = self.failed.with_name(f"{self.failed.name}.attempt{attempt}")
        return place


def place_of(out: Path, row: Mapping[str, Any]) -> Place:
    """Return the places of a run of the ledger."""
    return Place(out, str(row["playbook"]), str(row["run_id"]))


@contextmanager
def staged(place: Place) -> Iterator[Path]:
    """Make the folder in which a run is built, and hold it; nothing of it stays behind.

    The lock tells others that its runner lives: it ends with the process, however that ends.
    """
    made(place.home)
    folder = made(place.staging)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        reserve = folder / _RESERVE
        reserve.write_bytes(b"\0" * _RESERVE_BYTES)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)
        remove_if_empty(place.home)


def release_reserve(folder: Path) -> None:
    """Give back the space that was kept for the worst case."""
    (folder / _RESERVE).unlink(missing_ok=True)


def set_aside(place: Place, record: Mapping[str, Any]) -> Path:
    """Move what a run left that did not come to its end below ``failed/``, with its record."""
    release_reserve(place.staging)
    for path in place.staging.iterdir():  # a half report must not be taken for one
        if path.name != "notebook.ipynb":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with suppress(OSError):  # on a full disk the notebook is still worth keeping
        write(place.staging / "run.json", as_json(record))
    target = place.free_failed()
    made(target.parent)
    place.staging.replace(target)
    return target


@contextmanager
def abandoned(staging: Path) -> Iterator[bool]:
    """Tell whether the runner of a run is dead, and keep others from mending it meanwhile."""
    try:
        handle = os.open(staging, os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def made(folder: Path) -> Path:
    """Make a folder, or say that it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise PlaybookError(
            f"the folder {str(folder)!r} cannot be made: {problem.strerror}. Choose another --out."
        ) from None
    return folder


def remove_if_empty(folder: Path) -> None:
    """Remove a folder in which nothing lies."""
    with suppress(OSError):
        folder.rmdir()


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what ``run.json`` says, or None where it says nothing."""
    try:
        return dict(json.loads((folder / "run.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_findings(folder: Path) -> list[dict[str, Any]]:
    """Return the findings that a run wrote; none where there are none."""
    try:
        return list(json.loads((folder / "findings.json").read_text("utf-8")))
    except (OSError, ValueError):
        return []


def write(path: Path, text: str) -> None:
    """Write a file and make sure that it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def publish(place: Place) -> None:
    """Move a complete run into its place, with one rename that is on the disk when this returns."""
    release_reserve(place.staging)
    place.staging.replace(place.final)
    handle = os.open(place.home, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_json(value: Any) -> str:
    """Return JSON as the files of a run hold it."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
