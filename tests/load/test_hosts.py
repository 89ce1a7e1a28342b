"""Master, workers and target on hosts of their own, and what can happen to each of them, and to the cables."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers import runs
from helpers.hosts import Cable, Host, hosts
from helpers.process import Running, scaled

pytestmark = [pytest.mark.needs("netns"), pytest.mark.timeout(scaled(240))]

RATE, USERS = 400, 20
HASTY = f"""
from locust import runners

# Locust's own times: a worker is missing after five seconds, a master after a minute.
runners.HEARTBEAT_INTERVAL = 0.5
runners.MASTER_HEARTBEAT_TIMEOUT = {scaled(10)}

from wsbench import EchoUser


class Echo(EchoUser):
    pass
"""


class Cluster:
    """A target, a master and workers, each on its host; messages leave at RATE from USERS connections."""

    def __init__(self, where: Path, net: dict[str, Host], workers: list[str], *options: str) -> None:
        self.where, self.net = where, net
        self.scenario = where / "echo.py"
        self.scenario.write_text(HASTY)
        self.target, self.url = net["target"].serve()
        self.master = net["master"].locust(
            self.scenario, "--master", "--expect-workers", str(len(workers)), "-u", str(USERS), "-r", "1000",
            "--rate", str(RATE), "--warmup", "500ms", "--host", self.url, *options,
        )  # fmt: skip
        self.workers = {name: self.join(name) for name in workers}

    def join(self, name: str) -> Running:
        """A worker on its host."""
        return self.net[name].locust(self.scenario, "--worker", "--master-host", self.net["master"].address)

    def missing(self, count: int) -> None:
        """Waits until the master has missed so many workers."""
        self.master.wait_for("(?s)" + ".*".join(["failed to send heartbeat"] * count), 40)

    def stats(self) -> dict[str, Any]:
        """The target's counts."""
        found: dict[str, Any] = json.loads(self.net["master"].get(f"http://{urlsplit(self.url).netloc}/stats"))
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
        cluster = Cluster(tmp_path, net, ["steady", "frozen", "cut"], "--duration", f"{scaled(13):g}s")
        cluster.master.wait_for("All users spawned", 60)
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
    assert "did not come round" in stalled, "the frozen worker says so"
    assert run["latency"]["response"]["max_ns"] > 1e9, "what was cut off came late, and is in the figures"
    assert not findings(run, "worker-lost")
    assert not any(left.values()), "nobody leaves a result of its own when the master has all"


def test_workers_that_are_killed_or_stay_away_leave_what_they_had_reported(tmp_path: Path) -> None:
    with hosts(tmp_path, "target", "master", "steady", "killed", "away") as net:
        cluster = Cluster(tmp_path, net, ["steady", "killed", "away"], "--duration", f"{scaled(11):g}s")
        cluster.master.wait_for("All users spawned", 60)
        time.sleep(scaled(3))
        cluster.workers["killed"].signal(signal.SIGKILL)
        net["away"].unplug()
        again = cluster.join("killed")
        cluster.master.finish(90)
        assert cluster.workers["steady"].finish(60).returncode == 0
        assert again.finish(60).returncode == 0, "a worker that is started again takes part again"
        net["away"].plug_in()
        gone = cluster.workers["away"].finish(90)
        seen = cluster.stats()
    assert gone.returncode == 3
    run, own = (
        json.loads((runs.only(tmp_path / "master" / "results") / "run.json").read_bytes()),
        cluster.result("away"),
    )
    assert run["complete"] is False and own["complete"] is False
    assert len(findings(run, "worker-lost")) == 2
    assert len(run["generator"]["workers"]) == 4
    # What is in a result was sent, and no more than once; the rest is what two workers had not reported.
    everything = run["messages_all_phases"]
    assert everything["received"] + everything["lost"] <= everything["sent"] <= seen["messages_in"]
    assert run["latency"]["response"]["count"] == run["messages"]["received"]
    assert all(worker["messages"] > 0 for worker in run["generator"]["workers"])
    (lost,) = findings(own, "master-lost")
    assert "reports were never acknowledged" in lost and "of 20 connections" in lost
    settled(own)
    (known,) = [w for w in run["generator"]["workers"] if w["index"] == own["generator"]["workers"][0]["index"]]
    assert 0 < known["messages"] < own["messages"]["received"], "here is all of it, there what had been reported"
    assert f"what this worker measured is in results/{own['id']}" in gone.stderr


