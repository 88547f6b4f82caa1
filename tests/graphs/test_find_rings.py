"""Are planted rings found, explained and told apart from ordinary sharing?"""

import datetime as dt

import duckdb
import polars as pl
import pytest

import rcakit
from rcakit.errors import ParameterError, SchemaError
from rcakit.graphs import RingResult, find_rings

COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}
START = dt.datetime(2026, 3, 1)


def ring_table(rows):
    """Name the columns of edges."""
    names = ["account_id", "attribute", "attribute_type", "first_seen_at"]
    return pl.DataFrame(rows, schema=names, orient="row")


def ring_rows(name, size=12):
    """Make one ring in overlapping groups of three."""
    return [
        (f"{name}{i}", f"{name}-{kind}{(i + shift) // 3}", kind, START)
        for i in range(size)
        for kind, shift in (("device", 0), ("card", 1), ("phone", 2))
    ]


def accounts(result, number=0):
    """Return the accounts of one ring."""
    return {member.account_id for member in result.rings[number].core}


def test_finds_ring_among_households(world):
    """The twelve accounts that were planted are reported, and no home is."""
    found = find_rings(world, time="first_seen_at", **COLUMNS)
    assert len(found.rings) == 1
    assert accounts(found) == {f"bad{i}" for i in range(12)}


def test_reports_nothing_without_rings(world):
    """Homes alone make no ring."""
    homes = world.filter(~pl.col("account_id").str.starts_with("bad"))
    assert find_rings(homes, **COLUMNS).rings == ()


@pytest.mark.parametrize("engine", ["pandas", "pyarrow", "lazy", "duckdb"])
def test_same_answer_in_every_engine(world, engine):
    """Members, evidence and scores do not depend on who holds the rows."""
    held = {
        "pandas": world.to_pandas,
        "pyarrow": world.to_arrow,
        "lazy": world.lazy,
        "duckdb": lambda: duckdb.connect().from_arrow(world.to_arrow()),
    }[engine]()
    here = find_rings(world, time="first_seen_at", **COLUMNS)
    there = find_rings(held, time="first_seen_at", **COLUMNS)
    assert there.to_records("members") == here.to_records("members")
    assert there.to_records("evidence") == here.to_records("evidence")
    assert there.to_records() == here.to_records()


def test_removing_evidence_removes_ring(world):
    """Without the attributes that a ring lists, it is not found."""
    found = find_rings(world, **COLUMNS)
    listed = found.to_frame("evidence")["attribute"].to_list()
    rest = world.filter(~pl.col("attribute").is_in(listed))
    assert find_rings(rest, **COLUMNS).rings == ()


def test_evidence_counts_holders(world):
    """Every listed attribute says how many members and how many accounts have it."""
    extra = ring_table([("passer-by", "bad-device1", "device", START)])
    found = find_rings(pl.concat([world, extra]), **COLUMNS)
    row = next(r for r in found.to_records("evidence") if r["attribute"] == "bad-device1")
    assert (row["n_in_ring"], row["n_total"]) == (3, 4)
    assert 0 < row["weight"] < 1


def test_partners_tell_households_apart(world):
    """An account that hangs on one member has one partner, a member has several."""
    mate = [("mate", f"bad-{thing}", thing, START) for thing in ("home", "tablet")]
    hers = [("bad3", f"bad-{thing}", thing, START) for thing in ("home", "tablet")]
    found = find_rings(pl.concat([world, ring_table(mate + hers)]), **COLUMNS)
    partners = {r["account_id"]: r["n_partners"] for r in found.to_records("members")}
    assert partners.pop("mate") == 1
    assert min(partners.values()) > 1


def test_dates_of_ring_are_first_sightings(world):
    """A ring starts with its first member and ends with its last."""
    row = find_rings(world, time="first_seen_at", **COLUMNS).to_records()[0]
    assert row["started_at"] == START + dt.timedelta(days=10)
    assert row["ended_at"] == START + dt.timedelta(days=10, hours=11)


def test_known_accounts_never_change_scores(world):
    """Known bad accounts are counted beside the score."""
    plain = find_rings(world, **COLUMNS).to_records()[0]
    told = find_rings(world, known_bad=["bad1", "h3p0"], **COLUMNS).to_records()[0]
    assert told["known_bad_count"] == 1
    assert told["score"] == plain["score"]


