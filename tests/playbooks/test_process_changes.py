"""Do the playbooks on changed processes reach the planted verdict, and refuse where they must?"""

import pytest

import rcakit
from rcakit import playbook, runner, testing
from rcakit.datasets.process_changes import TRIALS

_ROLLOUT = ("outcome", "denominator", "unit", "time", "start", "adopted", "adopted_of", "guardrails")
_NOTHING = {
    "variant": None, "unit": None, "time": None, "start": None, "outcome": None, "guardrails": {},
}  # fmt: skip


def _given(name, folder, *, seed=0):
    """Write the table of a scenario, and return its playbook and parameters."""
    made = rcakit.datasets.make(name, rng=seed)
    columns = dict(made.truth["columns"])
    path = folder / f"{columns.pop('table')}.parquet"
    made.tables[path.stem].write_parquet(path)
    given = {"source": str(path), "better": made.truth["better"], **columns}
    if made.truth["design"] == "rollout":
        return "policy_rollout", {key: given[key] for key in ("source", "better", *_ROLLOUT)}
    return "process_change", _NOTHING | given


def _run(name, folder, *, seed=0, **more):
    chosen, given = _given(name, folder, seed=seed)
    return runner.run(playbook.find(chosen), given | more, out=folder / "reports")


def _cells_run(chosen, given):
    """Run the cells of a playbook here, without a kernel; return what the last one publishes."""
    cells = [c for c in playbook.find(chosen).notebook.cells if c.cell_type == "code"]
    names: dict = {}
    for cell in cells[:-1]:
        exec(cell.source, names)  # noqa: S102 - our own playbook
        if "parameters" in cell.metadata.get("tags", []):
            names |= given
    return [finding.to_record() for finding in eval(cells[-1].source, names)]  # noqa: S307


@pytest.mark.parametrize(
    "name", ["users_split_lost_rows", "waves_contaminated", "waves_fading", "launched_in_a_spike"]
)
def test_cells_reach_the_verdict(name, tmp_path):
    """The cells tell a spoilt comparison, a fading effect and a fading spike for what they are."""
    findings = _cells_run(*_given(name, tmp_path))
    testing.assert_finds(findings, verdict=TRIALS[name].verdict)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", TRIALS)
def test_every_story_is_told(name, seed, tmp_path):
    """Every scenario gets its verdict, or none where a sound roll-out looks unsound by chance."""
    done = _run(name, tmp_path, seed=seed)
    assert done.status == "ok", done.error
    given = [finding["verdict"] for finding in done.findings if finding["kind"] == "verdict"]
    assert given in ([TRIALS[name].verdict], ["cannot_tell"])


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["process_change", "policy_rollout"])
def test_samples_run_as_they_are(chosen, tmp_path):
    """Without a parameter each playbook answers on the sample that ships."""
    done = runner.run(playbook.find(chosen), {}, out=tmp_path)
    assert done.status == "ok", done.error
    testing.assert_finds(done.findings, verdict="improved")
