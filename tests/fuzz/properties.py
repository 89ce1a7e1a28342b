"""Properties that hold for any bytes: one function for each subject, which fails with an exception.

hypothesis calls them in `make test`, atheris (coverage-guided) in `make fuzz`.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helpers import conformance, logs, synthetic
from helpers import frames as by_hand
from helpers.reference import client, cut, in_pieces, put_together, whole
from websockets.http11 import Response

from wsbench.credentials import Secrets
from wsbench.errors import ConnectError, ResultError, UsageError
from wsbench.experiment import spec
from wsbench.report import junit, markdown, openmetrics
from wsbench.report.html.timeline_reader import read_timeline
from wsbench.report.text import summary
from wsbench.results import experiment_result, run_result
from wsbench.results.json_files import decode_json, encode_json
from wsbench.run import gate_parser
from wsbench.run.option_table import OPTIONS
from wsbench.source_addresses import parse_sources
from wsbench.targets.echo.delays import parse_stall
from wsbench.transport.connect_attempt import ConnectAttempt
from wsbench.transport.server_addresses import ServerAddresses
from wsbench.transport.traffic import Traffic
from wsbench.websocket.compression import parse_compression
from wsbench.websocket.connect_options import ConnectOptions, parse_header
from wsbench.websocket.frame_reader import FrameReader, ReceivedMessage
from wsbench.websocket.handshake import new_protocol
from wsbench.websocket.server_url import parse_url

LONGEST_STREAM = 3000
"""Shorter than a flood, which our reader refuses and the protocol object does not."""


# -- the wire --------------------------------------------------------------------------------------------------------


def frames(data: bytes) -> None:
    """Parse a server's bytes in pieces: our reader and ClientProtocol have the same result.

    The first byte selects compression and a low size limit, the next ones where to cut.
    """
    if len(data) < 9:
        return
    deflate, max_size = bool(data[0] & 1), 100 if data[0] & 2 else 70_000
    stream = data[9 : 9 + LONGEST_STREAM]
    cuts = [at * len(stream) // 256 if data[0] & 4 else min(at, len(stream)) for at in data[1:9]]
    reference = client(deflate=deflate, max_size=max_size)
    expected = whole(stream, reference)
    found, _ = in_pieces(cut(stream, cuts), client(deflate=deflate, max_size=max_size))
    if deflate and reference.extensions[0].decoder.eof:
        return  # the protocol object takes a final block for the end of the stream (RFC 7692, 7.2.3.4 does not)
    wrong = next((at for at, message in enumerate(expected.messages) if not _is_right(message)), None)
    if wrong is None:
        assert found == expected, (found, expected)
    else:  # the deliberate difference: text is UTF-8
        assert found.messages == expected.messages[:wrong]
        codes = [payload[:2] for opcode, payload in found.sent if opcode == by_hand.CLOSE]
        assert codes == [(1007).to_bytes(2)]


def _is_right(message: ReceivedMessage) -> bool:
    try:
        message.payload.decode()
    except UnicodeDecodeError:
        return not message.text
    return True


class _Canned(ConnectAttempt):
    """Connection attempt without a server: it receives `answer` in pieces, with ACCEPT replaced by the valid value."""

    def __init__(self, options: ConnectOptions, answer: bytes, size: int) -> None:
        super().__init__(options, None, Traffic(), ServerAddresses("server.test", 80), None, None)
        self.answer, self._size, self._given = answer, size, 0
        self.key = ""

    @property
    def unread(self) -> bytes:
        """Bytes after the head, for the connection to read."""
        return self.answer[self._given :]

    def _send(self, data: bytes) -> None:
        self.key = by_hand.parse_request(data[:-4]).headers["sec-websocket-key"]
        self.answer = self.answer.replace(b"ACCEPT", by_hand.accept_key(self.key).encode())

    def _receive(self) -> bytes:
        piece = self.answer[self._given : self._given + self._size]
        self._given += len(piece)
        return piece


def handshake(data: bytes) -> None:
    """Parse any answer to an upgrade request: it is accepted if ClientProtocol accepts it, else refused by name."""
    if len(data) < 2:
        return
    asked = {"compression": "on" if data[0] & 1 else "off", "subprotocols": ("chat",) if data[0] & 2 else ()}
    options = ConnectOptions("ws://server.test/", **asked)  # type: ignore[arg-type]
    attempt = _Canned(options, data[2:], data[1] or 1)
    error = None
    messages: list[ReceivedMessage] = []
    try:
        attempt._upgrade()
        assert attempt.result is not None
        messages = FrameReader(attempt.result.protocol).feed(attempt.result.early + attempt.unread)
    except ConnectError as refused:
        error = refused
    reference, _ = new_protocol(options)
    reference.key = attempt.key
    reference.receive_data(attempt.answer)
    events = [event for event in reference.events_received() if not isinstance(event, Response)]
    accepted = reference.handshake_exc is None and reference.state.name != "CONNECTING"
    # The protocol object takes 0101 for 101; a status has three digits (RFC 9110, 15).
    lenient = accepted and not attempt.answer.startswith(b"HTTP/1.1 101 ")
    assert (accepted and not lenient) is (error is None), (error, reference.handshake_exc)
    if error is not None:
        assert error.what and error.what.isprintable() and error.kind and error.step == "upgrade"
    elif all(map(_is_right, expected := list(put_together(events)))):
        assert messages == expected


# -- what is stored --------------------------------------------------------------------------------------------------

_RUN = json.loads(encode_json(synthetic.stored(2, samples_per_s=50).run))
_EXPERIMENT = {
    "schema": 1, "id": "x", "name": "x", "complete": True, "started": "2026-11-22T09:15:00.000Z", "wsbench": "0.1.0",
    "seed": 7, "baseline": "a",
    "cells": [{"key": "a", "target": "a", "transport": "ws", "compression": "off", "payload_size": 128,
               "connections": 50, "load": {"loop": "open", "rate": 1000.0, "arrivals": "poisson"},
               "runs": [{"repetition": 0, "order": 0, "status": "done", "run": "runs/x"}], "hole": None}],
}  # fmt: skip


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _places(value, (*above, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _places(value, (*above, index))


_PLACES = {"run": list(_places(_RUN))[1:], "experiment": list(_places(_EXPERIMENT))[1:]}


def _edited(document: Any, places: list[tuple[Any, ...]], data: bytes) -> bytes:
    """Edit a document: two bytes select a place, which the JSON after them, up to a zero, replaces (none: delete)."""
    document = copy.deepcopy(document)
    for edit in data.split(b"\0"):
        *above, last = places[int.from_bytes(edit[:2]) % len(places)]
        try:
            at = document
            for step in above:
                at = at[step]
            try:
                at[last] = json.loads(edit[2:])
            except ValueError:
                del at[last]
        except (KeyError, IndexError, TypeError):  # an edit before took the place away
            continue
    return json.dumps(document).encode()


def stored(data: bytes) -> None:
    """Read an edited run.json and experiment.json, and bytes that are neither: each is read or refused."""
    for text in (data, _edited(_RUN, _PLACES["run"], data)):
        try:
            run = run_result.decode(text, "here")
        except ResultError:
            continue
        assert run_result.decode(encode_json(run), "there") == run
        openmetrics.encode(run, list(run.latency))
        summary.render(run, "results/x")
        markdown.run_summary(run)
        junit.encode_run(run)
    for text in (data, _edited(_EXPERIMENT, _PLACES["experiment"], data)):
        try:
            experiment = _experiment(text)
        except ResultError:
            continue
        assert _experiment(encode_json(experiment)) == experiment


def _experiment(text: bytes) -> experiment_result.Experiment:
    return decode_json(experiment_result.Experiment, text, "here", what="experiment", schema=experiment_result.SCHEMA)


def log(data: bytes) -> None:
    """Read latency.hlog and timeline.csv."""
    for read in (logs.decode, read_timeline):
        try:
            read(data, "here")
        except ResultError:
            pass


# -- what people write -----------------------------------------------------------------------------------------------


def experiment_file(data: bytes) -> None:
    """Read an experiment file: it is a valid Spec, or a usage error that names the file."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            found = spec.load(Path(file.name))
        except UsageError as error:
            assert error.what.startswith(file.name), error.what
        else:
            assert found.targets and found.repetitions > 0 and found.load


