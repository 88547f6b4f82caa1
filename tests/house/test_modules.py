"""Does every module say what it is for, and export what it says?"""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import rcakit

PACKAGE = Path(rcakit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(rcakit.__path__, "rcakit.")
    if not found.name.endswith("__main__")
)
HEAVY = (
    "pandas", "polars", "numpy", "scipy", "altair", "pyarrow", "networkx", "statsmodels",
    "duckdb", "papermill", "nbformat", "narwhals", "pydantic",
)  # fmt: skip
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base2"}


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _is_command(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Tell whether a function is a command of the command line."""
    return any(ast.unparse(decorator).startswith("main.") for decorator in node.decorator_list)


def _all_of(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        is_all = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        if is_all:
            return ast.literal_eval(node.value)
    return None


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_module_says_its_purpose(path):
    """Every module opens with a sentence or a question."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = doc.partition("\n\n")[0].strip()
    assert len(first) > 15
    assert first[-1] in ".?!:", f"not a sentence: {first}"


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_module_has_clear_name(path):
    """No module is named after what it does not say."""
    names = set(path.relative_to(PACKAGE).with_suffix("").parts)
    assert not names & VAGUE


@pytest.mark.parametrize("name", MODULES)
def test_listed_names_really_exist(name):
    """What a module lists as public can be imported from it."""
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.{public} does not exist"


@pytest.mark.parametrize("path", [f for f in FILES if f.name != "__main__.py"], ids=_named)
def test_public_names_are_listed(path):
    """A module with ``__all__`` lists every public function and class that it defines."""
    tree = ast.parse(path.read_text("utf-8"))
    listed = _all_of(tree)
    if listed is None:
        listed = [] if path.name == "__init__.py" else None
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not _is_command(node)
    }
    assert listed is None or defined <= set(listed), f"not in __all__: {defined - set(listed)}"


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "__init__.py"], ids=_named)
def test_rooms_export_what_they_import(path):
    """The names that a room imports for its callers are the names that it lists."""
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rcakit")
        for alias in node.names
    }
    listed = _all_of(tree)
    assert listed is None or path.parent == PACKAGE or set(listed) == imported or not imported


def test_lazy_names_are_complete():
    """The lazy package offers all that it lists, and nothing of other names."""
    for name in rcakit.__all__:
        assert getattr(rcakit, name) is not None
    assert dir(rcakit) == sorted(rcakit.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'spike'"):
        rcakit.spike  # noqa: B018 - the access is the test


def test_import_loads_nothing_heavy():
    """Importing the package costs no dataframe, chart or notebook library."""
    code = f"import sys, rcakit; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    """Asking for help costs none of them either."""
    code = (
        "import sys, rcakit.cli\n"
        "try: rcakit.cli.main(['--help'])\n"
        f"except SystemExit: print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
