"""The gallery: one static page over all runs, with search, filters, last states and the history of findings.

It opens from a file share: no server, no database, nothing loaded. The rows travel as inert JSON
and are written by the page's one script, as text.
"""

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rcakit import wording
from rcakit.findings import SMALLEST_CELL, Finding
from rcakit.report.answer import compose
from rcakit.report.figures import inert_json
from rcakit.report.page import render
from rcakit.report.privacy import Mask, role_of

__all__ = ["by_run", "gallery", "read_runs", "with_personal", "write_gallery"]

_TOLD = frozenset({"driver", "effect", "difference", "concentration", "measurement", "verdict"})
_LONGEST_ANSWER = 240
_MOST_STORIES = 2000
_SHOWN_STATIC = 25


def gallery(
    runs: Iterable[Mapping[str, Any]],
    findings: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> str:
    """Make the page over all runs.

    Parameters
    ----------
    runs
        Rows with ``run_id``, ``playbook``, ``status``, ``started_at``, ``seconds``, ``parameters``
        (mapping or JSON), ``verdict``, ``strength``, ``answer``, ``path`` (of the folder, relative
        to the gallery), ``error`` and ``personal`` (what the data said of ids and teams); what is
        unknown may be missing or None.
    findings
        For each run its findings: rows with ``kind``, ``claim``, ``estimate``, ``ci_lower``,
        ``ci_upper``, ``unit``, ``n_obs``, ``strength`` and ``segment``.

    Returns
    -------
    str
        A complete HTML document that loads nothing.

    Notes
    -----
    Ids and content are masked by a key of this page alone, so that it cannot be linked to a
    report; findings about single reviewers or on fewer than 10 cases are left out.
    """
    ordered = sorted(runs, key=lambda run: str(run.get("started_at") or ""), reverse=True)
    mask = _mask(ordered, findings or {})
    rows = [_row(run, mask) for run in ordered]
    stories = _stories(ordered, findings or {}, mask)
    return render(
        "gallery.html.j2",
        script="gallery.js",
        style=("page.css", "gallery.css"),
        rows=inert_json({"runs": rows, "findings": stories}),
        states=_states(ordered, rows),
        playbooks=sorted({row["p"] for row in rows}),
        statuses=sorted({row["s"] for row in rows}),
        n_runs=len(rows),
        n_findings=len(stories),
        newest=rows[:_SHOWN_STATIC],
    )


def write_gallery(out: str | Path, page: str) -> Path:
    """Write the page to ``index.html`` in one step, so that readers never see half of it.

    Parameters
    ----------
    out
        Folder of the reports.
    page
        What `gallery` made.
    """
    target = Path(out) / "index.html"
    part = target.with_name(".index.html.part")
    part.write_text(page, encoding="utf-8")
    part.replace(target)
    return target


def by_run(findings: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Sort the findings of a ledger by their run.

    Parameters
    ----------
    findings
        Rows with ``run_id``.
    """
    told: dict[str, list[Mapping[str, Any]]] = {}
    for row in findings:
        told.setdefault(str(row["run_id"]), []).append(row)
    return told


def read_runs(
    out: str | Path,
) -> tuple[list[dict[str, Any]], dict[str, list[Mapping[str, Any]]]]:
    """Read runs and findings from the folders of a share that has no ledger.

    Parameters
    ----------
    out
        Folder of the reports.
    """
    runs: list[dict[str, Any]] = []
    findings: dict[str, list[Mapping[str, Any]]] = {}
    for file in sorted(Path(out).glob("**/run.json")):
        record = _read_json(file)
        if not isinstance(record, dict) or "run_id" not in record:
            continue
        found = _read_json(file.with_name("findings.json")) or []
        verdict: Mapping[str, Any] = next((item for item in found if item["kind"] == "verdict"), {})
        answer = compose([Finding.from_record(item) for item in found]) if found else None
        runs.append(
            {
                **record,
                "seconds": _seconds(record),
                "verdict": verdict.get("verdict"),
                "strength": verdict.get("strength"),
                "answer": answer.sentences[0] if answer else None,
                "path": file.parent.relative_to(out).as_posix(),
            }
        )
        findings[record["run_id"]] = found
    return runs, findings


def _mask(
    runs: Sequence[Mapping[str, Any]], findings: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Mask:
    mask = Mask(secrets.token_bytes(16))
    for items in findings.values():
        for item in items:
            mask.read(_decoded(item.get("segment")) or {})
    for run in runs:
        mask.read(_decoded(run.get("parameters")) or {})
        mask.take(run.get("personal") or {})
    return mask


def with_personal(runs: Iterable[Mapping[str, Any]], out: str | Path) -> list[dict[str, Any]]:
    """Add to rows of a ledger what the data said of ids and teams, from the folders of the runs.

    Parameters
    ----------
    runs
        Rows with ``path`` and ``status``.
    out
        Folder of the reports.
    """
    told = []
    for run in runs:
        is_kept = run.get("status") == "ok" and run.get("path")
        record = _read_json(Path(out) / str(run["path"]) / "run.json") if is_kept else None
        told.append({**run, "personal": (record or {}).get("personal")})
    return told


def _row(run: Mapping[str, Any], mask: Mask) -> dict[str, Any]:
    """Return what the list shows of a run, under short names: there may be thousands."""
    said = str(run.get("answer") or _reason(run)).partition("\n")[0]
    status = _said(run.get("status"), mask)
    path = str(run.get("path") or "")
    return {
        "r": _said(run["run_id"], mask),
        "p": _said(run.get("playbook"), mask),
        "s": status,
        "t": str(run.get("started_at") or "")[:19],
        "d": round(float(run.get("seconds") or 0), 1),
        "g": _said(run.get("strength") or "", mask),
        "v": _said(run.get("verdict") or "", mask),
        "a": _said(said, mask, longest=_LONGEST_ANSWER),
        "q": _asked(run, mask),
        "u": f"{path}/report.html" if status == "ok" and _is_inside(path) else "",
    }


def _asked(run: Mapping[str, Any], mask: Mask) -> str:
    """Say the parameters that were set, shortly."""
    given = _decoded(run.get("parameters"))
    if not isinstance(given, Mapping):
        return ""
    pairs = [f"{name} = {value}" for name, value in given.items() if value not in (None, "", [])]
    return _said(mask.text(", ".join(pairs)), mask, longest=200)


def _stories(
    runs: Sequence[Mapping[str, Any]],
    findings: Mapping[str, Sequence[Mapping[str, Any]]],
    mask: Mask,
) -> list[dict[str, Any]]:
    """Follow each finding through the runs: when it was first and last made, and how large."""
    told: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run in reversed(runs):  # oldest first
        for item in findings.get(str(run["run_id"]), ()):
            if item.get("kind") not in _TOLD or not _is_publishable(item, mask):
                continue
            segment = _decoded(item.get("segment")) or {}
            what = wording.segment(segment) if segment else str(item.get("unit") or "")
            key = (str(run.get("playbook")), str(item["kind"]), what)
            story = told.setdefault(
                key,
                {
                    "p": _said(key[0], mask),
                    "k": _said(key[1], mask),
                    "w": _said(mask.text(what), mask, longest=160),
                    "f": str(run.get("started_at") or "")[:10],
                    "n": 0,
                    "e": [],
                },
            )
            story["n"] += 1
            story["l"] = str(run.get("started_at") or "")[:10]
            story["g"] = _said(item.get("strength") or "", mask)
            story["c"] = _said(item.get("claim") or "", mask, longest=_LONGEST_ANSWER)
            if isinstance(item.get("estimate"), int | float):
                story["e"] = [*story["e"][-19:], float(f"{item['estimate']:.4g}")]
    ranked = sorted(told.values(), key=lambda story: (story["l"], story["n"]), reverse=True)
    return ranked[:_MOST_STORIES]


def _is_publishable(item: Mapping[str, Any], mask: Mask) -> bool:
    segment = _decoded(item.get("segment")) or {}
    is_few = bool(segment) and 0 < int(item.get("n_obs") or 0) < SMALLEST_CELL
    is_few |= any(mask.is_small_team(*pair) for pair in segment.items())
    return not is_few and not any(role_of(name) == "reviewer" for name in segment)


def _reason(run: Mapping[str, Any]) -> str:
    """Say why a run failed; what a library said of its data may name somebody, and stays inside."""
    error = str(run.get("error") or "")
    what, separator, _ = error.partition(": ")
    is_foreign = error.startswith(("a cell raised ", "the report could not be made"))
    return f"{what}: see its notebook" if separator and is_foreign else error


def _states(
    runs: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the newest run of each playbook, with how the last runs ended."""
    states: dict[str, dict[str, Any]] = {}
    for row in rows:
        state = states.setdefault(row["p"], {**row, "n": 0, "ended": []})
        state["n"] += 1
        if len(state["ended"]) < 20:
            state["ended"].append(row["s"])
    del runs
    return [states[name] for name in sorted(states)]


def _said(value: Any, mask: Mask, *, longest: int = 120) -> str:
    return wording.visible("" if value is None else mask.text(str(value)), longest=longest)


def _is_inside(path: str) -> bool:
    """Tell whether a path leads to a folder below the gallery, and nowhere else."""
    parts = path.split("/")
    plain = all(part and part not in {".", ".."} for part in parts)
    return plain and not any(sign in path for sign in ':\\?#%"<>&')


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _seconds(record: Mapping[str, Any]) -> float | None:
    try:
        ended = dt.datetime.fromisoformat(record["finished_at"])
        return (ended - dt.datetime.fromisoformat(record["started_at"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
