"""Fixtures that many tests share."""

import os
import shutil
from pathlib import Path

import pytest

from rcakit import playbook, runner, testing

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("RCAKIT_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(params=testing.ENGINES)
def hold(request: pytest.FixtureRequest):
    """Return a function that puts rows into the engine under test."""
    return lambda table: testing.in_engine(request.param, table)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of open development data, or skip."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"open development data are not here ({folder.name} beside the repository)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium, or skip."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> runner.Run:
    """Run the sample investigation once."""
    folder = "data_samples/app_release_report_bug"
    return runner.run(
        playbook.find("metric_spike"),
        {"source": f"{folder}/reports.parquet", "changes": f"{folder}/change_log.csv"},
        out=tmp_path_factory.mktemp("reports"),
    )
