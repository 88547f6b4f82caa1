"""Is the page complete, in order, and inert whatever the data say?"""

import re
from html import unescape
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rcakit import report
from rcakit.findings import Finding
from rcakit.plots.theme import MIME as CHART
from rcakit.report.publishing import ANSWER_MIME, FINDINGS_MIME
from rcakit.results import records_to_html

HOSTILE = (
    "<script>window.__pwned=1</script>",
    "</script><script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "<svg onload=window.__pwned=1>",
    '"><script>window.__pwned=1</script>',
    "' onmouseover='window.__pwned=1",
    "<iframe srcdoc='<script>parent.__pwned=1</script>'>",
    "<a href=javascript:window.__pwned=1>x</a>",
    "[click](javascript:window.__pwned=1)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "http://evil.example/track",
    "{{7*7}}",
    "${7*7}",
    "{% raw %}",
    "<%= 7*7 %>",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "a\u200bb",
    "line\nbreak",
    "tab\tstop",
    "nul\x00byte",
    "<!-- comment",
    "-->",
    "]]>",
    "&lt;script&gt;",
    "<style>body{display:none}</style>",
    "<meta http-equiv=refresh content=0>",
    "<base href=http://evil.example>",
    "<form action=http://evil.example><input>",
    "`code` *bold* _em_ | pipe",
    "# heading",
    "\\u003cscript\\u003e",
    "<math><mtext></mtext></math>",
    "<details open ontoggle=window.__pwned=1>",
    "datum.x; window.__pwned=1",
    '=HYPERLINK("http://evil.example")',
    "because of fraud led to bans",
    "x" * 5000,
)

RUN = {
    "run_id": "r1", "playbook": "p", "status": "ok", "finished_at": "2026-01-01",
    "versions": {"rcakit": "0"}, "data_fingerprint": "sha256:0",
}  # fmt: skip


class _Scripts(HTMLParser):
    """Collects tags, attributes of events and addresses of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.handlers, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [v for name, v in attrs if name in {"href", "src", "action", "srcdoc"}]


def _finding(kind="verdict", **more):
    base = {
        "claim": "Reports rose.", "kind": kind, "unit": "reports", "n_obs": 500, "method": "m",
        "estimate": 50.0, "ci_lower": 40.0, "ci_upper": 60.0,
    }  # fmt: skip
    return Finding(**base | more)


def _notebook(*outputs):
    return new_notebook(
        cells=[
            new_markdown_cell("# Title\n\n## Question\nWhat?\n\n## Answer"),
            new_code_cell(
                "secret_code = 1",
                outputs=[new_output("display_data", data={ANSWER_MIME: {}, "text/html": "soon"})],
            ),
            new_markdown_cell("## Where\nSome prose."),
            new_code_cell("more_code()", outputs=list(outputs)),
        ]
    )


def _page(*outputs, findings=()):
    return report.page(_notebook(*outputs), [f.to_record() for f in findings], RUN)


def _parsed(html):
    parser = _Scripts()
    parser.feed(html)
    return parser


def _harmless(html):
    """Check that a page without charts holds no script, handler, frame or address."""
    seen = _parsed(html)
    banned = {"script", "iframe", "object", "embed", "form", "input", "base", "svg", "math"}
    assert [tag for tag, _ in seen.tags if tag in banned] == []
    assert seen.handlers == []
    assert [a for a in seen.addresses if a and not a.startswith(("#", "data:image/"))] == []
    assert len([tag for tag, _ in seen.tags if tag == "meta"]) == 6


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_tables_stay_inert(text):
    """A hostile value in a table of a result is text."""
    table = records_to_html([{"name": text, text: 1}], ["name", text])
    _harmless(_page(new_output("display_data", data={"text/html": table, "text/plain": text})))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_raw_html_is_cleaned(text):
    """Even markup that a cell shows unescaped runs nothing and loads nothing."""
    _harmless(_page(new_output("display_data", data={"text/html": f"<p>{text}</p>"})))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_printed_text_is_inert(text):
    """What a cell prints or shows as Markdown is cleaned as well."""
    _harmless(
        _page(
            new_output("stream", name="stdout", text=text),
            new_output("display_data", data={"text/markdown": text, "text/plain": text}),
            new_output("display_data", data={"text/latex": f"${text}$", "text/plain": text}),
            new_output("display_data", data={"image/svg+xml": f"<svg>{text}</svg>"}),
            new_output("display_data", data={"application/javascript": "window.__pwned=1"}),
        )
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_answers_stay_inert(text):
    """A claim, a caveat and a unit are text."""
    claim = f"Reports rose in “{text.replace('”', '')}”."
    _harmless(_page(findings=[_finding(claim=claim, unit=text, caveats=(text,), verdict="broad")]))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_charts_hold_escaped_json(text):
    """A specification cannot end its script element, nor its label its attribute."""
    specification = {"title": {"text": [text]}, "data": {"values": [{"x": text}]}}
    seen = _parsed(_page(new_output("display_data", data={CHART: specification})))
    scripts = [attributes.get("type") for tag, attributes in seen.tags if tag == "script"]
    assert scripts == ["application/json", "text/plain", None]
    assert seen.handlers == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_parameters_stay_inert(text):
    """The value of a parameter is text, also where it names the run."""
    notebook = _notebook()
    notebook.cells[3].metadata["tags"] = ["parameters"]
    rows = [{"name": text, "value": text, "meaning": text}]
    _harmless(report.page(notebook, [], {**RUN, "data_fingerprint": text}, parameters=rows))


def test_code_is_absent():
    """The reader's page holds no code, hidden or not, and no warning or traceback."""
    html = _page(
        new_output("stream", name="stderr", text="a_warning"),
        new_output("error", ename="E", evalue="an_error", traceback=["a_traceback"]),
        new_output("display_data", data={FINDINGS_MIME: {"findings": []}, "text/plain": "machine"}),
    )
    for word in ("secret_code", "more_code", "a_warning", "an_error", "a_traceback", "machine"):
        assert word not in html


