"""Does a new day cost one day, and give what a full run gives?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit.errors import ParameterError, SourceError
from rcakit.spikes import State, detect


@pytest.fixture
def table(daily):
    """Two series of 200 days; one rises near the end."""
    rng = np.random.default_rng(8)
    rise = rng.poisson(50, 200)
    rise[190:] += 40
    return pl.concat(
        [daily(v).with_columns(s=pl.lit(k)) for k, v in (("a", rise), ("b", rng.poisson(9, 200)))]
    )


def _until(table, n_days):
    return table.filter(pl.col("day") < dt.date(2025, 1, 6) + dt.timedelta(days=n_days))


def test_new_days_equal_a_full_run(table, tmp_path):
    """Days added one by one through a saved state give the numbers of one run."""
    options = {"time": "day", "value": "n", "by": "s"}
    result = detect(_until(table, 185), **options)
    for n_days in range(186, 201):
        path = result.state.save(tmp_path / "state.npz")
        new = _until(table, n_days).filter(pl.col("day") > result.state.last_day)
        result = detect(new, **options, state=path)
    full = detect(table, **options)
    last = len(result.days)
    for name in ("observed", "expected", "expected_lower", "pvalue", "qvalue"):
        np.testing.assert_array_equal(getattr(result, name), getattr(full, name)[:, -last:])
    assert result.incidents == full.incidents


def test_rate_state_equals_a_full_run(daily):
    """The dispersion of shares is remembered too."""
    rng = np.random.default_rng(9)
    trials = rng.poisson(300, 200)
    table = daily(rng.binomial(trials, 0.4), views=trials)
    options = {"time": "day", "value": "n", "exposure": "views"}
    state = detect(_until(table, 199), **options).state
    new, full = detect(table, **options, state=state), detect(table, **options)
    assert new.pvalue[0, -1] == full.pvalue[0, -1]


def test_state_of_another_version_is_refused(daily, tmp_path, monkeypatch):
    """A state that an older version wrote asks for a full run."""
    monkeypatch.setattr("rcakit.spikes.state._FORMAT", 1)
    path = detect(daily([5] * 40), time="day", value="n").state.save(tmp_path / "state.npz")
    monkeypatch.undo()
    with pytest.raises(SourceError, match="format 1 of another version"):
        State.load(path)


def test_amount_state_equals_a_full_run(daily, tmp_path):
    """The size of a usual row is remembered, so that sums of amounts go on alike."""
    rng = np.random.default_rng(12)
    day = np.repeat(np.arange(200), rng.poisson(40, 200))
    paid = rng.lognormal(3, 1, len(day)).round(2)
    table = daily(np.zeros(200)).select("day")[day].with_columns(n=pl.Series(paid))
    options = {"time": "day", "value": "n", "family": "amount"}
    state = detect(_until(table, 197), **options).state.save(tmp_path / "s.npz")
    new, full = detect(table, **options, state=state), detect(table, **options)
    for name in ("expected", "expected_upper", "pvalue", "qvalue"):
        last = getattr(full, name)[:, -len(new.days) :]
        np.testing.assert_array_equal(getattr(new, name), last)


def test_hourly_state_starts_at_midnight():
    """A feed that stops at nine is followed again from the start of that day."""
    hour = np.repeat(np.arange(24 * 40), np.random.default_rng(13).poisson(6, 24 * 40))
    origin = pl.lit(dt.datetime(2025, 1, 6))
    table = pl.DataFrame({"h": hour}).select(at=origin + pl.duration(hours="h"))
    cut = table.filter(pl.col("at") < dt.datetime(2025, 2, 10, 9))
    state = detect(cut, time="at", every="1h").state
    new, full = (detect(table, time="at", every="1h", state=s) for s in (state, None))
    np.testing.assert_array_equal(new.pvalue, full.pvalue[:, -len(new.days) :])


def test_gauge_state_equals_a_full_run(daily, tmp_path):
    """A stock goes on where it stopped, through a file."""
    values = 500 + np.cumsum(np.random.default_rng(10).normal(0, 5, 200))
    options = {"time": "day", "value": "n", "family": "gauge"}
    state = detect(_until(daily(values), 199), **options).state.save(tmp_path / "s.npz")
    new, full = detect(daily(values), **options, state=state), detect(daily(values), **options)
    assert new.pvalue[0, -1] == full.pvalue[0, -1]


def test_other_options_are_refused(table):
    """A state is only good for the question that made it."""
    state = detect(table, time="day", value="n", by="s").state
    with pytest.raises(ParameterError, match="as in the state"):
        detect(table, time="day", value="n", state=state)


def test_broken_file_is_named(tmp_path):
    """A file that is no state is refused in words."""
    path = tmp_path / "state.npz"
    path.write_bytes(b"no")
    with pytest.raises(SourceError, match=r"written by State\.save"):
        State.load(path)
