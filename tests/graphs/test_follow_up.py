"""What can be done with rings: expand, track, draw, hand out?"""

import networkx as nx
import numpy as np
import polars as pl
import pytest

from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.graphs import expand, export, find_rings, graph, track
from rcakit.stats.matching import jaccard_matches, match_events
from rcakit.stats.propagation import personalised_pagerank

COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}


@pytest.fixture(scope="module")
def rings(world):
    """The planted ring, with dates."""
    return find_rings(world, time="first_seen_at", known_bad=["bad0"], **COLUMNS)


def test_expansion_meets_ring_first(world):
    """From two members the walk meets the other ten before anyone else."""
    found = expand(world, known_bad=["bad0", "bad5"], **COLUMNS)
    nearest = found.to_frame()["account_id"].to_list()[:10]
    assert set(nearest) == {f"bad{i}" for i in range(12)} - {"bad0", "bad5"}


def test_enrichment_stays_beside_score(world):
    """Checked accounts change the enrichment, never the score."""
    plain = expand(world, known_bad=["bad0"], **COLUMNS)
    told = expand(world, known_bad=["bad0"], checked=["bad1", "bad2"], **COLUMNS)
    assert [r["score"] for r in plain.accounts] == [r["score"] for r in told.accounts]
    assert plain.to_records("enrichment") == []
    assert told.to_records("enrichment")[0]["observed"] == 2


def test_pagerank_equals_networkx():
    """The walk equals networkx PageRank on the account-to-account chain of two steps."""
    edges = np.array([0, 0, 1, 1, 2, 3, 3]), np.array([0, 1, 0, 2, 1, 2, 0])
    weight = np.array([1.0, 0.5, 0.8])
    table = np.zeros((4, 3))
    table[edges] = weight[edges[1]]
    there = table > 0
    chain = (table / table.sum(1, keepdims=True)) @ (there / there.sum(0)).T
    expected = nx.pagerank(
        nx.from_numpy_array(chain, create_using=nx.DiGraph),
        alpha=0.85,
        personalization={0: 1.0},
        tol=1e-12,
        max_iter=1000,
    )
    ours = personalised_pagerank(edges, weight, np.array([0]), n_accounts=4)
    assert ours == pytest.approx([expected[i] for i in range(4)], abs=1e-8)


def test_expansion_needs_linked_seeds(world):
    """Seeds that share nothing are an error, not an empty list."""
    with pytest.raises(NotEnoughDataError, match="known_bad must name accounts"):
        expand(world, known_bad=["nobody"], **COLUMNS)


def test_tracks_growth_and_end(world):
    """A ring is born, grows and dissolves under one track."""
    early = world.filter(~pl.col("account_id").is_in(["bad9", "bad10", "bad11"]))
    homes = world.filter(~pl.col("account_id").str.starts_with("bad"))
    periods = [(n, find_rings(t, **COLUMNS)) for n, t in enumerate((early, world, homes))]
    found = track(periods)
    assert [r["event"] for r in found.events] == ["born", "grew", "dissolved"]
    assert {r["track_id"] for r in found.events} == {"T001"}


@pytest.mark.parametrize(
    ("old", "new", "events"),
    [
        (["abcdef"], ["abc", "def"], ["split", "split"]),
        (["abc", "def"], ["abcdef"], ["merged"]),
        (["abcd"], ["abcd"], ["steady"]),
        (["abcd"], ["abc"], ["shrank"]),
        (["abc"], ["xyz"], ["born"]),
    ],
)
def test_names_what_happened(old, new, events):
    """Split, merged, steady, shrank and born are told apart by members."""
    old, new = [frozenset(s) for s in old], [frozenset(s) for s in new]
    matched = jaccard_matches(old, new, min_overlap=0.3)
    assert [event.name for event in match_events(old, new, matched).of_new] == events


def test_track_refuses_other_things():
    """Only pairs of period and rings can be tracked."""
    with pytest.raises(ParameterError, match="pairs of a period and a RingResult"):
        track([("jan", 1)])


def test_graph_carries_evidence(rings):
    """Every edge of the account graph says what is shared."""
    built = graph(rings, "R001")
    assert set(nx.get_node_attributes(built, "label").values()) == {f"bad{i}" for i in range(12)}
    assert all(values["evidence"] for *_, values in built.edges(data=True))
    assert nx.is_connected(built)


def test_unknown_ring_is_refused(rings):
    """A ring that was not found is named with those that were."""
    with pytest.raises(ParameterError, match="ring_id must be one of R001 to R001"):
        graph(rings, "R9")


@pytest.mark.parametrize("view", ["accounts", "bipartite", "timeline", "overview"])
def test_every_view_is_drawn(rings, view):
    """Each view becomes a specification with the message as title."""
    chart = rings.plot(None if view == "overview" else "R001", view=view).to_dict()
    assert "12 accounts" in " ".join(chart["title"]["text"])


def test_large_ring_is_drawn_in_part():
    """A drawing has at most two hundred nodes and says what is left out."""
    from rcakit.plots.graphs import node_link

    big = nx.relabel_nodes(nx.path_graph(230), {i: ("account", f"a{i}") for i in range(230)})
    nx.set_node_attributes(big, {n: {"label": n[1], "kind": "account"} for n in big})
    nx.set_edge_attributes(big, 1.0, "weight")
    chart = node_link(big, title="big").to_dict()
    assert len(chart["layer"][1]["data"]["values"] if "data" in chart["layer"][1] else []) <= 200
    assert "30 nodes" in chart["title"]["subtitle"][0]


def test_export_disarms_formulas(world, tmp_path):
    """A name that a spreadsheet would run gets an apostrophe; the graph can be read back."""
    hostile = world.with_columns(pl.col("account_id").replace("bad0", '=HYPERLINK("http://x")\x1b'))
    written = export(find_rings(hostile, **COLUMNS), tmp_path / "out")
    text = (tmp_path / "out" / "members.csv").read_text()
    assert "'=HYPERLINK" in text
    assert "\x1b" not in text
    assert len(nx.read_graphml(written[-1])) > 12


def test_masked_export_holds_no_ids(rings, tmp_path):
    """With a key no account id is written."""
    for path in export(rings, tmp_path, mask_key="k"):
        assert "bad" not in path.read_text().replace("known_bad", "")
