"""Small playbooks for the tests of the runner."""

from pathlib import Path

import nbformat
import pytest


@pytest.fixture
def write_book(tmp_path):
    """Return a function that writes a playbook of a parameters cell and a few more."""

    def write(*cells: str, parameters: str = "i: int = 0  # any", name: str = "small") -> Path:
        notebook = nbformat.v4.new_notebook()
        first = nbformat.v4.new_code_cell(parameters)
        first.metadata["tags"] = ["parameters"]
        notebook.cells = [first, *(nbformat.v4.new_code_cell(cell) for cell in cells)]
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write
