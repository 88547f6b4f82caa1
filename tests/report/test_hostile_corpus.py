"""Two hundred hostile texts through every door, in a real browser: nothing runs, nothing loads."""

import csv
import io
import json
import re
import zipfile

import pytest

from rcakit import report, wording
from rcakit.findings import Finding
from rcakit.plots import quality
from rcakit.plots.theme import MIME as CHART
from rcakit.report import exports
from rcakit.report.gallery import gallery
from rcakit.results import records_to_html, records_to_markdown

NUMBERS = {"estimate": 50.0, "ci_lower": 40.0, "ci_upper": 60.0, "n_obs": 500}


def new_output(output_type, **given):
    """Make an output without validating it, which would take seconds for a thousand."""
    return {"output_type": output_type, "metadata": {}, **given}


def new_markdown_cell(source):
    """Make a cell of prose."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def new_code_cell(source, outputs):
    """Make a cell that was run."""
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": outputs}


def _finding(text, kind="driver", **more):
    """Say a hostile text in every field that can carry one."""
    shown = wording.quoted(text)
    return Finding(
        claim=f"{shown} rose.", kind=kind, unit=wording.visible(text), method=wording.visible(text),
        caveats=(f"{shown} is late.",), next_steps=(f"Ask {shown}.",), evidence={text[:80]: text},
        **NUMBERS | more,
    )  # fmt: skip


def _findings(payloads):
    verdict = _finding(payloads[0], "verdict", verdict="localised")
    drivers = [_finding(text, segment={text[:200]: text}) for text in payloads]
    changes = [_finding(text, "ruled_out", change_id=text) for text in payloads]
    return [verdict, *drivers, *changes]


def _charts(payloads):
    """Draw the texts as titles, axis titles, labels, legends, tooltips, and in an expression."""
    rows = [{"name": text, "size": i % 7, text[:60]: 1} for i, text in enumerate(payloads)]
    nominal = {"field": "name", "type": "nominal", "axis": {"labelLimit": 200}}
    seen = [{"field": "name", "type": "nominal", "title": payloads[0]}]
    encoding = {"y": nominal, "x": {"field": "size", "type": "quantitative"}, "tooltip": seen}
    bars = {"mark": "bar", "data": {"values": rows}, "encoding": encoding, "title": list(payloads)}
    colour = {"field": "name", "type": "nominal", "title": list(payloads[:60])}
    place = {"field": "size", "type": "quantitative", "title": list(payloads[60:])}
    points = {"mark": "point", "data": {"values": rows}, "encoding": {"color": colour, "x": place}}
    subtitled = {"text": payloads[1], "subtitle": list(payloads)}
    signals = [
        {"subgroup": text, "statistic": i, "center": 1, "lower": 0, "upper": 9, "rules": ""}
        for i, text in enumerate(payloads)
    ]
    control = quality.control_chart(signals, title=payloads[2], kind="c").to_dict(validate=False)
    return [bars, {**points, "title": subtitled}, control]


def _outputs(payloads):
    yield new_output("stream", name="stdout", text="\n".join(payloads))
    yield new_output("stream", name="stderr", text="\n".join(payloads))
    yield new_output("error", ename="E", evalue="e", traceback=list(payloads))
    rows = [{"name": text} for text in payloads]
    data = {"text/html": records_to_html(rows, ["name"]), "text/plain": payloads[0]}
    yield new_output("display_data", data=data)
    for start in range(0, len(payloads), 25):
        names = [text[:90] for text in payloads[start : start + 25]]
        table = records_to_html([dict.fromkeys(names, 1)], names)
        yield new_output("display_data", data={"text/html": table})
    for text in payloads:
        yield new_output("display_data", data={"text/html": f"<p>{text}</p>"})
        yield new_output("display_data", data={"text/markdown": text, "text/plain": text})
        yield new_output("display_data", data={"image/svg+xml": text, "text/latex": f"${text}$"})
        yield new_output("display_data", data={"application/javascript": text, "image/png": text})


def _notebook(payloads):
    cells = [
        new_markdown_cell(f"# {payloads[0]}\n\n## Question\n{' '.join(payloads[:40])}"),
        new_markdown_cell("## Where\nProse."),
        new_code_cell("x = 1", outputs=list(_outputs(payloads))),
    ]
    cells += [
        new_code_cell("", outputs=[new_output("display_data", data={CHART: chart})])
        for chart in _charts(payloads)
    ]
    cells += [new_markdown_cell(text) for text in payloads]
    from nbformat import from_dict

    return from_dict({"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": cells})


def _run(payloads):
    versions = {text[:60]: text for text in payloads[:30]}
    return {
        "run_id": payloads[0], "playbook": payloads[3], "status": "ok", "started_at": payloads[4],
        "finished_at": payloads[5], "versions": versions, "data_fingerprint": payloads[6],
    }  # fmt: skip


@pytest.fixture(scope="module")
def files(payloads, tmp_path_factory):
    """Write the pages that carry the corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    notebook, findings = _notebook(payloads), _findings(payloads)
    records, run = [item.to_record() for item in findings], _run(payloads)
    given = [{"name": text[:60], "value": text, "meaning": text} for text in payloads]
    runs = [
        {
            "run_id": text, "playbook": text, "status": text[:40], "started_at": text, "seconds": 1,
            "parameters": {text[:60]: text}, "verdict": text, "strength": text, "answer": text,
            "path": text, "error": text,
        }
        for text in payloads
    ]  # fmt: skip
    told = dict.fromkeys(payloads[:2], records)
    html = {
        "reader": report.page(notebook, records, run, parameters=given),
        "analyst": report.analyst_page(notebook, records, run, parameters=given),
        "gallery": gallery(runs, told),
    }
    for name, text in html.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


