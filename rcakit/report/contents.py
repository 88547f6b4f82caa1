"""What does an executed notebook hold? Its parts in order, each cleaned of whatever could act.

Text of a notebook becomes text, Markdown becomes the few elements of prose, HTML goes through one
sanitiser. A chart, an answer or a section is known by the MIME type that it carries.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any, Literal

from rcakit.plots.theme import MIME as CHART_MIME
from rcakit.report.privacy import Mask
from rcakit.report.publishing import ANSWER_MIME, FINDINGS_MIME, PERSONAL_MIME
from rcakit.report.sections import SECTION_MIME

if TYPE_CHECKING:
    import nbformat

__all__ = ["Part", "cleaned", "learn_personal", "parts", "prose", "title_of", "within_text"]

Kind = Literal["prose", "code", "chart", "answer", "section", "html", "text", "picture", "trouble"]

_TAGS = {
    "a", "b", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PICTURES = {  # with the bytes that each begins with
    "image/png": re.compile(r"iVBORw0KGgo[A-Za-z0-9+/=\s]+"),
    "image/jpeg": re.compile(r"/9j/[A-Za-z0-9+/=\s]+"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the notebook shows.

    Attributes
    ----------
    kind
        What it is.
    heading
        The heading of the second level above it.
    content
        Text, cleaned HTML, or what a MIME type of ours carries.
    words
        The same as text, for a picture.
    tags
        Tags of its cell.
    """

    kind: Kind
    heading: str
    content: Any
    words: str = ""
    tags: tuple[str, ...] = ()


def parts(notebook: "nbformat.NotebookNode") -> list[Part]:
    """Return what the notebook holds, in order.

    Parameters
    ----------
    notebook
        Executed notebook.
    """
    found: list[Part] = []
    heading = ""
    for cell in notebook.cells:
        tags = tuple(cell.metadata.get("tags", ()))
        if cell.cell_type == "markdown":
            for level, title, text in _split(cell.source):
                heading = title if level == 2 else heading
                found.append(Part("prose", heading, text, title if level == 2 else "", tags))
        elif cell.cell_type == "code":
            found.append(Part("code", heading, cell.source, tags=tags))
            for output in cell.outputs:
                part = _output(output, heading, tags)
                if part is not None:
                    found.append(part)
    return found


def title_of(notebook: "nbformat.NotebookNode") -> str:
    """Return the first heading of the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.partition("\n")[0][2:].strip())
    return "Investigation"


def prose(markdown: str) -> str:
    """Turn Markdown into the elements of prose; HTML in it is shown as text."""
    return cleaned(str(_markdown()(markdown)))


def cleaned(html: str) -> str:
    """Keep text and tables; drop scripts, styles, handlers, forms, frames, pictures and links."""
    import nh3

    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags={"script", "style", "svg", "math", "iframe", "noscript", "template"},
        attributes={
            "*": set(),  # not even a title: it could tell what the mask does not reach
            "a": {"href"},
            "td": {"colspan", "rowspan"},
            "th": {"colspan", "rowspan", "scope"},
        },
        attribute_filter=lambda tag, name, value: (
            None if tag == "a" and name == "href" and not value.startswith("#") else value
        ),
        url_schemes=set(),
        link_rel=None,
        strip_comments=True,
    )


def within_text(html: str, mask: Mask) -> str:
    """Mask the text of cleaned HTML, and leave its elements alone."""
    pieces = re.split(r"(<[^>]*>)", html)
    return "".join(
        piece if piece.startswith("<") else escape(mask.text(unescape(piece)), quote=False)
        for piece in pieces
    )


def learn_personal(notebook: "nbformat.NotebookNode", mask: Mask) -> None:
    """Take note of the values that a notebook named by ``report.mask``."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            told = output.get("data", {}).get(PERSONAL_MIME)
            if told is not None:
                mask.learn(told["column"], told["values"])


def _split(source: str) -> list[tuple[int, str, str]]:
    """Split Markdown at its headings: level, heading, and the text below."""
    pieces = re.split(r"^(#{1,2}) +(.+)$", source, flags=re.MULTILINE)
    found = [(0, "", pieces[0])] if pieces[0].strip() else []
    for marks, title, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        found.append((len(marks), title.strip(), text.strip()))
    return found


def _output(output: Mapping[str, Any], heading: str, tags: tuple[str, ...]) -> Part | None:
    kind = output["output_type"]
    if kind == "stream":
        shown: Kind = "trouble" if output.get("name") == "stderr" else "text"
        return Part(shown, heading, _plain(output.get("text", "")), tags=tags)
    if kind == "error":
        said = "\n".join(output.get("traceback", ())) or str(output.get("evalue", ""))
        return Part("trouble", heading, _plain(said), tags=tags)
    data = output.get("data", {})
    for mime, ours in ((CHART_MIME, "chart"), (ANSWER_MIME, "answer"), (SECTION_MIME, "section")):
        if mime in data:
            return Part(ours, heading, data[mime], tags=tags)  # type: ignore[arg-type]
    if FINDINGS_MIME in data or PERSONAL_MIME in data:
        return None
    words = _plain(data.get("text/plain", ""))
    if "text/html" in data:
        return Part("html", heading, cleaned(_text(data["text/html"])), words, tags)
    for mime, packing in _PICTURES.items():
        packed = _text(data.get(mime, ""))
        if packing.fullmatch(packed):
            return Part("picture", heading, f"data:{mime};base64,{''.join(packed.split())}", words)
    return Part("text", heading, words, tags=tags) if words.strip() else None


def _plain(text: Any) -> str:
    return _ANSI.sub("", _text(text))


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


@lru_cache(maxsize=1)
def _markdown() -> Any:
    import mistune

    return mistune.create_markdown(escape=True, hard_wrap=False, plugins=["table"])
