"""Do two rings come apart, do pieces come together, and who may join?"""

import numpy as np
import pytest

from rcakit.stats import ring_parts, rings


def ring(random, members, first, per_account=4, reach=6):
    """Deal attributes of six accounts over the members of one ring."""
    n = round(per_account * len(members) / reach)
    return [
        (account, first + number)
        for number in range(n)
        for account in random.choice(members, reach, replace=False).tolist()
    ]


def settled(edges, label, score=10.0):
    """Settle given groups on attributes of one type; return their labels."""
    account, attribute = np.array(edges, dtype=np.int64).T
    sightings = rings.Sightings(account, attribute, np.zeros(len(account)), np.ones(len(account)))
    degree = np.bincount(attribute)
    kind = np.zeros(len(degree), dtype=np.int64)
    traits = rings.Traits(degree, kind, rings.attribute_weight(degree, 100), degree <= 50)
    label = np.array(label, dtype=np.int64)
    groups = rings.Groups(label, np.full(label.max() + 1, score))
    return ring_parts.settle(groups, sightings, traits).label.tolist()


def test_two_rings_come_apart():
    """Two rings of twenty that two accounts tie are two groups again."""
    random = np.random.default_rng(1)
    left, right = np.arange(20), np.arange(20, 40)
    edges = ring(random, left, 0) + ring(random, right, 20) + [(0, 20), (0, 21), (20, 1)]
    label = settled(sorted(set(edges)), [0] * 40)
    assert len(set(label[:20])) == len(set(label[20:])) == 1
    assert label[0] != label[39]


@pytest.mark.parametrize("seed", range(5))
def test_one_ring_stays_whole(seed):
    """A ring without inner structure has a cut too, but not a better one than chance."""
    edges = ring(np.random.default_rng(seed), np.arange(40), 0, per_account=5)
    assert set(settled(sorted(set(edges)), [0] * 40)) == {0}


def test_pieces_come_together():
    """A ring that was found in two halves is one."""
    edges = ring(np.random.default_rng(2), np.arange(24), 0)
    assert set(settled(sorted(set(edges)), [0] * 12 + [1] * 12)) == {0}


def test_strangers_stay_apart():
    """Two groups with nothing in common are not merged, and firm groups keep their accounts."""
    random = np.random.default_rng(3)
    edges = ring(random, np.arange(12), 0) + ring(random, np.arange(12, 24), 20)
    assert settled(sorted(set(edges)), [0] * 12 + [1] * 12) == [0] * 12 + [1] * 12


def test_account_tied_to_several_joins():
    """An account with two things of different members joins; the household of one does not."""
    edges = ring(np.random.default_rng(4), np.arange(12), 0)
    lodger = [(12, 50), (0, 50), (12, 51), (1, 51)]
    spouse = [(13, 52), (2, 52), (13, 53), (2, 53)]
    label = settled(sorted(set(edges + lodger + spouse)), [0] * 12 + [-1, -1])
    assert label == [0] * 13 + [-1]


def test_households_are_left_alone():
    """Two homes that friends tie score no more than homes do, and keep their labels."""
    homes = [(account, account // 5 * 2 + thing) for account in range(10) for thing in range(2)]
    friends = [(account + 5 * home, 4 + account) for account in range(3) for home in range(2)]
    label = [0] * 5 + [1] * 5
    assert settled(sorted(homes + friends), label, score=-1.0) == label


def test_no_groups_are_no_groups():
    """Without any group there is nothing to settle."""
    empty = np.zeros(0, dtype=np.int64)
    sightings = rings.Sightings(empty, empty, np.zeros(0), np.zeros(0))
    traits = rings.Traits(empty, empty, np.zeros(0), np.zeros(0, dtype=np.bool_))
    groups = rings.Groups(empty, np.zeros(0))
    assert ring_parts.settle(groups, sightings, traits).label.tolist() == []
