"""How findings leave a playbook: as one output of its own MIME type, read back by the runner."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rcakit.findings import Finding
from rcakit.report.answer import Answer, compose
from rcakit.results import Result

if TYPE_CHECKING:
    import nbformat

__all__ = [
    "ANSWER_MIME",
    "FINDINGS_MIME",
    "AnswerBox",
    "PublishedFindings",
    "answer_box",
    "collect",
    "publish",
]

ANSWER_MIME = "application/vnd.rcakit.answer+json"
FINDINGS_MIME = "application/vnd.rcakit.findings+json"


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
