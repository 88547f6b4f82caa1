"""The lattice sums exactly, at every depth, and forgets exactly."""

import numpy as np
import pytest

from rcakit.stats.attribution.lattice import Lattice, members


@pytest.fixture
def lattice():
    """A lattice over 300 random leaves."""
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, (7, 5, 9), (300, 3)), axis=0)
    return Lattice(codes, (7, 5, 9), rng.random((2, len(codes))))


def test_groups_hold_leaf_sums(lattice):
    """Every group's sum is the sum over the leaves it names."""
    codes = lattice.codes
    columns = np.random.default_rng(1).random((2, len(codes)))
    fresh = Lattice(codes, (7, 5, 9), columns)
    for group in range(0, fresh.sums.shape[1], 17):
        inside = members(codes, fresh.segment(group))
        assert fresh.sums[:, group] == pytest.approx(columns[:, inside].sum(axis=1))


def test_segment_and_group_agree(lattice):
    """A group's codes lead back to the group."""
    for group in range(0, len(lattice.depth), 13):
        assert lattice.group(lattice.segment(group)) == group


def test_removal_is_exact(lattice):
    """What is taken out and put back leaves the sums as they were."""
    before, columns = lattice.sums.copy(), np.ones((2, 5))
    lattice.subtract(lattice.groups_of(np.arange(5)), columns)
    assert not np.allclose(lattice.sums, before)
    lattice.subtract(lattice.groups_of(np.arange(5)), -columns)
    np.testing.assert_allclose(lattice.sums, before)


def test_huge_key_space_is_sorted():
    """Dimensions of a hundred thousand values each do not need a dense table."""
    codes = np.array([[0, 99_999], [99_999, 0], [5, 5]])
    lattice = Lattice(codes, (100_000, 100_000), np.ones((1, 3)))
    assert lattice.sums.sum() == 3 * 3
    assert lattice.segment(lattice.group((5, 5))) == (5, 5)


def test_steps_between_change_nothing():
    """Sums by way of a few smaller cuboids are those of the leaves."""
    rng = np.random.default_rng(0)
    sizes = (3, 4, 5, 3, 2)
    codes = np.column_stack([rng.integers(0, size, 20_000) for size in sizes])
    values = rng.poisson(3.0, 20_000).astype(float)
    lattice = Lattice(codes, sizes, values[None], max_depth=3)
    for cuboid in lattice.cuboids:
        own = slice(cuboid.start, cuboid.start + len(cuboid.keys))
        plain = np.bincount(cuboid.group_of(codes) - cuboid.start, values, len(cuboid.keys))
        assert lattice.sums[0, own] == pytest.approx(plain)


def test_a_family_is_used_once():
    """Two columns of one family never describe a segment together."""
    codes = np.indices((2, 2, 2)).reshape(3, -1).T
    lattice = Lattice(codes, (2, 2, 2), np.ones((1, 8)), families=(0, 1, 1))
    assert {c.dimensions for c in lattice.cuboids} == {(0,), (1,), (2,), (0, 1), (0, 2)}
