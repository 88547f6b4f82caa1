"""The scenarios, one module each.

To add a scenario:

1. Copy the module that is nearest and name it after the scenario; a scenario is data (`rcakit.datasets.scenario`), so
   there is no code to write. Count days from the end of the period: -1 is the last day.
2. A cause names its segment, its factor on the rate, its first day and its length in hours. List the other right
   answers as ``acceptable`` (such as the same rows under other names), the tempting wrong ones as ``forbidden``.
3. Log the change that brought the cause, and decoys near it: right time but wrong scope, right scope but too late,
   everything but too early. Say for each decoy why a careful reader rules it out.
4. List the module in ``SCENARIOS`` below. The suite then checks that the truth is in the data, for every scenario.

A scenario needs a new table or a new process? See ``tables/__init__.py``; the old tables stay as they are.
"""

from rcakit.datasets.catalogue import (
    app_release_report_bug,
    apparent_disparity,
    global_rise,
    ingestion_outage,
    inverted_reviewer,
    qa_drop_untrained_wave,
    quality_mix_shift,
    quality_quiet,
    quiet,
    real_disparity,
    shared_outdated_guideline,
    simpson_reversal,
    site_without_counterpart,
    strict_audit_team,
    unclear_guideline,
    unrecorded_difficulty,
)
from rcakit.datasets.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        app_release_report_bug,
        global_rise,
        ingestion_outage,
        quiet,
        qa_drop_untrained_wave,
        shared_outdated_guideline,
        unclear_guideline,
        quality_mix_shift,
        strict_audit_team,
        unrecorded_difficulty,
        inverted_reviewer,
        quality_quiet,
        simpson_reversal,
        apparent_disparity,
        real_disparity,
        site_without_counterpart,
    )
}
