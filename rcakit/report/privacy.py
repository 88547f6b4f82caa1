"""What may leave the run: ids as pseudonyms, no content, no single reviewer, no small cell.

A page is sent around; the notebook beside it is not. So everything on a page passes a `Mask`. What
the data call a person, a device or a text is known by the name of its column; its values are
learned first and then replaced wherever they stand: in sentences, tables, charts and tooltips.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from rcakit import wording
from rcakit.findings import SMALLEST_CELL

if TYPE_CHECKING:
    import nbformat

__all__ = [
    "SMALL_TEAM",
    "Mask",
    "Role",
    "counterpart",
    "is_team",
    "key_of",
    "role_of",
    "small_rows",
    "without_few",
]

Role = Literal["person", "reviewer", "content"]

_PERSONS = frozenset(
    {
        "id", "account", "user", "username", "user_name", "member", "handle", "reporter_name",
        "email", "e_mail", "phone", "phone_number", "ip", "ip_address", "url", "url_hash",
        "attribute",
    }
)  # fmt: skip
_REVIEWERS = frozenset(
    {
        "reviewer", "rater", "moderator", "auditor", "annotator", "labeller", "labeler",
        "mediator", "agent", "reviewer_name", "moderator_name", "agent_name", "employee",
        "worker",
    }
)  # fmt: skip
_CONTENT = frozenset(
    {
        "text", "content", "content_text", "body", "message", "message_text", "comment",
        "comment_text", "caption", "bio", "transcript", "free_text", "post_text",
        "description", "excerpt",
    }
)  # fmt: skip
# Ids of things that are nobody's: the report is about them.
_PUBLIC_IDS = frozenset(
    {
        "change_id", "ring_id", "track_id", "incident_id", "run_id", "finding_id",
        "experiment_id", "policy_id", "queue_id", "rule_id", "model_id", "team_id",
        "vendor_id", "site_id", "cell_id", "batch_id",
    }
)  # fmt: skip
# Groups of people at work; they may be named when they are ten or more.
_TEAMS = re.compile(
    r"(?:\w+_)?(?:team|squad|pod|crew|shift|wave|site|vendor|office)s?(?:_id|_name)?"
)
SMALL_TEAM = "a team of fewer than 10"
_FEW_PEOPLE = (
    "Teams of fewer than 10 people are not shown, nor is one more row where a total would tell."
)
_COUNTS = re.compile(
    r"n|n_(obs|items|control|treatment|cases|rows)|count|cases|(user|case|report|decision)_count"
)
_TIMES = re.compile(r"day|date|at|time|month|week|hour|period(_start)?|.+_(at|date)|subgroup|order")
_LENGTHS = (18, 60, 120, 200)  # to which texts of the data are cut where they are shown
_STRAIGHT = {ord(sign): '"' for sign in "“”„‟"}  # as `wording.quoted` writes them
_TOKEN = re.compile(r"[\w.:/@+-]+")
_WORD = re.compile(r"\w+")
_SHORTEST = 4  # a shorter value is replaced only where its column stands beside it
_PAIR = re.compile(r"(?P<name>\w+|“[^”]*”) = (?P<value>“[^”]*”|[\w.:/@+-]*[\w/@+-])")


def role_of(column: object) -> Role | None:
    """Say whom or what a column names: a person (or device), a reviewer, content; else None.

    Parameters
    ----------
    column
        Name as in the data, or as the heading of a table (``account id``).
    """
    name = str(column).strip().lower().replace(" ", "_").replace("-", "_")
    stem = name.removesuffix("s").removesuffix("_id").removesuffix("_hash")
    if name in _REVIEWERS or (name.endswith(("_id", "_ids")) and stem in _REVIEWERS):
        return "reviewer"
    if name in _CONTENT:
        return "content"
    is_id = name.endswith(("_id", "_ids")) and name.removesuffix("s") not in _PUBLIC_IDS
    return "person" if is_id or name in _PERSONS else None


def is_team(column: object) -> bool:
    """Tell a column of teams, sites, shifts or waves: of people at work, never a single one.

    Parameters
    ----------
    column
        Name as in the data, or as the heading of a table.
    """
    return _TEAMS.fullmatch(_plain(column)) is not None


def counterpart(team: str, columns: Iterable[str]) -> str | None:
    """Find the column that names the people of a column of teams; None where there is none.

    Parameters
    ----------
    team
        Column of teams.
    columns
        All columns of the table. Auditors belong to ``audit_team``, everybody else to the others.
    """
    is_audit = "audit" in _plain(team)
    people = [name for name in columns if role_of(name) == "reviewer"]
    return next((name for name in people if ("audit" in _plain(name)) == is_audit), None)


def key_of(notebook: "nbformat.NotebookNode") -> bytes:
    """Derive the key of a run from what only its executed notebook holds: when each cell ran.

    The times to the microsecond are not on the page, so the page alone unmasks nothing, and two
    runs share no key; no secret has to be kept. A notebook that was not run has a random key.
    """
    times = [
        (told.get("start_time"), told.get("end_time"), told.get("duration"))
        for told in (cell.metadata.get("papermill", {}) for cell in notebook.cells)
        if told.get("start_time")
    ]
    if len(times) < 2:
        return secrets.token_bytes(16)
    return hashlib.sha256(json.dumps(times).encode()).digest()


class Mask:
    """Replace what must not be shown, the same way throughout one report.

    Parameters
    ----------
    key
        Of this report; pseudonyms of two keys cannot be linked.

    Notes
    -----
    A pseudonym is the first 40 bits of HMAC-SHA-256 over column and value (Bellare, Canetti,
    Krawczyk 1996): whoever lacks the key can neither invert nor recompute it. Masking is by the
    names of columns: a column of ids under an ordinary name is not seen, and must be named by
    ``report.mask``.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._tokens: dict[str, str] = {}
        self._phrases: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._small_teams: dict[str, frozenset[str]] = {}
        self.columns: frozenset[str] = frozenset()
        self.unsized_teams: tuple[str, ...] = ()
        self.originals: dict[str, str] = {}

    def pseudonym(self, column: object, value: object) -> str:
        """Return what stands for a value of a column, such as ``account-3kf9x2qa``."""
        role = role_of(column)
        if role == "reviewer":
            return "one reviewer"
        name = re.sub(r"[^a-z]+", "-", str(column).lower().removesuffix("s")).strip("-")
        name = name.removesuffix("-id") or "id"
        if role == "content":
            name = "text"
        digest = hmac.new(self._key, f"{name}\0{value}".encode(), hashlib.sha256).digest()
        shown = f"{name[:24]}-{base64.b32encode(digest[:5]).decode().lower()}"
        self.originals.setdefault(shown, str(value))
        return shown

    def learn(self, column: object, value: Any) -> None:
        """Take note of the values of a column that must not be shown."""
        if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
            for item in value:
                self.learn(column, item)
            return
        if value is None or isinstance(value, bool | Mapping) or _is_measure(column, value):
            return
        if value in self.columns:  # a parameter that says which column it is
            return
        shown = self.pseudonym(column, value)
        for text in _written(value):
            is_number = text.replace("\u202f", "").isdecimal()
            if len(text) > _SHORTEST or (len(text) == _SHORTEST and not is_number):
                self._note(text, shown)

    def _note(self, text: str, shown: str) -> None:
        if _TOKEN.fullmatch(text):
            self._tokens[text] = shown
        else:
            self._phrases[text] = shown
            self._pattern = None

    def read(self, value: Any) -> None:
        """Learn from records, specifications and parameters: whatever stands below a telling name."""
        if isinstance(value, Mapping):
            for name, item in value.items():
                if role_of(name) and not isinstance(item, Mapping):
                    self.learn(name, item)
                else:
                    self.read(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self.read(item)

    def take(self, told: Mapping[str, Any]) -> None:
        """Take note of what the data said of themselves: see `rcakit.runner.personal.found`."""
        self.columns |= frozenset(told.get("columns", ()))
        for column, values in told.get("values", {}).items():
            self.learn(column, values)
        for column, teams in told.get("small_teams", {}).items():
            known = self._small_teams.get(_plain(column), frozenset())
            self._small_teams[_plain(column)] = known | {str(team) for team in teams}
            for team in self._small_teams[_plain(column)]:
                if len(team) >= _SHORTEST and not team.isdecimal():
                    self._note(team, SMALL_TEAM)
        self.unsized_teams = tuple(told.get("unsized_teams", ()))

    def is_small_team(self, column: object, value: object) -> bool:
        """Tell a team of fewer than ten people, or the words that stand for one."""
        return str(value) == SMALL_TEAM or str(value) in self._small_teams.get(_plain(column), ())

    def names_small_team(self, text: str) -> bool:
        """Tell a text that names a team of fewer than ten people."""
        return bool(self._small_teams) and SMALL_TEAM in self.text(text)

    def text(self, text: str) -> str:
        """Replace learned values in a sentence, and any value that stands as ``column = value``.

        Characters that hide or reorder text are named.
        """
        if self._phrases:
            text = self._phrase_pattern().sub(lambda found: self._phrases[found[0]], text)
        if self._tokens:
            text = _TOKEN.sub(self._token, text)
        return _open(_PAIR.sub(self._pair, text) if " = " in text else text)

    def _phrase_pattern(self) -> re.Pattern[str]:
        if self._pattern is None:
            longest = sorted(self._phrases, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest)))
        return self._pattern

    def _token(self, found: re.Match[str]) -> str:
        token = found[0]
        stem = token.rstrip(".:/")
        if stem in self._tokens:
            return self._tokens[stem] + token[len(stem) :]
        if any(part in self._tokens for part in _WORD.findall(token)):
            return _WORD.sub(lambda part: self._tokens.get(part[0], part[0]), token)
        return token

    def _pair(self, found: re.Match[str]) -> str:
        name, value = found["name"].strip("“”"), found["value"].strip("“”")
        if self.is_small_team(name, value):
            return f"{found['name']} = {SMALL_TEAM}"
        if role_of(name) is None or value in self.originals or value == "one reviewer":
            return found[0]
        return f"{found['name']} = {self.pseudonym(name, value)}"

    def _is_telling(self, column: object) -> bool:
        return role_of(column) is not None or _plain(column) in self._small_teams

    def value(self, value: Any, column: object = None) -> Any:
        """Replace throughout a record, a list or a specification."""
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self.value(item, name if self._is_telling(name) else None)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item, column) for item in value]
        if value is None or isinstance(value, bool):
            return value
        if column is not None and self.is_small_team(column, value):
            return SMALL_TEAM
        if role_of(column) and not _is_measure(column, value):
            return str(value) if str(value) in self.originals else self.pseudonym(column, value)
        return self.text(value) if isinstance(value, str) else value


