"""Do accounts that act together stand out from accounts that like the same things?"""

import datetime as dt
import sqlite3

import numpy as np
import polars as pl
import pytest

from rcakit.errors import ParameterError, SchemaError
from rcakit.graphs import co_action_edges, find_lockstep
from rcakit.stats import lockstep

COLUMNS = {"account": "account_id", "target": "target_id", "time": "at"}
START = dt.datetime(2026, 3, 1)


def crowd(seed: int = 0, n: int = 4000) -> pl.DataFrame:
    """Make actions of many accounts on popular targets at random times."""
    random = np.random.default_rng(seed)
    seconds = random.integers(0, 7 * 86_400, n)
    return pl.DataFrame(
        {
            "account_id": [f"u{i}" for i in random.integers(0, 800, n)],
            "target_id": [f"p{i}" for i in random.zipf(1.4, n) % 300],
            "at": [START + dt.timedelta(seconds=int(s)) for s in seconds],
        }
    )


def squad(n: int = 6, n_targets: int = 8) -> pl.DataFrame:
    """Make actions of a few accounts on the same targets within half a minute."""
    rows = [
        (f"bot{i}", f"p{target}", START + dt.timedelta(hours=9 * target, seconds=5 * i))
        for i in range(n)
        for target in range(n_targets)
    ]
    return pl.DataFrame(rows, schema=["account_id", "target_id", "at"], orient="row")


def test_finds_squad_in_crowd():
    """Six accounts that follow each other within seconds are one ring."""
    found = find_lockstep(pl.concat([crowd(), squad()]), window=60, **COLUMNS)
    assert [{m.account_id for m in r.core} for r in found.rings] == [{f"bot{i}" for i in range(6)}]


@pytest.mark.parametrize("seed", range(5))
def test_crowd_alone_has_no_rings(seed):
    """Popular targets bring no ring by themselves."""
    assert find_lockstep(crowd(seed), window=60, **COLUMNS).rings == ()


def test_live_burst_proves_nothing():
    """Targets on which everyone acts within a minute tie nobody."""
    random = np.random.default_rng(1)
    rows = [
        (f"u{i}", f"p{t}", START + dt.timedelta(days=t, seconds=int(random.integers(0, 50))))
        for t in range(10)
        for i in range(40)
    ]
    data = pl.DataFrame(rows, schema=["account_id", "target_id", "at"], orient="row")
    assert find_lockstep(data, window=60, **COLUMNS).rings == ()


def test_window_is_chosen_by_data():
    """The window of the squad is found among those that are tried, and said."""
    found = find_lockstep(pl.concat([crowd(), squad()]), window="auto", **COLUMNS)
    assert len(found.rings) == 1
    assert any("chosen by the data" in note for note in found.notes)


def test_evidence_lists_common_targets():
    """The evidence of a lockstep ring is the targets, with all accounts that acted on them."""
    found = find_lockstep(pl.concat([crowd(), squad()]), window=60, **COLUMNS)
    rows = found.to_records("evidence")
    assert {row["attribute"] for row in rows} >= {f"p{t}" for t in range(8)}
    assert all(row["n_total"] >= row["n_in_ring"] >= 2 for row in rows)


def test_counts_match_brute_force():
    """Pairs and targets agree with comparing every action with every other."""
    data = crowd(3, 600).unique().sort("target_id", "at")
    account = data["account_id"].rank("dense").to_numpy().astype(np.int64)
    target = data["target_id"].rank("dense").to_numpy().astype(np.int64)
    at = data["at"].cast(pl.Int64).to_numpy() / 1e6
    brute = {}
    for i in range(len(at)):
        for j in range(len(at)):
            near = target[i] == target[j] and abs(at[i] - at[j]) <= 3600
            if near and account[i] < account[j]:
                brute.setdefault((account[i], account[j]), set()).add(target[i])
    found = lockstep.co_actions(account, target, at, 3600.0)
    pairs = zip(found.first, found.second, found.n_targets, strict=True)
    assert {(a, b): n for a, b, n in pairs} == {k: len(v) for k, v in brute.items()}


def test_edges_equal_coordination_network_toolkit(retweets):
    """Directed co-retweet weights equal the definition of coordination-network-toolkit 1.5.2.

    The query counts distinct messages of one user that have a message of another on the same post
    within the window (its compute_networks module, co-retweet network), written here in SQL.
    """
    rows = retweets.unique().with_columns(pl.col("timestamp").dt.epoch("s"))
    base = sqlite3.connect(":memory:")
    base.execute("create table edge (message, user, post, at)")
    columns = ["content_id", "account_id", "object_id", "timestamp"]
    base.executemany("insert into edge values (?, ?, ?, ?)", rows.select(columns).rows())
    base.execute("create index by_post on edge (post, at)")
    query = """
        select a.user, b.user, count(distinct a.rowid) from edge a join edge b
        on a.post = b.post and b.at between a.at - 60 and a.at + 60 and a.user <> b.user
        group by a.user, b.user"""
    theirs = {(first, second): weight for first, second, weight in base.execute(query)}
    base.close()
    names = rows["account_id"].unique().sort().to_list()
    coded = rows.select(
        pl.col("account_id").rank("dense") - 1, pl.col("object_id").rank("dense") - 1, "timestamp"
    ).sort("object_id", "timestamp")
    arrays = [coded[name].to_numpy().astype(np.int64) for name in coded.columns[:2]]
    at = coded["timestamp"].to_numpy().astype(np.float64)
    found = lockstep.co_actions(*arrays, at, 60.0)
    ours = {}
    for a, b, there, back in zip(
        found.first, found.second, found.n_first, found.n_second, strict=True
    ):
        ours[names[a], names[b]] = there
        ours[names[b], names[a]] = back
    assert ours == theirs
    assert len(found.first) == 6206


