"""Experiment files: their values, and the errors for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsbench.errors import UsageError
from wsbench.experiment import spec
from wsbench.experiment.spec import Spec
from wsbench.results.experiment_result import Load
from wsbench.targets.catalogue import CommandTarget, UrlTarget

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def read(tmp_path: Path, text: str, name: str = "sample.toml") -> Spec:
    file = tmp_path / name
    file.write_text(text)
    return spec.load(file)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        name = "tuesday"
        targets = ["picows", "nginx>websockets"]
        baseline = "mine"
        repetitions = 5
        seed = 7
        transport = ["wss", "ws"]
        compression = ["off", "client_max_window_bits=12"]
        payload_size = [128, "4k"]
        connections = [10, 200]
        load = [{ in_flight = 8 }, { rate = "2k/s", arrivals = "poisson" }, { rate = 50.5 }]
        duration = "1m30s"
        warmup = 1
        drain = "100ms"
        timeout = "2s"
        spawn_rate = "1k"
        processes = 2
        binary = true

        [[target]]
        name = "mine"
        command = "./server --port {port}"
        url = "wss://localhost:{port}/echo"
        version = "1.2"
        insecure = true
        addresses = "all"
        header = ["X-Token: 1", "X-Room: 2"]
        """,
    )
    assert (found.name, found.baseline, found.repetitions, found.seed) == ("tuesday", "mine", 5, 7)
    assert [own.name for own in found.targets] == ["picows", "nginx>websockets", "mine"]
    assert found.transport == ("wss", "ws")
    assert found.compression == ("off", "client_max_window_bits=12")
    assert found.payload_size == (128, 4000)
    assert found.connections == (10, 200)
    assert found.load == (
        Load("closed", in_flight=8),
        Load("open", rate=2000.0, arrivals="poisson"),
        Load("open", rate=50.5, arrivals="constant"),
    )
    durations = {"duration": 90_000_000_000, "warmup": 1_000_000_000, "drain": 100_000_000, "timeout": 2_000_000_000}
    assert found.settings == {**durations, "binary": True, "secret": (), "show_credentials": False}
    assert (found.connections_per_s, found.processes, found.run_ns) == (1000.0, 2, 91_000_000_000)
    mine = found.target("mine")
    assert isinstance(mine.target, CommandTarget)
    assert (mine.transport, mine.target.version()) == ("wss", "1.2")
    headers = (("X-Token", "1"), ("X-Room", "2"))
    assert mine.options == {"insecure": True, "addresses": "all", "header": headers}
    assert found.text == (tmp_path / "sample.toml").read_bytes().replace(b"X-Token: 1", b"X-Token: ***")


def test_targets_alone_will_do(tmp_path: Path) -> None:
    found = read(tmp_path, "targets = ['picows', 'websockets']")
    assert (found.name, found.baseline, found.repetitions) == ("sample", "websockets", 3)
    assert (found.transport, found.compression, found.payload_size) == (("ws",), ("off",), (128,))
    assert (found.connections, found.load) == ((50,), (Load("closed", in_flight=1),))
    assert found.run_ns == 12_000_000_000
    assert found.seed != read(tmp_path, "targets = ['picows', 'websockets']").seed


def test_a_url_of_ones_own(tmp_path: Path) -> None:
    found = read(tmp_path, "target = { url = 'wss://example.org/echo' }")
    (own,) = found.targets
    assert isinstance(own.target, UrlTarget)
    assert found.baseline == own.name == "wss://example.org/echo"
    assert own.hole("wss", "on") is None
    assert own.hole("ws", "off") == "wss://example.org/echo is at a wss:// URL"


def test_a_command_without_a_url_is_ws(tmp_path: Path) -> None:
    (own,) = read(tmp_path, "target = { command = 'serve {port}' }").targets
    assert (own.name, own.transport) == ("serve", "ws")


def test_a_file_whose_name_no_directory_can_have(tmp_path: Path) -> None:
    assert read(tmp_path, "targets = ['picows']", "my experiment.toml").name == "my-experiment"


@pytest.mark.parametrize("name", ["compare.toml", "full.toml"])
def test_examples(name: str) -> None:
    assert spec.load(SCENARIOS / name).baseline == "websockets"