def test_account_of_two_rings_is_listed_in_both():
    """An account tied firmly to a second ring appears there as well, not as core."""
    rows = ring_rows("left") + ring_rows("right")
    both = [("left0", "right-device1", "device", START), ("left0", "right-card3", "card", START)]
    found = find_rings(ring_table(rows + both), max_false_share=0.5, **COLUMNS)
    listed = [r["ring_id"] for r in found.to_records("members") if r["account_id"] == "left0"]
    assert len(found.rings) == 2
    assert len(listed) == 2


def test_order_of_rows_is_irrelevant(world):
    """Shuffled rows give the same tables."""
    shuffled = world.sample(fraction=1.0, shuffle=True, seed=3)
    here, there = (find_rings(t, **COLUMNS) for t in (world, shuffled))
    assert here.to_json() == there.to_json()


def test_repeated_and_null_rows_are_said(world):
    """Null and repeated rows change nothing and are counted in words."""
    dirty = pl.concat([world, world.head(5), ring_table([(None, "x", "device", START)])])
    found = find_rings(dirty, **COLUMNS)
    assert accounts(found) == {f"bad{i}" for i in range(12)}
    assert any("1 row without account or attribute" in note for note in found.notes)
    assert any("5 rows repeat an edge" in note for note in found.notes)


def test_attribute_of_everyone_is_a_hub(world):
    """An attribute that all accounts share changes no ring and is named as left out."""
    names = world["account_id"].unique().to_list()
    constant = ring_table([(name, "same", "address", START) for name in names])
    found = find_rings(pl.concat([world, constant]), **COLUMNS)
    assert accounts(found) == {f"bad{i}" for i in range(12)}
    assert any("count for nothing" in note for note in found.notes)


def test_hub_of_any_size_stays_cheap():
    """A hub of two hundred thousand accounts makes no pairs."""
    names = [f"a{i}" for i in range(200_000)]
    hub = pl.DataFrame({"account_id": names, "attribute": "nat", "attribute_type": "address"})
    assert find_rings(hub, **COLUMNS).rings == ()


def test_pair_budget_lowers_hub_degree(world):
    """A small budget lowers the cap, and the result says so."""
    places = [(f"c{i}", f"cafe{i % 8}", "address", START) for i in range(400)]
    found = find_rings(pl.concat([world, ring_table(places)]), pair_budget=3000, **COLUMNS)
    assert any("Hubs start at" in note for note in found.notes)
    assert len(found.rings) == 1


def test_empty_table_has_no_rings(world):
    """No rows make an empty, drawable result."""
    found = find_rings(world.head(0), time="first_seen_at", **COLUMNS)
    assert found.rings == ()
    assert found.findings()[0].verdict == "no_evidence"
    assert "No group" in str(found)


def test_self_shared_attributes_prove_nothing():
    """An account that is its own attribute shares it with nobody."""
    own = pl.DataFrame({"account_id": ["a", "b", "c", "d"], "attribute": ["a", "b", "c", "d"]})
    assert find_rings(own, account="account_id", attribute="attribute").rings == ()


def test_one_dense_component_is_one_ring():
    """A component in which all is shared is reported whole, not split."""
    rows = [(f"a{i}", f"x{j}", "device", START) for i in range(30) for j in range(6)]
    found = find_rings(ring_table(rows), **COLUMNS)
    assert [len(ring.core) for ring in found.rings] == [30]


def test_hostile_names_stay_inert(world):
    """Names from abusers reach no markup."""
    name = "<img src=x onerror=alert(1)>"
    hostile = world.with_columns(
        pl.col("account_id").replace("bad0", name), pl.col("attribute_type").replace("card", name)
    )
    found = find_rings(hostile, **COLUMNS)
    html = found._repr_mimebundle_()["text/html"]
    assert "<img" not in html
    assert name in accounts(found)


def test_masking_hides_ids_and_stays_stable(world):
    """Masked ids differ from the names, agree under one key and differ under another."""
    found = find_rings(world, **COLUMNS)
    once, again, other = (found.masked(key) for key in ("a", "a", "b"))
    assert once.to_json() == again.to_json()
    assert not accounts(once) & (accounts(found) | accounts(other))
    assert "bad1" not in once.to_json()


