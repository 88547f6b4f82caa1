"""Does the answer of any playbook follow from its findings?"""

import pytest

from rcakit import report
from rcakit.findings import Finding, withheld


def finding(kind, claim, *, estimate=10.0, half_width=2.0, n_obs=500, **more):
    """Return a finding with an interval about its estimate."""
    return Finding(
        claim=claim,
        kind=kind,
        estimate=estimate,
        ci_lower=estimate - half_width,
        ci_upper=estimate + half_width,
        unit="appeals",
        n_obs=n_obs,
        method="counting",
        **more,
    )


GAP = finding("verdict", "Vendor B is slower.", verdict="gap")


def test_leading_difference_is_second_sentence():
    """A difference that is more than weak follows the verdict."""
    answer = report.compose([GAP, finding("difference", "queue 3 is slowest.")])
    assert answer.sentences == ("Vendor B is slower.", "Queue 3 is slowest.")


def test_weak_difference_is_not_told():
    """A difference whose interval holds zero does not reach the answer."""
    weak = finding("difference", "queue 3 may be slower.", half_width=11.0)
    assert report.compose([GAP, weak]).sentences == ("Vendor B is slower.",)


def test_undecided_verdict_tells_why():
    """A verdict without number says why, and nothing leads beyond it."""
    verdict = withheld(
        "verdict", "Nobody can tell.", why="2 clusters are too few", unit="appeals",
        method="t test", verdict="cannot_tell",
    )  # fmt: skip
    answer = report.compose([verdict, finding("effect", "appeals fell.")])
    assert (answer.sentences, answer.confidence) == (("Nobody can tell.",), "Cannot tell")
    assert answer.why == "2 clusters are too few."


@pytest.mark.parametrize(
    ("verdict", "confidence"), [("no_gap", "Medium confidence"), ("gap", "Low confidence")]
)
def test_nothing_found_is_medium_confidence(verdict, confidence):
    """An interval around zero supports a verdict that nothing is there, and no other."""
    found = finding("verdict", "It is so.", estimate=0.0, verdict=verdict)
    assert report.compose([found]).confidence == confidence


def test_excluded_difference_is_no_logged_change():
    """What was ruled out without a change log is not counted as a logged change."""
    excluded = finding("ruled_out", "The gap vanishes at equal mix.")
    assert report.compose([GAP, excluded]).sentences == ("Vendor B is slower.",)


def test_impact_names_common_confidence_level():
    """The column of intervals says their level when all share it."""
    rows = report.impact([finding("effect", "More.", confidence_level=0.9)]).rows
    assert "90\u202f% interval" in rows[0]
    mixed = report.impact([GAP, finding("effect", "More.", confidence_level=0.9)]).rows
    assert "interval" in mixed[0]


def test_limits_allow_causes_only_after_tests():
    """Only a page with an effect may speak of causes."""
    assert "do not prove" in str(report.limits([GAP]))
    assert "clean roll-out" in str(report.limits([finding("effect", "More.")]))