OWN = "[[target]]\nname = 'mine'\n"


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("targets = ", "it is not TOML: ", "toml.io"),
        ("", "targets: there is none", "targets = ["),
        ("targets = []", "targets: the list is empty", "one value at least"),
        ("targets = ['picow']", "targets: there is no target 'picow'", "'picows'"),
        ("targets = ['ngnix>ws']", "targets: there is no proxy 'ngnix'", "'nginx'"),
        ("targets = [1, true]", "targets 1: expected text, got a whole number", ""),
        ("targets = ['ws', 'ws']", "targets: 'ws' is there twice", ""),
        ("targets = ['ws']\nrepetition = 3", "repetition: there is no such key", "Did you mean 'repetitions'?"),
        ("targets = ['ws']\nqwertz = 3", "qwertz: there is no such key", "There are: name, targets,"),
        ("targets = ['ws']\nname = 'a/b'", "name: 'a/b' cannot be part of", ""),
        ("targets = ['ws']\nbaseline = 'picows'", "baseline: 'picows' is none of ws", ""),
        ("targets = ['ws']\nrepetitions = 0", "repetitions: expected a whole number >= 1", ""),
        ("targets = ['ws']\nrepetitions = '3'", "repetitions: expected a whole number, got text", ""),
        ("targets = ['ws']\nseed = -1", "seed: expected a whole number >= 0", ""),
        ("targets = ['ws']\nseed = true", "seed: expected a whole number, got true or false", ""),
        ("targets = ['ws']\ntransport = 'tls'", "transport: 'tls' is none of ws, wss", ""),
        ("targets = ['ws']\ncompression = ['on', 'gzip']", "compression: ", ""),
        ("targets = ['ws']\ncompression = [true]", "compression 1: expected text, got true or false", ""),
        ("targets = ['ws']\npayload_size = 3", "payload_size: a JSON message with id and seq has at least", ""),
        ("targets = ['ws']\npayload_size = [4000, '4k']", "payload_size: 4000 is there twice", ""),
        ("targets = ['ws']\nconnections = [10, 1.5]", "connections 2: expected a whole number, got a number", ""),
        ("targets = ['ws']\nconnections = '10'", "connections: expected a whole number or a list, got text", ""),
        ("targets = ['ws']\nconnections = []", "connections: the list is empty", ""),
        ("targets = ['ws']\nload = 1", "load: expected a table or a list, got a whole number", "{ rate = 1000 }"),
        ("targets = ['ws']\nload = {}", "load: it needs either in_flight (closed loop) or rate (open loop)", ""),
        ("targets = ['ws']\nload = { in_flight = 1, rate = 2 }", "load: it needs either", ""),
        ("targets = ['ws']\nload = [{ rate = 1 }, { rte = 2 }]", "load 2.rte: there is no such key", "'rate'"),
        ("targets = ['ws']\nload = [{ rate = 1 }, { rate = '1/s' }]", "load 2: it is there twice", ""),
        ("targets = ['ws']\nload = { rate = 0 }", "load.rate: '0' is not a rate", ""),
        ("targets = ['ws']\nload = { in_flight = 1, arrivals = 'poisson' }", "load.arrivals: a closed loop has", ""),
        ("targets = ['ws']\nload = { rate = 1, arrivals = 'even' }", "load.arrivals: 'even' is none of", ""),
        ("targets = ['ws']\nduration = 'soon'", "duration: 'soon' is not a duration", ""),
        ("targets = ['ws']\nduration = 0", "duration: '0' must be longer than zero", ""),
        ("targets = ['ws']\nspawn_rate = 'fast'", "spawn_rate: 'fast' is not a rate", ""),
        ("targets = ['ws']\nprocesses = 0", "processes: expected a whole number >= 1", ""),
        ("targets = ['ws']\nbinary = 'yes'", "binary: expected true or false, got text", ""),
        ("targets = ['ws']\ntarget = 'mine'", "target: expected a table or a list, got text", "[[target]]"),
        (OWN, "target 1: it needs a command with {port}, or a url", ""),
        (OWN + "command = 'serve'", "target 1: the target's command 'serve' and URL", "{port}"),
        (OWN + "url = 'http://localhost/'", "target 1: 'http://localhost/' is not a WebSocket URL", "ws://"),
        (OWN + "url = 'ws://localhost/'\nport = 80", "target 1.port: there is no such key", ""),
        (OWN + "url = 'ws://localhost/'\nheader = 'X'", "target 1.header: ", ""),
        (
            OWN + "url = 'ws://localhost/'\n" + OWN + "url = 'ws://localhost/2'",
            "targets: there are two",
            "another name",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, what: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert caught.value.what.startswith(f"{tmp_path / 'sample.toml'}: {what}")
    assert remedy in caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: No such file"):
        spec.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        spec.load(tmp_path / "binary.toml")
