"""Tables of the page: read from what a notebook shows, made safe to publish, written anew.

Nothing of the notebook's markup survives: cells are read as text and written as text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from html.parser import HTMLParser

from rcakit.report.privacy import Mask, role_of, small_rows, without_few

__all__ = ["Table", "read_table"]

_NUMBER = re.compile(
    r"[+\u2212-]?\d[\d\u202f]*(?:\.\d+)?(?:e[+-]?\d+)?(?:\u202f?(?:%|points))?|∞|infinite|unknown"
)
_BOUNDS = (" ci lower", " ci upper")
_SHARES = re.compile(r"share.*|.* share|completeness|.* rate")
_SUPPRESSED = "–"
_MOST_ROWS = 1000
_FOR_ANALYSTS = frozenset({"pvalue", "qvalue", "e value", "method", "n clusters"})
_WIDE = 7  # so many columns are written smaller
_TYPES = frozenset({"str", "bool", "date", "time", "cat", "enum", "null", "binary", "object"})
_TYPE = re.compile(r"[iuf]\d{1,3}|(?:datetime|duration|decimal|list|struct|array)\[.*\]")


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of text, with a message and notes.

    Attributes
    ----------
    headings, rows
        Plain text.
    message
        What the table shows, in a sentence.
    notes
        What was left out, and why.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    message: str = ""
    notes: tuple[str, ...] = ()

    def masked(self, mask: Mask) -> "Table":
        """Replace ids and content, leave out single reviewers and small cells."""
        roles = [role_of(name) for name in self.headings]
        if "reviewer" in roles:
            note = "Single reviewers are not shown: only teams of 10 or more are."
            return replace(
                self, headings=(), rows=(), message=mask.text(self.message), notes=(note,)
            )
        kept, notes = self._of_large_teams(mask)
        rows = tuple(
            tuple(
                mask.value(cell, name if role and cell else None)
                for cell, name, role in zip(row, self.headings, roles, strict=True)
            )
            for row in kept
        )
        table = replace(
            self,
            headings=tuple(mask.text(name) for name in self.headings),
            rows=rows,
            message=mask.text(self.message),
            notes=(*self.notes, *notes),
        )
        return table.without_small_cells().shortened()

    def without_small_cells(self) -> "Table":
        """Leave out the numbers of rows that count fewer than 10."""
        records = [
            {name: _value(cell) for name, cell in zip(self.headings, row, strict=True)}
            for row in self.rows
        ]
        counts, few = small_rows(records)
        if not few:
            return self
        rows = tuple(
            tuple(
                _few(name in counts) if isinstance(records[i][name], float) else cell
                for name, cell in zip(self.headings, row, strict=True)
            )
            if i in few
            else row
            for i, row in enumerate(self.rows)
        )
        note = (
            "Rows of fewer than 10 are not shown in numbers, nor is the next smallest row where a "
            "total would tell the missing one."
        )
        return replace(self, rows=rows, notes=(*self.notes, note))

    def _of_large_teams(self, mask: Mask) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        """Leave out rows of teams of fewer than 10, and one more where a total would tell."""
        few = [
            any(
                mask.is_small_team(name, cell) or mask.names_small_team(cell)
                for name, cell in zip(self.headings, row, strict=True)
            )
            for row in self.rows
        ]
        return without_few(self.rows, few)

    def shortened(self) -> "Table":
        """Cut what no page can hold."""
        if len(self.rows) <= _MOST_ROWS:
            return self
        note = f"The first {_MOST_ROWS} of {len(self.rows)} rows; all are in notebook.ipynb."
        return replace(self, rows=self.rows[:_MOST_ROWS], notes=(*self.notes, note))

    def joined(self) -> "Table":
        """Write an estimate and its bounds as two columns instead of three, shares as percent."""
        table = self
        for name in self.headings:
            bounds = [f"{name}{bound}" for bound in _BOUNDS]
            if all(bound in table.headings for bound in bounds):
                table = table._with_interval(name, bounds)
        rows = tuple(
            tuple(
                _percent(cell) if _SHARES.fullmatch(name) else cell
                for name, cell in zip(table.headings, row, strict=True)
            )
            for row in table.rows
        )
        filled = [i for i in range(len(table.headings)) if any(row[i] for row in rows)]
        return replace(
            table,
            headings=tuple(table.headings[i] for i in filled),
            rows=tuple(tuple(row[i] for i in filled) for row in rows),
        )

    def of_a_reader(self) -> "Table":
        """Leave out what only an analyst reads, and say headings in plain words."""
        kept = [i for i, name in enumerate(self.headings) if name not in _FOR_ANALYSTS]
        return replace(
            self,
            headings=tuple(_heading(self.headings[i]) for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
        )

    def _with_interval(self, name: str, bounds: Sequence[str]) -> "Table":
        lower, upper = (self.headings.index(bound) for bound in bounds)
        headings = list(self.headings)
        headings[lower] = f"{name}: interval" if name != "effect" else "interval"
        rows = []
        for row in self.rows:
            cells = list(row)
            is_known = row[lower] not in {"", _SUPPRESSED} and row[upper] not in {"", _SUPPRESSED}
            cells[lower] = f"{row[lower]} to {row[upper]}" if is_known else row[lower]
            del cells[upper]
            rows.append(tuple(cells))
        del headings[upper]
        return replace(self, headings=tuple(headings), rows=tuple(rows))

    def to_html(self) -> str:
        """Write the table; every cell is escaped, numbers are aligned, the message stands above."""
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        said = f'<p class="message">{escape(self.message)}</p>' if self.message else ""
        if not self.rows:
            return said + notes
        numeric = [
            all(not row[i] or _is_number(row[i]) for row in self.rows)
            and any(r[i] for r in self.rows)
            for i in range(len(self.headings))
        ]
        head = "".join(
            f'<th scope="col"{_aligned(is_number)}>{escape(name)}</th>'
            for name, is_number in zip(self.headings, numeric, strict=True)
        )
        body = "".join(f"<tr>{self._cells(row, numeric)}</tr>" for row in self.rows)
        label = escape(self.message or "Table")
        wide = ' class="wide"' if len(self.headings) >= _WIDE else ""
        return (
            f'{said}<div class="scroll" role="region" tabindex="0" aria-label="{label}">'
            f'<table{wide} aria-label="{label}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{notes}"
        )

    @staticmethod
    def _cells(row: Sequence[str], numeric: Sequence[bool]) -> str:
        cells = [
            f"<td{_aligned(is_number)}>{escape(cell)}</td>"
            for cell, is_number in zip(row, numeric, strict=True)
        ]
        if not numeric[0]:
            cells[0] = f'<th scope="row">{escape(row[0])}</th>'
        return "".join(cells)


def read_table(html: str) -> tuple[Table | None, str]:
    """Read the first table of a piece of HTML, and the text around it.

    Parameters
    ----------
    html
        Sanitised markup.

    Returns
    -------
    Table or None
        None when there is no table with headings in one row.
    str
        The text before the table.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    rows = [tuple(row) for row in reader.rows]
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None, reader.before.strip()
    n_head = min(max(reader.n_head, 1), len(rows) - 1)
    headings = tuple(name or " " for name in _joined_head(rows[:n_head]))
    return Table(headings, tuple(rows[n_head:])), reader.before.strip()


