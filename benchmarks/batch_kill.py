"""A batch of 200 runs with ``kill -9`` in the middle: is every run in the ledger exactly once?

Run with ``python -m benchmarks.batch_kill``; it writes benchmarks/results/batch_kill.md.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat

from rcakit.ledger import open_ledger

RUNS = 200
RESULTS = Path(__file__).parent / "results"


def write_batch(folder):
    """Write a playbook that does nearly nothing, and the batch over it."""
    notebook = nbformat.v4.new_notebook()
    parameters = nbformat.v4.new_code_cell("i: int = 0  # number of the run")
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells = [parameters, nbformat.v4.new_code_cell("done = i")]
    nbformat.write(notebook, folder / "empty.ipynb")
    file = folder / "batch.toml"
    file.write_text(
        f'max_parallel = 3\n[[runs]]\nplaybook = "{folder / "empty.ipynb"}"\n'
        f"[runs.grid]\ni = {list(range(RUNS))}\n"
    )
    return file


def kernels(tag):
    """Return the kernels of this benchmark that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_kernel = b"ipykernel" in (entry / "cmdline").read_bytes()
            if is_kernel and tag.encode() in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def rows_of(out):
    with open_ledger(out, create=False) as ledger:
        return ledger.runs()


def main():
    """Run, kill, look, run again, look."""
    base = Path(tempfile.mkdtemp(prefix="rcakit-batch-"))
    file, out, sockets = write_batch(base), base / "reports", base / "tmp"
    sockets.mkdir()
    tag = f"RCAKIT_BATCH_TRIAL={base.name}"
    env = {**os.environ, "RCAKIT_BATCH_TRIAL": base.name, "TMPDIR": str(sockets)}
    command = [sys.executable, "-m", "rcakit", "batch", str(file), "--out", str(out)]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and sum(r["status"] == "ok" for r in rows_of(out)) < RUNS // 2:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cut = Counter(row["status"] for row in rows_of(out))
    done = {row["run_id"]: row["started_at"] for row in rows_of(out) if row["status"] == "ok"}
    visible = [p for p in (out / "empty").glob("[!.]*") if not (p / "report.html").exists()]
    time.sleep(3)
    orphans = kernels(tag)
    again = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    time.sleep(3)
    rows = rows_of(out)
    repeated = sum(done.get(r["run_id"], r["started_at"]) != r["started_at"] for r in rows)
    lines = [
        "# A batch that is killed",
        "",
        f"A batch of {RUNS} runs, `kill -9` after half of them, and the same command again.",
        "By `python -m benchmarks.batch_kill`.",
        "",
        "| what | found | must be |",
        "|---|---|---|",
        f"| runs in the ledger when it was killed | {dict(cut)} | |",
        f"| half reports in sight after the kill | {len(visible)} | 0 |",
        f"| kernels alive 3 s after the kill | {len(orphans)} | 0 |",
        f"| exit code of the second command | {again.returncode} | 0 |",
        f"| it says | {again.stdout.strip()} | |",
        f"| rows in the ledger | {len(rows)} | {RUNS} |",
        f"| different runs among them | {len({r['parameters']['i'] for r in rows})} | {RUNS} |",
        f"| statuses | {dict(Counter(r['status'] for r in rows))} | all ok |",
        f"| runs done before the kill that were repeated | {repeated} | 0 |",
        f"| complete reports on disk | {len([*out.glob('empty/*/report.html')])} | {RUNS} |",
        f"| hidden or temporary files below the reports | {len(hidden(out))} | 0 |",
        f"| temporary files elsewhere | {len([*sockets.iterdir()])} | 0 |",
        f"| kernels alive 3 s after the end | {len(kernels(tag))} | 0 |",
    ]
    text = "\n".join(lines) + "\n"
    (RESULTS / "batch_kill.md").write_text(text)
    print(text)
    shutil.rmtree(base, ignore_errors=True)


def hidden(out):
    """Return what lies below the reports and is no part of a complete run."""
    known = {"ledger.sqlite", "failed"}
    top = [p for p in out.iterdir() if p.name not in known and p.name != "empty"]
    return top + [p for p in out.rglob(".*") if p.is_file() or p.suffix == ".part"]


if __name__ == "__main__":
    main()