ORDER = (
    "Answer", "Impact", "Evidence", "What was ruled out", "What to do", "Limits",
    "Method and data",
)  # fmt: skip


def test_sections_keep_their_order():
    """Whatever the order of the notebook, the answer comes first and the method last."""
    html = _page(findings=[_finding(claim="It is broad.", verdict="broad")])
    nav = html[html.index("<nav") : html.index("</nav>")]
    assert tuple(re.findall(r">([^<>]+)</a>", nav)) == ORDER
    targets = re.findall(r'href="#([^"]+)"', nav)
    places = [html.index(f'id="{target}"') for target in targets]
    assert places == sorted(places)
    assert html.index("It is broad.") < places[1]


def test_evidence_is_at_most_three_charts():
    """The first three charts and the first table are evidence; the rest waits in the method."""
    charts = [
        new_output("display_data", data={CHART: {"title": f"chart {i}", "mark": "bar"}})
        for i in range(5)
    ]
    tables = [
        new_output("display_data", data={"text/html": records_to_html([{"a": i}], ["a"])})
        for i in (7171, 7272)
    ]
    html = _page(*charts, *tables)
    evidence = html[html.index('id="evidence"') : html.index('id="ruled-out"')]
    method = html[html.index('id="method"') :]
    assert evidence.count("<figure") == 3
    assert [f"chart {i}" in evidence for i in range(5)] == [True, True, True, False, False]
    assert "chart 4" in method
    assert "7\u202f171" in evidence
    assert "7\u202f272" not in evidence
    assert "7\u202f272" in method


def test_tagged_cells_are_evidence():
    """A cell tagged ``evidence`` chooses the chart that a reader sees."""
    notebook = _notebook(new_output("display_data", data={CHART: {"title": "mere first"}}))
    chosen = new_output("display_data", data={CHART: {"title": "chosen"}})
    cell = new_code_cell("", outputs=[chosen], metadata={"tags": ["evidence"]})
    notebook.cells.append(cell)
    html = report.page(notebook, [], RUN)
    assert html.index("chosen") < html.index('id="ruled-out"') < html.index("mere first")


def test_sections_are_taken_as_shown():
    """What a playbook shows by `report.impact` is what stands under Impact, wherever it stood."""
    section = report.impact([_finding(verdict="broad", unit="appeals")])
    html = _page(new_output("display_data", data=section._repr_mimebundle_()))
    assert "appeals" in html[html.index('id="impact"') : html.index('id="evidence"')]
    assert html.count("appeals") == 1


def test_empty_charts_are_left_out():
    """A chart of no rows is no evidence."""
    empty = {"title": "mere axes", "mark": "bar", "data": {"values": []}}
    assert "mere axes" not in _page(new_output("display_data", data={CHART: empty}))


def test_own_sections_are_kept():
    """A section of a playbook's own becomes the table of the evidence, its ids masked."""
    section = report.Section(rows=({"ring_id": "ring 1", "account_id": "meera91"},))
    html = _page(new_output("display_data", data=section._repr_mimebundle_()))
    evidence = html[html.index('id="evidence"') : html.index('id="ruled-out"')]
    assert "ring 1" in evidence
    assert "meera91" not in html


