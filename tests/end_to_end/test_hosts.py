"""Master, workers and target on hosts of their own, and what can happen to each of them, and to the links."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import components, runs
from helpers.netns import Host, TapLink, hosts
from helpers.process import CliResult, Running, scaled

pytestmark = [pytest.mark.needs("netns"), pytest.mark.timeout(scaled(240))]

RATE, USERS = 400, 20
HASTY = """
from locust import runners

# Locust's own times: a worker is missing after five seconds, a master after a minute.
runners.HEARTBEAT_INTERVAL = 0.5
runners.MASTER_HEARTBEAT_TIMEOUT = {patience_s}

from wsbench import EchoUser


class Echo(EchoUser):
    pass
"""


class Cluster:
    """A target, a master and workers, each on its host; messages leave at RATE from USERS connections."""

    def __init__(
        self, where: Path, net: dict[str, Host], workers: list[str], *options: str, master: str = "master",
        target: str = "target", patience_s: float = 10,
    ) -> None:  # fmt: skip
        self.where, self.net, self.host = where, net, net[master]
        (where / master / "scenario").mkdir()
        self.scenario = where / master / "scenario" / "echo.py"
        self.scenario.write_text(HASTY.format(patience_s=scaled(patience_s)))
        self.target, self.url = net[target].serve()
        self.master = self.host.locust(
            self.scenario, "--master", "--expect-workers", str(len(workers)), "-u", str(USERS), "-r", "1000",
            "--rate", str(RATE), "--warmup", "500ms", "--host", self.url, *options,
        )  # fmt: skip
        self.workers = {name: self.join(name) for name in workers}

    def join(self, name: str) -> Running:
        """A worker on its host."""
        return self.net[name].locust(self.scenario, "--worker", "--master-host", self.host.address)

    def missing(self, count: int) -> None:
        """Waits until the master has missed so many workers."""
        self.master.wait_for("(?s)" + ".*".join(["failed to send heartbeat"] * count), 40)

    def stats(self) -> dict[str, Any]:
        """The target's counts."""
        found: dict[str, Any] = json.loads(self.host.get(f"http://{urlsplit(self.url).netloc}/stats"))
        return found

    def result(self, host: str) -> dict[str, Any]:
        """The one result on a host; all its files say the same."""
        return runs.read(runs.only(self.where / host / "results"))


def findings(run: dict[str, Any], code: str) -> list[str]:
    """Evidence of every finding of a kind."""
    return [finding["evidence"] for finding in run["generator"]["findings"] if finding["code"] == code]


def settled(run: dict[str, Any]) -> None:
    """Nothing was counted twice, and nothing is missing."""
    for messages in (run["messages"], run["messages_all_phases"]):
        assert messages["sent"] == messages["received"] + messages["lost"]
        assert messages["duplicated"] == messages["unexpected"] == messages["corrupted"] == 0
    assert run["latency"]["response"]["count"] == run["messages"]["received"]


def test_workers_that_are_frozen_or_cut_off_and_come_back_deliver_everything(tmp_path: Path) -> None:
    with hosts(tmp_path, "target", "master", "steady", "frozen", "cut") as net:
        cluster = Cluster(tmp_path, net, ["steady", "frozen", "cut"], "--duration", f"{scaled(12):g}s")
        cluster.master.wait_for("All users spawned|Spawning is complete", 60)
        time.sleep(scaled(2))
        cluster.workers["frozen"].signal(signal.SIGSTOP)
        net["cut"].unplug()
        cluster.missing(2)
        cluster.workers["frozen"].signal(signal.SIGCONT)
        net["cut"].plug_in()
        cluster.master.wait_for("(?s)self-healed.*self-healed", 60)
        cluster.master.finish(90)
        codes = {name: worker.finish(60).returncode for name, worker in cluster.workers.items()}
        seen = cluster.stats()
        left = {host: runs.directories(tmp_path / host / "results") for host in cluster.workers}
    assert codes == dict.fromkeys(cluster.workers, 0)
    run = cluster.result("master")
    settled(run)
    assert run["complete"] is True
    assert run["messages_all_phases"]["sent"] == seen["messages_in"], "whatever was sent was reported, once"
    assert run["connections"]["opened"] == seen["connections_opened"]
    assert run["timestamps"]["source"] == "kernel"
    (stalled,) = [said for said in findings(run, "hub-stalled") if " s" in said.replace(" ms", "")]
    assert "was blocked" in stalled, "the frozen worker says so"
    assert run["latency"]["response"]["max_ns"] > 1e9, "what was cut off came late, and is in the figures"
    assert not findings(run, "worker-lost")
    assert not any(left.values()), "nobody leaves a result of its own when the master has all"


