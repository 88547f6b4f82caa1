"""Does the wheel hold all that a stranger needs, in an empty folder of another machine?"""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_wheel_holds_everything_needed(wheel):
    """Playbooks, samples, templates and the licence ship; tests and locks do not."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "rcakit/playbooks/metric_spike.ipynb" in names
    assert "rcakit/data_samples/truth.json" in names
    assert "rcakit/report/templates/page.html.j2" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "requirements", ".ci")) for name in names)


def test_wheel_runs_demo_elsewhere(wheel, tmp_path):
    """Installed without its source, it runs the sample investigation from an empty folder."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies are those of this environment; its own rcakit comes after the unpacked one.
    (site / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    # Templates of nbconvert lie in the data folder of an environment.
    kept["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    command = [home / "bin" / "python", "-m", "rcakit", "demo"]
    done = subprocess.run(command, cwd=empty, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = empty / done.stdout.splitlines()[-1]
    assert report.stat().st_size > 100_000
    assert "31.2.0" in done.stdout
    origin = subprocess.run(
        [home / "bin" / "python", "-c", "import rcakit; print(rcakit.__file__)"],
        cwd=empty, env=kept, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(origin.stdout.strip()).is_relative_to(site)
