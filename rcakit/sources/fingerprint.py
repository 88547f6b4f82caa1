"""Which data did a run see? A short hash of its files."""

import hashlib
from pathlib import Path

from rcakit.errors import RcaError
from rcakit.sources.files import locate

__all__ = ["fingerprint"]

# Larger files are told apart by size, modification time, head and tail.
_WHOLE = 64 * 1024 * 1024
_PART = 1024 * 1024


def fingerprint(source: object) -> str | None:
    """Return a hash of the files that a source names, or None where it names none.

    Notes
    -----
    Files up to 64 MiB are read whole. Of larger ones the size, the modification time and the first
    and last mebibyte count: a change in the middle shows in the modification time alone.
    """
    if not isinstance(source, str):
        return None
    try:
        return _hashed([Path(path) for path in locate(source)])
    except (RcaError, OSError):  # the run itself says what is wrong with its source
        return None


def _hashed(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
            else:
                digest.update(f"{path.stat().st_mtime_ns}:".encode())
                digest.update(file.read(_PART))
                file.seek(-_PART, 2)
                digest.update(file.read(_PART))
    return f"sha256:{digest.hexdigest()[:32]}"