class Seen:
    """What a browser saw of a page: what it asked for, said and showed."""

    def __init__(self, browser, path):
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.requests, self.problems, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("dialog", self._dismiss)
        self.page.goto(path.as_uri())

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note(self, message):
        if message.type == "error":
            self.problems.append(message.text)

    def touch(self):
        """Open what is closed, show all that waits, and move over every mark."""
        self.page.evaluate(
            """async () => {
              for (const d of document.querySelectorAll("details")) d.open = true;
              await new Promise((done) => setTimeout(done, 50));
              const waiting = () => document.querySelector('figure.chart:not([data-drawn="yes"]):not([data-drawn="failed"])');
              while (waiting()) await new Promise((done) => setTimeout(done, 50));
              for (let i = 0; i < 20; i++) for (const id of ["more", "more-stories"])
                document.getElementById(id)?.click();
              for (const mark of [...document.querySelectorAll("figure.chart svg path")].slice(0, 150)) {
                const box = mark.getBoundingClientRect();
                const at = { bubbles: true, clientX: box.x + 1, clientY: box.y + 1 };
                for (const name of ["mouseover", "mousemove", "pointermove"])
                  mark.dispatchEvent(new PointerEvent(name, at));
              }
            }"""
        )


@pytest.fixture(scope="module", params=["reader", "analyst", "gallery"])
def seen(request, browser, files):
    """Open a page of the corpus and touch all of it."""
    visit = Seen(browser, files / f"{request.param}.html")
    visit.touch()
    yield visit
    visit.context.close()


def test_corpus_is_large(payloads):
    """At least two hundred different texts go through every door."""
    assert len(payloads) >= 200


def test_nothing_of_it_runs(seen):
    """No text became code, asked for anything, or was even blocked by the policy."""
    assert seen.page.evaluate("window.__pwned") is None
    assert seen.dialogs == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in seen.requests if url.startswith("file:")]) == 1
    assert seen.problems == []


