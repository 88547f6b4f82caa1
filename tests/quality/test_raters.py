"""Does agreement find who stands apart, and refuse what it cannot judge?"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit import quality
from rcakit.errors import NotEnoughDataError, SchemaError


def ratings(
    n_items: int = 300, skill: tuple[float, ...] = (0.9, 0.85, 0.8), seed: int = 0
) -> pl.DataFrame:
    """Return 0/1 ratings of raters with these chances to be right."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n_items) < 0.4
    right = rng.random((n_items, len(skill))) < skill
    given_labels = np.where(right, truth[:, None], ~truth[:, None]).astype(int)
    return pl.DataFrame(
        {
            "item": np.repeat(np.arange(n_items), len(skill)),
            "rater": [f"r{i}" for i in range(len(skill))] * n_items,
            "label": given_labels.ravel(),
        }
    )


def agree(rows: object, **options: object) -> quality.AgreementResult:
    """Measure agreement of the ratings."""
    return quality.agreement(
        rows, item="item", rater="rater", label="label", n_resamples=200, **options
    )


def test_inverted_rater_is_found_unnamed():
    """A rater who swaps labels is marked in the table and not named in the finding."""
    found = agree(ratings(skill=(0.9, 0.85, 0.8, 0.1)))
    inverted = [row["rater"] for row in found.to_records("raters") if row["is_inverted"]]
    assert inverted == ["r3"]
    said = " ".join(finding.claim for finding in found.findings())
    assert "against all others" in said
    assert "r3" not in said


def test_accuracies_come_close_to_truth():
    """Accuracy without gold labels is near the planted one."""
    found = agree(ratings(2000, (0.95, 0.8, 0.7)))
    accuracy = {row["rater"]: row["accuracy"] for row in found.to_records("raters")}
    assert accuracy == pytest.approx({"r0": 0.95, "r1": 0.8, "r2": 0.7}, abs=0.04)


def test_two_raters_get_no_accuracy():
    """Two raters cannot tell who is wrong, and a caveat says so."""
    found = agree(ratings(skill=(0.9, 0.8)))
    assert all(np.isnan(row["accuracy"]) for row in found.to_records("raters"))
    assert any("third" in caveat for caveat in found.caveats)


def test_repeats_count_apart():
    """A second rating by the same rater enters repeat agreement only."""
    rows = ratings(50)
    again = rows.filter(pl.col("rater") == "r0").with_columns(label=1 - pl.col("label"))
    found, plain = agree(pl.concat([rows, again])), agree(rows)
    row = next(row for row in found.to_records("raters") if row["rater"] == "r0")
    assert (row["n_repeats"], row["repeat_agreement"]) == (50, 0.0)
    assert found.coefficients == plain.coefficients


def test_consensus_labels_every_item():
    """The most likely label comes for each item, with a probability."""
    labels = agree(ratings(100)).consensus()
    assert labels.columns == ["item", "label", "probability"]
    assert labels.height == 100
    assert labels["probability"].min() >= 0.5


@settings(max_examples=20, deadline=None)
@given(st.permutations([0, 1, 2]), st.integers(0, 5))
def test_renaming_labels_changes_nothing(order, seed):
    """Nominal coefficients do not depend on what the labels are called."""
    rng = np.random.default_rng(seed)
    rows = pl.DataFrame(
        {"item": np.repeat(np.arange(30), 2), "rater": [0, 1] * 30, "label": rng.integers(0, 3, 60)}
    )
    renamed = rows.with_columns(pl.Series("label", np.array(order)[rows["label"].to_numpy()]))
    for one, two in zip(agree(rows).coefficients, agree(renamed).coefficients, strict=True):
        assert one["estimate"] == pytest.approx(two["estimate"], abs=1e-12, nan_ok=True)


def test_unanimous_raters_are_withheld():
    """One category only leaves nothing beyond chance, and is said to."""
    rows = ratings(40).with_columns(label=pl.lit("keep"))
    finding = agree(rows).findings()[0]
    assert finding.strength == "withheld"
    assert "cannot be told" in finding.claim


def test_one_rater_is_refused():
    """Agreement with oneself is no agreement."""
    with pytest.raises(NotEnoughDataError, match="at least two raters, got 1"):
        agree(ratings().filter(pl.col("rater") == "r0"))


def test_items_rated_once_are_refused():
    """Raters who share no item cannot be compared."""
    rows = pl.DataFrame({"item": [1, 2, 3], "rater": ["a", "b", "c"], "label": [0, 1, 0]})
    with pytest.raises(NotEnoughDataError, match="items with two ratings, got none"):
        agree(rows)


def test_labels_outside_scale_are_named():
    """A label that the scale does not know is refused by name."""
    with pytest.raises(SchemaError, match=r"outside the scale, got \[1\]"):
        agree(ratings(), scale=[0, 2])


def test_ordinal_text_needs_a_scale():
    """Words have no order until one is given."""
    rows = ratings().with_columns(pl.col("label").replace_strict({0: "mild", 1: "grave"}))
    with pytest.raises(SchemaError, match="whose order is unknown"):
        agree(rows, level="ordinal")
    assert agree(rows, level="ordinal", scale=["mild", "grave"]).estimate("gwet_ac") > 0


def test_interval_labels_must_be_numbers():
    """Words have no distances."""
    rows = ratings().with_columns(pl.col("label").cast(pl.String))
    with pytest.raises(SchemaError, match="must hold numbers"):
        agree(rows, level="interval")