@dataclass
class Losses:
    """How everything ended after a worker was killed and another cut off for good, and after a master was killed."""

    where: Path
    of_workers: Cluster
    of_master: Cluster
    seen: list[dict[str, Any]]
    ended: dict[str, CliResult]


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> Losses:
    """Two clusters at once, each with hosts of its own."""
    where = tmp_path_factory.mktemp("losses")
    names = ["target", "master", "steady", "killed", "away", "second", "doomed", "one", "two"]
    with hosts(where, *names) as net:
        first = Cluster(where, net, ["steady", "killed", "away"], patience_s=6)
        other = Cluster(where, net, ["one", "two"], "--duration", "1h", master="doomed", target="second", patience_s=6)
        first.master.wait_for("All users spawned|Spawning is complete", 60)
        other.master.wait_for("All users spawned|Spawning is complete", 60)
        time.sleep(scaled(2.5))
        first.workers["killed"].signal(signal.SIGKILL)
        net["away"].unplug()
        other.master.signal(signal.SIGKILL)
        again = first.join("killed")
        first.master.wait_for(r"\(index 3\) reported as ready", 60)
        first.missing(2)
        time.sleep(scaled(4))  # until the new one has been told to start, and has reported
        first.master.signal(signal.SIGINT)  # it would go on until somebody stops it
        ended = {"master": first.master.finish(90), "again": again.finish(60)}
        ended["steady"] = first.workers["steady"].finish(60)
        net["away"].plug_in()
        ended |= {"away": first.workers["away"].finish(90)}
        ended |= {name: worker.finish(90) for name, worker in other.workers.items()}
        return Losses(where, first, other, [first.stats(), other.stats()], ended)


def test_what_lost_workers_had_reported_is_in_the_result(losses: Losses) -> None:
    run = json.loads((runs.only(losses.where / "master" / "results") / "run.json").read_bytes())
    assert losses.ended["master"].returncode == 130 and run["complete"] is False
    assert len(findings(run, "worker-lost")) == 2
    # What is in a result was sent, and no more than once; the rest is what two workers had not reported.
    everything = run["messages_all_phases"]
    assert everything["received"] + everything["lost"] <= everything["sent"] <= losses.seen[0]["messages_in"]
    assert run["latency"]["response"]["count"] == run["messages"]["received"]
    assert [worker["messages"] > 0 for worker in run["generator"]["workers"]] == [True] * 4
    assert losses.ended["steady"].returncode == 0


def test_a_worker_that_is_started_again_takes_part_again(losses: Losses) -> None:
    run = json.loads((runs.only(losses.where / "master" / "results") / "run.json").read_bytes())
    assert losses.ended["again"].returncode == 0, losses.ended["again"].stderr
    assert [worker["index"] for worker in run["generator"]["workers"]] == [0, 1, 2, 3]
    assert runs.directories(losses.where / "killed" / "results") == []


def test_a_worker_that_stays_away_leaves_a_result_of_its_own(losses: Losses) -> None:
    run = json.loads((runs.only(losses.where / "master" / "results") / "run.json").read_bytes())
    own, gone = losses.of_workers.result("away"), losses.ended["away"]
    settled(own)
    assert gone.returncode == 3 and own["complete"] is False
    (lost,) = findings(own, "master-lost")
    assert "reports were never acknowledged" in lost and "of 20 connections" in lost
    (known,) = [w for w in run["generator"]["workers"] if w["index"] == own["generator"]["workers"][0]["index"]]
    assert 0 < known["messages"] < own["messages"]["received"], "here is all of it, there what had been reported"
    assert f"the result of this worker is in results/{own['id']}" in gone.stderr


def test_workers_whose_master_is_killed_end_and_leave_what_they_have(losses: Losses) -> None:
    assert [losses.ended[name].returncode for name in ("one", "two")] == [3, 3]
    own = [losses.of_master.result(host) for host in ("one", "two")]
    for run in own:
        settled(run)
        assert run["complete"] is False
        assert len(findings(run, "master-lost")) == 1
        assert run["conditions"]["users"] == run["connections"]["opened"] == USERS // 2
        assert run["conditions"]["rate"] == RATE / 2, "conditions are those of its own share"
        assert run["messages"]["received"] > RATE / 2, "also what the master had acknowledged"
    assert sum(run["messages_all_phases"]["sent"] for run in own) == losses.seen[1]["messages_in"]
    assert len({run["id"].rpartition("-worker-")[0] for run in own}) == 1, "of one run"


# -- the target --------------------------------------------------------------------------------------------------------

FAULTS = ("frozen", "cut", "killed", "restarted")
SECONDS = 8


