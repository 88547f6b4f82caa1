"""The pages of a run: the reader's, composed from the findings, and the analyst's, with the code.

Both are one file that loads nothing. Whatever the notebook shows is masked, read as text or sent
through one sanitiser; all markup is made here. A content security policy admits the page's own
scripts by their hashes and nothing else.
"""

import base64
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from html import escape, unescape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.findings import SMALLEST_CELL, Finding
from rcakit.report import contents, figures, sections
from rcakit.report.answer import Answer, compose
from rcakit.report.contents import Part
from rcakit.report.plan import Step, plan
from rcakit.report.privacy import Mask, key_of, role_of
from rcakit.report.tables import Table, read_table

if TYPE_CHECKING:
    import nbformat

__all__ = ["analyst_page", "page", "publishable", "render", "run_mask"]

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_CHARTS = 3
_MOST_LINES = 1000
_LONGEST_LINE = 20_000
_SHOWN_OF_A_LINE = 400
_EVIDENCE = "evidence"  # the tag of a cell whose chart or table must be on the reader's page
_SECTIONS: Mapping[str, Callable[[Sequence[Finding]], sections.Section]] = {
    "impact": sections.impact,
    "doubts": sections.doubts,
    "timeline": sections.timeline,
    "actions": sections.actions,
    "limits": sections.limits,
}
_EXAMPLES = "examples"
_METHOD = "Method: "
# Headings whose tables the page has places for, or that show no evidence.
_PLACED = frozenset(
    {
        "Answer", "Parameters", "Data", "What else could explain it", "Impact", "Timeline (UTC)",
        "What to do", "Limits and method",
    }
)  # fmt: skip


def page(
    notebook: "nbformat.NotebookNode",
    findings: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any],
    *,
    parameters: Sequence[Mapping[str, str]] = (),
) -> str:
    """Make the reader's page of a run.

    Parameters
    ----------
    notebook
        Executed notebook.
    findings
        What it published, as records.
    run
        ``run_id``, ``playbook``, ``status``, ``started_at``, ``finished_at``, ``versions`` and
        ``data_fingerprint``; ``personal``, what the data said of ids and teams, where it is known.
    parameters
        One mapping per parameter: ``name``, ``value``, ``meaning``.

    Returns
    -------
    str
        A complete HTML document that loads nothing.

    Notes
    -----
    The order is fixed: answer, impact, evidence (at most three charts and one table), what was
    ruled out, timeline, what to do, limits, method. The first charts and the first table of the
    notebook are the evidence, unless cells are tagged ``evidence``; the rest is in the method.
    """
    mask = run_mask(notebook, findings, parameters, run)
    shown, left_out = publishable(findings, mask)
    return _Reader(notebook, shown, left_out, mask).render(run, parameters)


def analyst_page(
    notebook: "nbformat.NotebookNode",
    findings: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any],
    *,
    parameters: Sequence[Mapping[str, str]] = (),
) -> str:
    """Make the analyst's page: the notebook in its order, with its code, as safe as the reader's.

    Parameters
    ----------
    notebook, findings, run, parameters
        As for `page`; a failed run has a page too, with its traceback.
    """
    mask = run_mask(notebook, findings, parameters, run)
    shown, _ = publishable(findings, mask)
    items, headings = _analyst_items(contents.parts(notebook), compose(shown), mask)
    return _document(
        "analyst.html.j2",
        title=mask.text(contents.title_of(notebook)),
        contents=[*headings, ("provenance", "Where this page comes from")],
        items=items,
        provenance=_provenance(run, mask),
        run=_masked_run(run, mask),
        other="The reader's page is report.html beside this file.",
    )


def run_mask(
    notebook: "nbformat.NotebookNode",
    findings: Sequence[Mapping[str, Any]] = (),
    parameters: Sequence[Mapping[str, str]] = (),
    run: Mapping[str, Any] | None = None,
) -> Mask:
    """Make the mask of a run, which knows every id and text that the run could show.

    Parameters
    ----------
    notebook, findings, parameters, run
        As for `page`.
    """
    mask = Mask(key_of(notebook))
    mask.take((run or {}).get("personal") or {})
    mask.read(list(findings))
    for item in parameters:
        if role_of(item["name"]):
            mask.learn(item["name"], re.findall(r"[^\s\[\]'\",]+", item["value"]))
    contents.learn_personal(notebook, mask)
    for part in contents.parts(notebook):
        if part.kind == "chart":
            figures.learn(part.content, mask)
        elif part.kind == "html":
            _learn_table(read_table(part.content)[0], mask)
        elif part.kind == "section":
            _learn_table(_section_table(part.content), mask)
    return mask


