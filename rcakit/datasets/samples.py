"""Which files lie in ``data_samples/``, and what do their columns mean?"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType

import polars as pl

from rcakit.datasets.dataset import Dataset
from rcakit.datasets.generator import make, scenarios
from rcakit.datasets.tables import TABLES
from rcakit.datasets.tables.column import Column

SEED = 0

# Only the first scenario is small, so that all samples together stay below 4 MB.
SAMPLE_SIZES = {
    "app_release_report_bug": "small",
    "global_rise": "tiny",
    "ingestion_outage": "tiny",
    "quiet": "tiny",
    "qa_drop_untrained_wave": "tiny",
    "apparent_disparity": "tiny",
}

# Stories of other worlds, whose truth has a shape of its own and lies beside their tables.
OTHER_SAMPLES = {"users_split": "small", "waves_with_effect": "small", "abuse_rings": "tiny"}

_FILES = {
    "reports": "reports.parquet",
    "denominators": "denominators.csv",
    "change_log": "change_log.csv",
    "accounts": "accounts.csv",
    "decisions": "decisions.parquet",
    "ratings": "ratings.parquet",
    "quality_weeks": "quality_weeks.csv",
}
_OTHER_FILES = {
    name: f"{name}.parquet" for name in ("users", "team_weeks", "attributes", "engagement")
}
_WITH_ACCOUNTS = "app_release_report_bug"


def write_samples(folder: str | Path) -> None:
    """Write the sample files: every scenario's tables, the truth and the data dictionary.

    Parameters
    ----------
    folder
        Where to write; made if absent. Files of the same name are replaced.

    Notes
    -----
    The same library versions write the same bytes.

    Examples
    --------
    >>> import tempfile, pathlib, rcakit.datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rcakit.datasets.write_samples(folder)
    ...     sorted(path.name for path in pathlib.Path(folder, "quiet").iterdir())
    ['change_log.csv', 'denominators.csv', 'reports.parquet']
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    samples = {
        scenario: make(scenario, size=size, rng=SEED) for scenario, size in SAMPLE_SIZES.items()
    }
    for scenario, sample in samples.items():
        is_left_out = {"accounts"} if scenario != _WITH_ACCOUNTS else set()
        _write_tables(sample, root / scenario, _FILES, leave_out=is_left_out)
    truth = {scenario: sample.truth for scenario, sample in samples.items()}
    _write_text(root / "truth.json", json.dumps(truth, indent=2) + "\n")
    for scenario, size in OTHER_SAMPLES.items():
        sample = make(scenario, size=size, rng=SEED)
        _write_tables(sample, root / scenario, _OTHER_FILES)
        _write_text(root / scenario / "truth.json", json.dumps(sample.truth, indent=2) + "\n")
    _write_text(root / "README.md", data_dictionary())


def data_dictionary() -> str:
    """Describe every file, table and column of the samples, in Markdown."""
    return _README.format(
        seed=SEED,
        scenarios="\n".join(_scenario_row(name) for name in SAMPLE_SIZES),
        tables="\n\n".join(_table_section(name, TABLES[name]) for name in _FILES),
        others="\n".join(_other_row(name) for name in OTHER_SAMPLES),
    )


def _write_tables(
    sample: Dataset,
    folder: Path,
    files: Mapping[str, str],
    *,
    leave_out: Collection[str] = (),
) -> None:
    """Write the tables of one scenario that have a file, each in its format."""
    folder.mkdir(exist_ok=True)
    for name, file_name in files.items():
        if name in sample.tables and name not in leave_out:
            _write_table(sample.tables[name], folder / file_name)