def small_rows(
    rows: Sequence[Mapping[str, Any]], *, smallest: int = SMALLEST_CELL
) -> tuple[tuple[str, ...], frozenset[int]]:
    """Find the rows of a table that count too few people to be shown.

    Parameters
    ----------
    rows
        Records with numbers; columns of counts are known by their names (``n_obs``, ``*_count``).
    smallest
        Fewer than this, but more than none, is too few.

    Returns
    -------
    tuple of str
        The columns of counts.
    frozenset of int
        Positions of the rows to suppress. When one row alone would be suppressed, the row with
        the next smallest count is added: a total would tell the first (complementary
        suppression; Hundepool et al. 2012, *Statistical Disclosure Control*, section 4.3).

    Notes
    -----
    A table by time is not suppressed: a day is no group of people.
    """
    names = {_plain(name): name for row in rows for name in row}
    if any(_TIMES.fullmatch(name) for name in names):
        return (), frozenset()
    counts = tuple(name for plain, name in names.items() if _COUNTS.fullmatch(plain))
    few = {
        i for i, row in enumerate(rows) if any(0 < _number(row.get(c)) < smallest for c in counts)
    }
    if len(few) == 1 and len(rows) > 1:
        others = [i for i in range(len(rows)) if i not in few]
        few.add(min(others, key=lambda i: min(_number(rows[i].get(c)) for c in counts)))
    return counts, frozenset(few)


