"""What does a run cost beyond papermill? CPU medians on a playbook that does nothing.

Run with ``python -m benchmarks.overhead``: it makes two environments with uv from the lock files,
the second with jupyterlab too, compiled as ``make`` does; ``python -m benchmarks.overhead LEAN FULL``
takes two that exist. It writes benchmarks/results/overhead.md.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

RUNS = 5
ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


def made(base):
    """Make the lean and the full environment from the lock files; return their folders."""
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet"]
    locks = {"lean": ["requirements.lock"], "full": ["requirements.lock", "requirements-dev.lock"]}
    for name, files in locks.items():
        folder = base / name
        subprocess.run([uv[0], "venv", "--quiet", folder], check=True)
        into = ["--python", folder / "bin" / "python"]
        for file in files:
            words = ["--compile-bytecode", "--require-hashes", "-r", ROOT / file]
            subprocess.run([*uv, *into, *words], check=True)
        subprocess.run([*uv, *into, "--compile-bytecode", "--no-deps", ROOT], check=True)
    return [base / name for name in locks]


def write_book(folder):
    notebook = nbformat.v4.new_notebook()
    parameters = nbformat.v4.new_code_cell("i: int = 0  # nothing")
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells = [parameters]
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python",
        "language": "python",
    }
    nbformat.write(notebook, folder / "empty.ipynb")
    return folder / "empty.ipynb"


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(environment, book, folder):
    """Return the CPU median of each command; they take turns, so that a busy moment hits both."""
    programs = Path(environment) / "bin"
    commands = {
        "rcakit": [programs / "rcakit", "run", book, "--force", "--out", folder / "reports"],
        "papermill": [programs / "papermill", book, folder / "out.ipynb"],
    }
    times = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command))
    return {name: statistics.median(values) for name, values in times.items()}


def main(environments):
    lines = [
        "# Overhead",
        "",
        f"CPU seconds of whole process trees, median of {RUNS} runs in turn on an empty playbook.",
        "By `python -m benchmarks.overhead`.",
        "",
        "| environment | rcakit run | papermill | ratio | bar |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as base:
        book = write_book(Path(base))
        environments = environments or made(Path(base))
        for name, bar, environment in zip(
            ("lean", "with jupyterlab"), (1.2, 0.6), environments, strict=True
        ):
            found = measure(environment, book, Path(base))
            ratio = found["rcakit"] / found["papermill"]
            told = f"| {name} | {found['rcakit']:.2f} s | {found['papermill']:.2f} s | {ratio:.2f} | ≤ {bar} |"
            lines.append(told)
    text = "\n".join(lines) + "\n"
    (RESULTS / "overhead.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
