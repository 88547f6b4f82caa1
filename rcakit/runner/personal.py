"""Which ids and texts of the data stand in what a run shows, and which teams are too small to name?

The page masks what it knows by the name of a column. A value that was printed, put into a sentence
or shown under another heading has lost that name; so the data themselves are asked. Only what the
run shows is learned, never the whole column.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

from rcakit import frames
from rcakit.errors import RcaError
from rcakit.findings import SMALLEST_CELL
from rcakit.report.privacy import counterpart, is_team, role_of

if TYPE_CHECKING:
    import nbformat
    import polars as pl

__all__ = ["found"]

_TOKEN = re.compile(r"[\w.:/@+-]+")
_PLAIN_WORD = re.compile(r"[^\W\d_]+")
_MARK = 12  # so many characters at the beginning of a text are looked for
_MOST_TEXTS = 2000


def found(
    parameters: Mapping[str, Any],
    notebook: "nbformat.NotebookNode",
    findings: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Look in the tables that the parameters name for what the run must not tell.

    Parameters
    ----------
    parameters
        Checked values by name; those that name a file that rcakit can read are tables.
    notebook
        Executed notebook.
    findings
        What it published.

    Returns
    -------
    dict
        ``columns`` (of all tables), ``values`` (column to values that stand in the outputs),
        ``small_teams`` (column to teams of fewer than 10 people) and ``unsized_teams`` (columns of
        teams whose people nobody counts).
    """
    told: dict[str, set[str]] = {}
    small: dict[str, set[str]] = {}
    sized: set[str] = set()
    teams: set[str] = set()
    known: set[str] = set()
    shown = None
    for table in _tables(parameters):
        if shown is None:
            shown = _Shown(notebook, findings)
        columns = frames.columns(table)
        known.update(columns)
        for column, name in _named(columns, parameters):
            told.setdefault(name, set()).update(shown.of(_distinct(table, column), name))
        for team in filter(is_team, columns):
            teams.add(team)
            person = counterpart(team, columns)
            if person is not None:
                sized.add(team)
                small.setdefault(team, set()).update(_small(table, team, person))
    return {
        "columns": sorted(known),
        "values": {name: sorted(values) for name, values in told.items() if values},
        "small_teams": {name: sorted(names) for name, names in small.items() if names},
        "unsized_teams": sorted(teams - sized),
    }


def _tables(values: Mapping[str, Any]) -> Iterator[Any]:
    """Open the tables that parameters name; what cannot be read was no table of the run."""
    for name, value in values.items():
        if not isinstance(value, str) or not value or "://" in value:
            continue
        from rcakit.sources.files import locate
        from rcakit.sources.reading import read

        try:
            locate(value)
            yield read(value, query=values.get("query") if name == "source" else None)
        except (RcaError, OSError):
            continue


def _named(columns: Sequence[str], values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return columns that name somebody by their own name, or by the parameter that names them."""
    by_parameter = {
        value: name for name, value in values.items() if isinstance(value, str) and role_of(name)
    }
    for column in columns:
        if role_of(column):
            yield column, column
        elif column in by_parameter:
            yield column, by_parameter[column]


def _distinct(table: Any, column: str) -> "pl.Series":
    import polars as pl

    try:
        return frames.aggregate(table, keys=column)[column].drop_nulls().cast(pl.String)
    except (RcaError, pl.exceptions.PolarsError):  # such as a column of lists
        return pl.Series(column, [], dtype=pl.String)


def _small(table: Any, team: str, person: str) -> list[str]:
    """Return the teams of fewer than ten different people."""
    import polars as pl

    pairs = frames.aggregate(table, keys=(team, person)).drop_nulls([team, person])
    sizes = pairs.group_by(team).agg(pl.len().alias("people"))
    few = sizes.filter(pl.col("people") < SMALLEST_CELL)[team]
    return [str(value) for value in few.to_list()]


class _Shown:
    """The text of everything that a run shows."""

    def __init__(
        self, notebook: "nbformat.NotebookNode", findings: Sequence[Mapping[str, Any]]
    ) -> None:
        written = [cell.source for cell in notebook.cells]
        outputs = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
        self._text = "\n".join(unescape(text) for text in _texts([written, outputs, findings]))
        lowered = self._text.lower()
        self._lower = lowered if len(lowered) == len(self._text) else self._text
        self._tokens = set(_TOKEN.findall(self._text))
        self._tokens |= {token.rstrip(".:/") for token in self._tokens}
        self._tokens |= {part for token in self._tokens for part in re.findall(r"\w+", token)}
        # Words that the playbook or its findings use as words are no names, whoever bears them.
        own = [written, [_wording_of(item) for item in findings]]
        self._words = {word.lower() for text in _texts(own) for word in _PLAIN_WORD.findall(text)}

    def of(self, values: "pl.Series", column: str) -> set[str]:
        """Return those values that are shown, or whose beginning is."""
        found = {value for value in self._among(values, self._tokens) if not self._is_plain(value)}
        if role_of(column) != "content" and not self._holds_spaces(values):
            return found
        begins = {
            self._lower[at.start() : at.start() + _MARK] for at in re.finditer(r"\S+", self._text)
        }
        starts = values.str.slice(0, _MARK).str.to_lowercase()
        long = values.filter(starts.is_in(list(begins)) & (values.str.len_chars() >= _MARK))
        for value in long.head(_MOST_TEXTS).to_list():
            found.update(self._pieces(value))
        short = values.filter((values.str.len_chars() < _MARK) & values.str.contains(r"\s"))
        return found | {value for value in short.head(_MOST_TEXTS).to_list() if value in self._text}

    @staticmethod
    def _among(values: "pl.Series", tokens: set[str]) -> list[str]:
        return values.filter(values.is_in(list(tokens))).to_list()

    @staticmethod
    def _holds_spaces(values: "pl.Series") -> bool:
        return bool(values.str.contains(r"\s").any())

    def _is_plain(self, value: str) -> bool:
        """Tell what could be a count or a word of the report; that is masked beside its column only."""
        if value.isdecimal():
            return len(value) < 9
        return len(value) < 3 or value.lower() in self._words

    def _pieces(self, value: str) -> Iterator[str]:
        """Return a text as it is shown: it may have been cut, or be in other letters."""
        for at in re.finditer(re.escape(value[:_MARK].lower()), self._lower):
            shown = self._text[at.start() : at.start() + len(value)]
            pairs = zip(shown.lower(), value.lower(), strict=False)
            n_same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(shown))
            yield shown[:n_same].rstrip()


def _wording_of(finding: Mapping[str, Any]) -> list[Any]:
    segment = finding.get("segment") or {}
    named = [value for name, value in segment.items() if not role_of(name)]
    return [finding.get("kind"), finding.get("unit"), finding.get("method"), list(segment), named]


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for name, item in node.items():
            if name not in {"image/png", "image/jpeg", "metadata"}:
                yield from _texts(item)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _texts(item)
