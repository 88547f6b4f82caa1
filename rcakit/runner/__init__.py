"""Run playbooks, truthfully: one, a batch, or what is due; compare them, and tell people."""

from rcakit.runner.batch import Outcome, Summary, run_batch
from rcakit.runner.comparison import Comparison, compare_findings
from rcakit.runner.notices import notify
from rcakit.runner.schedule import run_due
from rcakit.runner.single import Progress, Run, Status, run

__all__ = [
    "Comparison",
    "Outcome",
    "Progress",
    "Run",
    "Status",
    "Summary",
    "compare_findings",
    "notify",
    "run",
    "run_batch",
    "run_due",
]
