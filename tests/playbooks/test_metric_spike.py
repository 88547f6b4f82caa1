"""Does the playbook find what was planted, and nothing where nothing was?"""

import datetime as dt
import functools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rcakit import playbook, runner, testing

SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"
TRUTH = {
    name: told
    for name, told in json.loads((SAMPLES / "truth.json").read_text("utf-8")).items()
    if (SAMPLES / name / "reports.parquet").exists()
}
FILES = ["analyst.html", "findings.json", "notebook.ipynb", "report.html", "run.json"]


@pytest.fixture(scope="module")
def investigate(tmp_path_factory):
    """Return a function that runs the playbook on a sample, once for each."""

    @functools.cache
    def run(scenario):
        given = {
            "source": str(SAMPLES / scenario / "reports.parquet"),
            "changes": str(SAMPLES / scenario / "change_log.csv"),
        }
        out = tmp_path_factory.mktemp("reports")
        return runner.run(playbook.find("metric_spike"), given, out=out)

    return run


@pytest.mark.parametrize("scenario", TRUTH)
def test_scenarios_are_told_truly(investigate, scenario):
    """Verdict, segment and change are those that were planted, and no decoy is believed."""
    done, truth = investigate(scenario), TRUTH[scenario]
    assert done.status == "ok", done.error
    causes = [cause for cause in truth["causes"] if cause["segment"]]
    testing.assert_finds(
        done.findings,
        verdict=truth["verdict"],
        segments=[s for c in causes for s in (c["segment"], *c["acceptable"])],
        changes=[cause["change_id"] for cause in causes],
        never=[decoy["change_id"] for decoy in truth["decoys"]],
    )


@pytest.mark.parametrize("scenario", ["app_release_report_bug", "ingestion_outage"])
def test_intervals_cover_planted_excess(investigate, scenario):
    """The excess that was planted lies inside the interval of its driver."""
    driver = _first(investigate(scenario), "driver")
    excess = TRUTH[scenario]["causes"][0]["excess"]
    assert driver["ci_lower"] <= excess <= driver["ci_upper"]
    assert driver["segment"] not in TRUTH[scenario]["causes"][0]["forbidden"]


@pytest.mark.parametrize("scenario", ["quiet", "global_rise"])
def test_no_segment_is_invented(investigate, scenario):
    """Where no segment stands out, none is named, and no change is matched to one."""
    kinds = {finding["kind"] for finding in investigate(scenario).findings}
    assert "driver" not in kinds
    assert scenario != "quiet" or "matched_change" not in kinds


def test_answer_comes_in_sentences(investigate):
    """The answer names the segment, the size with its interval, and the change that fits."""
    answer = investigate("app_release_report_bug").answer
    assert 1 <= len(answer.sentences) <= 3
    assert "31.2.0" in answer.sentences[0]
    assert "95 % interval" in answer.sentences[1]
    assert answer.sentences[2].startswith("It coincides with “Android 31.2.0")
    assert answer.confidence == "High confidence"


def test_findings_carry_every_field(investigate):
    """The findings on disk are those of the run, complete, and survive being read back."""
    done = investigate("app_release_report_bug")
    records = json.loads((done.folder / "findings.json").read_text("utf-8"))
    wanted = {
        "claim", "kind", "estimate", "ci_lower", "ci_upper", "unit", "n_obs", "method",
        "strength", "caveats", "evidence", "next_steps",
    }  # fmt: skip
    assert records == list(done.findings)
    assert all(wanted <= set(record) for record in records)
    assert all("change_id" in r for r in records if r["kind"] in {"matched_change", "ruled_out"})


def test_run_directory_is_complete(investigate):
    """One directory holds page, notebook, findings and record, and nothing half-written."""
    done = investigate("app_release_report_bug")
    assert sorted(path.name for path in done.folder.iterdir()) == FILES
    assert [path.name for path in done.folder.parent.iterdir()] == [done.run_id]
    record = json.loads((done.folder / "run.json").read_text("utf-8"))
    assert record["status"] == "ok"
    assert record["data_fingerprint"].startswith("sha256:")
    assert record["parameters"]["window_days"] == 28


def _first(done, kind):
    return next(finding for finding in done.findings if finding["kind"] == kind)


@pytest.fixture(scope="module")
def notices(shared_data, tmp_path_factory):
    """Return a function that runs the playbook on the copyright notices of 2015."""

    def run(**given):
        source = shared_data / "dmca" / "notices.parquet"
        parameters = {"source": str(source), "time": "notice_date"} | given
        done = runner.run(
            playbook.find("metric_spike"), parameters, out=tmp_path_factory.mktemp("reports")
        )
        assert done.status == "ok", done.error
        return done

    return run


DIMENSIONS = ["complainant", "notice_type"]


def test_real_burst_names_complainant(notices):
    """The burst of 21 July 2015 is that of the complainant who sent it."""
    done = notices(period=["2015-07-21", "2015-07-21"], dimensions=DIMENSIONS)
    assert "outfit7" in _first(done, "driver")["segment"]["complainant"].lower()


def test_real_burst_is_found(notices):
    """Nobody need say when it was: the period is found too."""
    done = notices(as_of="2015-07-25", dimensions=DIMENSIONS)
    driver, change = _first(done, "driver"), _first(done, "change")
    started = dt.date.fromisoformat(change["evidence"]["started_at"])
    assert "outfit7" in driver["segment"]["complainant"].lower()
    assert abs((started - dt.date(2015, 7, 21)).days) <= 2


def test_single_notice_is_named(notices):
    """One notice over thousands of repositories is traced to its sender."""
    done = notices(
        value="repos_affected", period=["2015-09-01", "2015-09-30"], dimensions=DIMENSIONS
    )
    assert "newebuy" in _first(done, "driver")["segment"]["complainant"].lower()


def _write_by_week(path, *, monthly=False):
    """Write errors of two vendors per week or month; those of one double in the last three."""
    rng = np.random.default_rng(11)
    if monthly:
        stamps = pl.date_range(dt.date(2021, 1, 1), dt.date(2025, 12, 1), "1mo", eager=True)
    else:
        stamps = pl.date_range(dt.date(2024, 12, 30), dt.date(2026, 2, 16), "7d", eager=True)
    rows = []
    for i, stamp in enumerate(stamps):
        for vendor in ("acme", "bolt"):
            share = 0.08 if vendor == "bolt" and i >= len(stamps) - 3 else 0.04
            n = int(rng.integers(800, 1200))
            rows.append((stamp, vendor, n, int(rng.binomial(n, share))))
    table = pl.DataFrame(rows, schema=["stamp", "vendor", "decisions", "errors"], orient="row")
    table.write_csv(path)
    return str(path)


@pytest.mark.parametrize("monthly", [False, True])
def test_table_by_week_or_month(tmp_path, monthly):
    """One date a week or month is a rhythm, not a daily table full of gaps."""
    given = {
        "source": _write_by_week(tmp_path / "errors.csv", monthly=monthly), "time": "stamp",
        "value": "errors", "denominator": "decisions", "window_days": 120,
    }  # fmt: skip
    done = runner.run(playbook.find("metric_spike"), given, out=tmp_path / "reports")
    assert done.status == "ok", done.error
    found = {item["kind"]: item for item in done.findings}
    assert found["verdict"]["verdict"] == "localised"
    assert found["driver"]["segment"] == {"vendor": "bolt"}
    assert found["driver"]["ci_lower"] > 0
