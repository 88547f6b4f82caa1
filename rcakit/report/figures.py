"""Charts of the page: inert JSON with the message as heading, masked, with their data behind them."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from typing import Any

from rcakit.report.privacy import Mask, role_of, small_rows, without_few

__all__ = ["Figure", "inert_json", "learn", "personal_fields", "read_figure"]

_PARTS_SIDE_BY_SIDE = ("hconcat", "vconcat", "concat", "facet", "repeat")
_FACETS = ("row", "column", "facet")
# Vega keeps values as names of plain objects, where these are taken; a space sets them apart.
_BUILT_IN = frozenset(
    {
        "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__",
        "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
        "toString", "valueOf",
    }
)  # fmt: skip
# Vega-Lite writes titles into expressions and escapes neither a backslash nor the end of a line.
_QUOTES = {ord('"'): "″", ord("\\"): "⧵", ord("\n"): " ", ord("\t"): " "}
_AXIS_HEIGHT = 40  # of labels and title below the marks
_FEW = "Groups of fewer than 10 are not drawn, nor is the next smallest where a total would tell."


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its words taken out, so that the page can set them as text.

    Attributes
    ----------
    message, reading
        Title and subtitle of the chart.
    specification
        Vega-Lite, masked, without title; None where it may not be shown.
    notes
        What was left out, and why.
    """

    message: str
    reading: str
    specification: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the chart carries data, but no row."""
        spec = self.specification
        return spec is not None and '"values":[]' in inert_json(spec) and not _tables(spec)

    def to_html(self, *, note: str = "", level: int = 3) -> str:
        """Write the figure; the drawing has the message as its name and its data as a table."""
        said = [text for text in (self.reading, note, *self.notes) if text]
        below = "".join(f'<p class="note">{escape(text)}</p>' for text in said)
        head = f"<figcaption><h{level}>{escape(self.message)}</h{level}></figcaption>"
        if self.specification is None:
            return f'<figure class="withheld">{head}{below}</figure>'
        fits = " data-fit" if _fits(self.specification) else ""
        return (
            f'<figure class="chart"{fits}>{head}'
            f'<div class="drawing" style="min-height:{_height(self.specification)}px" role="img"'
            f' aria-label="{escape(self.message)}"></div>'
            f'<script type="application/json">{inert_json(self.specification)}</script>{below}'
            f'<details class="data"><summary>Data of this chart</summary></details></figure>'
        )


def read_figure(specification: Mapping[str, Any], mask: Mask) -> Figure:
    """Take the words out of a specification, mask the rest.

    Parameters
    ----------
    specification
        Vega-Lite as a notebook shows it.
    mask
        Of this report.
    """
    masked, notes = _masked(specification, mask)
    title = masked.pop("title", None)
    message, reading = _words(title)
    if _fits(masked):
        masked.pop("width", None)
    if _names_reviewers(specification):
        note = "A chart of single reviewers is not shown: only teams of 10 or more are."
        return Figure(message or "Chart", reading, None, (note,))
    return Figure(message or "Chart", reading, masked, notes)


def inert_json(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def personal_fields(specification: Any) -> frozenset[str]:
    """Return the fields that the maker of a chart declared as naming somebody."""
    told = specification.get("usermeta") if isinstance(specification, Mapping) else None
    return frozenset(told.get("personal", ())) if isinstance(told, Mapping) else frozenset()


def learn(specification: Mapping[str, Any], mask: Mask) -> None:
    """Take note of the ids and texts in the data of a chart."""
    declared = personal_fields(specification)
    for rows in _tables(specification):
        mask.read(rows)
        for row in rows:
            for name in declared & row.keys():
                mask.learn("account_id", row[name])


def _masked(specification: Mapping[str, Any], mask: Mask) -> tuple[dict[str, Any], tuple[str, ...]]:
    copy = deepcopy(dict(specification))
    copy.pop("usermeta", None)
    notes: tuple[str, ...] = ()
    for rows in _tables(copy):
        _, few = small_rows(rows)
        if few:
            rows[:] = [row for i, row in enumerate(rows) if i not in few]
            notes = (*notes, _FEW)
        rows[:], said = without_few(rows, [_is_of_small_team(row, mask) for row in rows])
        notes = (*notes, *said)
        rows[:] = mask.value(rows)
    return _words_masked(copy, mask), tuple(dict.fromkeys(notes))


def _is_of_small_team(row: Mapping[str, Any], mask: Mask) -> bool:
    return any(
        mask.is_small_team(name, value) or (isinstance(value, str) and mask.names_small_team(value))
        for name, value in row.items()
    )


def _words_masked(node: Any, mask: Mask, key: str = "") -> Any:
    """Mask the sentences of a specification; its keys are Vega-Lite's, not columns."""
    if isinstance(node, Mapping):
        return {name: _words_masked(item, mask, str(name)) for name, item in node.items()}
    if isinstance(node, list):
        return [_words_masked(item, mask, key) for item in node]
    if not isinstance(node, str):
        return node
    if node in _BUILT_IN:
        return f"{node} "
    said = mask.text(node)
    return said.translate(_QUOTES) if key == "title" else said


def _tables(node: Any) -> list[list[dict[str, Any]]]:
    """Return the lists of records that a specification carries, wherever they stand."""
    if isinstance(node, Mapping):
        return [found for item in node.values() for found in _tables(item)]
    if isinstance(node, list):
        is_data = bool(node) and all(isinstance(item, dict) for item in node)
        is_data = is_data and all(_is_flat(item) for item in node)
        return [node] if is_data else [found for item in node for found in _tables(item)]
    return []


def _is_flat(record: Mapping[str, Any]) -> bool:
    return all(not isinstance(item, Mapping) for item in record.values())


def _names_reviewers(specification: Mapping[str, Any]) -> bool:
    return any(role_of(name) == "reviewer" for t in _tables(specification) for r in t for name in r)


def _words(title: Any) -> tuple[str, str]:
    if isinstance(title, Mapping):
        return _joined(title.get("text", "")), _joined(title.get("subtitle", ""))
    return _joined(title or ""), ""


def _joined(text: Any) -> str:
    return " ".join(str(line) for line in text) if isinstance(text, list) else str(text)


def _height(specification: Mapping[str, Any]) -> int:
    """Estimate how high a chart will be: its place is kept, so that nothing below it moves."""
    parts = specification.get("vconcat")
    if isinstance(parts, list):
        return sum(_height(part) for part in parts if isinstance(part, Mapping))
    rows = specification.get("hconcat") or specification.get("concat")
    if isinstance(rows, list):
        return max((_height(part) for part in rows if isinstance(part, Mapping)), default=0)
    given = specification.get("height")
    return min(int(given), 2000) + _AXIS_HEIGHT if isinstance(given, int | float) else 0


def _fits(specification: Mapping[str, Any]) -> bool:
    """Tell whether a chart is one view, which can take the width of the page."""
    encoding = specification.get("encoding", {})
    if isinstance(specification.get("width"), Mapping):  # so many pixels for each value
        return False
    return not any(name in specification for name in _PARTS_SIDE_BY_SIDE) and not any(
        name in encoding for name in _FACETS
    )