def publishable(
    findings: Iterable[Mapping[str, Any]], mask: Mask
) -> tuple[list[Finding], list[str]]:
    """Mask findings, and leave out those about single reviewers or fewer than 10 cases.

    Parameters
    ----------
    findings
        Records.
    mask
        Of the run.

    Returns
    -------
    list of Finding
        What may be shown.
    list of str
        A sentence on each kind of finding that was left out.
    """
    kept, n_reviewers, n_teams, n_few = [], 0, 0, 0
    for record in findings:
        segment = record.get("segment") or {}
        is_verdict = record.get("kind") == "verdict"
        if any(role_of(name) == "reviewer" for name in segment) and not is_verdict:
            n_reviewers += 1
        elif any(mask.is_small_team(*pair) for pair in segment.items()) and not is_verdict:
            n_teams += 1
        elif segment and 0 < int(record.get("n_obs") or 0) < SMALLEST_CELL and not is_verdict:
            n_few += 1
        else:
            kept.append(Finding.from_record(mask.value(record)))
    said = []
    if n_reviewers:
        said.append(f"{wording.plural(n_reviewers, 'finding')} about single reviewers: not shown.")
    if n_teams:
        said.append(f"{wording.plural(n_teams, 'finding')} about teams of under 10: not shown.")
    if n_few:
        said.append(f"{wording.plural(n_few, 'finding')} on fewer than 10 cases: not shown.")
    return kept, said


