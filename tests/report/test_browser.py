"""Does the page work in a real browser, without a network, and with hostile data?"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rcakit import playbook, runner

playwright = pytest.importorskip("playwright.sync_api")

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


@pytest.fixture(scope="module")
def browser(chromium):
    """Start one browser for all pages."""
    with playwright.sync_playwright() as tools:
        started = tools.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield started
        started.close()


class Visit:
    """A page as a browser saw it: what it asked for, said and drew."""

    def __init__(self, browser, path: Path):
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.requests, self.problems, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("console", self._note)
        self.page.goto(path.as_uri())
        self.page.wait_for_function("document.documentElement.dataset.charts === 'drawn'")

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note(self, message):
        if message.type in {"error", "warning"}:
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
    assert len(targets) == 12
    found = visit.page.evaluate("ids => ids.every(id => document.getElementById(id))", targets)
    assert found is True


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