def _spoil(servers: dict[str, Running], net: dict[str, Host]) -> None:
    """All faults at once, and whoever comes back is back after two seconds."""
    servers["frozen"].signal(signal.SIGSTOP)
    net["cut"].unplug()
    servers["killed"].signal(signal.SIGKILL)
    servers["restarted"].signal(signal.SIGKILL)
    servers["restarted"].finish(10)
    time.sleep(scaled(2))
    servers["frozen"].signal(signal.SIGCONT)
    net["cut"].plug_in()
    net["restarted"].serve()


@pytest.fixture(scope="module")
def of_targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For every fault of a target, run.json of a run in whose middle it came, and the target's last counts."""
    where = tmp_path_factory.mktemp("targets")
    links = {"slow": TapLink(delay_ms=20, loss_percent=2)} if not components.missing("tun") else {}
    with hosts(where, "generator", *FAULTS, *links, links=links) as net:
        servers = {name: net[name].serve() for name in (*FAULTS, *links)}
        options = ["-u", "10", "--rate", "100", "-d", f"{scaled(SECONDS):g}s", "--warmup", "0s", "--json"]
        timeout = {name: "10s" if name == "slow" else "1500ms" for name in servers}
        started = {
            name: net["generator"].wsbench("run", url, *options, "--timeout", timeout[name], "--name", name)
            for name, (_, url) in servers.items()
        }
        for run in started.values():
            run.wait_for("^measure", 60)
        time.sleep(scaled(1))
        _spoil({name: server for name, (server, _) in servers.items()}, net)
        results = {name: run.finish(90) for name, run in started.items()}
        found = {}
        for name, result in results.items():
            assert result.returncode == 0, result.stderr
            seen = (
                {} if name == "killed" else json.loads(net["generator"].get(f"http://{net[name].address}:8765/stats"))
            )
            found[name] = (result.json(), seen)
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_target_costs_no_count(of_targets: Any, fault: str) -> None:
    run, _ = of_targets[fault]
    settled(run)
    assert run["complete"] is True, "the run went on to its end"
    messages = run["messages"]
    assert messages["sent"] + messages["missed"] == 100 * scaled(SECONDS), "every message that was due has a place"
    assert run["latency"]["response"]["lost"] == messages["lost"] + messages["missed"]


def test_a_frozen_target_answers_late_and_what_was_lost_is_said(of_targets: Any) -> None:
    run, seen = of_targets["frozen"]
    assert run["messages_all_phases"]["sent"] == seen["messages_in"]
    assert 0 < run["messages"]["lost"] == run["messages"]["late"], "given up, and answered after that"
    assert findings(run, "late-replies")
    assert run["connections"]["dropped"] == 0


def test_a_target_that_is_cut_off_and_back_has_got_everything(of_targets: Any) -> None:
    run, seen = of_targets["cut"]
    assert run["messages_all_phases"]["sent"] == seen["messages_in"]
    assert run["connections"]["dropped"] == 0
    assert run["latency"]["response"]["max_ns"] > 1e9 or run["messages"]["lost"] > 0


def test_a_killed_target_is_named(of_targets: Any) -> None:
    run, _ = of_targets["killed"]
    assert run["connections"]["dropped"] == 10 and run["connections"]["reconnected"] == 0
    assert findings(run, "dropped") == ["10 connections were dropped"]
    assert run["messages"]["missed"] > 0 and findings(run, "missed")
    assert {error["kind"] for error in run["errors"]} >= {"refused"}
    assert all(error["side"] != "generator" for error in run["errors"])


def test_connections_come_back_to_a_target_that_was_started_again(of_targets: Any) -> None:
    run, seen = of_targets["restarted"]
    again = run["connections"]["reconnected"]
    assert 0 < again <= run["connections"]["dropped"] == 10, "all, unless the machine is too slow for all of them"
    assert findings(run, "dropped") == [f"10 connections were dropped, {again} were reopened"]
    assert seen["connections_opened"] == again
    assert 0 < seen["messages_in"] < run["messages_all_phases"]["sent"]
    assert run["messages_all_phases"]["received"] >= seen["messages_out"], "before and after"


# -- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.needs("tun")
def test_delay_and_loss_on_the_way_are_in_the_latency_and_cost_no_count(of_targets: Any) -> None:
    """Delay and drop packets on the way, by a TAP relay in user space."""
    run, seen = of_targets["slow"]
    settled(run)
    assert run["messages_all_phases"]["sent"] == seen["messages_in"]
    assert run["messages"]["lost"] == 0 and run["connections"]["dropped"] == 0, "TCP says lost packets again"
    service = run["latency"]["service"]
    assert service["min_ns"] >= 40e6, "there and back"
    assert service["max_ns"] >= service["p50_ns"] + 100e6, "what was sent again came that much later"
