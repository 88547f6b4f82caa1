"""How long until rcakit is there? CPU medians of whole processes beside a bare interpreter.

Run with ``python -m benchmarks.startup``; it rewrites benchmarks/results/startup.md.
"""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 15
RESULTS = Path(__file__).parent / "results" / "startup.md"
COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "import rcakit": [sys.executable, "-c", "import rcakit"],
    "rcakit --help": [str(Path(sys.executable).with_name("rcakit")), "--help"],
}


def cpu_ms(command: list[str]) -> float:
    """Return the CPU time of one finished process in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def medians() -> dict[str, float]:
    """Return the median per command; runs take turns, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            times[name].append(cpu_ms(command))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, print and write the table."""
    found = medians()
    over = found["import rcakit"] - found["bare interpreter"]
    lines = [
        "# Start-up",
        "",
        f"CPU milliseconds, median of {RUNS} runs in turn, by `make bench`.",
        "",
        "| what | measured | bar |",
        "|---|---|---|",
        f"| `import rcakit` over a bare interpreter | {over:.0f} ms | ≤ 50 ms |",
        f"| `rcakit --help`, whole process | {found['rcakit --help']:.0f} ms | ≤ 200 ms |",
        f"| bare interpreter | {found['bare interpreter']:.0f} ms | |",
    ]
    text = "\n".join(lines) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