@dataclass(slots=True)
class _Reader:
    """The reader's page in the making."""

    notebook: Any
    findings: Sequence[Finding]
    left_out: Sequence[str]
    mask: Mask

    def render(self, run: Mapping[str, Any], parameters: Sequence[Mapping[str, str]]) -> str:
        parts = contents.parts(self.notebook)
        carried = {
            part.content["name"]: part.content for part in reversed(parts) if part.kind == "section"
        }
        told = {name: self._section(name, carried.get(name)) for name in _SECTIONS}
        charts, table, data, further = self._sorted(parts)
        headline, impact = _impact(told["impact"], self.mask)
        caveats = {caveat for item in self.findings for caveat in item.caveats}
        doubts, said = told["doubts"]["sentences"], told["limits"]["sentences"]
        timeline = [(row[0], row[1]) for row in told["timeline"]["rows"] if len(row) > 1]
        methods = [_capital(text[len(_METHOD) :]) for text in said if text.startswith(_METHOD)]
        limits = [text for text in said if not text.startswith(_METHOD)]
        answer = compose(self.findings)
        context = {
            "title": self.mask.text(contents.title_of(self.notebook)),
            "question": _Safe(self._question(parts)),
            "answer": answer,
            "level": answer.confidence.partition(" ")[0].lower(),
            "headline": headline,
            "impact": impact,
            "figures": charts,
            "table": table,
            "examples": self._examples(carried.get(_EXAMPLES)),
            "ruled_out": [text for text in doubts if text not in caveats],
            "timeline": timeline,
            "steps": self._steps(told["actions"]["sentences"]),
            "limits": [
                *limits,
                *(text for text in doubts if text in caveats),
                *self.left_out,
                *self._unsized(table),
            ],
            "methods": methods,
            "data": data,
            "further": further,
            "parameters": _parameters(parameters, self.mask),
            "provenance": _provenance(run, self.mask),
            "nothing": {name: item["nothing"] for name, item in told.items()},
            "run": _masked_run(run, self.mask),
            "other": "The analyst's page, with the code, is analyst.html beside this file.",
        }
        return _document("page.html.j2", contents=_reader_contents(bool(timeline)), **context)

    def _examples(self, carried: Mapping[str, Any] | None) -> str:
        """Show the references of example cases where the run was asked for them."""
        return _Safe(_section_html(carried, self.mask)) if carried and carried["rows"] else ""

    def _section(self, name: str, carried: Mapping[str, Any] | None) -> dict[str, Any]:
        """Take a section as the notebook showed it, or compose it from the findings."""
        record = carried or _SECTIONS[name](self.findings).to_record()
        masked = dict(self.mask.value(record))
        masked["rows"] = [[_cell(cell) for cell in row] for row in masked["rows"]]
        return masked

    def _question(self, parts: Sequence[Part]) -> str:
        asked = next(
            (p.content for p in parts if p.kind == "prose" and p.heading == "Question"), ""
        )
        return contents.within_text(contents.prose(asked), self.mask) if asked else ""

    def _unsized(self, table: str | None) -> list[str]:
        """Say of which teams the page tells without knowing that they are ten people or more."""
        told = {name for item in self.findings for name in item.segment or ()}
        told |= {name for name in self.mask.unsized_teams if f">{escape(name)}<" in (table or "")}
        names = [wording.name(name) for name in self.mask.unsized_teams if name in told]
        if not names:
            return []
        each = " and ".join(names)
        return [f"How many people are in each {each} is not known here, so 10 was not checked."]

    def _steps(self, actions: Sequence[str]) -> tuple[Step, ...]:
        return plan(self.findings, actions)

    def _sorted(self, parts: Sequence[Part]) -> tuple[list[Any], Any, list[Any], list[Any]]:
        """Sort what the notebook shows into evidence, data and the rest."""
        tagged = {part.kind for part in parts if _EVIDENCE in part.tags}
        charts: list[Any] = []
        data: list[Any] = []
        further: list[Any] = []
        table = None
        note = ""
        for part in parts:
            is_wanted = part.kind not in tagged or _EVIDENCE in part.tags
            if part.kind == "prose":
                note = self.mask.text(_sentence(part.content))
            elif part.kind == "chart":
                figure = figures.read_figure(part.content, self.mask)
                if figure.is_empty:
                    continue
                is_first = is_wanted and len(charts) < _MOST_CHARTS
                (charts if is_first else further).append(_Safe(figure.to_html(note=note)))
                note = ""
            elif part.kind in {"html", "text", "picture"} or _has_no_place(part):
                shown, is_table = self._shown(part, note)
                if part.heading == "Data":
                    data.append(_Safe(shown))
                elif table is None and is_table and is_wanted:
                    table = _Safe(shown)
                elif part.kind != "text":
                    further.append(_Safe(shown))
        return charts, table, data, further

    def _shown(self, part: Part, note: str) -> tuple[str, bool]:
        if part.kind == "section":
            said = _section_html(part.content, self.mask, part.heading)
            return said, bool(part.content["rows"]) and part.heading not in _PLACED
        if part.kind != "html":
            return _plain_part(part, self.mask), False
        table, before = read_table(part.content)
        if table is None:
            return contents.within_text(part.content, self.mask), False
        message = self._message(self.mask.text(before), note) if part.heading != "Data" else before
        table = Table(table.headings, table.rows, message or part.heading)
        shown = table.masked(self.mask).joined().of_a_reader()
        return shown.to_html(), part.heading not in _PLACED

    def _message(self, before: str, note: str) -> str:
        """Choose the one claim that a table supports: the first that is not the verdict.

        A table that supports the verdict alone is headed by the prose above it: the sentence of the
        answer says nothing new a third time.
        """
        claims = [item.claim for item in self.findings if item.claim and item.claim in before]
        verdicts = {item.claim for item in self.findings if item.kind == "verdict"}
        own = next((claim for claim in claims if claim not in verdicts), None)
        return own or (note if claims and note else before)


def _has_no_place(part: Part) -> bool:
    """Tell a section of a playbook's own from those that the page has places for."""
    return part.kind == "section" and part.content["name"] not in {*_SECTIONS, _EXAMPLES}


def _impact(section: Mapping[str, Any], mask: Mask) -> tuple[dict[str, str] | None, Any]:
    """Set the first number large, and the rest as a table."""
    del mask
    rows, columns = section["rows"], section["columns"]
    if not rows:
        return None, None
    table = _Safe(Table(tuple(columns), tuple(tuple(row) for row in rows)).to_html())
    if len(columns) < 4:
        return None, table
    first = rows[0]
    is_counted = first[2] == "counted"
    headline = {
        "number": first[1],
        "unit": first[3] if first[0] == first[3] else f"{first[3]} ({first[0]})",
        "range": "counted, not estimated" if is_counted else f"{columns[2]}: {first[2]}",
    }
    return headline, table if len(rows) > 1 else None


