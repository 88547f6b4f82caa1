"""Can a secret that a playbook uses be found anywhere in what its run leaves behind?"""

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import nbformat
import pytest

import rcakit
from rcakit import playbook, runner
from rcakit.errors import ParameterError
from rcakit.redaction import Redactor

VALUE = 'S3cr<t&"/+key\\é=2026'
URL = "postgresql://report:hunter2-hunter2@db.internal/warehouse"
CELL = """
import base64, json, sys, urllib.parse
import rcakit
from IPython.display import HTML, display
key, address = rcakit.secret("SAMPLE_KEY"), rcakit.secret("SAMPLE_URL")
print(key, address, repr(str(key)), json.dumps(str(key)))
print(key[:5], end=""); print(key[5:])
print(f"error {key}", file=sys.stderr)
print(base64.b64encode(b"user:" + key.encode()).decode(), key.encode().hex())
print(base64.encodebytes(b"x" * 50 + key.encode()).decode())
print(urllib.parse.quote(key), urllib.parse.quote_plus(key), "user hunter2-hunter2")
display(HTML(f"<b title='{key}'>{key}</b>"))
display({"application/json": {str(key): [str(key)]}, "text/plain": "x"}, raw=True,
        metadata={"note": str(key)})
str(key)
"""


def _forms(value: str) -> list[bytes]:
    """Return the forms in which a byte search looks for a value, made apart from the code."""
    raw = value.encode()
    packed = [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    written = [value, html.escape(value), json.dumps(value)[1:-1], json.dumps(json.dumps(value))]
    written += [quote(value), quote_plus(value), raw.hex(), repr(value)[1:-1]]
    return [form.encode() for form in written] + packed


def _book(folder: Path, *cells: str, parameters: str = "days: int = 7  # days") -> Path:
    notebook = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(parameters)
    first.metadata["tags"] = ["parameters"]
    notebook.cells = [first, *(nbformat.v4.new_code_cell(cell) for cell in cells)]
    path = folder / "keys.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize("ending", ["", "raise ValueError(f'no access with {key}')"])
def test_byte_search_finds_nothing(tmp_path, monkeypatch, ending):
    """No file of a run, good or failed, holds a secret in any form; nor does the ledger."""
    (tmp_path / "url.txt").write_text(URL + "\n")
    monkeypatch.setenv("SAMPLE_KEY", VALUE)
    monkeypatch.setenv("SAMPLE_URL_FILE", str(tmp_path / "url.txt"))
    out = tmp_path / "out"
    path = _book(tmp_path, CELL, ending)
    done = runner.run(playbook.find(str(path)), out=out)
    assert done.status == ("failed" if ending else "ok"), done.error
    assert "[redacted:SAMPLE_KEY]" in (done.folder / "notebook.ipynb").read_text("utf-8")
    for file in (item for item in out.rglob("*") if item.is_file()):
        content = file.read_bytes()
        for form in [*_forms(VALUE), *_forms(URL), b"hunter2"]:
            assert form not in content, f"{form!r} in {file.name}"
    assert ending == "" or VALUE not in done.error


def test_partial_notebooks_are_clean_too(tmp_path, monkeypatch):
    """What is saved while the run is still at work holds no secret either."""
    monkeypatch.setenv("SAMPLE_KEY", VALUE)
    death = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    show = "import rcakit\nprint(rcakit.secret('SAMPLE_KEY'))"
    done = runner.run(playbook.find(str(_book(tmp_path, show, death))), out=tmp_path / "out")
    saved = (done.folder / "notebook.ipynb").read_text("utf-8")
    assert done.status == "killed"
    assert "[redacted:SAMPLE_KEY]" in saved
    assert "S3cr" not in saved


def test_secrets_are_no_parameters(tmp_path):
    """A parameter that is named like a secret is refused, with the way to read one."""
    path = _book(tmp_path, "1", parameters="api_key: str = ''  # key")
    with pytest.raises(ParameterError, match=r"rcakit\.secret\('API_KEY'\)"):
        runner.run(playbook.find(str(path)), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_passwords_in_addresses_are_hidden(tmp_path):
    """An address with a password, given as a parameter, is written down without it."""
    path = _book(tmp_path, "print(source)", parameters=f"source: str = {URL!r}  # where")
    done = runner.run(playbook.find(str(path)), out=tmp_path / "out")
    written = b"".join(f.read_bytes() for f in done.folder.iterdir() if f.suffix != ".ipynb")
    assert b"hunter2" not in written
    assert b"report:[redacted]@db.internal" in written


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "must be set, got nothing"), ("12345", "at least 6 characters, got 5")],
)
def test_missing_and_short_are_refused(monkeypatch, value, message):
    """A secret that is nowhere, or too short to be struck out, is refused in words."""
    if value is not None:
        monkeypatch.setenv("SAMPLE_KEY", value)
    with pytest.raises(ParameterError, match=message):
        rcakit.secret("SAMPLE_KEY")


def test_secrets_do_not_show_themselves(monkeypatch, tmp_path):
    """A notebook that ends a cell with a secret does not display it; files of services are read."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "SAMPLE_KEY").write_text("long enough\n")
    found = rcakit.secret("SAMPLE_KEY")
    assert (found, repr(found)) == ("long enough", "'[secret]'")


def test_many_lines_are_struck_singly():
    """Each longer line of a key file is a secret of its own; other text is left alone."""
    redactor = Redactor()
    redactor.add("KEY", "-----BEGIN-----\nabcdefghijkl\nmno\n")
    text = redactor.text("got abcdefghijkl and mno, then 1 / 2")
    assert text == "got [redacted:KEY] and mno, then 1 / 2"
    assert redactor.tree({"abcdefghijkl": ["abcdefghijkl", 3]}) == {
        "[redacted:KEY]": ["[redacted:KEY]", 3]
    }


def test_folded_base64_is_struck(tmp_path):
    """Base64 that is broken into lines is found at each of its three places."""
    redactor = Redactor()
    value = "a rather long secret, longer than what one line of base64 can hold in one piece"
    redactor.add("KEY", value)
    for shift in range(3):
        (tmp_path / "x").write_bytes(base64.encodebytes(b"y" * shift + value.encode()))
        redactor.sweep(tmp_path)
        left = (tmp_path / "x").read_text()
        assert re.sub(r"\s", "", left).count("[redacted:KEY]") == 1
        assert len(left) < 30
