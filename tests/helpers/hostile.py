"""A server that serves some connections correctly and is hostile to the others.

`python -m helpers.hostile good masked good bomb`: connection number n gets the nth manner, cyclically. A hostile manner
begins after ANSWERED correct replies. Faults of the handshake are those of bad_handshakes. `GET /counts` on the same
port returns the counts by manner.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from . import bad_handshakes, frames
from .bad_handshakes import FAULTS, BadHandshakes, Fault, Session
from .conformance import RSV1, RSV2, Frame, close
from .frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, FrameParser, Request

ANSWERED = 2
NARROW = 4096
_MB = 1 << 20


class Served:
    """A connection after its handshake.

    Attributes:
        last: payload of the last message received.
        count: adds one to a count of this manner in `/counts`.
    """

    def __init__(self, session: Session, count: Callable[[str], None], *headers: str) -> None:
        self.session, self.count = session, count
        self.last = b""
        self._socket = session.client
        self._parser = FrameParser()
        self.count("connections")
        head = (session.upgrade, session.connection, session.accept, *headers)
        self.send(frames.http_answer("101 Switching Protocols", *head))

    def send(self, *datas: bytes) -> None:
        for data in datas:
            self._socket.sendall(data)

    def send_for_ever(self, datas: Iterator[bytes]) -> None:
        """Send until the client closes."""
        while not self.session.stopped.is_set():
            self.send(next(datas))

    def messages(self, *, answers_close: bool = True) -> Iterator[bytes]:
        """Yield the client's messages up to its close frame, which is answered by default, or its end of stream."""
        while data := self._socket.recv(1 << 16):
            for incoming in self._parser.feed(data):
                if incoming.opcode in frames.DATA:
                    self.last = incoming.payload
                    self.count("messages_in")
                    yield incoming.payload
                elif incoming.opcode == CLOSE:
                    self.count("closes")
                    if answers_close:
                        self.send(frames.encode(CLOSE, incoming.payload))
                        return

    def answer(self, *datas: bytes) -> None:
        """Send a correct reply; counted first, so that a client that has it finds it counted."""
        self.count("replies")
        self.send(*datas)

    def begin_well(self) -> None:
        """Echo ANSWERED messages, and return at the next one; ConnectionError if the client closes before."""
        for number, payload in enumerate(self.messages()):
            if number == ANSWERED:
                return
            self.answer(frames.encode(TEXT, payload))
        raise ConnectionResetError("the client closed too early")

    def until_end(self) -> None:
        """Read to the end, without an answer."""
        for _ in self.messages(answers_close=False):
            pass


Manner = Callable[[Served], None]


def _good(served: Served) -> None:
    for payload in served.messages():
        served.answer(frames.encode(TEXT, payload))


def _in_parts(served: Served) -> None:
    """Send valid but unusual replies: in fragments, with control frames between them."""
    for payload in served.messages():
        cut = len(payload) // 3
        served.answer(
            frames.encode(TEXT, payload[:cut], fin=False),
            frames.encode(PING, b"between"),
            frames.encode(CONTINUATION, payload[cut:-cut], fin=False),
            frames.encode(frames.PONG, b"unasked") + frames.encode(PING, b""),
            frames.encode(CONTINUATION, payload[-cut:]),
        )


def _sends(*sent: Frame) -> Manner:
    """Return a manner that sends these frames instead of a reply, and then nothing more."""

    def manner(served: Served) -> None:
        served.begin_well()
        served.send(b"".join(frame.wire(masked=False) for frame in sent))
        served.until_end()

    return manner


def _floods(data: Callable[[], Iterator[bytes]]) -> Manner:
    """Return a manner that sends without end."""

    def manner(served: Served) -> None:
        served.begin_well()
        served.send_for_ever(data())

    return manner


