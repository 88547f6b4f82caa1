"""Print a table of measured figures and write it to benchmarks/results."""

from collections.abc import Iterable, Mapping
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def publish(
    name: str,
    *,
    title: str,
    notes: str,
    rows: Iterable[Mapping[str, object]],
    keep: bool = False,
) -> None:
    """Print rows as they come, then write the Markdown page that ``python -m benchmarks.<name>`` makes.

    With `keep`, rows of the page that were not measured anew stay, so that a long table can be made in parts.
    """
    done: list[Mapping[str, object]] = []
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        done.append(row)
    if keep:
        done = _merged(_rows_of(name), done)
    columns = list(dict.fromkeys(key for row in done for key in row))
    lines = [f"# {title}", "", f"{notes} Written by `python -m benchmarks.{name}`.", ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(key, "")) for key in columns) + " |" for row in done]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows_of(name: str) -> list[Mapping[str, object]]:
    """Rows of the page as it is."""
    page = RESULTS / f"{name}.md"
    lines = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    cells = [[x.strip() for x in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def _merged(
    old: list[Mapping[str, object]], new: list[Mapping[str, object]]
) -> list[Mapping[str, object]]:
    """Old rows, each replaced by the new one with the same first cell, then the rows that are new."""
    fresh = {str(next(iter(row.values()))): row for row in new}
    kept = [fresh.pop(str(next(iter(row.values()))), row) for row in old]
    return [*kept, *fresh.values()]


def share(part: int, whole: int) -> str:
    """Part of whole as a figure with three digits; empty without a whole."""
    return f"{part / whole:.3f}" if whole else ""


def f1(hits: int, false: int, missed: int) -> str:
    """Micro F1; empty where there was nothing to find and nothing was found."""
    return share(2 * hits, 2 * hits + false + missed)
