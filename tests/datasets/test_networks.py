"""Are rings planted as the truth says, and is the twin the same platform without them?"""

import json

import polars as pl
import pytest

import rcakit
from rcakit.datasets.networks import NETWORKS


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def network(request):
    """Each platform, tiny."""
    return rcakit.datasets.make(request.param, size="tiny", rng=3)


def test_tables_are_as_promised(network):
    """Accounts, attributes with first and last sighting, and engagement; the truth is plain JSON."""
    assert set(network.tables) == {"accounts", "attributes", "engagement"}
    assert json.loads(json.dumps(network.truth)) == network.truth
    seen = network.tables["attributes"]
    assert seen.filter(pl.col("first_seen_at") > pl.col("last_seen_at")).is_empty()
    assert seen.select("account_id", "attribute").is_duplicated().sum() == 0


def test_rings_share_what_others_do_not():
    """Members of a device ring share devices among themselves far more than with others."""
    made = rcakit.datasets.make("abuse_rings", size="small", rng=3)
    farm = next(ring for ring in made.truth["rings"] if ring["kind"] == "device_farm")
    devices = made.tables["attributes"].filter(pl.col("attribute_type") == "device")
    inside = devices.filter(pl.col("account_id").is_in(farm["accounts"]))
    shared = inside.group_by("attribute").len().filter(pl.col("len") > 2)
    everyone = devices.join(shared, on="attribute")
    assert shared.height >= 2
    assert everyone["account_id"].is_in(farm["accounts"]).mean() > 0.8


def test_twin_has_no_rings():
    """The twin plants nothing and has as many accounts."""
    twin = rcakit.datasets.make("no_abuse_rings", size="tiny", rng=3)
    made = rcakit.datasets.make("abuse_rings", size="tiny", rng=3)
    assert twin.truth["rings"] == []
    assert twin.tables["accounts"].height == made.tables["accounts"].height


def test_same_seed_same_platform(network):
    """The same seed makes the same rows."""
    again = rcakit.datasets.make(network.truth["scenario"], size="tiny", rng=3)
    for name, table in network.tables.items():
        assert again.tables[name].equals(table)