def test_nothing_of_it_acts(seen):
    """No element, handler or address that came with the data is in the page."""
    own = "form:not(.vega-bindings:empty)"  # Vega makes an empty one for each chart
    banned = f"{own},iframe,object,embed,base,video,audio,link,math,template,img,body script[src]"
    assert seen.page.locator(banned).count() == 0
    handlers = seen.page.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((e) =>
             [...e.attributes].map((a) => a.name)).filter((n) => n.startsWith("on"))"""
    )
    assert handlers == []
    links = seen.page.eval_on_selector_all("a", "all => all.map((a) => a.getAttribute('href'))")
    assert [href for href in links if href and not href.startswith("#")] == []


def test_all_of_it_is_shown(seen, payloads):
    """Every text can be read as text, cut where it is long, hidden characters named."""
    text = seen.page.evaluate("document.getElementById('main').textContent")
    missing = [
        item for item in payloads if wording.visible(item, longest=40).rstrip("…") not in text
    ]
    assert missing == []


def test_templates_stay_text(seen):
    """Nothing of the data is evaluated as a template."""
    text = seen.page.evaluate("document.getElementById('main').textContent")
    assert "{{7*7}}" in text
    assert "49 rose" not in text


def test_titles_are_tooltips_too(browser, files):
    """A tooltip shows the hostile text as text."""
    visit = Seen(browser, files / "reader.html")
    visit.page.wait_for_selector("html[data-charts=drawn]", state="attached")
    visit.page.locator("figure.chart svg path[aria-label]").nth(1).hover(force=True)
    visit.page.wait_for_selector("#vg-tooltip-element.visible")
    shown = visit.page.inner_text("#vg-tooltip-element")
    assert visit.page.locator("#vg-tooltip-element :is(script, img, svg, a)").count() == 0
    visit.context.close()
    assert "<" in shown


def _typed(text):
    """Return a run's folder content with a finding on this text."""
    return _finding(text, "verdict", verdict="localised")


def test_spreadsheets_run_no_formula(payloads):
    """No cell of CSV begins like a formula, and a number stays a number."""
    run = {"run_id": "=r", "playbook": "@p", "finished_at": "+1"}
    findings = [_finding(text, segment={text[:60]: text}) for text in payloads]
    told = exports._csv(findings, run).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(told)))
    cells = [cell for row in rows[1:] for cell in row]
    assert [cell for cell in cells if re.match(r"\s*[=+@|%＝＋＠\t\r-]", cell)] == []
    assert rows[1][rows[0].index("estimate")] == "50.0"


def test_workbooks_hold_text_only(payloads):
    """A workbook holds no formula and no link."""
    pytest.importorskip("xlsxwriter")
    run = {"run_id": "=r", "playbook": "@p", "finished_at": "+1"}
    book = zipfile.ZipFile(io.BytesIO(exports._xlsx([_finding(t) for t in payloads], run)))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert not any("http://evil" in book.read(n).decode() for n in book.namelist() if "rels" in n)
    strings = re.findall(r"<t[^>]*>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode())
    assert [text for text in strings if re.match(r"\s*[=+@|%-]", text)] == []


def test_charters_hold_no_markup(payloads):
    """Read as Markdown, a charter has no link, image or HTML from the data."""
    import mistune

    run = {"run_id": payloads[0], "playbook": payloads[1], "finished_at": payloads[2]}
    for text in payloads:
        html = mistune.create_markdown(escape=False, plugins=["table", "url"])(
            exports.charter([_typed(text), _finding(text, segment={text[:60]: text})], run)
        )
        assert not re.search(r"<(a|img|script|svg|iframe|style|h1|code|em)\b", html), html


def test_markdown_tables_stay_inert(payloads):
    """A value cannot leave its cell of a Markdown table."""
    table = records_to_markdown([{"name": text} for text in payloads], ["name"])
    assert len(table.splitlines()) == len(payloads) + 2


def test_findings_survive_as_json(payloads):
    """Findings with any text are valid JSON and come back the same."""
    records = [item.to_record() for item in _findings(payloads)]
    assert json.loads(json.dumps(records)) == records
