"""What is left after each fault, many times over: rcakit's runner, and papermill alone beside it.

Run with ``python -m benchmarks.faults``; it needs Linux, and root for the faults of memory (a memory
cgroup) and of the full disk (a small tmpfs). Each trial is a process of its own, forked from one
that has everything imported. Trials are kept in benchmarks/results/faults.jsonl with a hash of the
runner's source, and the table in benchmarks/results/faults.md is made from those of the present
source. The same command takes up what was cut off; ``python -m benchmarks.faults kill disk`` makes
the trials of these faults alone.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat

import rcakit

TRIALS = 20
LANES = 2
RESULTS = Path(__file__).parent / "results"
MEMORY = Path("/sys/fs/cgroup/memory")
NOTES = """Each fault injected into `rcakit run` and, apart, into papermill's command line, by
`python -m benchmarks.faults`. *False*: a wrong exit code or status, a half report in sight, or a ledger
that does not list the complete reports exactly. *Lost*: a report that was there before and is not as it
was, or no partial notebook kept. After `kill -9` of the runner the next run mends; at a random moment it
may hit before the run has begun or after it is complete."""
CELL = """
import os, signal, time
if fault != "none":
    open(marker, "w").close()
if fault == "error":
    raise ValueError("no")
if fault == "endless":
    while True:
        pass
if fault == "kernel":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "leave":
    raise SystemExit
if fault == "memory":
    kept = [b"x" * 50_000_000 for _ in range(60)]
if fault == "disk":
    print("x" * 4_000_000)
if fault in ("interrupt", "terminate", "kill", "file"):
    time.sleep(600)
if fault == "moment":
    time.sleep(0.5)
"""
# Fault: what rcakit must say (exit code, status in the ledger).
FAULTS = {
    "error": ("a cell raises", 1, "failed"),
    "leave": ("a cell leaves by `sys.exit()`", 1, "failed"),
    "endless": ("a cell never ends (deadline 3 s)", 3, "timeout"),
    "kernel": ("kernel killed by `kill -9`", 4, "killed"),
    "memory": ("kernel out of memory (cgroup)", 4, "killed"),
    "interrupt": ("SIGINT to the runner", 130, "cancelled"),
    "terminate": ("SIGTERM to the runner", 130, "cancelled"),
    "kill": ("runner killed by `kill -9`", -9, "killed"),
    "moment": ("`kill -9` at a random moment of a good run", None, None),
    "disk": ("disk full", 1, "failed"),
}
SIGNALS = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}


def book(folder):
    """Write the playbook that has any of the faults."""
    notebook = nbformat.v4.new_notebook()
    parameters = nbformat.v4.new_code_cell(
        'fault: str = "none"  # which\nmarker: str = ""  # file that says that the cell runs'
    )
    parameters.metadata["tags"] = ["parameters"]
    code = nbformat.v4.new_code_cell
    notebook.cells = [parameters, code(CELL.strip()), code("done = True")]
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python",
        "language": "python",
    }
    path = folder / "fault.ipynb"
    nbformat.write(notebook, path)
    return path


def start(call, tag, *, cgroup=None):
    """Fork a process that calls a command line, with its output in a file."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.environ["RCAKIT_TRIAL"] = str(tag)
        if cgroup is not None:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        told = os.open(f"{tag}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            call()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(bool(left.code))
        except BaseException as raised:  # noqa: BLE001 - what an interpreter would do
            print(f"{type(raised).__name__}: {raised}"[:2000])
            code = 130 if isinstance(raised, KeyboardInterrupt) else 1
        sys.stdout.flush()
    finally:
        os._exit(code)


def ended(pid, seconds=120):
    """Wait for a process and return its exit code, negative for a signal."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


def kernels_of(tag):
    """Count the kernels of a trial that still run after five seconds."""
    needle = f"RCAKIT_TRIAL={tag}".encode() + b"\0"
    for _ in range(50):
        left = 0
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_kernel = b"ipykernel" in (entry / "cmdline").read_bytes()
                left += is_kernel and needle in (entry / "environ").read_bytes()
            except OSError:
                continue
        if not left:
            return 0
        time.sleep(0.1)
    return left


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def inject(fault, pid, marker, rng):
    """Send what the fault is about, when its cell is at work."""
    if fault == "moment":
        time.sleep(rng.uniform(0, 6))
        os.kill(pid, signal.SIGKILL)
    elif fault in SIGNALS:
        deadline = time.monotonic() + 60
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(pid, SIGNALS[fault])


def limited(folder, fault):
    """Make the small disk or the small memory of a trial; return the memory's group."""
    if fault == "disk":
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    if fault == "memory":
        group = MEMORY / f"rcakit-{os.getpid()}"
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(900 * 2**20))
        return group
    return None


