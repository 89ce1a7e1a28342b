"""Echo users in Locust: users that it counts, without a greenlet of their own once they are connected."""

from __future__ import annotations

import json
from pathlib import Path

from helpers import process, runs

SCENARIO = Path(process.TESTS, "helpers", "locustfiles", "seated.py")


def test_users_with_an_open_connection_count_as_users_and_have_no_running_greenlet(tmp_path: Path) -> None:
    counted = tmp_path / "counted.json"
    with runs.echo_target() as target:
        load = ("-u", "20", "-d", "3s", "--warmup", "0s", "--rate", "100")
        command = ("run", target.url, "--scenario", str(SCENARIO), *load)
        running = process.start_cli(*command, cwd=tmp_path, env={"COUNTED": str(counted)})
        assert running.finish(60).returncode == 0
        stats = target.stats()
    assert json.loads(counted.read_text()) == {"users": {"Echo": 10, "Prepared": 10}, "running": 0}
    assert (stats["connections_opened"], stats["connections_open"]) == (20, 0)
    assert "WARNING" not in (runs.only(tmp_path / "results") / "locust.log").read_text()
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["connections"]["close_codes"] == {"1000": 20}