def _analyst_items(
    parts: Sequence[Part], answer: Answer, mask: Mask
) -> tuple[list[Any], list[tuple[str, str]]]:
    items: list[Any] = []
    headings: list[tuple[str, str]] = []
    for part in parts:
        if part.kind == "prose" and part.words:
            headings.append((f"section-{len(headings) + 1}", mask.text(part.words)))
            items.append(_Safe(f'<h2 id="{headings[-1][0]}">{escape(headings[-1][1])}</h2>'))
        items.append(_Safe(_analyst_part(part, answer, mask)))
    return items, headings


def _analyst_part(part: Part, answer: Answer, mask: Mask) -> str:
    if part.kind == "prose":
        return contents.within_text(contents.prose(part.content), mask)
    if part.kind == "code":
        return _highlighted(mask.text(part.content))
    if part.kind == "chart":
        return figures.read_figure(part.content, mask).to_html()
    if part.kind == "answer":
        return f'<div class="answer">{answer.to_html()}</div>'
    if part.kind == "section":
        return _section_html(part.content, mask)
    if part.kind == "html":
        table, before = read_table(part.content)
        if table is None:
            return contents.within_text(part.content, mask)
        told = f"<p>{escape(mask.text(before))}</p>" if before else ""
        return told + table.masked(mask).to_html()
    return _plain_part(part, mask)


def _section_html(section: Mapping[str, Any], mask: Mask, message: str = "") -> str:
    """Write a section that the page has no place of its own for."""
    said = "".join(f"<li>{escape(mask.text(text))}</li>" for text in section["sentences"])
    html = f"<ul>{said}</ul>" if said else ""
    if section["rows"]:
        html += _section_table(section, message).masked(mask).joined().to_html()
    return html or f"<p>{escape(mask.text(section['nothing']))}</p>"


def _plain_part(part: Part, mask: Mask) -> str:
    if part.kind == "picture":
        words = escape(mask.text(part.words.strip()) or "Picture")
        return f'<figure><img src="{part.content}" alt="{words}"></figure>'
    style = ' class="trouble"' if part.kind == "trouble" else ""
    given = part.content.splitlines()
    # Cut before masking, so that a flood takes no time, but far beyond what is shown of a line.
    text = "\n".join(line[:_LONGEST_LINE] for line in given[:_MOST_LINES])
    lines = [
        wording.visible(line, longest=_SHOWN_OF_A_LINE) for line in mask.text(text).split("\n")
    ]
    if len(given) > _MOST_LINES:
        more = wording.plural(len(given) - _MOST_LINES, "further line")
        lines.append(f"… {more}: see notebook.ipynb")
    return f'<pre{style} tabindex="0">{escape(chr(10).join(lines))}</pre>'


def _highlighted(code: str) -> str:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]

    # Not from pygments.lexers: that module replaces itself, and of two threads one finds it half made.
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]

    if not code.strip():
        return ""
    coloured = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0">{coloured}</pre>'


def _learn_table(table: Table | None, mask: Mask) -> None:
    for i, name in enumerate(table.headings if table else ()):
        if table and role_of(name):
            mask.learn(name, [row[i] for row in table.rows if row[i]])


def _section_table(section: Mapping[str, Any], message: str = "") -> Table:
    rows = tuple(tuple(_cell(cell) for cell in row) for row in section["rows"])
    headings = tuple(str(name).replace("_", " ") for name in section["columns"])
    return Table(headings, rows, message)


def _parameters(parameters: Sequence[Mapping[str, str]], mask: Mask) -> Any:
    rows = tuple(
        (
            item["name"],
            wording.visible(mask.text(mask.value(item["value"], _naming(item, mask))), longest=120),
            wording.visible(item["meaning"], longest=400),
        )
        for item in parameters
    )
    return _Safe(Table(("parameter", "value", "meaning"), rows).to_html()) if rows else ""


