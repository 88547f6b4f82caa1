"""Does what cannot matter never change a finding?"""

import datetime as dt
import json
import math
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rcakit
from rcakit import frames, testing, validation, wording
from rcakit.errors import ParameterError
from rcakit.findings import KINDS, Finding
from rcakit.stats.multiplicity import benjamini_hochberg, bonferroni, holm

few = settings(
    max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
many = settings(max_examples=100, derandomize=True, deadline=None)
FIRST = dt.date(2026, 1, 5)
PERIOD = (dt.date(2026, 2, 23), dt.date(2026, 3, 1))
numbers = st.floats(-1e12, 1e12)
pvalues = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=30)


def _events():
    rng = np.random.default_rng(11)
    rows = []
    for day in range(56):
        for os in ("ios", "web"):
            for place in "abc":
                mean = 30 if (os, place) == ("ios", "b") and day >= 49 else 8
                rows += [(FIRST + dt.timedelta(days=day), os, place)] * int(rng.poisson(mean))
    return pl.DataFrame(rows, schema=["at", "os", "place"], orient="row")


EVENTS = _events()


def _told(table, *, time="at", names=("os", "place")):
    """Return all that is claimed of a table, as plain JSON."""
    drivers = rcakit.drivers.explain(table, time=time, period=PERIOD, dimensions=names)
    spikes = rcakit.spikes.detect(table, time=time)
    return json.loads(drivers.to_json()), json.loads(spikes.to_json())


@pytest.fixture(scope="module")
def told():
    """Return what is claimed of the events as they are."""
    return _told(EVENTS)


@few
@given(seed=st.integers(0, 2**31))
def test_row_order_changes_nothing(told, seed):
    """Shuffled rows tell the same story to the last digit."""
    assert _told(EVENTS.sample(fraction=1, shuffle=True, seed=seed)) == told


@few
@given(name=st.text(min_size=1, max_size=20).filter(lambda n: n not in EVENTS.columns))
def test_idle_columns_change_nothing(told, name):
    """A column that nobody asked for, whatever its name, has no say."""
    assert _told(EVENTS.with_columns(pl.col("os").alias(name))) == told


@few
@given(order=st.permutations(["ios", "web"]), places=st.permutations(["p", "q", "r"]))
def test_relabelled_values_keep_numbers(told, order, places):
    """Other words for the values give the same segments with the same numbers."""
    labels = dict(zip(("ios", "web"), order, strict=True))
    spots = dict(zip("abc", places, strict=True))
    found, spikes = _told(
        EVENTS.with_columns(pl.col("os").replace(labels), pl.col("place").replace(spots))
    )
    (row,), (before,) = found["tables"]["segments"], told[0]["tables"]["segments"]
    assert row["segment"] == {"os": labels["ios"], "place": spots["b"]}
    for name in ("observed", "expected", "effect", "effect_ci_lower", "effect_ci_upper", "pvalue"):
        assert row[name] == pytest.approx(before[name], rel=1e-9)
    assert spikes == told[1]


def test_renamed_columns_keep_numbers(told):
    """Columns by other names give the same numbers under those names."""
    found, _ = _told(
        EVENTS.rename({"at": "when", "os": "Betriebs system", "place": "é"}),
        time="when", names=["Betriebs system", "é"],
    )  # fmt: skip
    (row,), (before,) = found["tables"]["segments"], told[0]["tables"]["segments"]
    assert row["segment"] == {"Betriebs system": "ios", "é": "b"}
    assert row["effect"] == before["effect"]


def test_empty_segments_change_nothing(told):
    """A value that occurs only after the period changes neither verdict nor segment."""
    later = pl.DataFrame({"at": [PERIOD[1] + dt.timedelta(days=9)], "os": ["tv"], "place": ["z"]})
    found = rcakit.drivers.explain(
        pl.concat([EVENTS, later]), time="at", period=PERIOD, dimensions=["os", "place"]
    )
    assert json.loads(found.to_json()) == told[0]