def test_steps_have_owner_and_signal():
    """Each step names the role that owns it and how we will know that it worked."""
    seen = {"expected": 261.0}
    asked = _finding("driver", segment={"os": "ios"}, next_steps=("Read cases.",), evidence=seen)
    html = _page(findings=[_finding(verdict="localised"), asked])
    steps = html[html.index('id="actions"') : html.index('id="limits"')]
    assert "Read cases." in steps
    assert "Operations lead of the segment" in steps
    assert "At most about 261 reports in os = ios" in steps


def test_interval_joins_its_estimate():
    """Three columns of an estimate become two, and a share is said in percent."""
    row = {"cohort": "a", "effect": 829, "effect_ci_lower": 716, "effect_ci_upper": 922}
    row["share_of_change"] = 0.937
    html = _page(new_output("display_data", data={"text/html": records_to_html([row], list(row))}))
    assert "716 to 922" in html
    assert "94\u202f%" in html
    assert "ci lower" not in html


def test_analyst_page_holds_code():
    """The analyst's page has the code, warnings and tracebacks, and stays as inert."""
    notebook = _notebook(
        new_output("stream", name="stderr", text="a_warning"),
        new_output("error", ename="E", evalue="e", traceback=["\x1b[31ma_traceback\x1b[0m"]),
        *[new_output("display_data", data={"text/html": f"<p>{text}</p>"}) for text in HOSTILE],
    )
    html = report.analyst_page(notebook, [], RUN)
    _harmless(html)
    for word in ("secret_code", "more_code", "a_warning", "a_traceback"):
        assert word in html
    assert "\x1b" not in html


def test_policy_admits_own_scripts_only():
    """Without charts no script may run at all; with charts only those of known hashes."""
    assert "script-src 'none'" in unescape(_page())
    html = _page(new_output("display_data", data={CHART: {"title": "t"}}))
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1])
    script = re.search(r"script-src ([^;]+)", policy)[1]
    assert "default-src 'none'" in policy
    assert re.fullmatch(r"('sha256-[A-Za-z0-9+/]{43}=' ?){2}", script)


def test_pages_name_nothing_outside():
    """No address of another host stands in an attribute of the page, charts included."""
    html = _page(new_output("display_data", data={CHART: {"title": "t"}}))
    assert re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//""", html) == []
    assert "@import" not in html
    assert "url(" not in html


def test_no_verdict_is_said():
    """A run without a verdict does not pretend to know."""
    answer = report.compose([_finding("data_quality")])
    assert answer.confidence == "Cannot tell"
    assert "no verdict" in answer.sentences[0]


def test_impact_shows_small_rates():
    """The change of a rate keeps its digits, beside drivers that are counted."""
    found = [
        _finding(unit="rate of bans", estimate=0.031, ci_lower=0.02, ci_upper=0.04),
        _finding("driver", segment={"policy": "spam"}, estimate=51.4, ci_lower=40, ci_upper=60),
    ]
    text = str(report.impact(found))
    assert "0.031" in text.replace("\\", "")
    assert "51" in text


def test_timelines_run_forward():
    """Onset, peak and changes are told in the order of their days."""
    seen = {"started_at": "2026-03-02", "peak_at": "2026-03-03", "ended_at": None}
    change = _finding("change", evidence=seen)
    log = _finding("ruled_out", change_id="c", evidence={"changed_at": "2026-03-01"})
    when = [row["when (UTC)"] for row in report.timeline([change, log]).rows]
    assert when == sorted(when)
    assert when[0] == "2026-03-01"


def test_doubts_repeat_caveats_once():
    """Changes that were set aside and caveats are told, each once."""
    caveat = "The last day is incomplete."
    found = [_finding(caveats=(caveat,)), _finding("driver", caveats=(caveat,))]
    found.append(_finding("ruled_out", claim="“B” was set aside."))
    assert report.doubts(found).sentences == ("“B” was set aside.", caveat)


def test_nothing_is_said_too():
    """A section that has nothing to show says so in a line."""
    for section in (report.impact, report.timeline, report.doubts, report.actions):
        assert str(section([])).endswith(".")


def test_published_findings_come_back():
    """What a notebook publishes is what the runner collects."""
    published = report.publish(_finding(verdict="broad"))
    data = published._repr_mimebundle_()
    notebook = new_notebook(cells=[new_code_cell(outputs=[new_output("display_data", data=data)])])
    nbformat.validate(notebook)
    assert report.collect(notebook) == [_finding(verdict="broad").to_record()]