def rcakit_trial(fault, path, prior, home, rng):
    """One trial of rcakit; return what was left."""
    from rcakit import cli

    out, marker, tag = home / "out", home / "busy", home / "rcakit"
    group = limited(out, fault)
    shutil.copytree(prior, out, dirs_exist_ok=True)
    before = hashes(out / "fault")
    words = ["run", str(path), "--force", "--out", str(out), "-p", f"marker={marker}"]
    words += ["-p", f"fault={fault}"] + (["--timeout", "3"] if fault == "endless" else [])
    pid = start(lambda: cli.main(words), tag, cgroup=group)
    inject(fault, pid, marker, rng)
    code = ended(pid)
    half = 0
    kernels = kernels_of(tag)
    if fault in {"kill", "moment"}:  # the next run mends
        half += sum(is_half(folder) for folder in (out / "fault").glob("[!.]*"))
        ended(start(lambda: cli.main(["run", str(path), "--force", "--out", str(out), "-p", "fault=error",
                                      "-p", f"marker={marker}"]), tag))  # fmt: skip
    found = look(out, before, fault)
    found |= {"exit": code, "kernels": kernels, "half": found["half"] + half}
    if fault == "disk":
        subprocess.run(["umount", out], check=True)
    return found


def is_half(folder):
    names = {item.name for item in folder.iterdir()}
    return not {"report.html", "notebook.ipynb", "findings.json", "run.json"} <= names


def look(out, before, fault):
    """Return what a user finds after the trial."""
    from rcakit.ledger import open_ledger

    after = hashes(out / "fault")
    with open_ledger(out, create=False) as ledger:
        rows = ledger.runs()
    row = next((r for r in rows if r["parameters"]["fault"] == fault), None)
    complete = [folder for folder in (out / "fault").glob("[!.]*") if not is_half(folder)]
    listed = [r["run_id"] for r in rows if r["status"] == "ok"]
    found = {
        "intact": all(after.get(name) == value for name, value in before.items()),
        "half": sum(is_half(folder) for folder in (out / "fault").glob("[!.]*")),
        "stray": len([*(out / "fault").glob(".*")]),
        "status": row["status"] if row else "not begun",
        "listed": sorted(listed) == sorted(folder.name for folder in complete),
    }
    kept = out / row["path"] / "notebook.ipynb" if row and row["path"] else None
    found["kept"] = kept is not None and kept.exists()
    found["marks"] = marks(kept) if found["kept"] else ""
    return found


def marks(path):
    """Return what a notebook claims of its three cells (the injected one left out)."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return "unreadable"
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    cells = [c for c in cells if "injected-parameters" not in c.metadata.get("tags", [])]
    said = [str(c.metadata.get("papermill", {}).get("status")) for c in cells]
    return ", ".join(said)


def papermill_trial(fault, path, home, rng):
    """One trial of papermill's command line; return what its notebook claims."""
    from papermill.cli import papermill

    out, marker, tag = home / "out", home / "busy", home / "papermill"
    group = limited(out, fault)
    out.mkdir(exist_ok=True)
    words = [
        str(path),
        str(out / "notebook.ipynb"),
        "-p",
        "fault",
        fault,
        "-p",
        "marker",
        str(marker),
    ]
    words += ["--no-progress-bar"] + (["--execution-timeout", "3"] if fault == "endless" else [])
    pid = start(lambda: papermill(words), tag, cgroup=group)
    inject(fault, pid, marker, rng)
    code = ended(pid)
    kernels = kernels_of(tag)
    written = out / "notebook.ipynb"
    found = {
        "exit": code,
        "kernels": kernels,
        "marks": marks(written) if written.exists() else "none",
    }
    if written.exists() and found["marks"] != "unreadable":
        notebook = nbformat.read(written, as_version=4)
        found["exception"] = str(notebook.metadata.get("papermill", {}).get("exception"))
    if fault == "disk":
        subprocess.run(["umount", out], check=True)
    return found


