"""Is a file far larger than memory should be read without loading it?"""

import datetime as dt
import json
import subprocess
import sys

import pytest

MEGABYTE = 1_000_000
# In a child process, whose peak memory is read from its own address space: `ru_maxrss` would start
# at the peak of the parent, because a child shares its memory until it starts its own program.
PROGRAM = """
import json, pathlib, re, sys
import rcakit
data = rcakit.read(sys.argv[1])
seen = rcakit.sources.inspect(data, time="created_at", window_days=56)
spikes = rcakit.spikes.detect(data, time="created_at")
first, last = spikes.choose_period()
found = rcakit.drivers.explain(
    data, time="created_at", period=(first, last), dimensions=["policy", "region"]
)
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1000
print(json.dumps({"rows": seen.n_rows, "segment": found.segments[0], "peak": peak}))
"""


def _write(path, size):
    """Write days of events until the file has its size; the last day of one policy is doubled."""
    start = dt.date(2026, 1, 1)
    filler = "account-0123456789abcdef,a free text that a user wrote into the form of the report"
    lines = {
        (policy, region): f"{{day}}T12:00:00Z,{policy},{region},{filler}\n"
        for policy in ("spam", "hate")
        for region in ("emea", "apac")
    }
    length = len(lines["spam", "emea"].format(day=start))
    per_cell = size // (length * 60 * len(lines)) + 1
    n_rows = 0
    with path.open("w") as file:
        file.write("created_at,policy,region,account_id,text\n")
        for day in range(60):
            for (policy, _), line in lines.items():
                times = per_cell * (2 if day == 59 and policy == "spam" else 1)
                file.write(line.format(day=start + dt.timedelta(days=day)) * times)
                n_rows += times
    return n_rows


def _check(tmp_path, *, size, most_megabytes):
    path = tmp_path / "large.csv"
    n_rows = _write(path, size)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    path.unlink()
    assert (told["rows"], told["segment"]) == (n_rows, {"policy": "spam"})
    assert told["peak"] < most_megabytes


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted differently elsewhere")
def test_60_megabytes_stay_on_disk(tmp_path):
    """A file of 60 MB is answered within 900 MB, libraries included."""
    _check(tmp_path, size=60 * MEGABYTE, most_megabytes=900)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted differently elsewhere")
def test_2_gigabytes_stay_on_disk(tmp_path):
    """A file of 2 GB is answered within 3 GB."""
    _check(tmp_path, size=2000 * MEGABYTE, most_megabytes=3000)
