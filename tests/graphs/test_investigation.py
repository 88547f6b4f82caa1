"""Is one answer given: rings, no rings beyond chance, or that the data cannot tell?"""

import polars as pl
import pytest

import rcakit
from rcakit import testing
from rcakit.errors import ParameterError, SchemaError
from rcakit.graphs import investigate

COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}


@pytest.fixture(scope="module")
def platform():
    """The platform with rings, and what is found there."""
    made = rcakit.datasets.make("abuse_rings", size="small", rng=1)
    known = made.truth["rings"][0]["accounts"][:3]
    found = investigate(
        made.tables["attributes"],
        time="first_seen_at",
        engagement=made.tables["engagement"],
        known_bad=known,
        mask_key="k",
        **COLUMNS,
    )
    return made, found


def overlap(ring, planted):
    """Return the Jaccard overlap of a found and a planted ring."""
    inside = {member.account_id for member in ring.core}
    return len(inside & set(planted)) / len(inside | set(planted))


def test_planted_rings_are_found(platform):
    """Most planted rings are found, of every kind, and nothing else."""
    made, found = platform
    hits = [max(overlap(ring, p["accounts"]) for p in made.truth["rings"]) for ring in found.rings]
    kinds = {
        p["kind"]
        for p in made.truth["rings"]
        if any(overlap(ring, p["accounts"]) >= 0.5 for ring in found.rings)
    }
    assert min(hits) >= 0.5
    assert len(kinds) >= 3
    assert "lockstep" in kinds


def test_twin_without_rings_has_none():
    """Where nobody acts together nothing is reported, by sharing or by lockstep."""
    made = rcakit.datasets.make("no_abuse_rings", size="small", rng=1)
    found = investigate(
        made.tables["attributes"],
        time="first_seen_at",
        engagement=made.tables["engagement"],
        **COLUMNS,
    )
    assert (found.verdict, found.rings) == ("no_rings", ())
    assert found.findings()[0].verdict == "no_rings"
    testing.check_result(found)


def test_one_verdict_comes_first(platform):
    """Exactly one verdict is published, with the accounts it is about; a ring leads after it."""
    _, found = platform
    kinds = [finding.kind for finding in found.findings()]
    assert kinds[:2] == ["verdict", "concentration"]
    assert kinds.count("verdict") == 1
    assert found.findings()[0].estimate == len(
        {m.account_id for ring in found.rings for m in ring.core}
    )


def test_result_keeps_its_contract(platform):
    """Tables, words and findings are those of every result."""
    testing.check_result(platform[1])


def test_no_raw_id_is_shown(platform):
    """Neither tables nor charts hold an account or an attribute as it is."""
    made, found = platform
    shown = found.to_json() + "".join(
        str(found.plot_firmest(view=view).to_dict()) for view in ("accounts", "bipartite")
    )
    raw = {m.account_id for ring in found.rings for m in ring.members}
    raw |= {item.attribute for ring in found.rings for item in ring.shared}
    assert not [name for name in raw if name in shown]
    assert made.tables["attributes"].height


def test_every_report_has_its_own_codes(platform):
    """Without a key a new one is made, so that codes of two reports cannot be joined."""
    made, _ = platform
    few = made.tables["attributes"].head(2000)
    keys = {investigate(few, **COLUMNS).mask_key for _ in range(2)}
    assert len(keys) == 2


def test_written_codes_lead_back(platform, tmp_path):
    """The list for those who may see it says which code is which account."""
    _, found = platform
    found.write(tmp_path)
    codes = pl.read_csv(tmp_path / "codes.csv")
    shown = {row["account_id"] for row in found.to_records("members")}
    back = codes.filter(pl.col("code").is_in(shown) & (pl.col("what") == "account"))["value"]
    assert set(back) == {m.account_id for ring in found.rings for m in ring.members}


def test_known_accounts_are_counted(platform):
    """Known accounts are counted in their ring, and the next steps name it."""
    _, found = platform
    counted = {row["ring_id"]: row["known_bad_count"] for row in found.to_records()}
    assert max(counted.values()) >= 2
    assert any("known accounts" in step for step in found.findings()[0].next_steps)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.head(20), "fewer than 30 prove nothing"),
        (lambda t: t.with_columns(attribute=pl.lit("same")), "no attribute is shared by a few"),
        (lambda t: t.with_columns(attribute=pl.int_range(pl.len())), "no attribute is shared"),
        (
            lambda t: t.with_columns(
                attribute=pl.when(pl.int_range(pl.len()) % 3 == 0).then("attribute")
            ),
            "of the rows lack account or attribute",
        ),
        (lambda t: t.head(0), "fewer than 30"),
    ],
)
def test_silent_data_cannot_tell(world, change, why):
    """Too few accounts, constant or unique attributes and missing ids are no all-clear."""
    homes = world.filter(~pl.col("account_id").str.starts_with("bad"))
    found = investigate(change(homes), **COLUMNS)
    verdict = found.findings()[0]
    assert (found.verdict, verdict.strength) == ("cannot_tell", "withheld")
    assert why in verdict.claim


def test_ring_seen_both_ways_counts_once(world):
    """A ring that shares devices and acts in lockstep is one ring with two kinds of evidence."""
    at = world["first_seen_at"].max()
    acts = pl.DataFrame(
        [
            {"account_id": f"bad{i}", "target_id": f"t{t}", "day": 3 * t, "s": i}
            for t in range(9)
            for i in range(12)
        ]
        + [
            {"account_id": f"h{h}p0", "target_id": f"t{h % 9}", "day": h % 27, "s": 977 * h}
            for h in range(300)
        ]
    ).with_columns(acted_at=pl.lit(at) + pl.duration(days="day", seconds="s"))
    found = investigate(world, engagement=acts, window=60, **COLUMNS)
    rows = found.to_records()
    assert [row["also_seen_as"] for row in rows] == ["L001", "R001"]
    assert found.findings()[0].claim.startswith("1 group of accounts (12 of")


def test_missing_columns_are_named(world):
    """The column that is missing is named, for accounts and for actions."""
    with pytest.raises(SchemaError, match="column 'device' is missing"):
        investigate(world, account="account_id", attribute="device")
    with pytest.raises(SchemaError, match="column 'target_id' is missing"):
        investigate(world, engagement=world, **COLUMNS)
    with pytest.raises(ParameterError, match="ring_id must be one of"):
        investigate(world, **COLUMNS).plot("R999")
