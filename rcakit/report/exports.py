"""Findings for other tools: a block of Markdown for a charter or ticket, tables for Tableau and Excel.

What leaves is what the page shows: masked, without single reviewers and small cells. A cell that a
spreadsheet would take for a formula is text.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from rcakit import wording
from rcakit.errors import ParameterError, SourceError
from rcakit.findings import Finding
from rcakit.report.answer import compose
from rcakit.report.page import publishable, run_mask
from rcakit.report.plan import baseline_of, plan, target_of
from rcakit.report.sections import actions, doubts, impact
from rcakit.results import records_to_markdown
from rcakit.validation import check_choice

__all__ = [
    "COLUMNS",
    "Format",
    "charter",
    "export",
    "reveal",
    "rows_of",
    "schema",
    "without_formula",
]

Format = Literal["markdown", "csv", "parquet", "xlsx"]

COLUMNS = (
    "run_id", "playbook", "finished_at", "position", "kind", "claim", "estimate", "ci_lower",
    "ci_upper", "confidence_level", "unit", "n_obs", "strength", "verdict", "segment", "change_id",
    "method", "caveats", "next_steps", "withheld_because",
)  # fmt: skip
_NUMBERS = frozenset({"estimate", "ci_lower", "ci_upper", "confidence_level"})
_COUNTS = frozenset({"position", "n_obs"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
_SUFFIX: Mapping[str, str] = {
    "markdown": "md", "csv": "csv", "parquet": "parquet", "xlsx": "xlsx",
}  # fmt: skip
_LONGEST_CELL = 2000


def export(folder: str | Path, form: Format, *, to: str | Path | None = None) -> Path:
    """Write the findings of a run in another form.

    Parameters
    ----------
    folder
        Of the run, with ``findings.json``, ``run.json`` and ``notebook.ipynb``.
    form
        ``markdown`` (for a charter or a ticket), ``csv``, ``parquet`` or ``xlsx``.
    to
        File to write; ``findings.<suffix>`` in the folder when left out.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SourceError
        The folder holds no complete run, or the file cannot be written.
    ParameterError
        The form is unknown, or its library is not installed.
    """
    check_choice(form, "form", get_args(Format))
    findings, run = _published(Path(folder))
    target = Path(to) if to is not None else Path(folder) / f"findings.{_SUFFIX[form]}"
    written = {"markdown": _markdown, "csv": _csv, "parquet": _parquet, "xlsx": _xlsx}[form]
    content = written(findings, run)
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    except OSError as problem:
        raise SourceError(f"{str(target)!r} cannot be written: {problem.strerror}.") from None
    return target


def charter(findings: Sequence[Finding], run: Mapping[str, Any]) -> str:
    """Write findings as a block of Markdown: problem, baseline, target, evidence, owner.

    Parameters
    ----------
    findings
        What may be published, in reading order.
    run
        ``run_id``, ``playbook`` and ``finished_at``.

    Notes
    -----
    The form is that of the problem statement of a DMAIC charter (Pyzdek and Keller 2014, *The Six
    Sigma Handbook*, chapter 6). Text from the data is escaped.
    """
    answer = compose(findings)
    sized = [item for item in findings if item.withheld_because is None]
    lead = next((item for item in sized if item.kind == "verdict"), None)
    parts = [item for item in sized if item.kind in {"driver", "effect", "difference"}]
    baseline = next((text for item in (lead, *parts) if item and (text := baseline_of(item))), "")
    target = next((text for item in (*parts, lead) if item and (text := target_of(item))), "")
    steps = plan(findings, actions(findings).sentences)
    lines = [
        "## Problem",
        *(_inert(sentence) for sentence in answer.sentences),
        f"{answer.confidence}: {_inert(answer.why)}",
        "## Baseline",
        _inert(f"Expected: {baseline}.") if baseline else "Not known from this run.",
        "## Target",
        _inert(f"{target[:1].upper()}{target[1:]}.") if target else "To be set with the owner.",
        "## Evidence",
        _table(impact(findings).rows),
        "Ruled out or uncertain:" if doubts(findings).sentences else "",
        "\n".join(f"- {_inert(sentence)}" for sentence in doubts(findings).sentences),
        "## Owner and next steps",
        _table(
            tuple(
                {"first step": s.action, "owner (proposed)": s.owner, "how we will know": s.signal}
                for s in steps
            )
        )
        or "Nothing needs doing.",
        _inert(f"Source: run {run['run_id']} of {run['playbook']}, {run.get('finished_at', '')}."),
    ]
    return _unlinked("\n\n".join(line for line in lines if line)) + "\n"


def rows_of(findings: Sequence[Finding], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write findings as flat rows with `COLUMNS`; numbers stay numbers.

    Parameters
    ----------
    findings
        What may be published.
    run
        ``run_id``, ``playbook`` and ``finished_at``.
    """
    rows = []
    for position, item in enumerate(findings, start=1):
        record = {**item.to_record(), **{name: run.get(name) for name in COLUMNS[:3]}}
        record["position"] = position
        record["segment"] = wording.segment(item.segment) if item.segment else None
        record["caveats"] = " ".join(item.caveats) or None
        record["next_steps"] = " ".join(item.next_steps) or None
        rows.append({name: _typed(name, record.get(name)) for name in COLUMNS})
    return rows


