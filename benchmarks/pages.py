"""How large are the pages, and how soon can they be used? In a real Chromium, from disk."""

import datetime as dt
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import table

ROUNDS = 5
N_RUNS = 5000
PLAYBOOKS = ("metric_spike", "quality_drop", "abuse_rings", "weekly_review", "appeals_overturn")
CHART = "application/vnd.rcakit.vegalite+json"


def five_charts():
    """Build a notebook of five charts of 200 rows with bands, points, bars and tooltips."""
    from nbformat import from_dict

    from rcakit.findings import Finding

    days = [f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(200)]
    values = [
        {"day": day, "n": 400 + i * 7919 % 211, "low": 380, "high": 620, "kind": "abc"[i % 3]}
        for i, day in enumerate(days)
    ]
    x, y = {"field": "day", "type": "temporal"}, {"field": "n", "type": "quantitative"}
    tip = [{"field": "day", "type": "temporal"}, {"field": "n", "type": "quantitative"}]
    kind = {"field": "kind", "type": "nominal"}
    band = {"x": x, "y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    layers = [
        {"mark": {"type": "area", "opacity": 0.3}, "encoding": band},
        {"mark": "line", "encoding": {"x": x, "y": y}},
        {"mark": {"type": "point", "filled": True}, "encoding": {"x": x, "y": y, "tooltip": tip}},
    ]
    plain = {"x": x, "y": y, "color": kind, "tooltip": tip}
    shapes = [{"layer": layers}, {"layer": layers[:2]}]
    shapes += [{"mark": mark, "encoding": plain} for mark in ("point", "line", "bar")]
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Five charts\n\n## Where\nHow."}]
    for i, shape in enumerate(shapes):
        spec = {"data": {"values": values}, "title": f"Message {i}", "height": 260, **shape}
        spec["$schema"] = "https://vega.github.io/schema/vega-lite/v6.json"
        output = {"output_type": "display_data", "metadata": {}, "data": {CHART: spec}}
        cells.append({"cell_type": "code", "metadata": {}, "source": "x", "outputs": [output]})
    told = {"unit": "reports", "method": "m", "n_obs": 900, "estimate": 50.0}
    told |= {"ci_lower": 40.0, "ci_upper": 60.0, "claim": "In a there were 50 more reports."}
    verdict = Finding(kind="verdict", verdict="localised", **told)
    findings = [verdict, *(Finding(kind="driver", segment={"a": str(i)}, **told) for i in range(8))]
    notebook = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": cells}
    return from_dict(notebook), [item.to_record() for item in findings]


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
    """Open a page from disk in a fresh context; return wall and processor milliseconds to the mark."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(240_000)
    clock = browser.new_browser_cdp_session()
    before = spent(clock)
    page.goto(path.as_uri())
    page.wait_for_selector(f"html[data-{mark}]", state="attached")
    wall = page.evaluate(f"performance.getEntriesByName({mark!r})[0].startTime")
    return wall, spent(clock) - before, page, clock, context


def all_drawn(page):
    """Return when all charts were drawn, and the longest time the page could not answer, in ms."""
    page.wait_for_selector("html[data-charts=drawn]", state="attached")
    told = """() => new Promise((tell) => {
      const drawn = performance.getEntriesByName("drawn")[0].startTime;
      const watch = new PerformanceObserver((seen) => tell([drawn, Math.max(...seen.getEntries().map((e) => e.duration))]));
      watch.observe({ type: "longtask", buffered: true });
      setTimeout(() => tell([drawn, 0]), 500);
    })"""
    return page.evaluate(told)


def spent(clock):
    """Return the processor milliseconds that the processes of pages have used, all threads."""
    told = clock.send("SystemInfo.getProcessInfo")["processInfo"]
    return 1000 * sum(item["cpuTime"] for item in told if item["type"] == "renderer")


def filtered(page, clock):
    """Type and choose as a reader would; return wall and processor milliseconds of each narrowing."""
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
    taken = []
    for item in acts:
        before = spent(clock)
        wall = page.evaluate(act, list(item))
        taken.append((wall, spent(clock) - before))
    return taken


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
        "reader, five charts": (report.page(notebook, findings, run), "interactive", 600),
        "analyst, five charts": (report.analyst_page(notebook, findings, run), "interactive", 600),
        f"gallery, {N_RUNS} runs": (gallery(*many_runs()), "ready", None),
    }
    with sync_playwright() as tools:
        browser = tools.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (html, mark, _) in made.items():
            path = Path(folder) / "page.html"
            path.write_text(html, encoding="utf-8")
            times, narrowing, drawn = [], [], []
            for _ in range(ROUNDS):
                wall, processor, page, clock, context = opened(browser, path, mark)
                times.append((wall, processor))
                if mark == "interactive":
                    drawn.append(all_drawn(page))
                if mark == "ready":
                    narrowing += filtered(page, clock)
                context.close()
            walls, processors = zip(*times, strict=True)
            filters = {
                "a filter: wall ms, median": round(statistics.median(w for w, _ in narrowing)),
                "processor ms, median (slowest)": _both([p for _, p in narrowing]),
            } if narrowing else {}  # fmt: skip
            yield {
                "page": name,
                "kB": round(len(html.encode()) / 1000),
                "usable: wall ms, median": round(statistics.median(walls)),
                "fastest": round(min(walls)),
                "processor ms (slowest)": _both(processors),
                "all charts: wall ms, median": round(statistics.median(d for d, _ in drawn))
                if drawn
                else "",
                "longest the page was busy, ms": round(max(b for _, b in drawn)) if drawn else "",
                **filters,
                "load average": f"{os.getloadavg()[0]:.1f}",
            }
        browser.close()


def _both(taken):
    return f"{statistics.median(taken):.0f} ({max(taken):.0f})"


def main():
    with tempfile.TemporaryDirectory() as folder:
        table.publish(
            "pages",
            title="Pages",
            notes=(
                f"Headless Chromium, from disk, a fresh context for each of {ROUNDS} openings. Usable means: "
                "text, contents and the charts in view are there and answer (the charts below follow while "
                "the reader reads), or the gallery's filters are ready. "
                "Bars: page ≤ 600 kB and usable ≤ 1000 ms; gallery ≤ 1000 ms, filters ≤ 100 ms. "
                "Two cores shared with other work: the load is in the last column, and processor time is "
                "that of the page's process, which waiting for a core does not lengthen."
            ),
            rows=rows(folder),
        )


if __name__ == "__main__":
    main()
