"""Does the arithmetic of rings hold, whatever the numbers?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit.stats import rings


def test_weights_by_hand():
    """Two accounts weigh 1, the hub degree and beyond weigh 0, in between the logarithm."""
    found = rings.attribute_weight(np.array([2, 10, 100, 5000]), 100)
    assert found == pytest.approx([1.0, np.log(10) / np.log(50), 0.0, 0.0])


def test_degree_cap_fits_budget():
    """Ten attributes of 3 and one of 50 make 30 + 1225 pairs; a budget of 100 stops below 50."""
    degree, count = np.array([3, 50]), np.array([10, 1])
    assert rings.degree_cap(degree, count, budget=100, highest=99) == 49
    assert rings.degree_cap(degree, count, budget=2000, highest=99) == 99


def seen(edges, moment=None):
    """Return sightings of accounts with attributes; without moments nothing is near."""
    account, attribute = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    before = np.zeros(len(account)) if moment is None else np.array(moment, dtype=float)
    until = np.ones(len(account)) if moment is None else before + 1e-3
    return rings.Sightings(account, attribute, before, until)


def traits(sightings, kind=None, n=None):
    """Return attributes that nobody else has, of one type unless said."""
    degree = np.bincount(sightings.attribute, minlength=n or 0)
    kind = np.zeros(len(degree), dtype=np.int64) if kind is None else np.array(kind)
    return rings.Traits(degree, kind, rings.attribute_weight(degree, 100), degree <= 50)


def test_household_scores_below_ring():
    """One address, tablet and card of five stay below zero; a chain of devices does not."""
    home = seen([(i, kind) for i in range(5) for kind in range(3)])
    chain = seen([(i, (i + shift) % 8 // 2 + 4 * shift) for i in range(8) for shift in range(4)])
    score = [
        rings.robust_score(rings.group_evidence(np.zeros(8, np.int64), s, traits(s, kind)))[0]
        for s, kind in ((home, [0, 1, 2]), (chain, [0] * 16))
    ]
    assert score[0] < 0 < score[1]


def test_confirmations_are_cycles():
    """Three accounts on two common attributes make six ties: two more than a tree needs."""
    both = seen([(i, a) for i in range(3) for a in range(2)])
    evidence = rings.group_evidence(np.zeros(3, np.int64), both, traits(both))
    assert evidence.n_confirmations.tolist() == [2]


def test_surprise_of_range_by_hand():
    """Three sightings within a tenth: 3 (0.1)^2 - 2 (0.1)^3 = 0.028; nothing is never a surprise."""
    assert rings.surprise(np.array([3]), np.array([0.1]))[0] == pytest.approx(-np.log10(0.028))
    assert rings.surprise(np.array([2, 5]), np.array([1.0, 1.0])) == pytest.approx([0.0, 0.0])


def test_nearness_in_time_joins():
    """One exclusive attribute makes a pair where the sightings are near, and only there."""
    near, far = (seen([(0, 0), (1, 0)], moment) for moment in ([0.5, 0.501], [0.1, 0.9]))
    assert len(rings.pair_weights(near, traits(near))[0]) == 1
    assert len(rings.pair_weights(far, traits(far))[0]) == 0


def test_equal_times_prove_nothing():
    """An import that stamps every sighting alike leaves no nearness."""
    before, until = rings.moments(np.full(9, 7), np.ones(9, bool), np.zeros(9, np.int64))
    assert (before == 0).all()
    assert (until == 1).all()


def test_core_drops_what_hangs():
    """A cycle of two accounts stays; an account on one attribute goes, and what it alone held."""
    account, attribute = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 1, 2])
    assert rings.in_core(account, attribute).tolist() == [True] * 4 + [False] * 2


def test_pairs_in_blocks_by_brute_force(monkeypatch):
    """Whatever the block, pairs and evidence are those of counting every pair by itself."""
    random = np.random.default_rng(0)
    edges = np.unique(random.integers(0, 30, (150, 2)), axis=0)
    here = seen(edges)
    weight = traits(here).weight
    monkeypatch.setattr(rings, "_BLOCK_OF_PAIRS", 7)
    first, second, total = rings.pair_weights(here, traits(here), at_least=0.0)
    held = [set(edges[edges[:, 0] == a, 1].tolist()) for a in range(30)]
    brute = {
        (a, b): sum(weight[x] for x in held[a] & held[b])
        for a in range(30)
        for b in range(a + 1, 30)
        if held[a] & held[b]
    }
    got = dict(zip(zip(first.tolist(), second.tolist(), strict=True), total, strict=True))
    assert got == pytest.approx(brute)


def test_expected_false_falls_with_score():
    """A higher score is never expected more often."""
    benign = np.random.default_rng(0).exponential(0.5, 300)
    expected = rings.expected_false(np.linspace(1.5, 8, 50), benign, np.array([2.0]), 1)
    assert (np.diff(expected) <= 0).all()


def test_expected_false_covers_exponential_tail():
    """On benign scores alone the expectation is not below what is there, on average."""
    ratio = []
    for seed in range(40):
        benign = np.random.default_rng(seed).exponential(0.5, 2000)
        expected = rings.expected_false(np.array([3.0]), benign, np.zeros(0), 0)[0]
        ratio.append(expected / (2000 * np.exp(-6)))
    assert np.mean(ratio) >= 1.0


def test_false_share_by_hand():
    """Two groups with 0.1 and 0.6 expected above them have shares 0.1 and 0.3."""
    share = rings.false_share(np.array([9.0, 4.0]), np.array([0.1, 0.6]))
    assert share == pytest.approx([0.1, 0.3])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), min_size=1, max_size=80))
def test_rewiring_keeps_degrees(edges):
    """Nobody gains an attribute, and only repeated edges are lost."""
    here = seen(np.unique(np.array(edges), axis=0))
    found = rings.rewire(here, traits(here, np.arange(13) % 2, 13), np.random.default_rng(0))
    for name, n in (("account", 26), ("attribute", 13)):
        after, before = (np.bincount(getattr(s, name), minlength=n) for s in (found, here))
        assert (after <= before).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), min_size=1, max_size=120),
    st.integers(0, 5),
)
def test_relabelling_changes_no_group(edges, seed):
    """Accounts under other numbers fall into the same groups."""
    edges = np.unique(np.array(edges), axis=0)
    order = np.random.default_rng(seed).permutation(26)

    def groups(who):
        here = seen(np.stack([who, edges[:, 1]], axis=1))
        known = traits(here, n=13)
        pairs = rings.pair_weights(here, known)
        return rings.find_groups(pairs, here, known, n_accounts=26, min_size=3)

    here, there = groups(edges[:, 0]), groups(order[edges[:, 0]])
    assert sorted(here.score.round(9)) == sorted(there.score.round(9))
    assert (here.label >= 0).tolist() == (there.label[order] >= 0).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 8)), min_size=1, max_size=60))
def test_accounts_in_pairs_by_brute_force(edges):
    """Exactly the accounts that share two attributes with one other are kept."""
    account, attribute = np.unique(np.array(edges), axis=0).T
    held = [set(attribute[account == a].tolist()) for a in range(16)]
    brute = [any(len(held[a] & held[b]) > 1 for b in range(16) if b != a) for a in range(16)]
    assert rings.accounts_in_pairs(account, attribute, 16).tolist() == brute
