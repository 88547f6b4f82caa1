"""Can a hundred thousand series be followed in bounded memory?

Run with ``python -m benchmarks.spikes_many [--series 100000]``; it rewrites
benchmarks/results/spikes_many.md. A Parquet file of 730 days is written, block by block, with one
planted spike for every thousand series; a child process screens it with `rcakit.spikes.screen` and
says how much time and memory it took.
"""

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RESULTS = Path(__file__).parent / "results" / "spikes_many.md"
_BLOCK = 2_500
_DAYS = 730
_SEED = 4711
_EVERY = 1_000  # one spike among so many series
_SPIKE_DAY = 700

_CHILD = """
import sys, time
import rcakit
from rcakit.spikes import screen
began = time.process_time()
found = screen(rcakit.read(sys.argv[1]), time="day", by="series", value="reports")
spent = time.process_time() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
planted = {values[0] for values in found.series if values[0] % %(every)d == 0}
extra = sum(1 for item in found.incidents if item.series[0] %% %(every)d)
print(found.n_series, round(spent, 1), int(peak.split()[1]) / 1024**2, len(planted), extra,
      found.false_alarms_per_week)
"""


def block(first: int, n_series: int, rng: np.random.Generator) -> pa.Table:
    """Counts with a weekday pattern; levels from 1 to 1,000 a day."""
    level = np.exp(rng.uniform(0, np.log(1000), (n_series, 1)))
    mean = level * np.resize(np.exp(rng.normal(0, 0.2, (n_series, 7))).T, (_DAYS, n_series)).T
    counts = rng.negative_binomial(mean, 0.5)
    planted = np.flatnonzero((first + np.arange(n_series)) % _EVERY == 0)
    counts[planted, _SPIKE_DAY] += (30 + 2 * mean[planted, _SPIKE_DAY]).astype(np.int64)
    days = np.datetime64("2024-01-01") + np.arange(_DAYS)
    return pa.table(
        {
            "series": np.repeat(np.arange(first, first + n_series, dtype=np.int32), _DAYS),
            "day": np.tile(days, n_series),
            "reports": counts.ravel().astype(np.int32),
        }
    )


def write(path: Path, n_series: int) -> None:
    """Write the file one block at a time."""
    rng = np.random.default_rng(_SEED)
    writer = None
    for first in range(0, n_series, _BLOCK):
        rows = block(first, min(_BLOCK, n_series - first), rng)
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows)
    if writer is not None:
        writer.close()


def main() -> None:
    """Write, screen, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    n_series = parser.parse_args().series
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.parquet"
        write(path, n_series)
        size = path.stat().st_size / 1024**2
        child = _CHILD.replace("%(every)d", str(_EVERY)).replace("%%", "%")
        told = subprocess.run(
            [sys.executable, "-c", child, str(path)], capture_output=True, text=True, check=True
        ).stdout.split()
    n_judged, spent, peak, n_found, n_extra, promised = map(float, told)
    n_planted = -(-n_series // _EVERY)
    lines = [
        "# A hundred thousand series",
        "",
        "By `python -m benchmarks.spikes_many`: `rcakit.spikes.screen` on one Parquet file of",
        f"{n_series * _DAYS:,} rows ({size:,.0f} MB), 730 days, one process; {dt.datetime.now(tz=dt.UTC).date()}.",
        "",
        "| what | measured | bar |",
        "|---|---|---|",
        f"| series judged | {n_judged:,.0f} | 100,000 |",
        f"| peak memory, GB | {peak:.2f} | < 2 |",
        f"| CPU seconds, reading included | {spent:.0f} | |",
        f"| planted spikes found | {n_found:.0f} of {n_planted} | |",
        f"| false incidents a week | {n_extra / (_DAYS - 14) * 7:.2f} | {promised:.2f} promised |",
    ]
    text = "\n".join(lines) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