def _joined_head(rows: Sequence[Sequence[str]]) -> list[str]:
    """Make one heading of several: pandas puts the name of the index below, polars the types."""
    first, *more = rows
    for row in more:
        if all(cell in _TYPES or _TYPE.fullmatch(cell) for cell in row):
            continue
        pairs = zip(first, row, strict=True)
        first = [" ".join(dict.fromkeys(part for part in pair if part)) for pair in pairs]
    return list(first)


class _Reader(HTMLParser):
    """Collects the text of the cells of the first table."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.n_head = 0
        self.before = ""
        self._state = "before"
        self._is_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "table" and self._state == "before":
            self._state = "inside"
        elif self._state == "inside" and tag == "tr":
            self.rows.append([])
        elif self._state == "inside" and tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
            self._is_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._is_cell = False
        elif tag == "thead" and self._state == "inside":
            self.n_head = len(self.rows)
        elif tag == "table" and self._state == "inside":
            self._state = "after"

    def handle_data(self, data: str) -> None:
        if self._state == "before":
            self.before += data
        elif self._state == "inside" and self._is_cell:
            self.rows[-1][-1] += data


def _heading(name: str) -> str:
    """Say a heading in plain words: ``is possible`` becomes ``possible``, ``n obs`` ``cases``."""
    said = name.removeprefix("is ").replace("rel effect", "relative effect")
    return "cases" if said == "n obs" else said


def _is_number(cell: str) -> bool:
    parts = cell.split(" to ")
    return all(_NUMBER.fullmatch(part) or part in {_SUPPRESSED, "< 10"} for part in parts)


def _value(cell: str) -> float | str:
    plain = cell.replace("\u202f", "").replace("\u2212", "-")
    try:
        return float(plain)
    except ValueError:
        return cell


def _few(is_count: bool) -> str:  # noqa: FBT001 - one question
    return "< 10" if is_count else _SUPPRESSED


def _percent(cell: str) -> str:
    from rcakit import wording

    value = _value(cell)
    if isinstance(value, str) or not -1 <= value <= 1 or "." not in cell:
        return cell
    return wording.percent(value)


def _aligned(is_number: bool) -> str:  # noqa: FBT001 - one question
    return ' class="number"' if is_number else ""
