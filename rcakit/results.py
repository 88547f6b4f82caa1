"""What can every result do? Hand back its tables, say what it found, draw itself.

A result is a frozen dataclass of numbers. It writes `to_records` and `findings` (and `plot`, which
picks the chart of its room); everything else follows from these here.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from rcakit import frames, wording
from rcakit.findings import Finding, json_safe
from rcakit.validation import check_choice

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["Record", "Result", "records_to_html", "records_to_markdown", "records_to_text"]

Record = dict[str, Any]

_SHOWN_ROWS = 12
_LONGEST_CELL = 200


class Result(ABC):
    """Base of every result.

    A subclass is a ``@dataclass(frozen=True, slots=True)`` with a field ``library`` that names the
    caller's dataframe library, a class variable ``tables`` (table name → column name → polars type
    name, main table first), and the three methods below.
    """

    __slots__ = ()

    tables: ClassVar[Mapping[str, Mapping[str, str]]]
    # Columns of the main table that a notebook or page shows; all when empty.
    shown: ClassVar[tuple[str, ...]] = ()
    library: frames.Library

    @abstractmethod
    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of a table (default: the main one) as dictionaries."""

    @abstractmethod
    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, in reading order."""

    @abstractmethod
    def plot(self) -> "alt.TopLevelMixin":
        """Draw the result; the message is the title."""

    def reading(self) -> str:
        """Say what was found, in plain sentences."""
        return " ".join(finding.claim for finding in self.findings()[:3])

    def shown_rows(self) -> list[Record]:
        """Return the rows of the main table that a notebook or page shows."""
        return self.to_records()

    def to_frame(self, table: str | None = None) -> Any:
        """Return a table in the caller's dataframe library; polars for engines.

        Parameters
        ----------
        table
            Name of the table; the main one when left out.
        """
        handed = frames.hand_back(self._to_polars(table), self.library)
        if self.library == "pandas":  # pandas holds dictionaries as they are
            for name, cells in self._mappings(table).items():
                handed[name] = cells
        return handed

    def to_json(self) -> str:
        """Return all tables and findings as one JSON object."""
        content = {
            "tables": {name: json_safe(self.to_records(name)) for name in self.tables},
            "findings": [finding.to_record() for finding in self.findings()],
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    def to_markdown(self, table: str | None = None) -> str:
        """Return a table as Markdown; text from the data is escaped."""
        return records_to_markdown(self.to_records(table), self._column_names(table))

    def _column_names(self, table: str | None) -> list[str]:
        rows = self.to_records(table)
        return list(rows[0]) if rows else list(self.tables[self._table(table)])

    def _table(self, table: str | None) -> str:
        names = tuple(self.tables)
        return check_choice(names[0] if table is None else table, "table", names)

    def _to_polars(self, table: str | None) -> "pl.DataFrame":
        import polars as pl

        declared = self.tables[self._table(table)]
        rows = self.to_records(table)
        taken = {name: [row[name] for row in rows] for name in self._column_names(table)}
        taken |= {name: _aligned(cells) for name, cells in self._mappings(table).items()}
        types = {name: getattr(pl, kind) for name, kind in declared.items()}
        return pl.DataFrame(
            [pl.Series(name, cells, types.get(name), strict=False) for name, cells in taken.items()]
        )

    def _mappings(self, table: str | None) -> dict[str, list[Mapping[str, Any]]]:
        """Return the columns whose cells are dictionaries, such as segments."""
        rows = self.to_records(table)
        names = (
            [name for name, cell in rows[0].items() if isinstance(cell, Mapping)] if rows else []
        )
        return {name: [row[name] for row in rows] for name in names}

    def __str__(self) -> str:
        """Return the reading, then the main table."""
        rows = self.shown_rows()
        if not rows:
            return self.reading()
        table = records_to_text(rows[:_SHOWN_ROWS], self._shown_names())
        return f"{self.reading()}\n\n{table}{_rest(len(rows))}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Show the reading and the main table in a notebook; nothing from the data is markup."""
        del include, exclude
        rows = self.shown_rows()
        html = f"<p>{escape(self.reading())}</p>"
        if rows:
            html += records_to_html(rows[:_SHOWN_ROWS], self._shown_names())
            html += f"<p>{escape(_rest(len(rows)))}</p>"
        return {"text/plain": str(self), "text/html": html}

    def _shown_names(self) -> list[str]:
        names = self._column_names(None)
        return [name for name in self.shown if name in names] or names


def records_to_markdown(rows: Sequence[Record], names: Sequence[str]) -> str:
    """Write rows as a Markdown table in which text from the data is inert."""
    lines = [_markdown_line(names), "|" + "---|" * len(names)]
    lines += [_markdown_line([_cell(row[name]) for name in names]) for row in rows]
    return "\n".join(lines)


def records_to_text(rows: Sequence[Record], names: Sequence[str]) -> str:
    """Write rows as aligned plain text."""
    cells = [[_heading(name) for name in names]]
    cells += [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def records_to_html(rows: Sequence[Record], names: Sequence[str]) -> str:
    """Write rows as an HTML table in which text from the data is inert."""
    head = "".join(f"<th>{escape(_heading(name))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(row[name]))}</td>" for name in names) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _aligned(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, str | None]]:
    """Give dictionaries the same keys, as a struct column needs; null stands for "any"."""
    keys = dict.fromkeys(key for cell in cells for key in cell)
    return [
        {key: wording.visible(cell[key]) if key in cell else None for key in keys} for cell in cells
    ]


def _heading(name: str) -> str:
    return wording.visible(name.replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return wording.segment(value)
    if isinstance(value, list | tuple):
        return "; ".join(_cell(item) for item in value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return wording.amount(value)
    text = wording.day(value) if hasattr(value, "isoformat") else value
    return wording.visible(text, longest=_LONGEST_CELL)


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_inert(cell) for cell in cells) + " |"


def _inert(text: str) -> str:
    """Escape every character that Markdown or HTML would read as markup."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+!|<>~$&" else c for c in text)


def _rest(n_rows: int) -> str:
    hidden = n_rows - _SHOWN_ROWS
    return f"\n… and {wording.plural(hidden, 'more row')}; see to_frame()." if hidden > 0 else ""
