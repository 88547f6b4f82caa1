"""How large are the pages, and how soon can they be used? In a real Chromium, from disk."""

import datetime as dt
import json
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import table

ROUNDS = 9
N_RUNS = 5000
PLAYBOOKS = ("metric_spike", "quality_drop", "abuse_rings", "weekly_review", "appeals_overturn")
CHART = "application/vnd.rcakit.vegalite+json"


def five_charts():
    """Build a notebook of five charts of 200 rows with their findings, as a long playbook shows them."""
    from nbformat import from_dict

    from rcakit import datasets, drivers, spikes
    from rcakit.findings import Finding
    from rcakit.plots import theme

    rows = datasets.make("app_release_report_bug", size="small", rng=1).tables["reports"]
    found = spikes.detect(rows, time="created_at", unit="reports")
    explained = drivers.explain(
        rows, time="created_at", dimensions=["policy", "surface", "platform", "app_version"],
        period=("2026-04-27", "2026-05-01"),
    )  # fmt: skip
    alt = theme.altair()
    values = [{"x": i, "y": i * 7919 % 211, "kind": "abc"[i % 3]} for i in range(200)]
    points = alt.Chart(alt.Data(values=values), title="Made up", width=680).mark_point()
    points = points.encode(x="x:Q", y="y:Q", color="kind:N", tooltip=["x:Q", "y:Q"])
    charts = [found.plot(), explained.plot(), points, points.mark_line(), points.mark_bar()]
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Five charts\n\n## Where\nHow."}]
    for chart in charts:
        data = {CHART: json.loads(chart.to_json())}
        output = {"output_type": "display_data", "metadata": {}, "data": data}
        cells.append({"cell_type": "code", "metadata": {}, "source": "x", "outputs": [output]})
    findings = [item.to_record() for item in (*found.findings(), *explained.findings())]
    assert all(Finding.from_record(item) for item in findings)
    return from_dict({"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": cells}), findings


def many_runs():
    """Build the rows of a ledger: 5,000 runs of five playbooks, with six findings each."""
    rng = random.Random(8)  # noqa: S311 - made-up rows
    runs, findings = [], {}
    for i in range(N_RUNS):
        started = dt.datetime(2025, 1, 1) + dt.timedelta(minutes=97 * i)
        status = rng.choices(("ok", "failed", "timeout", "killed"), (90, 6, 2, 2))[0]
        playbook, run_id = rng.choice(PLAYBOOKS), f"{started:%Y%m%dT%H%M%SZ}-{i:06x}"
        found = [_finding(rng) for _ in range(6)] if status == "ok" else []
        best = found[0] if found else {}
        runs.append({
            "run_id": run_id, "playbook": playbook, "status": status, "seconds": 12.5,
            "started_at": started.isoformat(), "strength": best.get("strength"),
            "parameters": {"source": f"exports/{started:%Y-%m}.parquet", "window_days": 28},
            "verdict": "localised" if found else None, "answer": best.get("claim"),
            "path": f"{playbook}/{run_id}", "error": None if found else "ValueError: no rows",
        })  # fmt: skip
        findings[run_id] = found
    return runs, findings


def _finding(rng):
    segment = {
        "policy": rng.choice(("spam", "hate", "nudity", "scam")),
        "market": rng.choice(("DE", "BR", "US", "IN", "JP", "NG")),
        "surface": rng.choice(("video", "comments", "live")),
    }
    words = ", ".join(f"{name} = {value}" for name, value in segment.items())
    more = rng.randint(10, 900)
    return {
        "kind": "driver", "claim": f"In {words} there were {more + 261} reports where 261 were expected: {more} more.",
        "estimate": float(more), "unit": "reports", "n_obs": more + 261, "segment": segment,
        "strength": rng.choice(("strong", "moderate", "weak")),
    }  # fmt: skip


def opened(browser, path, mark):
    """Open a page from disk in a fresh context; return milliseconds until the mark."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(path.as_uri())
    page.wait_for_function(f"performance.getEntriesByName({mark!r}).length > 0")
    taken = page.evaluate(f"performance.getEntriesByName({mark!r})[0].startTime")
    return taken, page, context


def filtered(page):
    """Type and choose as a reader would; return milliseconds of each narrowing, layout included."""
    act = """async ([id, value]) => {
      const field = document.getElementById(id);
      field.value = value;
      const begin = performance.now();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      document.body.getBoundingClientRect();
      return performance.now() - begin;
    }"""
    acts = [("search", text) for text in ("s", "sp", "spam", "spam br", "spam br video", "")]
    acts += [
        ("playbook", "abuse_rings"),
        ("status", "ok"),
        ("strength", "strong"),
        ("from", "2025-06-01"),
    ]
    return [page.evaluate(act, list(item)) for item in acts]


def rows(folder):
    from playwright.sync_api import sync_playwright

    from rcakit import report
    from rcakit.report.gallery import gallery

    run = {
        "run_id": "r", "playbook": "five", "status": "ok", "finished_at": "2026-01-01",
        "versions": {}, "data_fingerprint": "sha256:0",
    }  # fmt: skip
    notebook, findings = five_charts()
    made = {
        "reader, five charts": (report.page(notebook, findings, run), "drawn", 600),
        "analyst, five charts": (report.analyst_page(notebook, findings, run), "drawn", 600),
        f"gallery, {N_RUNS} runs": (gallery(*many_runs()), "ready", None),
    }
    with sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (html, mark, _) in made.items():
            path = Path(folder) / "page.html"
            path.write_text(html, encoding="utf-8")
            times, narrowing = [], []
            for _ in range(ROUNDS):
                taken, page, context = opened(browser, path, mark)
                times.append(taken)
                if mark == "ready":
                    narrowing += filtered(page)
                context.close()
            yield {
                "page": name,
                "kB": round(len(html.encode()) / 1000),
                "ms until usable, median": round(statistics.median(times)),
                "fastest": round(min(times)),
                "slowest": round(max(times)),
                "ms of a filter, median": round(statistics.median(narrowing)) if narrowing else "",
                "slowest filter": round(max(narrowing)) if narrowing else "",
                "load average": f"{os.getloadavg()[0]:.1f}",
            }
        browser.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        table.publish(
            "pages",
            title="Pages",
            notes=(
                f"Headless Chromium, from disk, a fresh context for each of {ROUNDS} openings. Usable means: "
                "charts drawn (the reader's page draws its three, the analyst's all five), or filters "
                "ready. Bars: page ≤ 600 kB and usable ≤ 1000 ms; gallery ≤ 1000 ms, filters ≤ 100 ms. "
                "Times are wall times on a machine whose load is in the last column (two cores)."
            ),
            rows=rows(folder),
        )


if __name__ == "__main__":
    main()
