"""broadcast.py: one publishes, all receive."""

from __future__ import annotations

from pathlib import Path

from helpers import process, runs, scenarios
from helpers.runs import EchoTarget

RECEIVERS = 500


def test_every_delivery_is_counted_once_and_put_to_its_message(echo_target: EchoTarget, tmp_path: Path) -> None:
    options = ("-u", "8", "-d", "1500ms", "--rate", "30")
    for ran in scenarios.both_ways("broadcast", echo_target, tmp_path, *options):
        counters, messages = ran.run["counters"], ran.run["messages_all_phases"]
        assert counters["published"] == messages["sent"] == messages["one_way"] > 30
        assert counters["receivers"] == 8
        assert counters["expected"] == counters["delivered"] == messages["received"] == 8 * counters["published"]
        assert counters["missing"] == 0 and "repeated" not in counters
        latency = ran.run["latency"]
        of_groups = [ran.count(f"delivery.{part}") for part in ("first", "median", "last")]
        # of the messages of the measure phase, each once, whichever worker had its receivers
        assert of_groups == [ran.run["messages"]["sent"]] * 3
        firsts, medians, lasts = (latency[f"delivery.{part}"] for part in ("first", "median", "last"))
        for figure in ("min_ns", "p50_ns", "max_ns"):
            assert 0 < firsts[figure] <= medians[figure] <= lasts[figure], figure


def test_three_deliveries_of_thousands_are_withheld_and_exactly_three_are_missing(tmp_path: Path) -> None:
    """Two more are made twice, and must not make up for them; what is on its way at the end is not missing."""
    faults = ("--withhold", "1:2,77:2,500:5", "--repeat", "3:3,400:4", "--delay", "0.3")
    server, url = process.start_server("helpers.pubsub", *faults)
    try:
        options = ("-u", str(RECEIVERS), "-r", "500", "-d", "1500ms", "--rate", "6", "--json")
        result = scenarios.started("broadcast", f"{url}/room", tmp_path, *options).finish()
        counts = process.http_json(url, "/counts")
    finally:
        server.stop()
    assert result.returncode == 0, result.stderr
    assert (counts["connections"], counts["withheld"], counts["repeated"]) == (RECEIVERS, 3, 2)
    run = runs.read(runs.only(tmp_path / "results"))
    counters, messages = run["counters"], run["messages_all_phases"]
    assert counters["missing"] == 3 and counters["repeated"] == 2
    assert counters["published"] == counts["published"] == messages["sent"]
    assert counters["expected"] == RECEIVERS * counts["published"]
    assert counters["delivered"] == counts["delivered"] - 2 == counters["expected"] - 3
    assert messages["received"] == counts["delivered"]
