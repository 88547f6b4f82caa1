"""Can a reader, and not a hostile name, decide what a sentence says?"""

import math

import pytest

from rcakit import wording


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (12345, "12\u202f345"),
        (12.34, "12.3"),
        (0.01234, "0.0123"),
        (-7, "\u22127"),
        (math.nan, "unknown"),
        (None, "unknown"),
        (math.inf, "infinite"),
        (0, "0"),
    ],
)
def test_amounts_keep_useful_digits(value, said):
    """Large numbers are whole, small ones keep three digits, and what is unknown is said."""
    assert wording.amount(value) == said


def test_signed_amounts_show_direction():
    """An excess carries its sign, and zero none."""
    assert [wording.amount(x, signed=True) for x in (5, -5, 0)] == ["+5", "\u22125", "0"]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.42, "42\u202f%"),
        (0.034, "3.4\u202f%"),
        (math.nan, "unknown share"),
        (-0.2, "\u221220\u202f%"),
    ],
)
def test_shares_become_percentages(share, said):
    """A share between zero and one is said as a percentage."""
    assert wording.percent(share) == said


def test_large_changes_stay_readable():
    """A fourfold level is not said as plus three hundred per cent."""
    assert wording.change(3.0) == "4.0 times the usual level"
    assert wording.change(0.35) == "+35\u202f%"
    assert wording.change(math.inf) == "from nearly nothing"


def test_counts_agree_with_nouns():
    """One row is a row, and two are rows."""
    assert wording.plural(1, "row") == "1 row"
    assert wording.plural(0, "row") == "0 rows"
    assert wording.plural(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize("hidden", list("\u202e\u200b\x1b\n\r\t\x00\u2066\ufeff\u3164\u2800\u034f"))
def test_invisible_characters_are_named(hidden):
    """What hides, reorders or breaks a line is shown by its number."""
    said = wording.visible(f"a{hidden}b")
    assert said == f"a⟨U+{ord(hidden):04X}⟩b"


def test_long_text_is_cut():
    """Five kilobytes of name never fill a sentence."""
    said = wording.visible("x" * 5000)
    assert len(said) == 61
    assert said.endswith("…")


def test_missing_is_not_text():
    """A missing value and the word for it are told apart."""
    assert wording.segment({"policy": None}) == "policy = (missing)"
    assert wording.segment({"policy": "(missing)"}) == "policy = “(missing)”"


def test_values_cannot_pretend_attributes():
    """A value with a comma and an equals sign does not read as a second attribute."""
    assert wording.segment({"os": "ios, policy = spam"}) == "os = “ios, policy = spam”"


def test_quotes_cannot_be_closed():
    """A value that holds curly quotes stays inside ours."""
    assert wording.quoted("a” because of “b") == '“a" because of "b”'


def test_empty_segment_is_everything():
    """No attribute at all means the whole."""
    assert wording.segment({}) == "everything"


def test_plain_names_stay_bare():
    """Versions, paths and single words need no quotes."""
    assert wording.segment({"app_version": "31.2.0"}) == "app_version = 31.2.0"