def _fragments_of(size: int) -> Iterator[bytes]:
    yield frames.encode(BINARY, b"", fin=False)
    fragment = frames.encode(CONTINUATION, bytes(size), fin=False)
    yield from itertools.repeat(fragment * max(1, (1 << 16) // len(fragment)))


def _wrong_length(difference: int) -> Manner:
    """Return a manner with a wrong length in one reply, so that the frames after it are misread."""

    def manner(served: Served) -> None:
        served.begin_well()
        served.send(Frame(TEXT, served.last, stated=len(served.last) + difference).wire(masked=False))
        for payload in served.messages():
            served.send(frames.encode(TEXT, payload))

    return manner


def bomb() -> bytes:
    """Return two GB of zeros, compressed to 2 MB."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(bytes(_MB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return block * 2048


def _bomb(served: Served, *, fragments: int = 1) -> None:
    served.session.client.recv(1)  # not parsed: the client may compress it
    data = bomb()
    step = len(data) // fragments
    for number in range(fragments):
        part = data[number * step : (number + 1) * step]
        opcode, rsv = (CONTINUATION, 0) if number else (BINARY, RSV1)
        served.send(Frame(opcode, part, fin=False, rsv=rsv).wire(masked=False))
    with contextlib.suppress(OSError):
        while served.session.client.recv(1 << 16):
            pass


def _half_closed(served: Served) -> None:
    served.begin_well()
    served.session.client.shutdown(socket.SHUT_WR)
    served.until_end()


def _reset_amid_frame(served: Served) -> None:
    served.begin_well()
    served.send(frames.encode(TEXT, served.last)[:-10])
    bad_handshakes.reset(served.session)


def _reads_nothing(served: Served) -> None:
    served.session.stopped.wait()


def _pings_and_reads_nothing(served: Served) -> None:
    """Send pings too slowly for a flood, but fast enough to fill an unbounded buffer."""
    while not served.session.stopped.wait(0.05):
        served.send(frames.encode(PING, bytes(125)) * 50)


def _never_answers_close(served: Served) -> None:
    for payload in served.messages(answers_close=False):
        served.answer(frames.encode(TEXT, payload))


def _keeps_tcp(served: Served) -> None:
    """Answer the close frame, but leave the TCP connection open."""
    _good(served)
    served.session.stopped.wait()


def _dribbles(served: Served) -> None:
    """Send single bytes of a reply, and never all of it."""
    served.begin_well()
    for at in range(len(served.last)):
        if served.session.stopped.wait(0.3):
            return
        served.send(frames.encode(TEXT, served.last)[at : at + 1])


MANNERS: dict[str, Manner] = {
    "good": _good,
    "in-parts": _in_parts,
    "masked": _sends(Frame(TEXT, b"masked", mask=False)),
    "reserved-bit": _sends(Frame(TEXT, b"reserved", rsv=RSV2)),
    "reserved-opcode": _sends(Frame(0xB, b"reserved")),
    "continuation-of-nothing": _sends(Frame(CONTINUATION, b"of nothing")),
    "length-2-to-63": _sends(Frame(BINARY, b"endless", stated=1 << 63)),
    "length-too-long": _wrong_length(+10),
    "length-too-short": _wrong_length(-10),
    "long-ping": _sends(Frame(PING, bytes(126))),
    "not-utf8": _sends(Frame(TEXT, b"\xff\xfe")),
    "close-bad-code": _sends(close(1005)),
    "close-cut-code": _sends(Frame(CLOSE, b"\x03")),
    "close-cut-reason": _sends(close(1000, "über".encode()[:1])),
    "closes": _sends(close(1012, b"restarting")),
    "data-after-close": _sends(close(1000), Frame(TEXT, b"behind"), Frame(3, b"wrong as well")),
    "endless-fragments": _floods(partial(_fragments_of, 1 << 16)),
    "endless-tiny-fragments": _floods(partial(_fragments_of, 1)),
    "endless-empty-fragments": _floods(partial(_fragments_of, 0)),
    "endless-pings": _floods(lambda: itertools.repeat(frames.encode(PING, b"") * 30_000)),
    "endless-pongs": _floods(lambda: itertools.repeat(frames.encode(frames.PONG, b"!") * 20_000)),
    "bomb": _bomb,
    "bomb-in-parts": partial(_bomb, fragments=10),
    "half-closed": _half_closed,
    "reset-amid-frame": _reset_amid_frame,
    "reads-nothing": _reads_nothing,
    "pings-and-reads-nothing": _pings_and_reads_nothing,
    "never-answers-close": _never_answers_close,
    "keeps-tcp": _keeps_tcp,
    "dribbles": _dribbles,
}


def _cut_handshake(session: Session) -> None:
    session.client.sendall(frames.http_answer("101 Switching Protocols", session.upgrade)[:-4])


HANDSHAKES: dict[str, Fault] = {
    "handshake-cut": _cut_handshake,
    "handshake-extension": lambda s: s.switch(
        s.upgrade, s.connection, s.accept, "Sec-WebSocket-Extensions: x-never-asked-for"
    ),
    **{f"handshake{name.replace('/', '-')}": fault for name, fault in FAULTS.items()},
}


class Hostile(BadHandshakes):
    """The server.

    Args:
        manners: names in MANNERS or HANDSHAKES, used for one connection each, cyclically.
    """

    def __init__(self, manners: list[str]) -> None:
        super().__init__()
        unknown = set(manners) - {*MANNERS, *HANDSHAKES}
        if unknown or not manners:
            raise ValueError(f"{unknown or 'no manners'}: there are {', '.join((*MANNERS, *HANDSHAKES))}")
        self._manners = itertools.cycle(manners)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the counts so far: {manner: {"connections": 3, ...}}."""
        counts: dict[str, dict[str, int]] = {}
        with self._counting:
            for (manner, what), count in self._counts.items():
                counts.setdefault(manner, {})[what] = count
        return counts

    def fault_of(self, request: Request) -> Fault:
        if not request.wants_websocket:
            return self._tell
        name = next(self._manners)
        if name in HANDSHAKES:
            self._count(name, "connections")
            return HANDSHAKES[name]
        return partial(self._serve_as, name)

    def _serve_as(self, name: str, session: Session) -> None:
        if name.endswith("reads-nothing"):
            session.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        granted = ("Sec-WebSocket-Extensions: permessage-deflate",) if name.startswith("bomb") else ()
        MANNERS[name](Served(session, partial(self._count, name), *granted))

    def _tell(self, session: Session) -> None:
        body = json.dumps(self.counts()).encode()
        session.client.sendall(frames.http_answer("200 OK", "Content-Type: application/json", body=body))

    def _count(self, manner: str, what: str) -> None:
        with self._counting:
            self._counts[manner, what] += 1


def main() -> None:
    with Hostile(sys.argv[1:]) as server:
        print(f"listening on {server.url('/')}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
