"""How findings leave a playbook: as one output of its own MIME type, read back by the runner."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rcakit.errors import ParameterError
from rcakit.findings import Finding
from rcakit.report.answer import Answer, compose
from rcakit.report.privacy import role_of
from rcakit.results import Result

if TYPE_CHECKING:
    import nbformat

__all__ = [
    "ANSWER_MIME",
    "FINDINGS_MIME",
    "PERSONAL_MIME",
    "AnswerBox",
    "Personal",
    "PublishedFindings",
    "answer_box",
    "collect",
    "mask",
    "publish",
]

ANSWER_MIME = "application/vnd.rcakit.answer+json"
FINDINGS_MIME = "application/vnd.rcakit.findings+json"
PERSONAL_MIME = "application/vnd.rcakit.personal+json"


class AnswerBox:
    """A place near the top of a notebook that is filled when the findings are known."""

    __slots__ = ("_handle",)

    def __init__(self) -> None:
        """Show that the answer is still to come."""
        from IPython.display import display

        waiting = Answer(
            ("The answer appears here when the last cell has run.",), "Cannot tell", "…"
        )
        self._handle = display(_bundle(waiting), raw=True, display_id=True)

    def fill(self, answer: Answer) -> None:
        """Show the answer."""
        if self._handle is not None:
            self._handle.update(_bundle(answer), raw=True)


class PublishedFindings:
    """The findings of a run, shown as a count and carried as JSON."""

    __slots__ = ("findings",)

    def __init__(self, findings: Sequence[Finding]) -> None:
        """Keep the findings."""
        self.findings = tuple(findings)

    def __iter__(self) -> Any:
        """Iterate over the findings."""
        return iter(self.findings)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Carry the findings in the notebook."""
        del include, exclude
        records = [finding.to_record() for finding in self.findings]
        return {
            FINDINGS_MIME: {"findings": records},
            "text/plain": f"{len(records)} findings were published.",
        }


class Personal:
    """Values that name somebody, on their way from the notebook to the mask of the page."""

    __slots__ = ("column", "values")

    def __init__(self, column: str, values: Iterable[Any]) -> None:
        """Keep the values."""
        self.column = column
        self.values = tuple(dict.fromkeys(str(value) for value in values))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Carry the values in the notebook; the page shows none of them."""
        del include, exclude
        return {
            PERSONAL_MIME: {"column": self.column, "values": list(self.values)},
            "text/plain": f"{len(self.values)} values are masked on the page.",
        }


def mask(column: str, values: Iterable[Any]) -> Personal:
    """Name values that the page must mask although their column does not tell.

    Parameters
    ----------
    column
        What they are: ``account_id``, ``reviewer``, ``message``. Columns ``*_id`` and the like are
        masked without being named.
    values
        The values, as the data write them.

    Returns
    -------
    Personal
        Leave it as the last expression of a cell: its output carries the values to the page.

    Examples
    --------
    >>> mask("account_id", ["meera", "tom"])._repr_mimebundle_()["text/plain"]
    '2 values are masked on the page.'
    """
    if role_of(column) is None:
        raise ParameterError(
            f"column must name a person, a reviewer or content, got {column!r}. "
            "Use 'account_id', 'reviewer' or 'message'."
        )
    return Personal(column, values)


def answer_box() -> AnswerBox:
    """Reserve the place of the answer; `publish` fills it."""
    return AnswerBox()


def publish(*found: Result | Finding, answer: AnswerBox | None = None) -> PublishedFindings:
    """Publish findings, in reading order, and fill the answer.

    Parameters
    ----------
    found
        Results, whose findings are taken, and single findings.
    answer
        The box that `answer_box` made.

    Returns
    -------
    PublishedFindings
        Leave it as the last expression of the cell: its output carries the findings.
    """
    findings = [
        finding
        for item in found
        for finding in (item.findings() if isinstance(item, Result) else (item,))
    ]
    if answer is not None:
        answer.fill(compose(findings))
    return PublishedFindings(findings)


def collect(notebook: "nbformat.NotebookNode") -> list[dict[str, Any]]:
    """Return the findings that an executed notebook published, as plain JSON."""
    found: list[dict[str, Any]] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            carried = output.get("data", {}).get(FINDINGS_MIME)
            if carried is not None:
                found = json.loads(json.dumps(carried))["findings"]
    return found


def _bundle(answer: Answer) -> dict[str, Any]:
    return {
        ANSWER_MIME: {
            "sentences": list(answer.sentences),
            "confidence": answer.confidence,
            "why": answer.why,
        },
        "text/html": answer.to_html(),
        "text/plain": str(answer),
    }