def lane(number, fault, trials, path, prior, base, sink):
    """Run some of the trials of one fault, one after the other."""
    for trial in trials:
        rng = random.Random(f"{fault}-{trial}")  # noqa: S311
        for tool in ("rcakit", "papermill"):
            home = base / f"{fault}-{number}-{trial}-{tool}"
            home.mkdir()
            if tool == "rcakit":
                found = rcakit_trial(fault, path, prior, home, rng)
            else:
                found = papermill_trial(fault, path, home, rng)
            with sink.open("a") as file:
                told = {"fault": fault, "tool": tool, "code": source(), "trial": trial}
                file.write(json.dumps({**told, **found}) + "\n")
            shutil.rmtree(home, ignore_errors=True)


def measure(fault, trials, path, prior, base, sink):
    """Run trials of one fault in a few lanes."""
    pids = []
    for number in range(LANES):
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                lane(number, fault, trials[number::LANES], path, prior, base, sink)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def counted(values):
    """Return values with how often each came."""
    pairs = Counter(str(value) for value in values).most_common()
    return "; ".join(value if len(pairs) == 1 else f"{value} ({n}×)" for value, n in pairs)


def row(fault, found):
    ours = [item for item in found if item["tool"] == "rcakit"]
    theirs = [item for item in found if item["tool"] == "papermill"]
    _, code, status = FAULTS[fault]
    told = [status is None or (i["exit"], i["status"]) == (code, status) for i in ours]
    false = sum(
        not ok or not i["listed"] or i["half"] > 0 for ok, i in zip(told, ours, strict=True)
    )
    needs_none = {"ok", "not begun"}
    lost = sum(not i["intact"] or not (i["kept"] or i["status"] in needs_none) for i in ours)
    return {
        "fault": FAULTS[fault][0],
        "times, papermill's": f"{len(ours)}, {len(theirs)}",
        "exit code": counted(i["exit"] for i in ours),
        "ledger says": counted(i["status"] for i in ours),
        "false": false,
        "lost": lost,
        "kernels, strays left": sum(i["kernels"] + i["stray"] for i in ours),
        "its notebook says of 3 cells": counted(i["marks"] or "none" for i in ours),
        "papermill: exit code": counted(i["exit"] for i in theirs),
        "papermill's notebook says": counted(i["marks"] for i in theirs),
        "its `exception`": counted(i.get("exception", "–") for i in theirs),
        "its kernels left": sum(i["kernels"] for i in theirs),
    }


def source():
    """Return a hash of the source that the trials are about."""
    home = Path(rcakit.__file__).parent
    files = [*sorted((home / "runner").glob("*.py")), home / "kernels.py", home / "ledger.py"]
    text = b"".join(file.read_bytes() for file in [*files, home / "redaction.py"])
    return hashlib.sha256(text).hexdigest()[:12]


def main(faults):
    """Measure what is missing, keep it, and write the table."""
    import papermill
    import papermill.cli

    import rcakit.cli
    import rcakit.report
    import rcakit.runner

    del papermill
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    base, sink = Path(tempfile.mkdtemp(prefix="rcakit-faults-")), RESULTS / "faults.jsonl"
    sink.write_text("".join(json.dumps(item) + "\n" for item in kept(sink)))
    path, prior = book(base), base / "prior"
    cli = rcakit.cli
    code = ended(
        start(lambda: cli.main(["run", str(path), "--out", str(prior)]), base / "prior-run")
    )
    assert code == 0, (base / "prior-run.log").read_text()
    for fault in faults:
        done = {item["trial"] for item in kept(sink, fault) if item["tool"] == "papermill"}
        measure(fault, [n for n in range(TRIALS) if n not in done], path, prior, base, sink)
        write([row(f, [i for i in kept(sink) if i["fault"] == f]) for f in FAULTS if kept(sink, f)])
    shutil.rmtree(base, ignore_errors=True)


def kept(sink, fault=None):
    """Return the trials of the present source that are kept."""
    lines = sink.read_text().splitlines() if sink.exists() else []
    found = [json.loads(line) for line in lines]
    present = source()
    return [i for i in found if i.get("code") == present and fault in {None, i["fault"]}]


def write(known):
    columns = list(known[0])
    lines = [
        "# Faults",
        "",
        NOTES,
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]
    lines += ["| " + " | ".join(str(item[c]) for c in columns) + " |" for item in known]
    text = "\n".join(lines) + "\n"
    (RESULTS / "faults.md").write_text(text)
    print(text, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAULTS))