def _naming(item: Mapping[str, str], mask: Mask) -> str | None:
    """Say whose names a parameter gives; one that names a column, or nothing, gives none."""
    is_set = item["value"] not in {"None", "", "[]", *mask.columns}
    return item["name"] if role_of(item["name"]) and is_set else None


def _provenance(run: Mapping[str, Any], mask: Mask) -> list[tuple[str, str]]:
    told = [
        ("run", run["run_id"]),
        ("playbook", run["playbook"]),
        ("status", run["status"]),
        ("started", run.get("started_at", "")),
        ("finished", run["finished_at"]),
        ("data fingerprint", run["data_fingerprint"]),
        *run["versions"].items(),
    ]
    return [
        (name, wording.visible(mask.text(str(value)), longest=200)) for name, value in told if value
    ]


def _masked_run(run: Mapping[str, Any], mask: Mask) -> dict[str, str]:
    names = ("run_id", "playbook", "status", "finished_at")
    return {name: wording.visible(mask.text(str(run[name])), longest=120) for name in names}


def _reader_contents(has_timeline: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - one question
    timeline = [("timeline", "Timeline (UTC)")] if has_timeline else []
    return [
        ("answer", "Answer"),
        ("impact", "Impact"),
        ("evidence", "Evidence"),
        ("ruled-out", "What was ruled out"),
        *timeline,
        ("actions", "What to do"),
        ("limits", "Limits"),
        ("method", "Method and data"),
    ]


def render(template: str, *, script: str, style: Sequence[str], **context: Any) -> str:
    """Fill a template with one script of ours, which alone may run.

    Parameters
    ----------
    template, script, style
        Files beside this module.
    context
        Text, which is escaped; ``rows`` is JSON from `rcakit.report.figures.inert_json`.
    """
    boot = _script(script)
    if "rows" in context:
        context["rows"] = _Safe(context["rows"])
    return str(
        _environment()
        .get_template(template)
        .render(
            **context,
            style=_Safe("\n".join(_script(name) for name in style)),
            boot=_Safe(boot),
            policy=f"script-src {_hash(boot)}",
        )
    )


def _document(template: str, **context: Any) -> str:
    """Fill a template; the chart library is carried only where there is a chart."""
    environment = _environment()
    boot, bundle = _script("boot.js"), _chart_library
    drawn = [*context.get("figures", ()), *context.get("further", ()), *context.get("items", ())]
    has_charts = any('<figure class="chart"' in item for item in drawn)
    policy = f"script-src {_hash(boot)} {_hash(bundle())}" if has_charts else "script-src 'none'"
    return str(
        environment.get_template(template).render(
            **context,
            style=_Safe(_script("page.css")),
            has_charts=has_charts,
            packed=_packed_library() if has_charts else "",
            boot=_Safe(boot),
            policy=policy,
        )
    )


class _Safe(str):
    """Markup that was made or sanitised here."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)


@lru_cache(maxsize=1)
def _chart_library() -> str:
    """Return the chart library as one script that sets ``vegaEmbed`` and loads nothing."""
    return gzip.decompress(_packed_bytes()).decode()


@lru_cache(maxsize=1)
def _packed_library() -> str:
    return base64.b64encode(_packed_bytes()).decode()


@lru_cache(maxsize=1)
def _packed_bytes() -> bytes:
    """Bundle the library once for each version of its source: bundling takes seconds."""
    import vl_convert

    kept = _cache() / f"charts-{version('vl-convert-python')}.js.gz"
    with suppress(OSError, EOFError, gzip.BadGzipFile, zlib.error):
        packed = kept.read_bytes()
        if gzip.decompress(packed).startswith(b"// rcakit\n"):
            return packed
    bundle = "// rcakit\n" + vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    packed = gzip.compress(bundle.encode(), 9, mtime=0)
    with suppress(OSError):  # a page can be made where nothing can be kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(packed)
        part.replace(kept)
    return packed


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "rcakit"


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _script(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8").strip()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return wording.amount(value) if isinstance(value, int | float) else str(value)


def _sentence(markdown: str) -> str:
    """Return the prose above a chart as one line of text."""
    text = re.sub(r"<[^>]+>", "", contents.prose(markdown))
    return " ".join(unescape(text).split())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