def without_few(rows: Sequence[Any], few: Sequence[bool]) -> tuple[list[Any], tuple[str, ...]]:
    """Leave out the rows of small teams; of one alone, the total would tell, so the next goes too.

    Parameters
    ----------
    rows
        Of a table or chart.
    few
        For each row, whether it is about a team of fewer than ten.

    Returns
    -------
    list
        The rows that stay.
    tuple of str
        What to say about it.
    """
    if not any(few):
        return list(rows), ()
    gone = {i for i, is_few in enumerate(few) if is_few}
    if len(gone) == 1 and len(rows) > 1:
        gone.add(min(set(range(len(rows))) - gone))
    return [row for i, row in enumerate(rows) if i not in gone], (_FEW_PEOPLE,)


def _is_measure(column: object, value: Any) -> bool:
    """Tell a number that is counted or measured from one that names somebody."""
    return not isinstance(value, str) and not re.search(r"(?:^|[ _-])ids?$", str(column).lower())


def _open(text: str) -> str:
    """Name the characters that hide or reorder what a reader sees; lines and spaces stay."""
    if text.isprintable() and text.isascii():
        return text
    pieces = re.split(r"([\n\t\u00a0])", text)
    return "".join(
        piece
        if piece in {"\n", "\t", "\u00a0"} or (piece.isascii() and piece.isprintable())
        else wording.visible(piece, longest=len(piece) + 1)
        for piece in pieces
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    return float(value)


def _plain(name: object) -> str:
    return str(name).strip().lower().replace(" ", "_")


@lru_cache(maxsize=65536)
def _written(value: object) -> tuple[str, ...]:
    """Return the forms in which a value can stand on a page: whole, cut, quoted, as a number."""
    text = str(value)
    forms = {text, wording.visible(value, longest=max(len(text), 1))}
    for longest in _LENGTHS:
        if len(text) > longest:
            forms.add(wording.visible(value, longest=longest))
    forms |= {form.translate(_STRAIGHT) for form in tuple(forms)}
    if isinstance(value, int | float) and not isinstance(value, bool):
        forms.add(wording.amount(value))
    return tuple(forms)
