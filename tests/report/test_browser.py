"""Does the page work in a real browser, without a network, and with hostile data?"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rcakit import playbook, runner

pytest.importorskip("playwright.sync_api")

HOSTILE = [
    "<script>window.__pwned=1</script>",
    "</script><script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "[click](javascript:window.__pwned=1)",
    "![x](http://evil.example/x.png)",
    "http://evil.example/track",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "{{7*7}} because of fraud",
    "x" * 5000,
]
COLUMN = "<img src=x onerror=window.__pwned=1>"


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """Run on events whose values and column names are hostile; the first value jumps."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(3)
    rows = [
        {"at": f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T10:00:00", COLUMN: value, "os": os}
        for day in range(84)
        for value in HOSTILE
        for os in ("ios", "android")
        for _ in range(rng.integers(1, 6) + (25 if day > 80 and value == HOSTILE[0] else 0))
    ]
    pl.DataFrame(rows).write_parquet(folder / "rows.parquet")
    title = "<script>window.__pwned=1</script> due to __proto__"
    log = {"changed_at": ["2026-03-25T08:00:00Z"], "title": [title], "scope": ["all"]}
    pl.DataFrame(log).write_csv(folder / "log.csv")
    given = {
        "source": str(folder / "rows.parquet"),
        "changes": str(folder / "log.csv"),
        "time": "at",
        "dimensions": [COLUMN, "os"],
    }
    done = runner.run(playbook.find("metric_spike"), given, out=folder / "reports")
    assert done.status == "ok", done.error
    return done


class Visit:
    """A page as a browser saw it: what it asked for, said and drew."""

    def __init__(self, browser, path: Path, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(90_000)  # a loaded machine draws slowly, and rightly
        self.requests, self.problems, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("console", self._note)
        self.page.goto(path.as_uri())
        # A selector, not a function: what is polled by eval is refused by the page's own policy.
        self.page.wait_for_selector("html[data-charts=drawn]", state="attached")

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note(self, message):
        # A browser under load speaks of itself, without an address; the page speaks with its own.
        is_ours = message.location["url"].startswith("file:") or "WARN" in message.text
        if message.type == "error" or (message.type == "warning" and is_ours):
            self.problems.append(message.text)


@pytest.fixture(scope="module", params=["sample", "hostile"])
def visit(request, browser):
    """Open the page of the sample, or of the hostile data."""
    run = request.getfixturevalue("demo_run" if request.param == "sample" else "hostile_run")
    seen = Visit(browser, run.report)
    yield seen
    seen.context.close()


def test_page_asks_for_nothing(visit):
    """Apart from the file itself the browser requests nothing at all."""
    assert [url for url in visit.requests if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in visit.requests if url.startswith("file://")]) == 1


def test_page_has_no_errors(visit):
    """The console stays empty: no error, no warning, no blocked script."""
    assert visit.problems == []


def test_every_chart_is_drawn(visit):
    """Each figure holds a drawing with marks in it."""
    figures = visit.page.locator("figure.chart")
    assert figures.count() >= 2
    for figure in figures.all():
        assert figure.locator("svg").count() == 1
        assert figure.locator("svg path").count() > 3


def test_data_run_no_script(visit):
    """No value, column name or title of the data became code."""
    assert visit.page.evaluate("window.__pwned") is None
    assert visit.dialogs == []
    assert visit.page.locator("a[href^='http'], a[href^='javascript'], img").count() == 0


def test_page_stays_small(visit):
    """The page can be sent by mail."""
    assert Path(visit.page.url.removeprefix("file://")).stat().st_size <= 600_000


def test_page_prints_to_paper(visit):
    """The page can be printed, with more than one sheet of content."""
    paper = visit.page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000


def test_contents_lead_to_sections(visit):
    """Each entry of the contents leads to a heading that is there."""
    targets = visit.page.eval_on_selector_all("nav ol a", "all => all.map(a => a.hash.slice(1))")
    assert 7 <= len(targets) <= 8
    found = visit.page.evaluate("ids => ids.every(id => document.getElementById(id))", targets)
    assert found is True


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("report.html", "light"), ("report.html", "dark"), ("analyst.html", "light")],
)
def test_pages_are_accessible(demo_run, browser, name, scheme):
    """Axe finds nothing serious or critical, all details open, in both colour schemes."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen = Visit(browser, demo_run.folder / name, color_scheme=scheme)
    seen.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    found = axe.Axe().run(seen.page).response["violations"]
    seen.context.close()
    grave = [v for v in found if v["impact"] in {"serious", "critical"}]
    assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in grave] == []


def test_charts_have_names_and_data(visit):
    """Each chart has its message as name, and its data as a table behind it."""
    visit.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    visit.page.wait_for_selector("figure.chart details table", state="attached")
    for figure in visit.page.locator("figure.chart").all():
        assert figure.locator(".drawing[role=img]").get_attribute("aria-label")
        assert figure.locator("figcaption").inner_text()
        assert figure.locator("details.data table tbody tr").count() >= 1


def test_phones_need_no_sideways_scroll(demo_run, browser):
    """At the width of a phone the page is as wide as the screen."""
    seen = Visit(browser, demo_run.report, viewport={"width": 390, "height": 844})
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    seen.context.close()
    assert width <= 390


def test_dark_pages_have_dark_charts(demo_run, browser):
    """In the dark, the words of a chart are light; on paper they are dark again."""
    seen = Visit(browser, demo_run.report, color_scheme="dark")
    colour = "getComputedStyle(document.querySelector('figure.chart svg text')).fill"
    in_the_dark = seen.page.evaluate(colour)
    seen.page.emulate_media(media="print")
    on_paper = seen.page.evaluate(colour)
    seen.context.close()
    assert in_the_dark == "rgb(213, 217, 222)"
    assert on_paper == "rgb(74, 79, 87)"


def test_keyboards_reach_everything(demo_run, browser):
    """The first stop skips to the report; contents, details and tables can be reached."""
    seen = Visit(browser, demo_run.report)
    stops = []
    for _ in range(25):
        seen.page.keyboard.press("Tab")
        stops.append(
            seen.page.evaluate("document.activeElement.className || document.activeElement.tagName")
        )
    seen.context.close()
    assert stops[0] == "skip"
    assert {"A", "SUMMARY", "scroll"} <= set(stops)


def test_hostile_values_are_shown(hostile_run, browser):
    """What the data say is shown as text, with hidden characters named and length bounded."""
    seen = Visit(browser, hostile_run.report)
    text = seen.page.inner_text("main")
    seen.context.close()
    assert "<script>window.__pwned=1</script>" in text
    assert "\u202e" not in text
    assert "x" * 300 not in text


def test_hostile_segment_is_found(hostile_run):
    """The planted segment is named exactly as the data write it."""
    drivers = [f for f in hostile_run.findings if f["kind"] == "driver"]
    assert drivers[0]["segment"] == {COLUMN: HOSTILE[0]}
