"""Do coefficients of agreement equal published values?"""

import numpy as np
import polars as pl
import pytest

from rcakit import quality

# Krippendorff's example of 15 units and 3 coders, as in the documentation of his coefficient.
UNITS = [
    ["*", "*", "*", "*", "*", 3, 4, 1, 2, 1, 1, 3, 3, "*", 3],
    [1, "*", 2, 1, 3, 3, 4, 3, "*", "*", "*", "*", "*", "*", "*"],
    ["*", "*", 2, 1, 3, 4, 4, "*", 2, 1, 1, 3, 3, "*", 4],
]
# Fleiss (1971): 10 subjects, 14 raters, 5 categories; how many raters chose each category.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def long(rows: list[tuple[int, int, object]]) -> pl.DataFrame:
    """Return ratings as a long table."""
    return pl.DataFrame(rows, schema=["item", "rater", "label"], orient="row")


def krippendorff() -> pl.DataFrame:
    """Return Krippendorff's example."""
    return long(
        [
            (unit, coder, label)
            for coder, row in enumerate(UNITS)
            for unit, label in enumerate(row)
            if label != "*"
        ]
    )


@pytest.mark.parametrize(
    ("level", "expected"),
    [("nominal", 0.691358), ("ordinal", 0.806721), ("interval", 0.810845)],
)
def test_krippendorff_example_with_gaps(level, expected):
    """Alpha of the coders with missing values (ordinal: package krippendorff 0.9.0)."""
    found = quality.agreement(
        krippendorff(), item="item", rater="rater", label="label", level=level
    )
    assert found.estimate("krippendorff_alpha") == pytest.approx(expected, abs=5e-7)


def test_fleiss_example_of_psychiatrists():
    """Fleiss' kappa of 14 raters is 0.20993 (statsmodels)."""
    rows = [
        (item, rater, label)
        for item, counts in enumerate(FLEISS)
        for rater, label in enumerate(np.repeat(range(5), counts).tolist())
    ]
    found = quality.agreement(long(rows), item="item", rater="rater", label="label")
    assert found.estimate("fleiss_kappa") == pytest.approx(0.20993, abs=5e-6)


def test_kappa_paradox_is_explained():
    """Raters who agree on 94 % have a negative kappa; AC1 and a finding put it right."""
    pairs = [(0, 0)] * 118 + [(0, 1)] * 5 + [(1, 0)] * 2
    found = quality.agreement(
        long(
            [(i, rater, label) for i, pair in enumerate(pairs) for rater, label in enumerate(pair)]
        ),
        item="item",
        rater="rater",
        label="label",
    )
    assert found.estimate("percent_agreement") == pytest.approx(0.944, abs=5e-4)
    assert found.estimate("cohen_kappa") == pytest.approx(-0.0234, abs=5e-5)
    assert found.estimate("gwet_ac") == pytest.approx(0.9408, abs=5e-5)
    assert found.has_paradox
    assert any("misleads" in finding.claim for finding in found.findings())


def test_weighted_kappa_equals_statsmodels():
    """Quadratic weights give the weighted kappa of statsmodels."""
    from statsmodels.stats.inter_rater import cohens_kappa

    table = np.array([[20, 5, 1], [4, 15, 6], [0, 3, 11]])
    rows = [
        (i, rater, label)
        for i, pair in enumerate(
            (a, b) for a in range(3) for b in range(3) for _ in range(table[a, b])
        )
        for rater, label in enumerate(pair)
    ]
    found = quality.agreement(
        long(rows), item="item", rater="rater", label="label", level="interval"
    )
    expected = cohens_kappa(table, wt="quadratic").kappa
    assert found.estimate("cohen_kappa") == pytest.approx(expected, abs=1e-12)