def test_real_retweets_hold_no_large_ring(retweets):
    """The published data has few repeated pairs: nothing larger than four accounts may appear."""
    found = find_lockstep(
        retweets, account="account_id", target="object_id", time="timestamp", window=60, min_size=2
    )
    assert all(len(ring.core) <= 4 for ring in found.rings)
    assert any("repeat" in note for note in found.notes)


def test_poisson_tail_is_exact():
    """P(N >= 3) at mean 1.5 is 1 - e^-1.5 (1 + 1.5 + 1.125)."""
    expected = 1 - np.exp(-1.5) * (1 + 1.5 + 1.125)
    assert lockstep.poisson_tail(np.array([3]), np.array([1.5]))[0] == pytest.approx(expected)


def test_budget_leaves_out_busiest_target():
    """A target with too many near pairs is left out, and said."""
    burst = pl.DataFrame(
        {"account_id": [f"b{i}" for i in range(200)], "target_id": "viral", "at": [START] * 200}
    )
    data = pl.concat([squad(), burst])
    found = find_lockstep(data, window=60, pair_budget=1000, **COLUMNS)
    assert any("busiest target left out" in note for note in found.notes)


def test_empty_and_null_actions_are_handled():
    """Nothing in, nothing out; nulls are counted."""
    assert find_lockstep(squad().head(0), window=60, **COLUMNS).rings == ()
    nulls = squad().with_columns(target_id=pl.lit(None, dtype=pl.String))
    assert "left out" in find_lockstep(nulls, window=60, **COLUMNS).notes[0]


def test_bad_window_is_refused():
    """A window is a number of seconds or auto."""
    with pytest.raises(ParameterError, match="window must be seconds or 'auto'"):
        find_lockstep(squad(), window="1h", **COLUMNS)
    with pytest.raises(SchemaError, match="must hold timestamps"):
        find_lockstep(squad().with_columns(at=1), window=60, **COLUMNS)


def test_ring_is_not_its_own_yardstick():
    """A ring that is most of what happens on its targets is found all the same."""
    random = np.random.default_rng(4)
    others = [
        (f"u{random.integers(500)}", f"p{t}", START + dt.timedelta(hours=int(h)))
        for t in range(8)
        for h in random.integers(0, 200, 3)
    ]
    rest = pl.DataFrame(others, schema=["account_id", "target_id", "at"], orient="row")
    found = find_lockstep(pl.concat([rest, squad(12), crowd()]), window=60, **COLUMNS)
    assert [len(ring.core) for ring in found.rings] == [12]


def test_fans_of_live_events_are_no_ring():
    """Those who come to two live events within a minute do not stand out from the crowd there."""
    random = np.random.default_rng(5)
    rows = [
        (
            f"u{i}",
            f"live{event}",
            START + dt.timedelta(days=event, seconds=int(random.integers(90))),
        )
        for event in range(3)
        for i in range(300)
        if random.random() < 0.5
    ]
    live = pl.DataFrame(rows, schema=["account_id", "target_id", "at"], orient="row")
    assert find_lockstep(pl.concat([live, crowd()]), window=60, **COLUMNS).rings == ()


def test_waking_hours_are_no_lockstep():
    """Accounts that act in the same hour every day on the same things are not in lockstep."""
    random = np.random.default_rng(6)
    rows = [
        (f"u{i}", f"p{day}", START + dt.timedelta(days=day, seconds=int(random.integers(3600))))
        for day in range(20)
        for i in range(60)
    ]
    table = pl.DataFrame(rows, schema=["account_id", "target_id", "at"], orient="row")
    assert find_lockstep(table, window=60, **COLUMNS).rings == ()


def test_edges_are_listed_by_name():
    """The pairs of a squad, each once by name, with the targets of their co-actions."""
    found = co_action_edges(squad(3), window=60, **COLUMNS)
    assert found.select("account_id", "other_id", "n_targets").rows() == [
        ("bot0", "bot1", 8),
        ("bot0", "bot2", 8),
        ("bot1", "bot2", 8),
    ]


def test_counts_do_not_depend_on_blocks(monkeypatch):
    """Pairs and targets are the same when pairs are listed a few at a time."""
    whole = find_lockstep(pl.concat([crowd(), squad()]), window=60, **COLUMNS).to_json()
    monkeypatch.setattr(lockstep, "_BLOCK_OF_PAIRS", 11)
    assert find_lockstep(pl.concat([crowd(), squad()]), window=60, **COLUMNS).to_json() == whole