def test_workers_whose_master_is_killed_end_and_leave_what_they_have(tmp_path: Path) -> None:
    with hosts(tmp_path, "target", "master", "one", "two") as net:
        cluster = Cluster(tmp_path, net, ["one", "two"], "--duration", "1h")
        cluster.master.wait_for("All users spawned", 60)
        time.sleep(scaled(3))
        cluster.master.signal(signal.SIGKILL)
        ended = [worker.finish(90) for worker in cluster.workers.values()]
        seen = cluster.stats()
    assert [result.returncode for result in ended] == [3, 3]
    own = [cluster.result(host) for host in cluster.workers]
    for run in own:
        settled(run)
        assert run["complete"] is False
        assert len(findings(run, "master-lost")) == 1
        assert run["conditions"]["users"] == run["connections"]["opened"] == USERS // 2
        assert run["conditions"]["rate"] == RATE / 2, "conditions are those of its own share"
        assert run["messages"]["received"] > RATE, "also what the master had acknowledged"
    assert sum(run["messages_all_phases"]["sent"] for run in own) == seen["messages_in"]
    assert len({run["id"].removesuffix(f"-worker-{n}") for n in range(2) for run in own}) == 3, "ids of one run"


# -- the target --------------------------------------------------------------------------------------------------------

Fault = Callable[[Running, Host], Any]


def _frozen(server: Running, host: Host) -> None:
    server.signal(signal.SIGSTOP)
    time.sleep(scaled(3))
    server.signal(signal.SIGCONT)


def _killed(server: Running, host: Host) -> None:
    server.signal(signal.SIGKILL)


def _restarted(server: Running, host: Host) -> None:
    server.signal(signal.SIGKILL)
    server.finish(10)
    port = server.command[server.command.index("--port") + 1]
    host.serve(port=int(port))


def _cut(server: Running, host: Host) -> None:
    host.unplug()
    time.sleep(scaled(2))
    host.plug_in()


FAULTS: dict[str, Fault] = {"frozen": _frozen, "killed": _killed, "restarted": _restarted, "cut": _cut}


@pytest.fixture(scope="module")
def of_targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For every fault of a target, run.json of a run in whose middle it came, and the target's last counts."""
    where = tmp_path_factory.mktemp("targets")
    with hosts(where, "generator", *FAULTS) as net:
        servers = {name: net[name].serve(port=8765) for name in FAULTS}
        options = ["-u", "10", "--rate", "100", "-d", f"{scaled(9):g}s", "--warmup", "0s", "--timeout", "1500ms"]
        started = {
            name: net["generator"].wsbench("run", url, *options, "--json", "--name", name)
            for name, (_, url) in servers.items()
        }
        for run in started.values():
            run.wait_for("^measure", 60)
        time.sleep(scaled(1.5))
        for name, fault in FAULTS.items():
            fault(servers[name][0], net[name])
        results = {name: run.finish(90) for name, run in started.items()}
        found = {}
        for name, result in results.items():
            assert result.returncode == 0, result.stderr
            seen = {} if name == "killed" else json.loads(net["generator"].get(f"http://{_address(net[name])}/stats"))
            found[name] = (result.json(), seen)
    return found


def _address(host: Host) -> str:
    return f"{host.address}:8765"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_target_costs_no_count(of_targets: Any, fault: str) -> None:
    run, _ = of_targets[fault]
    settled(run)
    assert run["complete"] is True, "the run went on to its end"
    messages = run["messages"]
    assert messages["sent"] + messages["missed"] == 100 * scaled(9), "every message that was due has a place"
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
    assert run["connections"]["dropped"] == run["connections"]["reconnected"] == 10
    assert findings(run, "dropped") == ["10 connections were dropped, 10 were opened again"]
    assert seen["connections_opened"] == 10
    assert 0 < seen["messages_in"] < run["messages_all_phases"]["sent"]
    assert run["messages_all_phases"]["received"] > seen["messages_in"], "before and after"


# -- cables ------------------------------------------------------------------------------------------------------------


@pytest.mark.needs("tun")
def test_delay_and_loss_on_the_way_are_in_the_latency_and_cost_no_count(tmp_path: Path) -> None:
    """By a cable of our own, in user space, to the target; what loses packets to the master is the cut above."""
    cables = {"target": Cable(delay_ms=20, loss_percent=2)}
    with hosts(tmp_path, "target", "generator", cables=cables) as net:
        _, url = net["target"].serve()
        options = ["-u", "10", "--rate", "200", "-d", "4s", "--warmup", "0s", "--json"]
        run = net["generator"].wsbench("run", url, *options).finish(90).json()
        seen = json.loads(net["generator"].get(f"http://{_address(net['target'])}/stats"))
    settled(run)
    assert run["messages_all_phases"]["sent"] == seen["messages_in"]
    assert run["messages"]["lost"] == 0 and run["connections"]["dropped"] == 0, "TCP says lost packets again"
    service = run["latency"]["service"]
    assert service["min_ns"] >= 40e6, "there and back"
    assert service["max_ns"] >= service["p50_ns"] + 100e6, "what was sent again came that much later"
