"""Are parameters read from the notebook, and wrong ones refused before a kernel starts?"""

import datetime as dt

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rcakit import playbook, testing
from rcakit.errors import ParameterError, PlaybookError

CELL = """\
name: str = "a # b"  # what it is called
days: int = 28  # days analysed, 7–366
share: float | None = None  # a share, 0.1–0.9
rule: Literal["strict", "loose"] = "strict"  # how strict
step: Literal[1, 7] = 1  # days per step
since: date | None = None  # first day
names: list[str] = [
    "a",  # not this
    "b",
]  # columns
pair: tuple[date, date] | None = None  # first and last day
flag: bool = False  # whether
weights: dict[str, float] = {}  # by name
floor: float = 0.0  # any number
"""


def _playbook(tmp_path, *cells, tagged=True):
    notebook = new_notebook(cells=[new_markdown_cell("# Title\n\n## Question\nWhy so?")])
    for source in cells:
        cell = new_code_cell(source)
        cell.metadata["tags"] = ["parameters"] if tagged else []
        notebook.cells.append(cell)
    path = tmp_path / "asked.ipynb"
    nbformat.write(notebook, path)
    return playbook.Playbook(path)


@pytest.fixture
def asked(tmp_path):
    """Return a playbook with a parameter of each type."""
    return _playbook(tmp_path, CELL)


def test_cells_declare_parameters(asked):
    """Names, defaults and comments come from the cell, also over several lines."""
    found = {p.name: (p.default, p.comment) for p in asked.parameters}
    assert found["name"] == ("a # b", "what it is called")
    assert found["names"] == (["a", "b"], "columns")
    assert found["weights"] == ({}, "by name")
    assert asked.question == "Why so?"


def test_comments_hold_ranges(asked):
    """Two numbers joined by an en dash are the bounds."""
    bounds = {p.name: p.bounds for p in asked.parameters}
    assert (bounds["days"], bounds["share"], bounds["name"]) == ((7, 366), (0.1, 0.9), None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("days", "7", 7),
        ("share", "0.5", 0.5),
        ("share", "null", None),
        ("rule", "loose", "loose"),
        ("step", "7", 7),
        ("since", "2026-03-01", "2026-03-01"),
        ("since", dt.date(2026, 3, 1), "2026-03-01"),
        ("since", "none", None),
        ("names", '["policy"]', ["policy"]),
        ("pair", '["2026-03-01", "2026-03-02"]', ["2026-03-01", "2026-03-02"]),
        ("flag", "true", True),
        ("weights", '{"a": 1}', {"a": 1.0}),
        ("name", "null", "null"),
        ("name", "=1+1; import os", "=1+1; import os"),
    ],
)
def test_text_is_read_by_type(asked, name, text, value):
    """What a command line gives becomes plain JSON of the right type."""
    assert asked.check({name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("days", "6", "days must be int between 7 and 366, got '6'.*It is: days analysed"),
        ("days", "7.5", "days must be int"),
        ("days", None, "days must be int"),
        ("share", "1", "share must be float | None between"),
        ("rule", "lax", "rule must be Literal"),
        ("step", "3", "step must be Literal"),
        ("since", "2026-02-30", "since must be date"),
        ("names", "policy", r'as JSON, got .policy.*\["policy", "surface"\]'),
        ("names", "[1]", "names must be"),
        ("pair", '["2026-03-01"]', "pair must be tuple"),
        ("weights", "a", r'as JSON, got .a.*\{"key": "value"\}'),
        ("flag", "perhaps", "flag must be bool"),
        ("floor", "nan", "floor must be float, got 'nan'"),
        ("floor", "inf", "floor must be float, got 'inf'"),
        ("dayz", "7", r"has no parameter 'dayz'.*Did you mean 'days'\?"),
    ],
)
def test_wrong_values_are_refused(asked, name, value, message):
    """A wrong type, a value out of range and an unknown name say what is allowed."""
    with pytest.raises(ParameterError, match=message):
        asked.check({name: value})


def test_defaults_are_kept(asked):
    """What is not given keeps its default, as plain JSON."""
    assert asked.check({})["rule"] == "strict"
    assert set(asked.check({})) == {p.name for p in asked.parameters}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("days: int = 7 + 1  # x", "parameter 'days'"),
        ("days: int = len('x')  # x", "parameter 'days'"),
        ("days = 7", "must hold annotated assignments"),
        ("import os", "must hold annotated assignments"),
        ("days: Thing = 7  # x", "annotation 'Thing' is not one of"),
        ("days: int = (", "is not Python"),
    ],
)
def test_cells_run_no_code(tmp_path, cell, message):
    """A default that is no literal, a bare assignment or a broken line is refused, never run."""
    with pytest.raises(PlaybookError, match=message):
        _ = _playbook(tmp_path, cell).parameters


def test_only_one_cell_declares(tmp_path):
    """None or several parameter cells are refused with their number."""
    with pytest.raises(PlaybookError, match="one cell tagged 'parameters', got 2"):
        _ = _playbook(tmp_path, "a: int = 1  # x", "b: int = 1  # x").parameters
    with pytest.raises(PlaybookError, match="got 0"):
        _ = _playbook(tmp_path, "a: int = 1  # x", tagged=False).parameters


def test_defaults_must_fit(tmp_path):
    """A default outside its own range is a problem of the playbook."""
    found = playbook.problems(_playbook(tmp_path, "days: int = 0  # days, 7–366"))
    assert any("days must be int between 7 and 366" in problem for problem in found)


def test_problems_name_each_fault(tmp_path):
    """Missing headings, definitions, long cells and code without prose are all told."""
    long = "\n".join(f"a_{i} = {i}" for i in range(16))
    made = _playbook(tmp_path, "a: int = 1", tagged=True)
    made.notebook.cells += [new_code_cell("def f():\n    pass"), new_code_cell(long)]
    made.notebook.cells[-1].execution_count = 3
    found = " ".join(playbook.problems(made))
    for word in (
        "headings must be",
        "no comment",
        "defines a function",
        "15 lines",
        "no prose",
        "outputs",
    ):
        assert word in found


def test_shipped_playbooks_keep_contract():
    """Each playbook that ships passes, and can be found by its name."""
    names = [found.name for found in playbook.available()]
    assert "metric_spike" in names
    for name in names:
        testing.check_playbook(playbook.find(name).path)


def test_unknown_playbooks_are_suggested():
    """A misspelt name is answered with the one that was meant."""
    with pytest.raises(PlaybookError, match=r"unknown. Known: .*Did you mean 'metric_spike'\?"):
        playbook.find("metric_spik")
    with pytest.raises(PlaybookError, match="does not exist"):
        playbook.find("nowhere.ipynb")


def test_text_is_no_notebook(tmp_path):
    """A file that only ends like a notebook is refused in one line."""
    (tmp_path / "fake.ipynb").write_text("{}")
    with pytest.raises(PlaybookError, match="is not a notebook"):
        _ = playbook.find(str(tmp_path / "fake.ipynb")).parameters


@pytest.mark.parametrize("name", ["My Question", "2x", "", "../x", "a-b"])
def test_names_are_plain_words(name):
    """A playbook's name is a word that can be typed and imported."""
    with pytest.raises(ParameterError, match="NAME must be lower-case"):
        playbook.scaffold(name)