_TEXTS: list[tuple[Callable[[str], object], type[Exception]]] = [
    *((parse, ValueError) for parse in (option.parse for option in OPTIONS) if parse is not None),
    (gate_parser.parse_objective, ValueError),
    (parse_header, ValueError),
    (parse_compression, ValueError),
    (parse_sources, ValueError),
    (parse_stall, ValueError),
    (parse_url, UsageError),
]


def texts(data: bytes) -> None:
    """Parse any text as each option: it returns a value, or raises the expected kind of error with a message."""
    text = data.decode("utf-8", "surrogateescape")
    for parse, expected in _TEXTS:
        try:
            parse(text)
        except expected as error:
            assert str(error)


# -- what is shown ---------------------------------------------------------------------------------------------------

SECRETS = Secrets().knowing(
    url="ws://me:aaaaaaaaab@a.test/?token=sesame", headers=[("Authorization", "Bearer a=a:a'a")]
)


def secrets(data: bytes) -> None:
    """Hide secrets in any text: of those known, none is left."""
    text = data.decode(errors="surrogateescape")
    middle = len(text) // 2
    for secret in SECRETS.values:
        for told in (secret, f" {secret} ", f"{text[-5:]}{secret}"):
            shown = SECRETS.text(text[:middle] + told + text[middle:])
            assert f" {secret} " not in shown
            assert secret not in shown or len(secret) < 8


