"""``pytest --rcakit-playbooks playbooks/``: every playbook over the scenarios that it declares.

A playbook declares them in its metadata, below ``rcakit`` and ``scenarios``::

    {"name": "release bug", "scenario": "app_release_report_bug", "size": "small", "rng": 0,
     "parameters": {"source": "{reports}", "changes": "{change_log}"},
     "status": "ok",
     "must_find": [{"kind": "driver", "segment": {"app_version": "31.2.0"}}],
     "must_not_claim": [{"kind": "matched_change", "change_id": "chg-07"}]}

Each is run on the tables that `rcakit.datasets.make` makes (``{reports}`` is the path of the table
``reports``), or on the defaults where there is no ``scenario``. Nothing of rcakit is imported
until a playbook is collected.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "PlaybookContract",
    "PlaybookFile",
    "PlaybookScenario",
    "pytest_addoption",
    "pytest_collect_file",
]

_KEYS = {
    "name", "scenario", "size", "rng", "parameters", "status", "must_find", "must_not_claim",
    "timeout",
}  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("rcakit", "playbooks")
    group.addoption(
        "--rcakit-playbooks",
        action="store_true",
        help="Run the playbooks among the notebooks over the scenarios that they declare.",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "PlaybookFile | None":
    """Collect notebooks that are playbooks: those with a cell tagged ``parameters``."""
    is_wanted = parent.config.getoption("--rcakit-playbooks")
    if not is_wanted or file_path.suffix != ".ipynb":
        return None
    content = file_path.read_text("utf-8", errors="replace")
    if '"parameters"' not in content:
        return None
    return PlaybookFile.from_parent(parent, path=file_path)


class PlaybookFile(pytest.File):
    """One playbook: its contract, and its scenarios."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return the contract and each scenario; without any, a run with the defaults."""
        yield PlaybookContract.from_parent(self, name="contract")
        try:
            metadata = json.loads(self.path.read_text("utf-8")).get("metadata", {})
        except ValueError:
            return  # the contract says so
        declared = metadata.get("rcakit", {}).get("scenarios") or [{"name": "defaults"}]
        for scenario in declared:
            name = str(scenario.get("name") or scenario.get("scenario"))
            item: PlaybookScenario = PlaybookScenario.from_parent(self, name=name)
            item.declared = scenario
            yield item


class PlaybookContract(pytest.Item):
    """Headings, parameters, thin cells, no outputs."""

    def runtest(self) -> None:
        """Check the contract."""
        from rcakit.testing import check_playbook

        check_playbook(self.path)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Say what is wrong without a traceback through this file."""
        return _told(self, excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where this is."""
        return self.path, None, f"{self.path.name}: {self.name}"


class PlaybookScenario(pytest.Item):
    """One run over made-up data with a known cause."""

    declared: Mapping[str, Any]

    def runtest(self) -> None:
        """Run the playbook; check status, findings and pages."""
        from rcakit import playbook, runner
        from rcakit.testing import check_findings, check_page

        unknown = set(self.declared) - _KEYS
        assert not unknown, f"a scenario has no {sorted(unknown)}; known are {sorted(_KEYS)}"
        with tempfile.TemporaryDirectory(prefix="rcakit-playbook-") as folder:
            done = runner.run(
                playbook.find(str(self.path)),
                self._parameters(Path(folder)),
                out=Path(folder) / "reports",
                timeout=self.declared.get("timeout"),
            )
            wanted = self.declared.get("status", "ok")
            assert done.status == wanted, f"it ended as {done.status}, not {wanted}: {done.error}"
            check_findings(
                done.findings,
                must_find=self.declared.get("must_find", ()),
                must_not_claim=self.declared.get("must_not_claim", ()),
            )
            for page in sorted(done.folder.glob("*.html")):
                check_page(page)

    def _parameters(self, folder: Path) -> dict[str, Any]:
        """Return the parameters, with the paths of the scenario's tables filled in."""
        given = dict(self.declared.get("parameters", {}))
        if "scenario" not in self.declared:
            return given
        from rcakit import datasets

        made = datasets.make(
            self.declared["scenario"],
            size=self.declared.get("size", "small"),
            rng=self.declared.get("rng", 0),
        )
        paths = {name: folder / f"{name}.parquet" for name in made.tables}
        for name, table in made.tables.items():
            table.write_parquet(paths[name])
        tables = {f"{{{name}}}": str(path) for name, path in paths.items()}
        return {
            name: tables.get(value, value) if isinstance(value, str) else value
            for name, value in given.items()
        }

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Say what is wrong without a traceback through this file."""
        return _told(self, excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where this is."""
        return self.path, None, f"{self.path.name}: {self.name}"


def _told(item: pytest.Item, excinfo: Any, style: Any) -> Any:
    from rcakit.errors import RcaError

    if isinstance(excinfo.value, AssertionError | RcaError):
        return f"{item.path.name}, {item.name}: {excinfo.value}"
    return pytest.Item.repr_failure(item, excinfo, style)
