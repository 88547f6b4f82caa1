"""Amounts: rows that bring money, sums made beforehand, and rows that are huge."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import rcakit

FIRST, N_DAYS = dt.date(2026, 1, 5), 57  # the last day is the period
PERIOD = (str(FIRST + dt.timedelta(N_DAYS - 1)),) * 2


def _orders(seed=0, *, times=1.0, sigma=1.0, mean=0.5, n_places=40):
    """Return one row per order, of lognormal amounts; place 3 rises by ``times`` on the last day."""
    rng = np.random.default_rng(seed)
    place, kind, day = (part.ravel() for part in np.indices((n_places, 5, N_DAYS)))
    level = mean * rng.lognormal(0.0, 1.0, (n_places, 5))[place, kind]
    rises = (day == N_DAYS - 1) & (place == 3)
    number = rng.poisson(level * np.where(rises, times, 1.0))
    return pl.DataFrame(
        {
            "day": (np.datetime64(FIRST) + day).repeat(number),
            "place": np.char.add("p", place.astype(str)).repeat(number),
            "kind": np.char.add("k", kind.astype(str)).repeat(number),
            "amount": rng.lognormal(3.0, sigma, number.sum()).round(2),
        }
    )


def _explain(table):
    return rcakit.drivers.explain(
        table, dimensions=["place", "kind"], time="day", period=PERIOD, value="amount", baseline=56
    )


def _summed(table):
    return table.group_by("day", "place", "kind").agg(pl.col("amount").sum())


@pytest.mark.parametrize(
    ("shape", "mean"), [(lambda rows: rows, 2.0), (_summed, 20.0)], ids=["rows", "sums"]
)
def test_more_orders_are_named(shape, mean):
    """A place with more orders is named, from rows, and where many from sums made beforehand."""
    result = _explain(shape(_orders(times=6.0, mean=mean)))
    assert result.segments == ({"place": "p3"},)


@pytest.mark.parametrize("shape", [lambda rows: rows, _summed], ids=["rows", "sums"])
def test_heavy_rows_are_no_cause(shape):
    """Where nothing happened no segment is named for the one huge row it holds."""
    named = [seed for seed in range(12) if _explain(shape(_orders(seed, sigma=1.5))).segments]
    assert named == []


def _zeros(table):
    """The same sums with a row of zero for every combination and day without an order."""
    cells = table.select("day").unique().join(table.select("place", "kind").unique(), how="cross")
    return cells.join(table, on=["day", "place", "kind"], how="left").fill_null(0)


def test_rows_of_zero_change_nothing():
    """Rows that hold nothing are no events: the answer is that without them."""
    sums = _summed(_orders(times=6.0, mean=2.0))
    with_zeros, without = _explain(_zeros(sums)), _explain(sums)
    assert with_zeros.attribution == without.attribution
    whole = sums.with_columns(pl.col("amount").round(0))
    assert _explain(_zeros(whole)).attribution == _explain(whole).attribution


def test_whole_sums_are_no_counts():
    """Daily sums of whole dollars name nothing where nothing happened."""
    tables = [_summed(_orders(seed, mean=1.5)) for seed in range(8)]
    named = [_explain(t.with_columns(pl.col("amount").round(0))).segments for t in tables]
    assert named == [()] * 8


def test_finer_sums_are_no_single_rows():
    """Counts by the hour find what counts by the day find."""
    rng = np.random.default_rng(0)
    place, kind, day, _hour = (part.ravel() for part in np.indices((8, 3, N_DAYS, 12)))
    rises = np.where((place == 3) & (day == N_DAYS - 1), 1.5, 1.0)
    table = pl.DataFrame(
        {
            "day": np.datetime64(FIRST) + day,
            "place": np.char.add("p", place.astype(str)),
            "kind": np.char.add("k", kind.astype(str)),
            "amount": rng.poisson(6.0 * rises),
        }
    )
    assert _explain(table).segments == ({"place": "p3"},)


def test_one_huge_row_is_found():
    """A single row that dwarfs every day before is found, and a note says that it is but one row."""
    orders = _orders()
    huge = orders.tail(1).with_columns(
        day=pl.lit(dt.date.fromisoformat(PERIOD[0])), amount=pl.lit(1_000_000.0)
    )
    result = _explain(pl.concat([orders, huge]))
    where = huge.row(0, named=True)["place"]
    assert result.verdict == "localised"
    assert result.segments[0]["place"] == where
    assert any("few huge rows" in note and where in note for note in result.notes)


def test_scattered_amounts_are_no_rollout():
    """Amounts of very different rows do not look like a mix that changed for good."""
    assert not any("roll-out" in note for note in _explain(_orders(sigma=1.5)).notes)
