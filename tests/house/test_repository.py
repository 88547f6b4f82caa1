"""Are the files around the code true to it: dependencies, locks, docs, machine paths?"""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import rcakit
from rcakit import cli, findings, testing

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.ipynb"))
# The names that conda-forge gives to packages of PyPI.
CONDA = {"duckdb": "python-duckdb", "tzdata": "python-tzdata", "build": "python-build"}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(.*)$")
# One letter of each word stands in brackets, so that this file does not hold what it looks for.
MACHINE = re.compile(
    r"/wor[k]/(main|shared|lab)|/tmp/la[b]|/roo[t]/|/hom[e]/[a-z]|C:\\User[s]|files\.pythonhoste[d]"
    r"|pypi\.or[g]/simple|index-ur[l] https?:|artifactor[y]|nexus/repositor[y]"
    r"|\b(10|192\.168)\.\d+\.\d+\.\d+\b"
)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _names(requirements: list[str]) -> dict[str, str]:
    pairs = [_REQUIREMENT.match(line).groups() for line in requirements]
    return {name.lower(): bounds.replace(" ", "") for name, bounds in pairs}


def _string_literals(tree: ast.AST) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def test_conda_lists_same_dependencies():
    """The environment for conda names what pyproject.toml names, with the same bounds."""
    wanted = {
        CONDA.get(name, name): bounds
        for name, bounds in _names(PROJECT["project"]["dependencies"]).items()
    }
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    listed = [item for item in environment["dependencies"] if isinstance(item, str)]
    pip = next((i["pip"] for i in environment["dependencies"] if isinstance(i, dict)), [])
    given = _names([*listed, *(line for line in pip if not line.startswith("-e"))])
    assert given.pop("python") == PROJECT["project"]["requires-python"]
    given.pop("pip", None)
    assert given == wanted


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_has_hashes_only(lock):
    """Every locked package carries a hash, and no line names a host."""
    text = lock.read_text("utf-8")
    entries = [block for block in re.split(r"\n(?=[a-z0-9])", text) if re.match("[a-z0-9]", block)]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_lock_holds_direct_dependencies():
    """Each direct dependency is locked."""
    locked = set(
        re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert set(_names(PROJECT["project"]["dependencies"])) <= locked


def test_docs_mention_every_command():
    """Each command of the command line is shown in the README or the docs."""
    text = _documentation()
    missing = [name for name in cli.main.commands if f"rcakit {name}" not in text]
    assert missing == []


def test_docs_mention_every_name():
    """Each public name of the package and its rooms is mentioned in the README or the docs."""
    text = _documentation()
    names = [name for name in rcakit.__all__ if not name.startswith("_")]
    for room in ("datasets", "drivers", "errors", "report", "sources", "spikes", "testing"):
        if f"automodule:: rcakit.{room}" in text:  # all its members are documented there
            continue
        names += [f"{room}.{name}" for name in getattr(rcakit, room).__all__]
    missing = [
        name for name in names if not re.search(rf"\b{re.escape(name.split('.')[-1])}\b", text)
    ]
    assert missing == []


def _documentation() -> str:
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    files += sorted((ROOT / "docs").rglob("*.ipynb"))
    return "\n".join(path.read_text("utf-8") for path in files if "_build" not in path.parts)


def _without_last_word(text: str, path: Path) -> str:
    """Leave out the last word of the ladder where it may stand: in the ladder, and for roll-outs."""
    is_allowed = path.name == "findings.py" or path.parent.name == "experiments"
    return text.replace(findings.LADDER[-1], "") if is_allowed else text


def test_no_sentence_names_causes():
    """No text that the package can say claims a cause; only roll-outs may say the last word."""
    found = [
        f"{path.name}: {text!r}"
        for path in sorted((ROOT / "rcakit").rglob("*.py"))
        for text in _string_literals(ast.parse(path.read_text("utf-8")))
        if findings._CAUSAL.search(_without_last_word(text, path)) and "|" not in text
    ]
    assert found == []


def test_files_name_no_machine():
    """No tracked file holds a path of one machine or the host of a package index."""
    found = []
    for path in _tracked():
        if path.suffix in {".parquet", ".png", ".gz", ".duckdb"}:
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]}")
    assert found == []


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_playbooks_keep_the_contract(path):
    """Every playbook has the headings, the parameters, thin cells and no outputs."""
    testing.check_playbook(path)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    assert all(cell.get("execution_count") is None for cell in cells)


def test_samples_stay_below_5_megabytes():
    """The sample data are small enough to clone and to ship."""
    sizes = [path.stat().st_size for path in (ROOT / "data_samples").rglob("*") if path.is_file()]
    assert 0 < sum(sizes) < 5_000_000
