"""Is bad input answered in one line, with nothing half-written left behind?"""

import datetime as dt
import json
import random
import re

import polars as pl
import pytest
from click.testing import CliRunner

from rcakit import cli

START = dt.datetime(2026, 1, 1, 9)


def _csv(path, *, days=60, per_day=12, header="created_at,policy,n"):
    """Write events of two policies, so many on each day."""
    rng = random.Random(1)
    rows = [
        f"{START + dt.timedelta(days=day, minutes=7 * i):%Y-%m-%dT%H:%M:%SZ},"
        f"{rng.choice(['spam', 'hate'])},{i}x"
        for day in range(days)
        for i in range(per_day + rng.randint(-3, 3))
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def _run(folder, *given):
    out = folder / "reports"
    words = [word for pair in given for word in ("-p", pair)]
    done = CliRunner().invoke(cli.main, ["run", "metric_spike", *words, "--out", str(out)])
    return done, out


def _left_behind(out):
    return sorted(path.name for path in out.glob("metric_spike/*")) + sorted(
        path.name for path in out.glob("metric_spike/.*")
    )


def _errors(done):
    """Return the lines that speak of the failure."""
    return [line for line in done.stderr.splitlines() if not line.startswith("  ")]


CASES = {
    "missing column": ("rows", "time=made_at", r"SchemaError: column 'made_at' is missing"),
    "metric of words": ("rows", "value=n", "SchemaError: column 'n' must be numeric"),
    "one day": ("day", "time=created_at", "NotEnoughDataError"),
    "header only": ("header", "time=created_at", "NotEnoughDataError: data must hold rows"),
    "empty file": ("empty", "time=created_at", r"SourceError: file .* is empty \(0 bytes\)"),
    "half a file": ("half", "time=created_at", "SourceError: source .* could not be read"),
}


@pytest.mark.parametrize("case", CASES)
def test_failures_say_one_line(tmp_path, case):
    """What a user can mend is one line that names it, and exit code 1."""
    kind, parameter, message = CASES[case]
    path = tmp_path / ("rows.parquet" if kind == "half" else "rows.csv")
    if kind == "half":
        pl.DataFrame({"created_at": [START] * 99}).write_parquet(path)
        path.write_bytes(path.read_bytes()[:-9])
    elif kind == "empty":
        path.write_text("")
    else:
        _csv(path, days={"rows": 60, "day": 1, "header": 0}[kind])
    done, out = _run(tmp_path, f"source={path}", parameter)
    said = _errors(done)
    assert done.exit_code == 1, done.output
    assert re.search(message, said[0]), said
    assert "Traceback" not in done.output
    assert len(said) == 2
    assert _left_behind(out) == []


def test_failed_runs_lie_apart(tmp_path):
    """A failed run keeps its notebook and its status below ``failed``."""
    path = _csv(tmp_path / "rows.csv", days=3)
    done, out = _run(tmp_path, f"source={path}")
    (folder,) = out.glob("failed/metric_spike/*")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert done.exit_code == 1
    assert record["status"] == "failed"
    assert record["error"].startswith("NotEnoughDataError")
    assert sorted(p.name for p in folder.iterdir()) == ["notebook.ipynb", "run.json"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("windowdays=7", "has no parameter 'windowdays'.*Did you mean 'window_days'"),
        ("window_days=often", "window_days must be int between 1 and 366, got 'often'"),
        ("window_days=0", "window_days must be int between 1 and 366, got '0'"),
        ("alpha=nan", "alpha must be float between 0.0001 and 0.2, got 'nan'"),
        ("as_of=31.3.2026", "as_of must be date"),
        ("dimensions=policy", r"dimensions must be list\[str\] \| None as JSON.*For example"),
        ("dimensions=[1]", r"dimensions must be list\[str\]"),
        ('period=["2026-03-01"]', "period must be"),
        ('period=["2026-03-01", "later"]', "period must be"),
        ("window_days", "-p must be NAME=VALUE, got 'window_days'"),
    ],
)
def test_bad_parameters_start_nothing(tmp_path, given, message):
    """A wrong parameter is exit code 2 before anything is started or written."""
    done, out = _run(tmp_path, given)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(message, done.stderr), done.stderr
    assert not out.exists()


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Run on a file with every defect that an answer can live with."""
    folder = tmp_path_factory.mktemp("messy")
    path = _csv(folder / "rows.csv")
    lines = path.read_text().splitlines()
    defects = [
        "2031-01-01T00:00:00Z,spam,1x",
        "1970-01-01T00:00:00Z,spam,1x",
        "2026-02-31T00:00:00Z,spam,1x",
        ",spam,1x",
        "2026-02-20T09:00:00+05:30,SPAM,1x",
        "2026-02-20T09:00:00,hate,1x",
        *lines[-3:],
    ]
    path.write_text("\n".join([*lines, *defects]) + "\n")
    done, out = _run(folder, f"source={path}", 'dimensions=["policy"]')
    assert done.exit_code == 0, done.stderr
    return json.loads(next(out.glob("metric_spike/*/findings.json")).read_text("utf-8"))


@pytest.mark.parametrize(
    ("check", "n_rows"),
    [
        ("rows without a time", 2),
        ("future dates", 1),
        ("impossible dates", 1),
        ("duplicate rows", 3),
        ("time zones", 2),
        ("spellings of policy", None),
    ],
)
def test_defects_become_findings(messy, check, n_rows):
    """Future, impossible and missing dates, mixed zones, duplicates and spellings are counted."""
    found = {f["evidence"].get("check"): f for f in messy if f["kind"] == "data_quality"}
    assert check in found
    assert n_rows is None or found[check]["estimate"] == n_rows
    assert found[check]["next_steps"]


def test_defects_do_not_invent(messy):
    """Rows of noise with defects still hold nothing to explain."""
    assert [f["verdict"] for f in messy if f["kind"] == "verdict"] == ["no_evidence"]
