"""Helpers for people who add analyses, sources and playbooks: the contracts, ready to call.

Each ``check_…`` raises ``AssertionError`` with the reason, so that it can stand in any test.
"""

import dataclasses
import json
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit.findings import Finding
from rcakit.results import Result

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ENGINES",
    "NBVAL_SANITISER",
    "assert_finds",
    "check_finding",
    "check_findings",
    "check_page",
    "check_playbook",
    "check_result",
    "in_engine",
]

# Every kind of table that an analysis must accept, by name.
ENGINES = ("polars", "lazy", "pandas", "pandas-pyarrow", "pyarrow", "duckdb")

# For `pytest --nbval --nbval-sanitize-with PATH`: what differs from run to run for no reason.
NBVAL_SANITISER = Path(__file__).with_name("nbval_sanitiser.cfg")

# What would make a browser ask another machine for something.
_LOADS = re.compile(
    r"""(?:\s(?:src|href|srcset|action|formaction|poster|data|background|xlink:href)\s*=
        \s*["']?\s*(?:https?:)?//[^\s"'>]*)
      | url\(\s*["']?\s*(?:https?:)?//[^\s"')]*
      | @import\b[^;]{0,80}""",
    re.IGNORECASE | re.VERBOSE,
)


def in_engine(name: str, table: "pl.DataFrame") -> Any:
    """Hold the rows of a polars frame in another library.

    Parameters
    ----------
    name
        One of `ENGINES`.
    table
        The rows.
    """
    if name == "lazy":
        return table.lazy()
    if name == "pandas":
        return table.to_pandas()
    if name == "pandas-pyarrow":
        return table.to_pandas(use_pyarrow_extension_array=True)
    if name == "pyarrow":
        return table.to_arrow()
    if name == "duckdb":
        import duckdb

        return duckdb.connect().from_arrow(table.to_arrow())
    return table


def check_result(result: Result) -> None:
    """Check what every result promises: frozen, picklable, its tables, its words, its findings."""
    assert dataclasses.is_dataclass(type(result)), "a result is a dataclass"
    assert not hasattr(result, "__dict__"), "a result has slots"
    parameters = getattr(result, "__dataclass_params__", None)
    assert getattr(parameters, "frozen", False), "a result is frozen"
    for name, columns in result.tables.items():
        rows = result.to_records(name)
        for row in rows:
            missing = set(columns) - set(row)
            assert not missing, f"table {name} lacks {sorted(missing)}"
        frame = result.to_frame(name)
        assert len(frame) == len(rows), f"table {name} has {len(frame)} rows, not {len(rows)}"
        assert result.to_markdown(name).count("\n") == len(rows) + 1, "one line of Markdown per row"
    json.loads(result.to_json())
    bundle = result._repr_mimebundle_()
    assert "<script" not in bundle["text/html"], "text from the data is inert"
    assert str(result).startswith(result.reading()), "the reading comes first"
    for finding in result.findings():
        check_finding(finding)
    assert str(pickle.loads(pickle.dumps(result))) == str(result), "a result survives pickling"  # noqa: S301


def check_finding(finding: Finding) -> None:
    """Check that a finding is a sentence with a number, and survives being written down."""
    record = json.loads(json.dumps(finding.to_record(), allow_nan=False))
    again = Finding.from_record(record)
    assert again.to_record() == finding.to_record(), "a finding survives being written down"
    assert finding.claim[:1].strip(), "a claim begins with a word"
    assert finding.claim.rstrip().endswith((".", "…")), f"a claim is a sentence: {finding.claim}"
    if finding.withheld_because is None:
        assert finding.ci_lower <= finding.estimate <= finding.ci_upper, (
            f"the estimate lies outside its interval: {finding.claim}"
        )


def check_playbook(path: str | Path) -> None:
    """Check that a notebook keeps the contract of playbooks."""
    from rcakit.playbook import Playbook, problems

    found = problems(Playbook(Path(path)))
    assert not found, "\n".join(found)


def assert_finds(
    findings: Iterable[dict[str, Any]],
    *,
    verdict: str | None = None,
    segments: Sequence[dict[str, Any]] = (),
    changes: Sequence[str] = (),
    never: Sequence[str] = (),
) -> None:
    """Check that published findings name what they must, and do not claim what they must not.

    Parameters
    ----------
    findings
        Records, as in ``findings.json``.
    verdict
        The verdict expected.
    segments
        Segments of which one must be the first driver.
    changes
        Ids that must be matched.
    never
        Ids that must not be matched.
    """
    records = list(findings)
    given = [record["verdict"] for record in records if record["kind"] == "verdict"]
    assert verdict is None or given == [verdict], f"the verdict is {given}, not {verdict}"
    drivers = [record["segment"] for record in records if record["kind"] == "driver"]
    assert not segments or drivers[0] in segments, f"the first driver is {drivers[:1]}"
    matched = {record["change_id"] for record in records if record["kind"] == "matched_change"}
    assert set(changes) <= matched, f"matched are {matched}, not {set(changes)}"
    assert not matched & set(never), f"{matched & set(never)} must not be matched"


def check_findings(
    findings: Iterable[Mapping[str, Any]],
    *,
    must_find: Iterable[Mapping[str, Any]] = (),
    must_not_claim: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Check findings against patterns: what must be among them, and what must not.

    Parameters
    ----------
    findings
        Records, as in ``findings.json``.
    must_find, must_not_claim
        Patterns. A finding matches when each field of the pattern agrees: ``claim`` is searched as
        a regular expression, ``segment`` and ``evidence`` must hold the given entries, a list
        means one of its values, anything else must be equal.
    """
    records = list(findings)
    told = "\n".join(f"  {record['kind']}: {record['claim']}" for record in records) or "  nothing"
    for pattern in must_find:
        assert any(_matches(record, pattern) for record in records), (
            f"nothing was found like {dict(pattern)}. Found:\n{told}"
        )
    for pattern in must_not_claim:
        claims = [record["claim"] for record in records if _matches(record, pattern)]
        assert not claims, f"{dict(pattern)} must not be claimed, but was: {claims[0]}"


def check_page(path: str | Path) -> None:
    """Check that a page has a content security policy and loads nothing from elsewhere."""
    text = Path(path).read_text("utf-8")
    policy = re.search(r"<meta[^>]*Content-Security-Policy[^>]*>", text, re.IGNORECASE)
    assert policy, f"{Path(path).name} has no content security policy"
    assert "default-src 'none'" in policy[0].replace("&#39;", "'"), (
        f"the policy of {Path(path).name} allows what it does not name: {policy[0]}"
    )
    loads = _LOADS.search(text)
    assert loads is None, f"{Path(path).name} loads from elsewhere: {loads[0].strip()[:200]}"


def _matches(record: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    return all(_agrees(name, record.get(name), wanted) for name, wanted in pattern.items())


def _agrees(name: str, value: Any, wanted: Any) -> bool:
    if name == "claim":
        return re.search(wanted, str(value)) is not None
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and value[key] == item for key, item in wanted.items()
        )
    return value in wanted if isinstance(wanted, list) else value == wanted