def test_contract_columns_come_first(world):
    """The tables carry the promised columns."""
    found = find_rings(world, time="first_seen_at", **COLUMNS)
    assert isinstance(found, RingResult)
    assert found.to_frame().columns[:9] == [
        "ring_id",
        "n_accounts",
        "score",
        "n_shared_attributes",
        "n_confirmations",
        "started_at",
        "ended_at",
        "known_bad_count",
        "reason",
    ]
    for name in ("rings", "members", "evidence"):
        assert list(found.to_records(name)[0]) == list(found.tables[name])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"max_false_share": 0}, "max_false_share must be a number greater than 0"),
        ({"min_size": 2}, "min_size must be a number at least 3"),
        ({"hub_degree": 2}, "hub_degree must be a number at least 6"),
    ],
)
def test_options_out_of_range_are_refused(world, option, message):
    """Every option says what is allowed."""
    with pytest.raises(ParameterError, match=message):
        find_rings(world, **option, **COLUMNS)


def test_missing_column_is_named(world):
    """The error suggests the column that was meant."""
    with pytest.raises(SchemaError, match="Did you mean 'account_id'"):
        find_rings(world, account="acount_id", attribute="attribute")


def test_numbers_are_not_times(world):
    """A time column of integers is refused."""
    bad = world.with_columns(first_seen_at=pl.lit(1))
    with pytest.raises(SchemaError, match="must hold timestamps"):
        find_rings(bad, time="first_seen_at", **COLUMNS)


def test_one_text_is_not_a_list_of_accounts(world):
    """A single id must stand in a list."""
    with pytest.raises(SchemaError, match="Put it into a list"):
        find_rings(world, known_bad="bad1", **COLUMNS)


def test_one_thing_of_each_kind_is_enough_for_many():
    """Twenty accounts on one device, card and address are more than a household."""
    crew = [
        (f"c{i}", f"crew-{k}", k, START) for i in range(20) for k in ("address", "device", "card")
    ]
    homes = [(f"f{h}p{i}", f"home{h}-{k}", k, START)
             for h in range(60) for i in range(4) for k in ("address", "device", "card")]  # fmt: skip
    found = find_rings(ring_table(crew + homes), **COLUMNS)
    assert [accounts(found, i) for i in range(len(found.rings))] == [{f"c{i}" for i in range(20)}]


def test_every_ring_rests_on_its_evidence():
    """For each reported ring: without the attributes it lists, it is gone and the others stay."""
    made = rcakit.datasets.make("abuse_rings", size="small", rng=5).tables["attributes"]
    options = COLUMNS | {"time": "first_seen_at"}
    found = find_rings(made, **options)
    for number, ring in enumerate(found.rings):
        listed = [item.attribute for item in ring.shared]
        after = find_rings(made.filter(~pl.col("attribute").is_in(listed)), **options)
        left = [accounts(after, i) for i in range(len(after.rings))]
        gone = accounts(found, number)
        assert not [group for group in left if len(group & gone) / len(group | gone) >= 0.5]
        assert len(left) >= len(found.rings) - 2


def test_slow_rings_need_no_burst(world):
    """Rings that grew over months are found with times as well as without."""
    spread = world.with_columns(
        first_seen_at=pl.lit(START) + pl.duration(days=pl.int_range(pl.len()) * 37 % 180)
    )
    found = find_rings(spread, time="first_seen_at", **COLUMNS)
    assert accounts(found) == {f"bad{i}" for i in range(12)}


def test_equal_and_unknown_times_change_nothing(world):
    """Times that are all alike, or all missing, bring the answer of a table without times."""
    plain = find_rings(world, **COLUMNS)
    for value in (START, None):
        stamped = world.with_columns(first_seen_at=pl.lit(value, dtype=pl.Datetime("us")))
        found = find_rings(stamped, time="first_seen_at", **COLUMNS)
        assert [accounts(found, i) for i in range(len(found.rings))] == [accounts(plain)]


def test_giant_component_is_not_a_ring():
    """Strangers chained by single attributes make one component of the graph and no ring."""
    chain = [(f"a{i + j}", f"x{i}", "device", START) for i in range(3000) for j in range(2)]
    assert find_rings(ring_table(chain), **COLUMNS).rings == ()
