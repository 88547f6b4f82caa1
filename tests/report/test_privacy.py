"""Does a page keep what it must not tell: ids, content, single reviewers, small cells?"""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rcakit import report
from rcakit.errors import ParameterError
from rcakit.findings import Finding
from rcakit.plots.theme import MIME as CHART
from rcakit.report.gallery import gallery
from rcakit.report.privacy import Mask, key_of, role_of, small_rows
from rcakit.results import records_to_html

ACCOUNT, OTHER, TEXT = "acc-91-meera", "4711082345", "you are all going to regret this"
RUN = {
    "run_id": "r1", "playbook": "p", "status": "ok", "finished_at": "2026-01-01",
    "versions": {"rcakit": "0"}, "data_fingerprint": "sha256:0",
}  # fmt: skip


def _finding(**more):
    base = {
        "claim": "Reports rose.", "kind": "driver", "unit": "reports", "n_obs": 500, "method": "m",
        "estimate": 50.0, "ci_lower": 40.0, "ci_upper": 60.0,
    }  # fmt: skip
    return Finding(**base | more)


def _table(rows):
    return new_output("display_data", data={"text/html": records_to_html(rows, list(rows[0]))})


def _notebook(*outputs, started=1):
    notebook = new_notebook(cells=[new_markdown_cell("# Title\n\n## Where\nProse.")])
    for i, output in enumerate([*outputs, *outputs[:1]] if len(outputs) < 2 else outputs):
        cell = new_code_cell("", outputs=[output])
        cell.metadata["papermill"] = {"start_time": f"t{started}{i}", "end_time": f"u{started}{i}"}
        notebook.cells.append(cell)
    return notebook


def _chart(rows, **encoding):
    return new_output("display_data", data={CHART: {
        "mark": "bar", "data": {"values": rows}, "encoding": encoding, "title": f"{ACCOUNT} leads",
    }})  # fmt: skip


PAGES = (report.page, report.analyst_page)


@pytest.fixture(scope="module")
def telling():
    """Return a notebook and findings that name accounts and quote content in every place."""
    rows = [
        {"account_id": ACCOUNT, "message": TEXT, "n": 50},
        {"account_id": OTHER, "message": TEXT, "n": 60},
    ]
    tip = [{"field": "account_id", "type": "nominal"}, {"field": "message", "type": "nominal"}]
    notebook = _notebook(
        _table(rows), _chart(rows, tooltip=tip), new_output("stream", name="stdout", text=f"{ACCOUNT}: {TEXT}"),
        new_output("display_data", data={"text/html": f"<p title='{ACCOUNT}'>{ACCOUNT}, “{TEXT}”</p>"}),
        new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": ACCOUNT}),
    )  # fmt: skip
    notebook.cells.append(new_code_cell(f"print('{ACCOUNT}')"))
    findings = [
        _finding(
            claim=f"In account_id = {ACCOUNT} reports rose.", segment={"account_id": ACCOUNT},
            evidence={"account_ids": [ACCOUNT, OTHER], "example": TEXT}, next_steps=(f"Read {ACCOUNT}.",),
        ),
        _finding(claim=f"“{TEXT}” was said by {OTHER}.", kind="verdict", verdict="localised"),
    ]  # fmt: skip
    return notebook, [item.to_record() for item in findings]


@pytest.mark.parametrize("make", PAGES)
def test_no_byte_tells_ids(telling, make):
    """Neither an id nor content is anywhere in the file: text, data, tooltips, titles, code."""
    given = [{"name": "account_ids", "value": f"['{ACCOUNT}']", "meaning": "known accounts"}]
    html = make(*telling, RUN, parameters=given)
    for secret in (ACCOUNT, OTHER, TEXT, "4\u202f711\u202f082\u202f345", "regret"):
        assert secret not in html, secret
    assert "account-" in html


def test_galleries_tell_no_ids(telling):
    """The gallery holds neither, nor does it use the pseudonyms of a report."""
    notebook, records = telling
    run = {
        "run_id": "r",
        "playbook": "p",
        "status": "ok",
        "answer": records[0]["claim"],
        "parameters": {"account_id": OTHER},
    }
    html = gallery([run], {"r": records})
    assert ACCOUNT not in html
    assert OTHER not in html
    assert Mask(key_of(notebook)).pseudonym("account_id", ACCOUNT) not in html


def test_pseudonyms_are_stable_within(telling):
    """One account has one name on both pages of a run."""
    notebook, records = telling
    shown = Mask(key_of(notebook)).pseudonym("account_id", ACCOUNT)
    assert all(shown in make(notebook, records, RUN) for make in PAGES)