def without_formula(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run.

    Parameters
    ----------
    value
        Cell; numbers pass.

    Examples
    --------
    >>> without_formula("=1+1"), without_formula("a=1"), without_formula(-3)
    ("'=1+1", 'a=1', -3)
    """
    if isinstance(value, str) and value.lstrip(" \u00a0\u202f\ufeff\u200b").startswith(_FORMULA):
        return f"'{value}"
    return value


def reveal(folder: str | Path, pseudonyms: Sequence[str]) -> dict[str, str]:
    """Say what stands behind pseudonyms of a page.

    Parameters
    ----------
    folder
        Of the run; its notebook holds the values and makes the key.
    pseudonyms
        As on the page, such as ``account-3kf9x2qa``.

    Raises
    ------
    ParameterError
        A pseudonym is not one of this run.
    """
    records, run, notebook = _read(Path(folder))
    known = run_mask(notebook, records, run=run).originals
    unknown = [shown for shown in pseudonyms if shown not in known]
    if unknown:
        raise ParameterError(
            f"pseudonyms must be of this run, got {', '.join(unknown)}. "
            "A pseudonym means something in one report only."
        )
    return {shown: known[shown] for shown in pseudonyms}


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``findings.json``."""
    text = (Path(__file__).parent / "findings.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def _published(folder: Path) -> tuple[list[Finding], dict[str, Any]]:
    """Read a run, and keep of its findings what may leave."""
    records, run, notebook = _read(folder)
    findings, _ = publishable(records, run_mask(notebook, records, run=run))
    return findings, run


def _read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], Any]:
    # jsonschema would build grammars of internationalised addresses: two seconds for nothing.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import nbformat

    try:
        records = json.loads((folder / "findings.json").read_text("utf-8"))
        run = json.loads((folder / "run.json").read_text("utf-8"))
        return records, run, nbformat.read(folder / "notebook.ipynb", as_version=4)
    except (OSError, ValueError) as problem:
        raise SourceError(
            f"folder {str(folder)!r} must hold a complete run, but {problem}. "
            "Give the folder of a run whose status is ok."
        ) from None


def _markdown(findings: Sequence[Finding], run: Mapping[str, Any]) -> bytes:
    return charter(findings, run).encode()


def _csv(findings: Sequence[Finding], run: Mapping[str, Any]) -> bytes:
    held = io.StringIO(newline="")
    writer = csv.writer(held)
    writer.writerow(COLUMNS)
    for row in rows_of(findings, run):
        writer.writerow(["" if row[n] is None else without_formula(row[n]) for n in COLUMNS])
    return b"\xef\xbb\xbf" + held.getvalue().encode()  # Excel takes UTF-8 for UTF-8 by this mark


def _parquet(findings: Sequence[Finding], run: Mapping[str, Any]) -> bytes:
    import polars as pl

    types = {
        name: pl.Float64 if name in _NUMBERS else pl.Int64 if name in _COUNTS else pl.String
        for name in COLUMNS
    }
    held = io.BytesIO()
    pl.DataFrame(rows_of(findings, run), schema=types).write_parquet(held)
    return held.getvalue()


def _xlsx(findings: Sequence[Finding], run: Mapping[str, Any]) -> bytes:
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError:
        raise ParameterError(
            "form 'xlsx' needs the package xlsxwriter, which is not installed. "
            "Use: pip install 'rcakit[excel]'."
        ) from None
    held = io.BytesIO()
    book = xlsxwriter.Workbook(
        held,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    sheet = book.add_worksheet("findings")
    head, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True})
    for column, name in enumerate(COLUMNS):
        sheet.write_string(0, column, name, head)
    for line, row in enumerate(rows_of(findings, run), start=1):
        for column, name in enumerate(COLUMNS):
            if isinstance(row[name], int | float):
                sheet.write_number(line, column, row[name])
            elif row[name] is not None:
                sheet.write_string(line, column, without_formula(row[name]), wrapped)
    sheet.freeze_panes(1, 0)
    sheet.set_column(5, 5, 60)
    book.close()
    return held.getvalue()


def _typed(name: str, value: Any) -> Any:
    if value is None or name in _NUMBERS | _COUNTS:
        return value
    return wording.visible(value, longest=_LONGEST_CELL)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    return records_to_markdown([dict(row) for row in rows], list(rows[0])) if rows else ""


def _inert(text: str) -> str:
    """Escape what Markdown would read as markup, and name hidden characters."""
    shown = wording.visible(text, longest=_LONGEST_CELL)
    return "".join(f"\\{c}" if c in r"\`*_[]#<>|~$&!" else c for c in shown)


def _unlinked(markdown: str) -> str:
    """Break addresses, of which many readers of Markdown make links unasked."""
    return re.sub(r"(?<=:)(?=//)|(?<=[wW])(?=\.)|(?=@)", r"\\", markdown)
