"""A Locust master and workers that were each started by hand: what they count together is what the server counted."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from helpers import runs
from helpers.process import TESTS, CliResult, Running, no_leftovers
from helpers.runs import EchoTarget
from helpers.websocket_server import websocket_server
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from wsbench.launcher.locust_process import free_port


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as target:
        yield target


@contextlib.contextmanager
def cluster(
    where: Path, *options: str, workers: int = 2, of_worker: Callable[[int], Sequence[str]] = lambda _: ()
) -> Iterator[tuple[Running, list[Running]]]:
    """A master, headless, that waits for its workers, and those, each with options of its own."""
    port = str(free_port())
    started: list[Running] = []
    try:
        master = runs.locust(
            "--master", "--headless", "--expect-workers", str(workers), "--master-bind-host", "127.0.0.1",
            "--master-bind-port", port, *options, cwd=where,
        )  # fmt: skip
        started.append(master)
        for number in range(workers):
            elsewhere = where / f"worker-{number}"  # which has no payload file, and no results
            elsewhere.mkdir()
            command = ("--worker", "--master-host", "127.0.0.1", "--master-port", port, *of_worker(number))
            started.append(runs.locust(*command, cwd=elsewhere))
        yield master, started[1:]
    finally:
        for each in started:
            each.stop()


def finish(master: Running, workers: list[Running]) -> CliResult:
    """Waits for all to end by themselves."""
    result = master.finish(60)
    for worker in workers:
        ended = worker.finish(30)
        assert "Traceback" not in ended.stderr, ended.stderr
        no_leftovers(ended)
    assert "Traceback" not in result.stderr, result.stderr
    no_leftovers(result)
    return result


@pytest.mark.parametrize("loop", [["--in-flight", "4"], ["--rate", "1000"]], ids=["closed", "open"])
def test_master_and_workers_count_everything(target: EchoTarget, tmp_path: Path, loop: list[str]) -> None:
    """Options and the payload are the master's; the workers know nothing but where it is."""
    (tmp_path / "payload").write_bytes(b'{"from": "the master"}')
    before = target.stats()
    options = ("-u", "7", "-d", "600ms", "--warmup", "100ms", "--payload-file", "payload", "--host", target.url)
    with cluster(tmp_path, *options, *loop) as (master, workers):
        result = finish(master, workers)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] and run["conditions"]["processes"] == 2
    assert run["conditions"]["payload_size"] == 22 and run["conditions"]["binary"] is False
    assert run["connections"]["opened"] == 7
    runs.assert_equals_stats(run, before, target.stats())
    assert [worker["index"] for worker in run["generator"]["workers"]] == [0, 1]
    assert all(worker["messages"] > 0 for worker in run["generator"]["workers"])
    if "--rate" in loop:
        assert abs(run["messages"]["sent"] - 600) <= 7  # the rate is that of all workers together
    assert [path.name for path in tmp_path.glob("worker-*/*")] == []


def test_source_addresses_are_each_workers_own(tmp_path: Path) -> None:
    """Machines have addresses of their own; every worker goes round all of its."""
    seen: Counter[str] = Counter()

    def echo(connection: ServerConnection) -> None:
        seen[connection.remote_address[0]] += 1
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)

    with websocket_server(echo) as url:
        options = ("-u", "8", "-d", "300ms", "--warmup", "0s", "--rate", "50", "--host", url)
        own = [("--source-ip", f"127.0.{number}.1-127.0.{number}.2") for number in (1, 2)]
        with cluster(tmp_path, *options, of_worker=own.__getitem__) as (master, workers):
            result = finish(master, workers)
    assert result.returncode == 0, result.stderr
    assert seen == {f"127.0.{number}.{host}": 2 for number in (1, 2) for host in (1, 2)}


def test_ctrl_c_to_the_master_ends_the_workers_and_saves(target: EchoTarget, tmp_path: Path) -> None:
    before = target.stats()
    with cluster(tmp_path, "-u", "4", "--warmup", "0s", "--rate", "200", "--host", target.url) as (master, workers):
        target.until_measured(4)
        master.signal(signal.SIGINT)
        result = finish(master, workers)
    assert result.returncode == 130, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    assert run["complete"] is False and run["messages"]["received"] > 0
    runs.assert_equals_stats(run, before, target.stats())


def test_wrong_usage_is_the_masters_to_say(tmp_path: Path) -> None:
    options = ("--master", "--headless", "--expect-workers", "2", "--master-bind-port", str(free_port()))
    result = runs.locust(*options, "--host", "http://127.0.0.1:1/echo", cwd=tmp_path).finish(30)
    assert result.returncode == 2, result.stderr
    assert "wsbench: error: " in result.stderr and "Traceback" not in result.stderr
    assert runs.directories(tmp_path / "results") == []


def test_workers_that_cannot_connect_are_a_failure(tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{free_port()}/echo"
    with cluster(tmp_path, "-u", "4", "-d", "300ms", "--host", url) as (master, workers):
        result = finish(master, workers)
    assert result.returncode == 3, result.stderr
    assert "wsbench: error: nothing listens on" in result.stderr
    assert runs.directories(tmp_path / "results") == []


def test_workers_that_are_told_to_spawn_before_they_are_ready_take_part(
    run_cli: Callable[..., CliResult], tmp_path: Path, target: EchoTarget
) -> None:
    scenario, before = TESTS / "helpers" / "locustfiles" / "late_init.py", target.stats()
    options = ("-u", "6", "--processes", "2", "--scenario", str(scenario), *runs.QUICK, "--quiet")
    result = run_cli("run", target.url, *options)
    assert result.returncode == 0, result.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    runs.assert_equals_stats(run, before, target.stats())
    assert run["complete"] and run["connections"]["opened"] == 6 and not run["errors"]
