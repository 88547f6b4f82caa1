"""Do ids, content and small teams of the data stay off the pages, whatever the notebook does with them?"""

import re

import nbformat
import polars as pl
import pytest

from rcakit import playbook, runner
from rcakit.report.gallery import gallery, read_runs
from rcakit.runner import personal

CELLS = {
    "printed": "print(rows['message'][5])",
    "cut": "print(rows['message'][6][:25])",
    "shouted": "print(rows['message'][7].upper())",
    "renamed": "rows.select(what='message').head(2)",
    "in a sentence": "f\"{rows['handle'][9]} and {rows['player'][3]} were here\"",
    "index of pandas": "rows.head(3).to_pandas().set_index('account_id')",
    "markdown": "from IPython.display import Markdown, display\ndisplay(Markdown(rows['message'][8]))",
    "stderr": "import sys\nprint(rows['message'][9], file=sys.stderr)",
    "chart": "alt.Chart(alt.Data(values=[{'label': rows['message'][10], 'y': 1}]))"
    ".mark_bar().encode(x='label:N', y='y:Q').properties(title='See ' + rows['message'][11])",
    "teams": "rows.group_by('team').len('total').sort('team')",
    "bars of teams": "alt.Chart(rows.group_by('team').len('total').sort('team'))"
    ".mark_bar().encode(x='team', y='total')",
}
PUBLISH = """
from rcakit.findings import Finding
told = dict(unit="reports", n_obs=500, method="m", estimate=50.0, ci_lower=40.0, ci_upper=60.0)
teams = [Finding(kind="driver", segment={"team": name}, claim=f"In team = {name} there were more.", **told)
         for name in ("Harbour", "Lighthouse")]
report.publish(Finding(kind="verdict", verdict="localised", claim=f"One said {rows['message'][12]}.", **told), *teams)
"""
SECRET = re.compile(r"acc-\d{5}|meera\d+|pl_\d+x|rev-\d+|Harbour|(?i:never forget)")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Run a playbook that shows ids, content and a small team in every way that it can."""
    folder = tmp_path_factory.mktemp("personal")
    n = 400
    pl.DataFrame(
        {
            "account_id": [f"acc-{i:05d}" for i in range(n)],
            "handle": [f"meera{i}" for i in range(n)],
            "player": [f"pl_{i}x" for i in range(n)],
            "message": [f"w{i % 7} they will never forget this {i} at all" for i in range(n)],
            "reviewer_id": [f"rev-{i % 24}" for i in range(n)],
            "team": ["Lighthouse" if i % 24 < 15 else "Harbour" for i in range(n)],
        }
    ).write_parquet(folder / "rows.parquet")
    asked = 'source: str = "x"  # file\naccount: str = "player"  # column of accounts'
    given = nbformat.v4.new_code_cell(asked)
    given.metadata["tags"] = ["parameters"]
    first = "import altair as alt\nimport rcakit\nfrom rcakit import report\nrows = rcakit.read(source).collect()"
    code = [nbformat.v4.new_code_cell(text) for text in (first, *CELLS.values(), PUBLISH.strip())]
    heading = nbformat.v4.new_markdown_cell("# Leaks\n\n## Question\nWhat?\n\n## Where\nHere.")
    nbformat.write(nbformat.v4.new_notebook(cells=[heading, given, *code]), folder / "leaks.ipynb")
    found = playbook.find(str(folder / "leaks.ipynb"))
    done = runner.run(found, {"source": str(folder / "rows.parquet")}, out=folder / "reports")
    assert done.status == "ok", done.error
    return done


@pytest.mark.parametrize("name", ["report.html", "analyst.html"])
def test_pages_tell_nobody(ended, name):
    """No id, no text of the data and no small team is in the file, under whatever heading it stood."""
    html = (ended.folder / name).read_text("utf-8")
    assert SECRET.findall(html) == []
    assert "Lighthouse" in html


def test_galleries_tell_nobody(ended):
    """Nor are they in the gallery, which reads what the run knew."""
    html = gallery(*read_runs(ended.folder.parents[1]))
    assert SECRET.findall(html) == []


def test_failures_tell_nobody():
    """What a library said of its data stays with the notebook; what rcakit said is shown."""
    row = {"run_id": "r", "playbook": "p", "status": "failed"}
    foreign = gallery([{**row, "error": "a cell raised ValueError: acc-00012 is odd"}])
    assert "acc-00012" not in foreign
    assert "ValueError" in foreign
    assert "days must be 7" in gallery([{**row, "error": "ParameterError: days must be 7"}])


def test_counts_are_no_ids(tmp_path):
    """A number or a word of the report is not taken for an id that happens to be alike."""
    rows = pl.DataFrame({"account_id": ["12345", "spam", "acc-7731"]})
    rows.write_parquet(tmp_path / "rows.parquet")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Is it spam?")])
    claims = [{"claim": "12345 reports of spam, acc-7731 among them."}]
    told = personal.found({"source": str(tmp_path / "rows.parquet")}, notebook, claims)
    assert told["values"] == {"account_id": ["acc-7731"]}


def test_teams_without_people_are_said(tmp_path):
    """Where nobody can count the people of a team, that is told."""
    pl.DataFrame({"team": ["a", "b"], "n": [5, 6]}).write_parquet(tmp_path / "rows.parquet")
    empty = nbformat.v4.new_notebook()
    told = personal.found({"source": str(tmp_path / "rows.parquet")}, empty, [])
    assert told["unsized_teams"] == ["team"]
