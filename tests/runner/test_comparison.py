"""Does a comparison of two runs tell what is new, gone and moved, and nothing else?"""

import pytest

from rcakit.runner import compare_findings


def finding(kind="driver", estimate=10.0, width=2.0, **more):
    """Return a record of a finding with an interval around its estimate."""
    bounds = {"ci_lower": estimate - width, "ci_upper": estimate + width}
    record = {"kind": kind, "claim": f"It is {estimate:g} more.", "estimate": estimate} | bounds
    return {**record, "unit": "reports", "n_obs": 400} | more


ANDROID = {"segment": {"platform": "android", "app": "31"}}
IOS = {"segment": {"platform": "ios"}}


def test_new_and_gone_are_told():
    """A segment that only one run names is new or gone."""
    told = compare_findings([finding(**ANDROID)], [finding(**IOS)])
    assert [item["segment"] for item in told.new] == [IOS["segment"]]
    assert [item["segment"] for item in told.gone] == [ANDROID["segment"]]
    assert (told.moved, told.n_same) == ((), 0)


def test_order_of_words_is_no_change():
    """The same segment, written in another order and in other words, is the same finding."""
    turned = {"segment": {"app": "31", "platform": "android"}, "claim": "Said otherwise."}
    told = compare_findings([finding(**ANDROID)], [finding(**turned)])
    assert (told.new, told.gone, told.n_same) == ((), (), 1)


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ((10, 2), (11, 2), False),
        ((10, 2), (13, 2), True),
        ((10, 2), (13, 4), False),
        ((10, 2), (-10, 2), True),
    ],
)
def test_moved_means_beyond_both_intervals(before, after, moved):
    """A finding moved only when each estimate lies outside the interval of the other."""
    told = compare_findings([finding("driver", *before)], [finding("driver", *after)])
    assert bool(told.moved) is moved
    assert told.n_same == (not moved)


def test_changed_verdicts_have_moved():
    """Another verdict is told, even where no number stands beside it."""
    before = finding("verdict", verdict="localised")
    after = {**before, "verdict": "cannot_tell", "estimate": None}
    told = compare_findings([before], [after])
    assert "localised → cannot_tell" in str(told)


def test_several_alike_are_told_apart():
    """Findings of one kind without a segment are matched by their words without the numbers."""
    before = [finding("data_quality", claim=f"{n} rows are {what}.") for n, what in ((3, "late"),)]
    after = [
        finding("data_quality", claim=f"{n} rows are {w}.") for n, w in ((9, "odd"), (5, "late"))
    ]
    told = compare_findings(before, after)
    assert [item["claim"] for item in told.new] == ["9 rows are odd."]
    assert (told.gone, told.n_same) == ((), 1)


def test_open_bounds_hold_everything_beyond():
    """A bound that is missing beside an estimate is an open one."""
    before = finding(ci_upper=None)
    assert compare_findings([before], [finding(estimate=99.0)]).n_same == 1


def test_text_names_each_group():
    """The text counts each group and shows both numbers of what moved."""
    told = str(
        compare_findings([finding(**IOS)], [finding(estimate=30.0, **IOS), finding(**ANDROID)])
    )
    assert told.startswith("New (1)\n  It is 10 more.\n\nMoved (1)\n")
    assert "10 [8, 12] → 30 [28, 32] reports" in told
    assert told.endswith("0 findings as before.")
