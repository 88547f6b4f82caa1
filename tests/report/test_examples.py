"""Are example cases listed only on request, and only by reference?"""

import datetime as dt

import nbformat
import polars as pl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from rcakit import report
from rcakit.errors import ParameterError

RUN = {
    "run_id": "r1", "playbook": "p", "status": "ok", "finished_at": "2026-01-01",
    "versions": {"rcakit": "0"}, "data_fingerprint": "sha256:0",
}  # fmt: skip


@pytest.fixture
def cases():
    """Return forty reports, ten of them in another market, on two days."""
    return pl.DataFrame(
        {
            "report_id": [f"case-{i:04d}" for i in range(40)],
            "market": ["DE"] * 30 + ["BR"] * 10,
            "at": [dt.date(2026, 1, 1 + i % 2) for i in range(40)],
        }
    )


def _pages(section):
    cell = new_code_cell("", outputs=[new_output("display_data", data=section._repr_mimebundle_())])
    cells = [new_markdown_cell("# Title\n\n## Where\nProse."), cell]
    notebook = nbformat.v4.new_notebook(cells=cells)
    return [make(notebook, [], RUN) for make in (report.page, report.analyst_page)]


def test_nothing_unless_asked(cases):
    """Without a number no case is listed, and the reader's page has no place for them."""
    silent = report.examples(cases, column="report_id")
    assert silent.rows == ()
    assert "Example cases" not in _pages(silent)[0]


def test_cases_are_references(cases):
    """A page holds references in the number asked for, and no id."""
    shown = report.examples(cases, column="report_id", segment={"market": "DE"}, most=4)
    for html in _pages(shown):
        assert "case-00" not in html
        assert html.count(">report-") == 4
    assert "4 of 30 cases in market = DE" in _pages(shown)[0]


def test_few_cases_are_not_listed(cases):
    """Of fewer than ten cases none is listed: the days count too."""
    given = {"column": "report_id", "segment": {"market": "BR"}, "most": 3}
    period = (dt.date(2026, 1, 1), dt.date(2026, 1, 1))
    assert len(report.examples(cases, **given).rows) == 3
    few = report.examples(cases, **given, time="at", period=period)
    assert (few.rows, few.nothing) == ((), "There are fewer than 10 cases: none is listed.")


@pytest.mark.parametrize(
    ("more", "message"),
    [({"column": "market"}, "column must name cases"), ({"most": 21}, "most must be")],
)
def test_only_ids_are_listed(cases, more, message):
    """Neither content nor a column that is not masked can be listed, nor whole tables."""
    with pytest.raises(ParameterError, match=message):
        report.examples(cases, **{"column": "report_id", "most": 2} | more)
