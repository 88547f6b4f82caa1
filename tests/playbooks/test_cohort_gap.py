"""Does `cohort_gap` say whether it is the mix, in every scenario where that is known?"""

import polars as pl
import pytest

import rcakit
from rcakit import cohorts, playbook, runner, testing

# What to ask of each scenario: column, cohort, outcome.
ASKED = {
    "simpson_reversal": ("site", "Fir", "is_correct"),
    "apparent_disparity": ("region", "south", "handle_hours"),
    "real_disparity": ("region", "south", "handle_hours"),
    "site_without_counterpart": ("site", "Fir", "is_correct"),
    "quality_quiet": ("region", "south", "handle_hours"),
}
WORDS = {"quality_quiet": "no_gap"}


def compared(scenario, seed):
    """Compare as the playbook does, and return the data as well."""
    cohort, focus, outcome = ASKED[scenario]
    data = rcakit.datasets.make(scenario, rng=seed)
    found = cohorts.compare(
        data.tables["decisions"],
        cohort=cohort,
        focus=focus,
        outcomes=outcome,
        adjust_for="policy",
    )
    return found, WORDS.get(scenario, data.truth["verdict"])


@pytest.mark.parametrize("scenario", ASKED)
def test_planted_mix_is_told(scenario):
    """The verdict is what was planted; the long run over seeds is a committed table."""
    found, planted = compared(scenario, seed=11)
    verdict, *rest = found.answer()
    assert verdict.verdict == planted
    assert all(item.kind != "verdict" for item in rest)
    for item in found.answer():
        testing.check_finding(item)


def test_run_tells_the_mix(tmp_path):
    """The playbook itself, with the sample it comes with, publishes one verdict."""
    done = runner.run(playbook.find("cohort_gap"), {}, out=tmp_path)
    assert done.status == "ok", done.error
    testing.assert_finds(done.findings, verdict="explained_by_mix")
    assert "explained by its mix" in done.answer.sentences[0]


def test_without_counterparts_page_says_so(tmp_path):
    """A site whose work nobody else does cannot be compared, and the page says why."""
    rows = rcakit.datasets.make("site_without_counterpart", size="tiny").tables["decisions"]
    rows.write_parquet(tmp_path / "decisions.parquet")
    given = {
        "source": str(tmp_path / "decisions.parquet"),
        "cohort": "site",
        "focus": "Fir",
        "outcomes": ["is_correct"],
    }
    done = runner.run(playbook.find("cohort_gap"), given, out=tmp_path / "reports")
    assert done.status == "ok", done.error
    testing.assert_finds(done.findings, verdict="cannot_tell")
    assert done.answer.confidence == "Cannot tell"


def test_words_of_all_gaps():
    """Without covariates a clear gap cannot be told from mix, and the counts of others are said."""
    rows = rcakit.datasets.make("simpson_reversal").tables["decisions"]
    plain = cohorts.compare(rows, cohort="region", outcomes="handle_hours").verdict()
    assert plain.verdict == "no_gap"
    many = cohorts.compare(rows, cohort="site", outcomes="is_correct", adjust_for="policy")
    assert "other comparisons" in many.verdict().claim
    late = rows.with_columns(hours=pl.col("handle_hours") + 5 * (pl.col("region") == "south"))
    gap = cohorts.compare(late, cohort="region", outcomes="hours").verdict()
    assert gap.verdict == "cannot_tell"
    assert gap.withheld_because == "nothing was held equal"