SUBJECTS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "handshake": handshake,
    "stored": stored,
    "log": log,
    "experiment-file": experiment_file,
    "texts": texts,
    "secrets": secrets,
}


def seeds(subject: str) -> Iterator[bytes]:
    """Yield inputs to begin with: valid ones, and known invalid ones."""
    if subject == "frames":
        for case in (*conformance.CASES, *conformance.COMPRESSED, *conformance.DEFLATE):
            yield bytes((5 if case.deflate else 4, 40, 80, 120, 160, 200, 240, 0, 0)) + conformance.wire(
                case, masked=False
            )
    elif subject == "handshake":
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        right = head + b"Sec-WebSocket-Accept: ACCEPT\r\n"
        for flags in range(4):
            start = bytes((flags, 255))
            yield start + right + b"\r\n" + b"\x81\x02hi"
            yield start + right + b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n"
            yield start + right + b"Sec-WebSocket-Protocol: chat\r\n\r\n"
            yield start + head + b"\r\n"
            yield start + b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n"
            yield start + b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
            yield start + b"HTTP/1.0 200 OK\r\n\r\n"
            yield start + b"\x15\x03\x01\x00\x02\x02\x46"
    elif subject == "stored":
        yield from (b"\0\x01-1", b"\0\x0fnull\0\0\x10[]", b"\0\x20", encode_json(synthetic.stored(2).run))
    elif subject == "log":
        made = synthetic.stored(2, samples_per_s=5)
        yield from (made.log, made.timeline)
    elif subject == "experiment-file":
        for file in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml")):
            yield file.read_bytes()
    elif subject == "secrets":
        yield from (
            b"",
            b"?token=a&key=",
            b"--set=token=",
            b'{"auth": "a\\"',
            b"'Cookie: a",
            b"--api-key aaaaaaaa",
            b"=a=",
        )
    else:
        yield from (
            b"10s", b"1m30s", b"250ms", b"64k", b"2.5k/s", b"p99.9 > 5ms", b"lost > 0.1%",
            b'measure."GET /api".p95 < 1s', b"ramp.missing.garden / expected > 1%", b"ws://[::1]:80/a?b#c",
            b"Name: value", b"client_max_window_bits=12; server_no_context_takeover", b"127.0.0.0/8", b"1s every 5s",
        )  # fmt: skip