def test_pseudonyms_differ_between_runs():
    """The same account has another name in another run, and none without the notebook."""
    first, second = (_notebook(_table([{"a": 1}]), started=i) for i in (1, 2))
    names = {Mask(key_of(n)).pseudonym("account_id", ACCOUNT) for n in (first, second)}
    assert len(names) == 2
    assert key_of(new_notebook()) != key_of(new_notebook())


def test_keys_survive_saving(telling, tmp_path):
    """The key is the same after the notebook was written and read."""
    nbformat.write(telling[0], tmp_path / "n.ipynb")
    assert key_of(nbformat.read(tmp_path / "n.ipynb", as_version=4)) == key_of(telling[0])


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("account_id", "person"), ("account id", "person"), ("Reporter_ID", "person"), ("email", "person"),
        ("reviewer", "reviewer"), ("reviewer_id", "reviewer"), ("rater", "reviewer"), ("message", "content"),
        ("policy_id", None), ("ring_id", None), ("policy", None), ("n_accounts", None), ("paid", None), ("grid", None),
    ],
)  # fmt: skip
def test_columns_tell_their_role(column, role):
    """A column is known by its name, as in the data or as a heading."""
    assert role_of(column) == role


def test_named_values_are_masked():
    """A playbook can name values whose column does not tell."""
    notebook = _notebook(
        _table([{"sender": "meera the third", "n": 40}, {"sender": "tom", "n": 50}])
    )
    told = report.mask("account_id", ["meera the third"])
    notebook.cells.append(
        new_code_cell("", outputs=[new_output("display_data", data=told._repr_mimebundle_())])
    )
    assert "meera the third" not in report.page(notebook, [], RUN)


def test_masks_refuse_unknown_columns():
    """A column that names nobody cannot be masked by its name."""
    with pytest.raises(ParameterError, match="column must name a person, a reviewer or content"):
        report.mask("policy", ["spam"])


def test_small_cells_are_suppressed():
    """A row of fewer than 10 shows no number, and the next smallest goes with it."""
    rows = [
        {"market": "DE", "n_obs": 7, "mean": 0.714}, {"market": "BR", "n_obs": 31, "mean": 0.613},
        {"market": "US", "n_obs": 412, "mean": 0.425},
    ]  # fmt: skip
    html = report.page(_notebook(_table(rows)), [], RUN)
    assert "0.714" not in html
    assert "0.613" not in html
    assert "0.425" in html
    assert "&lt; 10" in html


@pytest.mark.parametrize(
    ("counts", "gone"),
    [
        ((7, 31, 412), {0, 1}),
        ((7, 3, 31), {0, 1}),
        ((10, 31), set()),
        ((0, 31), set()),
        ((7,), {0}),
    ],
)
def test_suppression_is_complementary(counts, gone):
    """One suppressed cell would follow from the total, so a second goes with it."""
    rows = [{"group": i, "n_obs": n} for i, n in enumerate(counts)]
    assert small_rows(rows)[1] == gone


def test_days_are_no_small_cells():
    """A quiet day is not a group of people."""
    assert small_rows([{"day": "2026-01-01", "n": 3}, {"day": "2026-01-02", "n": 40}])[1] == set()


def test_charts_leave_small_cells_out():
    """Bars of fewer than 10 are not in the file at all."""
    rows = [{"market": m, "n_obs": n} for m, n in (("Atlantis", 4), ("Bali", 12), ("Chile", 500))]
    html = report.page(_notebook(_chart(rows)), [], RUN)
    assert "Atlantis" not in html
    assert "Bali" not in html
    assert "Chile" in html


def test_small_findings_stay_inside():
    """A finding on fewer than 10 cases of a segment is not told, and that is said."""
    few = _finding(claim="In market = Atlantis 7 rose.", segment={"market": "Atlantis"}, n_obs=7)
    html = report.page(_notebook(_table([{"a": 1}])), [few.to_record()], RUN)
    assert "Atlantis" not in html
    assert "1 finding on fewer than 10 cases: not shown." in html


@pytest.mark.parametrize("make", PAGES)
def test_single_reviewers_are_not_shown(make):
    """A table, a chart or a finding about single reviewers is left out; teams stay."""
    people = [{"reviewer": "dana", "accuracy": 0.71}, {"reviewer": "kim", "accuracy": 0.93}]
    teams = [{"team": "Lisbon", "n_obs": 400}, {"team": "Austin", "n_obs": 300}]
    told = _finding(claim="In reviewer = dana errors rose.", segment={"reviewer": "dana"})
    notebook = _notebook(_table(people), _chart(people), _table(teams))
    html = make(notebook, [told.to_record()], RUN)
    for secret in ("dana", "kim", "0.71"):
        assert secret not in html
    assert "Lisbon" in html
    assert "only teams of 10 or more" in html
