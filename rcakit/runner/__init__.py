"""Run playbooks, truthfully: one, a batch, or what is due."""

from rcakit.runner.single import Progress, Run, Status, run

__all__ = ["Progress", "Run", "Status", "run"]
