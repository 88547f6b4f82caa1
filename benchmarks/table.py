"""Print a table of measured figures and write it to benchmarks/results."""

from collections.abc import Iterable, Mapping
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def publish(name: str, *, title: str, notes: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Print rows as they come, then write the Markdown page that ``python -m benchmarks.<name>`` makes."""
    done = []
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        done.append(row)
    columns = list(dict.fromkeys(key for row in done for key in row))
    lines = [f"# {title}", "", f"{notes} Written by `python -m benchmarks.{name}`.", ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(key, "")) for key in columns) + " |" for row in done]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def share(part: int, whole: int) -> str:
    """Part of whole as a figure with three digits; empty without a whole."""
    return f"{part / whole:.3f}" if whole else ""


def f1(hits: int, false: int, missed: int) -> str:
    """Micro F1; empty where there was nothing to find and nothing was found."""
    return share(2 * hits, 2 * hits + false + missed)
