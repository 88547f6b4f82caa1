"""Tell people that a run failed, or found something new; without a word from the data.

Addresses are those of apprise (Slack, mail, webhooks and a hundred others), kept as the secret
``RCAKIT_NOTIFY``, apart by spaces or lines.
"""

import datetime as dt
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcakit.errors import PlaybookError
from rcakit.ledger import Ledger, open_ledger
from rcakit.redaction import secret
from rcakit.runner.comparison import compare_findings
from rcakit.runner.single import Run
from rcakit.validation import check_choice

__all__ = ["ADDRESSES", "Notice", "notice", "notify"]

ADDRESSES = "RCAKIT_NOTIFY"

_LEVELS = ("weak", "moderate", "strong")
_OCCASIONS = ("failure", *_LEVELS)
# Not news by themselves: what was set aside, and what is wrong with the data every day.
_QUIET_KINDS = {"ruled_out", "data_quality"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Notice:
    """What is sent: a title and a few lines."""

    title: str
    body: str


def notify(run: Run, *, out: str | Path = "reports", on: str = "strong") -> bool:
    """Send a note about a run, if there is an occasion.

    Parameters
    ----------
    run
        What `run` returned.
    out
        Folder of the reports, with the ledger.
    on
        ``failure``, or the least strength of a new finding: ``strong``, ``moderate``, ``weak``;
        failures are always told. New is what the newest complete run before it, of the same
        playbook and with the same parameters apart from dates, did not find or found elsewhere.

    Returns
    -------
    bool
        Whether a note was sent.

    Raises
    ------
    PlaybookError
        The note could not be sent, or apprise is not installed.
    """
    check_choice(on, "on", _OCCASIONS)
    with open_ledger(out, create=False) as ledger:
        found = notice(run, ledger, on=on)
    if found is None:
        return False
    _send(found, secret(ADDRESSES).split())
    return True


def notice(run: Run, ledger: Ledger, *, on: str) -> Notice | None:
    """Write the note about a run, or None where there is no occasion.

    Claims are not in it, for they may name segments, accounts or files; the report has them.
    """
    title = run.playbook.replace("_", " ").capitalize()
    if run.status != "ok":
        body = f"The run ended as {run.status}. What it left lies in {_place(run)}."
        return Notice(f"{title}: {run.status}", body)
    if on == "failure":
        return None
    before = _before(ledger, run)
    new = _new(ledger.findings(before["run_id"]) if before else [], run.findings, on)
    if not new:
        return None
    counts = Counter(f"{item['strength']} {item['kind'].replace('_', ' ')}" for item in new)
    told = ", ".join(f"{number} × {what}" for what, number in counts.items())
    since = f" since the run of {_day(before['started_at'])}" if before else ""
    sure = run.answer.confidence
    body = f"New{since}: {told}.\n{sure}.\nReport: {_place(run)}/report.html"
    return Notice(f"{title}: {len(new)} new", body)


def _new(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], least: str
) -> list[Mapping[str, Any]]:
    """Return what is new or moved, and at least so strong."""
    told = compare_findings([item["record"] for item in before], after)
    wanted = _LEVELS[_LEVELS.index(least) :]
    return [
        item
        for item in (*told.new, *(pair.after for pair in told.moved))
        if item.get("strength") in wanted and item["kind"] not in _QUIET_KINDS
    ]


def _before(ledger: Ledger, run: Run) -> dict[str, Any] | None:
    """Return the newest complete run before this one that asked the same of another day."""
    rows = ledger.runs(playbook=run.playbook, status="ok")
    asked = next((_asked(row) for row in rows if row["run_id"] == run.run_id), None)
    earlier = (row for row in rows if row["run_id"] < run.run_id)
    return next((row for row in earlier if _asked(row) == asked), None)


def _asked(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a run with every date made the same."""
    return {name: _DATE.sub("date", str(value)) for name, value in row["parameters"].items()}


def _place(run: Run) -> str:
    """Return where a run lies, from the folder of the reports on."""
    parts = run.folder.parts
    return "/".join(parts[-3:] if "failed" in parts[-3:] else parts[-2:])


def _day(started_at: str) -> str:
    return f"{dt.datetime.fromisoformat(started_at):%d %B %Y}"


def _send(found: Notice, addresses: Sequence[str]) -> None:
    try:
        import apprise
    except ImportError:
        raise PlaybookError(
            "notes are sent by apprise, which is not installed. "
            "Install it with: pip install 'rcakit[notify]'."
        ) from None
    post = apprise.Apprise()
    with warnings.catch_warnings():  # of what apprise itself imports
        warnings.simplefilter("ignore", DeprecationWarning)
        added = [post.add(address) for address in addresses]
    for is_understood in added:
        if not is_understood:
            raise PlaybookError(
                f"an address in {ADDRESSES} must be one of apprise, such as "
                "slack://… or mailto://…; one is not understood."
            )
    if not post.notify(title=found.title, body=found.body):
        raise PlaybookError(f"an address in {ADDRESSES} did not take the note.")
