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


def test_score_of_household_and_ring():
    """A home of four with a tablet for two scores below zero; a chain of shared things above."""
    home = [(i, 0) for i in range(4)] + [(0, 1), (1, 1)]
    ring = [(i, 2 + (i + s) % 4 // 2 + 2 * s) for i in range(4) for s in range(3)]
    for edges, sign in ((home, -1), (ring, 1)):
        account, attribute = np.array(edges).T
        evidence = rings.group_evidence(
            np.zeros(4, np.int64), account, attribute, np.ones(attribute.max() + 1)
        )
        assert np.sign(rings.robust_score(evidence)[0]) in (sign, min(sign, 0))


def test_confirmations_are_cycles():
    """Three accounts on two common attributes make six ties: two more than a tree needs."""
    account, attribute = np.repeat(np.arange(3), 2), np.tile([0, 1], 3)
    evidence = rings.group_evidence(np.zeros(3, np.int64), account, attribute, np.ones(2))
    assert evidence.n_confirmations.tolist() == [2]


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
    account, attribute = np.unique(np.array(edges), axis=0).T
    kind = attribute % 2
    found = rings.rewire(account, attribute, kind, np.random.default_rng(0))
    assert (np.bincount(found[0], minlength=26) <= np.bincount(account, minlength=26)).all()
    assert (np.bincount(found[1], minlength=13) <= np.bincount(attribute, minlength=13)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), min_size=1, max_size=120),
    st.integers(0, 5),
)
def test_relabelling_changes_no_group(edges, seed):
    """Accounts under other numbers fall into the same groups."""
    account, attribute = np.unique(np.array(edges), axis=0).T
    weight = rings.attribute_weight(np.bincount(attribute, minlength=13), 100)
    order = np.random.default_rng(seed).permutation(26)

    def groups(who):
        pairs = rings.pair_weights(who, attribute, weight, at_least=1.02)
        return rings.find_groups(pairs, (who, attribute), weight, n_accounts=26, min_size=3)

    here, there = groups(account), groups(order[account])
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
