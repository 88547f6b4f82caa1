"""Do people hear of failures and of what is new, and of nothing else?"""

import http.server
import json
import threading

import pytest

from rcakit import runner
from rcakit.errors import ParameterError, PlaybookError
from rcakit.ledger import open_ledger
from rcakit.runner.notices import notice

FINDING = {
    "kind": "driver", "claim": "It is concentrated in account-4711.", "estimate": 12.0,
    "ci_lower": 9.0, "ci_upper": 15.0, "unit": "reports", "n_obs": 400, "method": "counted",
    "strength": "strong", "segment": {"account_id": "account-4711"},
}  # fmt: skip
WEAK = {**FINDING, "ci_lower": -1.0, "strength": "weak", "segment": {"account_id": "other-12"}}


def _run(out, number, *findings, status="ok", **parameters):
    """Enter a run in the ledger and return it."""
    run_id = f"2026040{number}T060000Z-aaaaaa"
    folder = out / ("metric_spike" if status == "ok" else "failed/metric_spike") / run_id
    row = {"run_id": run_id, "playbook": "metric_spike", "status": status, "parameters": parameters}
    with open_ledger(out) as ledger:
        ledger.record({**row, "started_at": f"2026-04-0{number}T06:00:00+00:00"}, findings)
    return runner.Run(
        run_id, "metric_spike", status, folder, findings, error="a cell raised account-4711"
    )


@pytest.fixture
def server(monkeypatch):
    """Listen on this machine and keep what is sent."""
    heard: list[dict] = []

    class Keep(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Keep) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        monkeypatch.setenv("RCAKIT_NOTIFY", f"json://127.0.0.1:{listening.server_port}/")
        yield heard
        listening.shutdown()


def test_notes_reach_a_server(tmp_path, server):
    """A new strong finding, and a failure, are told over the wire; no id is in the words."""
    pytest.importorskip("apprise")
    assert runner.notify(_run(tmp_path, 1, FINDING), out=tmp_path, on="strong")
    assert runner.notify(_run(tmp_path, 2, status="timeout"), out=tmp_path, on="failure")
    assert [note["title"] for note in server] == ["Metric spike: 1 new", "Metric spike: timeout"]
    assert "1 × strong driver" in server[0]["message"]
    assert "4711" not in json.dumps(server)


def test_only_news_are_told(tmp_path):
    """What yesterday's run found too is no news; what moved is; other parameters do not count."""
    _run(tmp_path, 1, FINDING, as_of="2026-03-31", source="a")
    _run(tmp_path, 2, FINDING, WEAK, as_of="2026-03-31", source="b")
    same = _run(tmp_path, 3, FINDING, WEAK, as_of="2026-04-02", source="a")
    moved = _run(tmp_path, 4, {**FINDING, "estimate": 50.0, "ci_lower": 40.0, "ci_upper": 60.0}, as_of="2026-04-03", source="a")  # fmt: skip
    with open_ledger(tmp_path) as ledger:
        assert notice(same, ledger, on="strong") is None
        assert "since the run of 01 April 2026: 1 × weak" in notice(same, ledger, on="weak").body
        assert notice(moved, ledger, on="strong") is not None
        assert notice(moved, ledger, on="failure") is None


def test_notes_that_fail_say_so(tmp_path, monkeypatch):
    """A missing or odd address is an error in words, and so is an odd occasion."""
    pytest.importorskip("apprise")
    done = _run(tmp_path, 1, FINDING)
    with pytest.raises(ParameterError, match="secret 'RCAKIT_NOTIFY' must be set"):
        runner.notify(done, out=tmp_path)
    monkeypatch.setenv("RCAKIT_NOTIFY", "nonsense-address")
    with pytest.raises(PlaybookError, match="one is not understood"):
        runner.notify(done, out=tmp_path)
    with pytest.raises(ParameterError, match="on must be one of 'failure'"):
        runner.notify(done, out=tmp_path, on="always")