@many
@given(p=pvalues)
def test_adjusted_pvalues_are_larger(p):
    """Adjusting never makes a p-value smaller, never leaves the unit interval, and keeps gaps."""
    for adjust in (benjamini_hochberg, holm, bonferroni):
        adjusted, raw = adjust(p), np.asarray(p, dtype=float)
        made = np.isfinite(raw)
        assert np.array_equal(np.isnan(adjusted), ~made)
        assert (adjusted[made] >= raw[made] - 1e-15).all()
        assert (adjusted[made] <= 1).all()


@many
@given(p=pvalues)
def test_adjusting_keeps_the_order(p):
    """Stricter rules give larger values, and the order of the tests stays."""
    bh, h, b = benjamini_hochberg(p), holm(p), bonferroni(p)
    made = np.isfinite(np.asarray(p, dtype=float))
    assert (bh[made] <= h[made] + 1e-12).all()
    assert (h[made] <= b[made] + 1e-12).all()
    order = np.argsort(np.asarray(p, dtype=float)[made], kind="stable")
    assert (np.diff(bh[made][order]) >= 0).all()
    assert (np.diff(h[made][order]) >= 0).all()


def test_adjusted_pvalues_match_references():
    """Five p-values and what the papers make of them, by hand."""
    p = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert benjamini_hochberg(p) == pytest.approx([0.05] * 5)
    assert holm(p) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


@many
@given(text=st.text(max_size=200))
def test_visible_text_is_printable(text):
    """Whatever the data hold, what is shown is printable and bounded."""
    said = wording.visible(text)
    assert all(c.isprintable() or c == "\u202f" for c in said)
    assert len(said) <= 61 or len(text) <= 60


@many
@given(values=st.dictionaries(st.text(max_size=30), st.text(max_size=80) | st.none(), max_size=3))
def test_segments_never_break_claims(values):
    """A claim that speaks of any segment can be made, and survives being written down."""
    finding = Finding(
        claim=f"In {wording.segment(values)} there were more.", kind="driver", estimate=1.0,
        ci_lower=0.5, ci_upper=2.0, unit="rows", n_obs=50, method="m", segment=values,
    )  # fmt: skip
    testing.check_finding(finding)


@many
@given(
    kind=st.sampled_from(KINDS),
    bounds=st.tuples(numbers, numbers, numbers).map(sorted),
    n_obs=st.integers(1, 10**9),
)
def test_findings_survive_writing(kind, bounds, n_obs):
    """Every finding is the same after a trip through JSON, its strength rated anew."""
    low, middle, high = bounds
    finding = Finding(
        claim="It rose.", kind=kind, estimate=middle, ci_lower=low, ci_upper=high,
        unit="rows", n_obs=n_obs, method="m", evidence={"at": FIRST, "n": (1, None)},
    )  # fmt: skip
    record = json.loads(json.dumps(finding.to_record(), allow_nan=False))
    assert Finding.from_record(record).to_record() == record


@many
@given(
    at=st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1)),
    offset=st.integers(-14 * 60, 14 * 60),
)
def test_text_times_are_moments(at, offset):
    """ISO text with any offset is read as the moment that it names."""
    zone = dt.timezone(dt.timedelta(minutes=offset))
    texts = [at.isoformat(), at.isoformat(" "), f"{at.isoformat()}Z"]
    texts.append(at.replace(tzinfo=dt.UTC).astimezone(zone).isoformat())
    read = pl.DataFrame({"t": texts}).select(frames.parse_times(pl.col("t")))["t"].to_list()
    assert [moment.replace(tzinfo=None) for moment in read] == [at] * 4


@many
@given(text=st.text(max_size=40))
def test_any_text_is_time_or_null(text):
    """No text crashes the reading of times."""
    read = pl.DataFrame({"t": [text]}).select(frames.parse_times(pl.col("t")))["t"]
    assert len(read) == 1


@many
@given(
    value=st.text(max_size=300) | st.integers(min_value=4) | st.floats() | st.none() | st.binary()
)
def test_refusals_are_one_line(value):
    """Whatever was given, the refusal says name, bounds and value in one short line."""
    with pytest.raises(ParameterError) as refused:
        validation.check_integer(value, "days", ge=1, le=3)
    assert re.fullmatch(r"days must be a[^\n]{1,190}", str(refused.value))
