"""The reader's page: an executed notebook without its code, charts live, nothing from outside.

Everything that a notebook shows goes through one sanitiser; then the places of charts, answer and
parameters are filled with markup made here, in which all text is escaped. A content security
policy admits the page's own scripts by their hashes and nothing else.
"""

import base64
import gzip
import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.findings import Finding
from rcakit.plots.theme import MIME as CHART_MIME
from rcakit.report.answer import compose
from rcakit.report.publishing import ANSWER_MIME, FINDINGS_MIME

if TYPE_CHECKING:
    import nbformat

__all__ = ["page"]

_TEMPLATES = Path(__file__).parent / "templates"
_TAGS = {
    "a", "b", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "figcaption", "figure",
    "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s", "small",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip


def page(
    notebook: "nbformat.NotebookNode",
    findings: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any],
    *,
    parameters: Sequence[Mapping[str, str]] = (),
) -> str:
    """Make the page of a run.

    Parameters
    ----------
    notebook
        Executed notebook.
    findings
        What it published, as records.
    run
        ``run_id``, ``playbook``, ``status``, ``finished_at``, ``versions`` and ``data_fingerprint``.
    parameters
        One mapping per parameter: ``name``, ``value``, ``meaning``.

    Returns
    -------
    str
        A complete HTML document that loads nothing.
    """
    from jinja2 import Environment, FileSystemLoader

    places = _Places(secrets.token_hex(8))
    shown, contents = _numbered(_sanitised(_body(notebook, places)))
    body = places.fill(shown, findings, parameters)
    bundle, boot = _chart_library(), _script("boot.js")
    packed = base64.b64encode(gzip.compress(bundle.encode(), 9, mtime=0)).decode()
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)
    return environment.get_template("page.html.j2").render(
        title=_title(notebook),
        contents=contents,
        body=_Safe(body),
        style=_Safe((_TEMPLATES / "page.css").read_text("utf-8")),
        has_charts=bool(places.charts),
        packed=packed,
        boot=_Safe(boot),
        policy=f"script-src {_hash(boot)} {_hash(bundle)}"
        if places.charts
        else "script-src 'none'",
        run=run,
    )


class _Safe(str):
    """Markup that was made or sanitised here."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


class _Places:
    """Marks in the notebook's HTML where markup of the page's own goes."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.charts: list[Mapping[str, Any]] = []

    def chart(self, specification: Mapping[str, Any]) -> str:
        self.charts.append(specification)
        return self._mark(f"chart-{len(self.charts) - 1}")

    def answer(self) -> str:
        return self._mark("answer")

    def parameters(self) -> str:
        return self._mark("parameters")

    def _mark(self, what: str) -> str:
        # A token that is new for each page: nothing in the data can name a place.
        return f'<div class="rcakit-{self.token}-{what}"></div>'

    def fill(
        self,
        body: str,
        findings: Sequence[Mapping[str, Any]],
        parameters: Sequence[Mapping[str, str]],
    ) -> str:
        """Put charts, answer and parameters into their places."""
        for position, specification in enumerate(self.charts):
            body = body.replace(self._mark(f"chart-{position}"), _chart(specification), 1)
        body = body.replace(self.answer(), _answer(findings), 1)
        return body.replace(self.parameters(), _parameters(parameters), 1)


def _body(notebook: "nbformat.NotebookNode", places: _Places) -> str:
    """Turn the notebook into HTML without code, with marks for what the page fills in."""
    from nbconvert import HTMLExporter

    copy = deepcopy(notebook)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                _shown(output, places) for output in cell.outputs if _is_for_readers(output)
            ]
        if "parameters" in cell.metadata.get("tags", []):
            cell.outputs = [_html_output(places.parameters())]
    copy.cells = [c for c in copy.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(copy)
    return str(body)


def _is_for_readers(output: Mapping[str, Any]) -> bool:
    """Leave out warnings, tracebacks and the machine-readable findings."""
    if output["output_type"] == "error" or output.get("name") == "stderr":
        return False
    return FINDINGS_MIME not in output.get("data", {})


def _shown(output: Any, places: _Places) -> Any:
    data = output.get("data", {})
    if CHART_MIME in data:
        return _html_output(places.chart(data[CHART_MIME]))
    if ANSWER_MIME in data:
        return _html_output(places.answer())
    if "text/html" not in data and "text/plain" in data:
        kept = {kind: data[kind] for kind in ("image/png", "text/plain") if kind in data}
        return {**output, "data": kept}
    return output


def _html_output(html: str) -> Any:
    from nbformat.v4 import new_output

    return new_output("display_data", data={"text/html": html})


def _sanitised(html: str) -> str:
    """Keep text, tables and pictures; drop scripts, styles, handlers, forms, frames and links."""
    import nh3

    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags={"script", "style", "svg", "math", "iframe", "noscript", "template"},
        attributes={
            "*": {"class", "id", "title"},
            "a": {"href"},
            "img": {"src", "alt"},
            "td": {"colspan", "rowspan"},
            "th": {"colspan", "rowspan", "scope"},
        },
        attribute_filter=_attribute,
        url_schemes={"data"},
        link_rel=None,
        strip_comments=True,
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "a" and name == "href":
        return value if value.startswith("#") else None
    if tag == "img" and name == "src":
        return (
            value
            if value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
            else None
        )
    return value


def _numbered(body: str) -> tuple[str, list[tuple[str, _Safe]]]:
    """Give each section an address, and list them."""
    contents: list[tuple[str, _Safe]] = []

    def addressed(heading: re.Match[str]) -> str:
        contents.append((f"section-{len(contents) + 1}", _Safe(heading[1])))
        return f'<h2 id="{contents[-1][0]}">{heading[1]}</h2>'

    return re.sub(r"<h2[^>]*>(.*?)</h2>", addressed, body), contents


def _chart(specification: Mapping[str, Any]) -> str:
    """Embed a specification as inert JSON, with its message as the accessible name."""
    title = specification.get("title") or {}
    text = title.get("text", "") if isinstance(title, Mapping) else title
    label = " ".join(text) if isinstance(text, list) else str(text)
    return (
        f'<figure class="chart" role="img" aria-label="{escape(label)}">'
        f'<script type="application/json">{_inert_json(specification)}</script></figure>'
    )


def _inert_json(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _answer(findings: Sequence[Mapping[str, Any]]) -> str:
    answer = compose([Finding.from_record(record) for record in findings])
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in answer.sentences)
    level = answer.confidence.partition(" ")[0].lower()
    return (
        f'<div class="answer">{said}<p class="sure"><span class="badge {level}">'
        f"{escape(answer.confidence)}</span> {escape(answer.why)}</p></div>"
    )


def _parameters(parameters: Sequence[Mapping[str, str]]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{escape(item['name'])}</th>"
        f"<td>{escape(wording.visible(item['value'], longest=120))}</td>"
        f"<td>{escape(item['meaning'])}</td></tr>"
        for item in parameters
    )
    head = "<tr><th>parameter</th><th>value</th><th>meaning</th></tr>"
    return (
        "<details><summary>All parameters of this run</summary>"
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table></details>"
    )


def _title(notebook: "nbformat.NotebookNode") -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.partition("\n")[0][2:].strip())
    return "Investigation"


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def _chart_library() -> str:
    """Return the chart library as one script that sets ``vegaEmbed`` and loads nothing."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"))


def _script(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8").strip()
