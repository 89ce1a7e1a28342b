"""push.py: the server sends at a rate, the client replies."""

from __future__ import annotations

from pathlib import Path

from helpers import process, runs, scenarios
from helpers.runs import EchoTarget


def test_both_directions_are_measured_and_counted(echo_target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "6", "-d", "1500ms", "--set", "rate=40", "--set", "size=200")
    for ran in scenarios.both_ways("push", echo_target, tmp_path, *options):
        messages = ran.run["messages_all_phases"]
        assert messages["sent"] == messages["one_way"] > 0  # the replies
        assert messages["received"] == messages["pushed"] > 0
        assert ran.server["bytes_out"] == 200 * messages["received"]  # --set went as far as the server
        assert ran.run["conditions"]["settings"] == {"rate": "40.0", "size": "200", "reply": "on"}
        assert ran.count("gap") == ran.count("jitter") > 0 and ran.count("delivery") > 0
        assert 0 < ran.count("server_round_trip") <= messages["sent"]
        assert ran.run["latency"]["server_round_trip"]["min_ns"] > ran.run["latency"]["delivery"]["min_ns"] > 0
        assert ran.run["counters"] == {"missing": 0}


def test_numbers_that_are_left_out_are_counted(tmp_path: Path) -> None:
    server, url = process.start_server("helpers.pubsub", "--skip", "3,4,9")
    try:
        options = ("-u", "4", "-d", "1s", "--set", "reply=off", "--fail-if", "missing > 0", "--json")
        result = scenarios.started("push", f"{url}/push", tmp_path, *options).finish()
        counts = process.http_json(url, "/counts")
    finally:
        server.stop()
    assert result.returncode == 1, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run == result.json()
    assert run["counters"] == {"missing": 4 * 3}
    assert run["gates"] == [{"expression": "missing > 0", "failed": True, "value": "12", "objective": ""}]
    messages = run["messages_all_phases"]
    assert (messages["sent"], counts["received"]) == (0, 0)
    assert messages["received"] == messages["pushed"] > 4 * 10
