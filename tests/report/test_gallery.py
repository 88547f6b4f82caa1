"""Does the gallery list every run, and can it be searched without a server?"""

import datetime as dt
import json
import time

import pytest
from click.testing import CliRunner

from rcakit import cli
from rcakit.report.gallery import gallery, read_runs

MARKETS = ("Lima", "Oslo", "Pune", "Rome", "Bern", "Quito", "Turku")
START = dt.datetime(2026, 1, 1)


def _run(i, **more):
    base = {
        "run_id": f"r{i}", "playbook": ("spike", "quality")[i % 2], "status": "ok", "seconds": 3.0,
        "started_at": (START + dt.timedelta(hours=i)).isoformat(), "strength": "strong",
        "parameters": json.dumps({"source": f"day{i}.parquet"}), "verdict": "localised",
        "answer": f"Reports rose in market {MARKETS[i % 7]}.", "path": f"spike/r{i}", "error": None,
    }  # fmt: skip
    return base | more


def _driver(**more):
    base = {
        "kind": "driver", "claim": "In os = ios 50 more.", "estimate": 50.0, "unit": "reports",
        "n_obs": 500, "strength": "strong", "segment": json.dumps({"os": "ios"}),
    }  # fmt: skip
    return base | more


def _carried(html):
    start = html.index('id="rows">') + len('id="rows">')
    return json.loads(html[start : html.index("</script>", start)])


def test_newest_runs_come_first():
    """Every run is carried once, the newest first, failed ones with their error."""
    failed = _run(99, status="failed", answer=None, error="ValueError: no", path="failed/spike/r99")
    rows = _carried(gallery([_run(0), _run(1), failed]))["runs"]
    assert [row["r"] for row in rows] == ["r99", "r1", "r0"]
    assert rows[0]["a"] == "ValueError: no"
    assert rows[0]["u"] == ""
    assert rows[1]["u"] == "spike/r1/report.html"


def test_findings_have_a_history():
    """The same segment in several runs is one story, with its first, last and estimates."""
    found = {f"r{i}": [_driver(estimate=10.0 * i)] for i in range(4)}
    (story,) = _carried(gallery([_run(2 * i, run_id=f"r{i}") for i in range(4)], found))["findings"]
    assert story["n"] == 4
    assert story["e"] == [0.0, 10.0, 20.0, 30.0]
    assert story["w"] == "os = ios"


@pytest.mark.parametrize(
    "path", ["../other", "a/../../b", "javascript:x", "//evil", "a\\b", "/abs"]
)
def test_links_stay_inside(path):
    """A path that leads elsewhere becomes no link."""
    assert _carried(gallery([_run(0, path=path)]))["runs"][0]["u"] == ""


def test_folders_can_be_read(demo_run):
    """Without a ledger the gallery reads the folders of the share."""
    runs, findings = read_runs(demo_run.folder.parents[1])
    assert [run["run_id"] for run in runs] == [demo_run.run_id]
    assert runs[0]["path"] == f"metric_spike/{demo_run.run_id}"
    assert runs[0]["verdict"] == "localised"
    assert len(findings[demo_run.run_id]) == len(demo_run.findings)


def test_command_writes_index(demo_run):
    """`rcakit gallery` writes index.html in one step."""
    out = demo_run.folder.parents[1]
    done = CliRunner().invoke(cli.main, ["gallery", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert demo_run.run_id in (out / "index.html").read_text("utf-8")
    assert list(out.glob(".*.part")) == []


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Open a gallery of five hundred runs from disk."""
    runs = [_run(i, status="ok" if i % 10 else "failed") for i in range(500)]
    path = tmp_path_factory.mktemp("gallery") / "index.html"
    path.write_text(gallery(runs, {f"r{i}": [_driver()] for i in range(20)}), encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(90_000)
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page, problems
    page.close()


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"search": "market rome"}, "71 of 500 runs"),
        ({"search": "MARKET quality"}, "250 of 500 runs"),
        ({"playbook": "spike"}, "250 of 500 runs"),
        ({"status": "failed"}, "50 of 500 runs"),
        ({"strength": "weak"}, "0 of 500 runs"),
        ({"from": "2026-01-02", "to": "2026-01-02"}, "24 of 500 runs"),
        ({"status": "failed", "playbook": "quality"}, "0 of 500 runs"),
        ({}, "500 runs"),
    ],
)
def test_filters_count_right(opened, filters, count):
    """Search and filters narrow the list together, and say to how many."""
    page, problems = opened
    for name in ("search", "from", "to"):
        page.fill(f"#{name}", filters.get(name, ""))
    for name in ("playbook", "status", "strength"):
        page.select_option(f"#{name}", filters.get(name, ""))
    assert page.inner_text("#count") == count
    shown = page.locator("#runs tbody tr").count()
    assert shown == min(50, int(count.split()[0]))
    assert problems == []


def test_galleries_are_accessible(opened):
    """Axe finds nothing serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = opened
    found = axe.Axe().run(page).response["violations"]
    grave = [v for v in found if v["impact"] in {"serious", "critical"}]
    assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in grave] == []


def test_thousands_of_runs_stay_linear():
    """Ten times the runs take no more than forty times as long."""

    def seconds(n):
        runs = [_run(i) for i in range(n)]
        begin = time.process_time()
        gallery(runs, {f"r{i}": [_driver()] for i in range(n)})
        return time.process_time() - begin

    seconds(10)
    assert seconds(2000) < 40 * max(seconds(200), 0.005)
