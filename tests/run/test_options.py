"""The options of a run: defaults as in the contract, and errors that name the option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from wsbench.errors import UsageError
from wsbench.run.option_table import BY_NAME, OPTIONS, Option, name_from, parse_name
from wsbench.run.options import DEFAULT_DURATION_NS, DEFAULT_USERS, RunOptions, describe
from wsbench.run.packing import pack, unpack

URL = "ws://127.0.0.1:8765/echo"
MS, S = 1_000_000, 1_000_000_000


def options(url: str = URL, users: int = 50, **raw: Any) -> RunOptions:
    return RunOptions.from_texts(raw, url=url, users=users)


# -- the declaration -------------------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_contract() -> None:
    plain = options()
    assert (DEFAULT_USERS, DEFAULT_DURATION_NS) == (50, 10 * S)
    assert plain.duration_ns is None, "open-ended under Locust; `wsbench run` gives its own"
    assert (plain.warmup_ns, plain.drain_ns, plain.timeout_ns) == (2 * S, 5 * S, 10 * S)
    assert (plain.rate, plain.closed_loop, plain.arrivals, plain.in_flight) == (None, True, "constant", 1)
    assert (plain.payload_size, plain.payload, plain.binary) == (128, None, False)
    assert (plain.reconnect, plain.request_events, plain.strict, plain.gates) == (True, False, False, ())
    assert (plain.results, plain.name, plain.processes) == (Path("results"), "", 1)
    connect = plain.connect
    assert (connect.url, connect.compression, connect.ca_file, connect.insecure) == (URL, "off", None, False)
    assert (connect.headers, connect.subprotocols, connect.origin) == ((), (), None)
    assert connect.addresses == "first"


def test_every_option_of_the_contract_is_declared_once() -> None:
    flags = [flag for option in OPTIONS for flag in option.flags]
    assert len(set(flags)) == len(flags)
    names = """duration warmup drain rate arrivals in_flight payload_size payload_file binary compression header
        subprotocol origin ca insecure timeout reconnect request_events fail_if strict results name"""
    assert set(names.split()) <= set(BY_NAME)


def test_names_and_environment_follow_from_the_flags() -> None:
    assert (BY_NAME["payload_size"].flags, BY_NAME["payload_size"].env) == (("--payload-size",), "WSBENCH_PAYLOAD_SIZE")
    assert Option(("-x", "--long-name"), "help").name == "long_name"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_is_a_value_the_option_takes(option: Option) -> None:
    assert option.help.endswith(".")
    if option.default is not None:
        assert option.value_of(option.default) == option.value_of(None)
    for choice in option.choices:
        assert option.value_of(choice) == choice


def test_the_module_needs_neither_locust_nor_gevent() -> None:
    program = "import sys, wsbench.run.options as o; print(sorted({'locust', 'gevent'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        ({"duration": "1m30s"}, "duration_ns", 90 * S),
        ({"warmup": "0"}, "warmup_ns", 0),
        ({"drain": "250ms"}, "drain_ns", 250 * MS),
        ({"timeout": "2s"}, "timeout_ns", 2 * S),
        ({"rate": "2.5k/s"}, "rate", 2500.0),
        ({"rate": 1000}, "rate", 1000.0),
        ({"rate": "100"}, "closed_loop", False),
        ({"arrivals": "poisson"}, "arrivals", "poisson"),
        ({"in_flight": "32"}, "in_flight", 32),
        ({"payload_size": "64k"}, "payload_size", 64_000),
        ({"payload_size": "48"}, "payload_size", 48),
        ({"binary": True}, "binary", True),
        ({"binary": "true"}, "binary", True),
        ({"binary": "1"}, "binary", True),
        ({"binary": False}, "binary", False),
        ({"binary": "false"}, "binary", False),
        ({"binary": ""}, "binary", False),
        ({"reconnect": "never"}, "reconnect", False),
        ({"request_events": "on"}, "request_events", True),
        ({"native": "off"}, "native", False),
        ({"strict": True}, "strict", True),
        ({"results": "/tmp/x"}, "results", Path("/tmp/x")),
        ({"name": "a.b-c_d+1"}, "name", "a.b-c_d+1"),
        ({"rate": ""}, "rate", None),  # an empty field of the web form
        ({"rate": None, "duration": None}, "duration_ns", None),
        ({"warmup": ""}, "warmup_ns", 2 * S),
    ],
)
def test_values(raw: dict[str, Any], name: str, value: object) -> None:
    assert getattr(options(**raw), name) == value


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        ({"header": ["A: b", "C: d:e"]}, "headers", (("A", "b"), ("C", "d:e"))),
        ({"header": "A: b"}, "headers", (("A", "b"),)),
        ({"header": ["", "A: b\nC: d"]}, "headers", (("A", "b"), ("C", "d"))),  # a variable of Locust
        ({"header": ["", "A: b"]}, "headers", (("A", "b"),)),
        ({"header": None}, "headers", ()),
        ({"subprotocol": ["chat", "v2"]}, "subprotocols", ("chat", "v2")),
        ({"origin": "https://a.test"}, "origin", "https://a.test"),
        ({"insecure": True}, "insecure", True),
        ({"compression": " on "}, "compression", "on"),
        ({"compression": "client_max_window_bits=12"}, "compression", "client_max_window_bits=12"),
    ],
)
def test_what_is_asked_of_the_server(raw: dict[str, Any], name: str, value: object) -> None:
    assert getattr(options(**raw).connect, name) == value


def test_gates_are_parsed_in_their_order() -> None:
    gates = options(fail_if=["p99 > 5ms", "lost > 0"]).gates
    assert [gate.expression for gate in gates] == ["p99 > 5ms", "lost > 0"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"duration": "0"}, "--duration: '0' must be longer than zero"),
        ({"duration": "soon"}, "--duration: 'soon' is not a duration"),
        ({"warmup": "-1s"}, "--warmup: '-1s' is not a duration"),
        ({"drain": "x"}, "--drain: "),
        ({"timeout": "0s"}, "--timeout: "),
        ({"rate": "0"}, "--rate: '0' is not a rate: it must be above zero"),
        ({"rate": "fast"}, "--rate: 'fast' is not a rate"),
        ({"arrivals": "burst"}, "--arrivals: 'burst' is none of constant, poisson"),
        ({"in_flight": "0"}, "--in-flight: '0' is not a whole number from 1 to 1000000000"),
        ({"in_flight": "1.5"}, "--in-flight: "),
        ({"in_flight": "-3"}, "--in-flight: "),
        ({"in_flight": "²"}, "--in-flight: '²' is not a whole number"),
        ({"payload_size": "47"}, "--payload-size: a JSON message with id and seq has at least 48 bytes"),
        ({"payload_size": "big"}, "--payload-size: 'big' is not a size"),
        ({"payload_size": "2GB"}, "--payload-size: a message has at most 250 MB"),
        ({"payload_file": "/dev/zero"}, "--payload-file /dev/zero: a message has at most 250 MB"),
        ({"rate": "0.0000000001"}, "--rate: '0.0000000001' is not a rate: it must be at least 0.000000001"),
        ({"compression": "gzip"}, "--compression: 'gzip' is no parameter"),
        ({"header": ["A: b", "nonsense"]}, "--header: 'nonsense' is not a header"),
        ({"header": "X-Name: 5 €"}, "--header: the header X-Name has '€' (U+20AC) in it"),
        ({"origin": "https://a.test\n"}, "--origin: the origin 'https://a.test\\n' has '\\n' (U+000A) in it"),
        ({"subprotocol": ["chat", "a b"]}, "--subprotocol: 'a b' is not a subprotocol: it has ' ' (U+0020) in it"),
        ({"name": "ß" * 101}, "has 202 bytes: a name has at most 200"),
        ({"reconnect": "maybe"}, "--reconnect: 'maybe' is none of never, on-drop"),
        ({"fail_if": ["p99 > fast"]}, "--fail-if: 'p99 > fast', character 7: "),
        ({"name": "a/b"}, "--name: 'a/b' cannot be part of a directory's name"),
        ({"name": ".."}, "--name: "),
        ({"name": ".hidden"}, "--name: "),
        ({"ca": "/nonexistent/ca.pem"}, "--ca /nonexistent/ca.pem: No such file or directory"),
        ({"ca": "x" * 5000}, "File name too long"),
        ({"ca": "/"}, "--ca /: Is a directory"),
        ({"ca": "/dev/null"}, "--ca /dev/null: it holds no PEM certificate"),
        ({"payload_file": "/nonexistent/payload"}, "--payload-file /nonexistent/payload: No such file or directory"),
    ],
)
def test_errors_name_the_option(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(**raw)
    assert said in caught.value.what
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"users": 0}, "--users 0 is not at least 1"),
        ({"users": 10, "rate": "20000k"}, "--rate 2e+07 is more than a million messages a second on each of 10"),
        ({"url": "http://127.0.0.1/"}, "is an HTTP URL"),
        ({"url": "nonsense"}, "'nonsense' is not a WebSocket URL"),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(**changes)
    assert said in caught.value.what


def test_a_ca_that_can_be_used(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    assert options(ca=str(ca)).connect.ca_file == str(ca)


# -- a payload of one's own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "binary"),
    [
        (b'{"a": 1}', False),
        ("grüß dich".encode(), False),
        (b"x", False),
        (b"\x00\x01", False),
        (b"\xff\xfe", True),
        (b"cut \xe2\x82", True),
    ],
)
def test_a_payload_file_is_sent_as_it_is_and_in_binary_when_it_is_no_text(
    tmp_path: Path, content: bytes, binary: bool
) -> None:
    file = tmp_path / "payload"
    file.write_bytes(content)
    of_file = options(payload_file=str(file), payload_size="500")
    assert (of_file.payload, of_file.payload_size, of_file.binary) == (content, len(content), binary)
    assert options(payload_file=str(file), binary=True).binary


def test_an_empty_payload_file_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match=f"--payload-file {file}: the file is empty"):
        options(payload_file=str(file))
    with pytest.raises(UsageError, match=f"--payload-file {tmp_path}: Is a directory"):
        options(payload_file=str(tmp_path))


# -- on the way to other processes ------------------------------------------------------------------------------------


def test_another_process_has_the_same_options_and_parses_nothing(tmp_path: Path) -> None:
    payload = tmp_path / "payload"
    payload.write_bytes(b"\xff")
    sent = options(
        payload_file=str(payload),
        header=["A: b"],
        addresses="all",
        source_ip=["127.0.0.2-127.0.0.9", "::1"],
        fail_if=["errors > 0.1%"],
        set=["room=7"],
        duration="1m",
    )
    payload.unlink()
    received = unpack(pack(sent), RunOptions)
    assert received == sent
    assert (received.payload, received.connect.uri) == (b"\xff", sent.connect.uri)


def test_values_make_the_same_options_as_their_texts() -> None:
    texts = {"rate": "1k", "duration": "3s", "timeout": "1s", "header": ["A: b"], "compression": "on", "binary": True}
    values = {"rate": 1000.0, "duration": 3 * S, "timeout": S, "header": [("A", "b")], "compression": "on"}
    assert RunOptions.from_values({**values, "binary": True}, url=URL) == options(**texts)


def test_the_same_run_against_another_server() -> None:
    moved = options(rate="10").against("wss://127.0.0.1:1/", "ca.pem")
    assert (moved.connect.url, moved.connect.ca_file, moved.rate) == ("wss://127.0.0.1:1/", "ca.pem", 10.0)
    assert options(rate="10").against(URL) == options(rate="10")


def test_loopback_has_as_many_source_addresses_as_the_connections_need() -> None:
    few, many = options(users=10), options(users=200_000)
    assert few.sources == ()
    assert sum(map(len, many.sources)) > 1
    assert many.against("ws://10.0.0.1/").sources == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("chat", "chat"),
        ("my chat", "my-chat"),
        ("a/b (2)", "a-b-2-"),
        ("..x", "x"),
        ("größe_1.2", "größe_1.2"),
        ("bytes\udcff", "bytes-"),
        ("...", "run"),
        ("x" * 201, "run"),
    ],
)
def test_a_name_made_of_a_files(text: str, name: str) -> None:
    assert name_from(text) == parse_name(name)


# -- in words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "50 connections, closed loop, 1 in flight, 128 bytes, until stopped"),
        ({"in_flight": "8", "duration": "90s"}, "50 connections, closed loop, 8 in flight, 128 bytes, 1m30s"),
        ({"rate": "1000", "duration": "10s"}, "50 connections, 1000 messages/s (constant), 128 bytes, 10s"),
    ],
)
def test_what_will_be_done_in_a_line(raw: dict[str, Any], said: str) -> None:
    assert describe(options(**raw)) == said


def test_a_scenario_chooses_its_messages_and_perhaps_its_rate() -> None:
    assert describe(options(), "chat") == "50 connections, scenario chat, until stopped"
    assert (
        describe(options(rate="5"), "chat") == "50 connections, scenario chat, 5 messages/s (constant), until stopped"
    )