def _write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write one table."""
    if path.suffix == ".parquet":
        frame.write_parquet(path, compression="zstd", compression_level=19)
    else:
        frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")


def _write_text(path: Path, text: str) -> None:
    """Write a text file with the same bytes on every system."""
    path.write_bytes(text.encode())


def _scenario_row(name: str) -> str:
    """Describe one scenario as a row of a Markdown table."""
    return f"| `{name}` | {SAMPLE_SIZES[name]} | {scenarios()[name]} |"


def _other_row(name: str) -> str:
    """Describe a story of another world as a row of a Markdown table."""
    tables = make(name, size="tiny").tables
    files = ", ".join(f"`{file}`" for table, file in _OTHER_FILES.items() if table in tables)
    return f"| `{name}` | {OTHER_SAMPLES[name]} | {files} | {scenarios()[name]} |"


def _table_section(name: str, table: ModuleType) -> str:
    """Describe one table: a heading, what a row is, and its columns."""
    rows = "\n".join(_column_row(column) for column in table.COLUMNS)
    return f"### {name} (`{_FILES[name]}`)\n\n{table.ABOUT}\n\n{_COLUMN_HEAD}\n{rows}"


def _column_row(column: Column) -> str:
    """Describe one column as a row of a Markdown table."""
    return f"| `{column.name}` | {_TYPE_NAMES[column.dtype.base_type()]} | {column.unit or '-'} | {column.meaning} |"


_TYPE_NAMES = {
    pl.String: "text",
    pl.Boolean: "true or false",
    pl.Float64: "number",
    pl.Int64: "whole number",
    pl.Date: "date",
    pl.Datetime: "timestamp",
}

_COLUMN_HEAD = "| column | type | unit | meaning |\n|---|---|---|---|"

_README = """\
# Data samples

Made-up Trust & Safety data with known causes. No row comes from a real platform, and no person is behind an account.
Made with seed {seed} by `python -m rcakit.datasets data_samples`; the same command writes the same bytes again. Do not
edit these files by hand.

| folder | size | what happened |
|---|---|---|
{scenarios}

Folders of user reports hold `reports.parquet`, `denominators.csv` and `change_log.csv`; `app_release_report_bug` also
holds `accounts.csv`. Folders of review work hold `decisions.parquet`, `ratings.parquet`, `quality_weeks.csv` and
`change_log.csv`. **One username in ten is hostile on purpose** (spreadsheet formulas, markup, terminal escapes, a name
of 5 kB): treat these files as you would treat live data.

## truth.json

Scenario to what an analysis should find there. Windows and periods include both days; timestamps are UTC.

| key | meaning |
|---|---|
| `scenario`, `size`, `seed` | arguments of `rcakit.datasets.make` that made the data |
| `period` | first and last day |
| `verdict` | `localised`, `broad` or `no_evidence`; for review work the word of its playbook, such as `reviewers` |
| `causes[].cause_id` | name of the cause |
| `causes[].table` | table that it acted on |
| `causes[].window` | first and last day that it touched |
| `causes[].started_at`, `.ended_at` | first instant of it, and first instant after it |
| `causes[].segment` | where it acted: dimension to value; empty means everywhere |
| `causes[].effect` | factor on the rate of events in the segment while it lasted |
| `causes[].measure` | what else the effect is a factor on, such as the chance of an `error`; only for review work |
| `causes[].excess` | rows (for review work: errors) that it truly added, or removed (below 0): counted |
| `causes[].change_id` | entry of the change log that brought it; null where none did |
| `causes[].fix_change_id` | entry that ended it; null where none did |
| `causes[].acceptable` | other segments that are right answers |
| `causes[].forbidden` | tempting segments that are wrong answers |
| `decoys[].change_id`, `.why` | logged changes that did nothing, and how one can tell |

Entries of the change log that are neither cause, fix nor decoy are routine: app releases, and small changes, all at
least three weeks before the end. They did nothing to the number of reports either; a new app version only takes over
from the old one.

## Other worlds

A changed process for each of the playbooks `process_change` and `policy_rollout`, and a platform for `abuse_rings`.
Each folder has its own `truth.json`. For a process it says how the change came (`design`), what a good analysis
concludes (`verdict`), the factor on the outcome (`effect`), and which column plays which part (`columns`); for a
platform the planted `rings` with their accounts.

| folder | size | tables | what happened |
|---|---|---|---|
{others}

## Tables

{tables}
"""
