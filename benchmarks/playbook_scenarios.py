"""Every shipped playbook over the scenarios that it declares, through the pytest plugin that ships.

Run with ``python -m benchmarks.playbook_scenarios [PLAYBOOK …]``; it writes
benchmarks/results/playbook_scenarios.md, and fails when a playbook does.
"""

import sys
from pathlib import Path

import pytest

from benchmarks import table

ROOT = Path(__file__).parents[1]


class Observer:
    """Keeps what pytest says of each scenario."""

    def __init__(self):
        self.rows = []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item):
        outcome = yield
        told = outcome.get_result()
        if told.when != "call":
            return
        declared = getattr(item, "declared", {})
        wanted = declared.get("must_find", ())
        verdict = next((f["verdict"] for f in wanted if f.get("kind") == "verdict"), "")
        self.rows.append({
            "playbook and scenario": f"{item.path.stem}: {item.name}",
            "must end as": declared.get("status", "ok") if declared else "",
            "must say": verdict, "must find": len(wanted) or "",
            "must not claim": len(declared.get("must_not_claim", ())) or "",
            "outcome": told.outcome, "seconds": f"{told.duration:.0f}",
        })  # fmt: skip


def main(names):
    paths = [ROOT / "playbooks" / f"{name}.ipynb" for name in names] or [ROOT / "playbooks"]
    seen = Observer()
    words = ["--rcakit-playbooks", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    code = pytest.main([*words, *map(str, paths)], plugins=[seen])
    table.publish(
        "playbook_scenarios",
        title="Playbooks over their scenarios",
        notes=(
            "The contract of each playbook, then each scenario of its metadata on made-up data with a known cause: status, findings that must be there "
            "and that must not, no address on the pages, a content security policy."
        ),
        rows=iter(seen.rows),
        keep=bool(names),
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
