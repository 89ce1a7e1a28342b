"""One echo user of an engine and its peer, byte by byte: to hold the ways of an echo connection equal to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import gevent
from gevent.event import Event

from helpers import frames
from helpers.frames import Incoming
from helpers.peer import PATIENCE_S, Peer, until
from wsbench.measure.series import LATENCY_SERIES, MESSAGE_COUNTS
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report
from wsbench.worker.echo.echo_driver import EchoDriver
from wsbench.worker.engine import Engine


def echo(message: Incoming) -> bytes:
    return frames.encode(message.opcode, message.payload)


def damaged(message: Incoming) -> bytes:
    return frames.encode(message.opcode, message.payload[:-3] + b"~" + message.payload[-2:])


PING = frames.encode(frames.PING, b"?")
ANSWERS: Mapping[str, Callable[[Incoming], list[bytes]]] = {
    "echo": lambda message: [echo(message)],
    "twice": lambda message: [echo(message) * 2],
    "damaged": lambda message: [damaged(message)],
    "as binary": lambda message: [frames.encode(frames.BINARY, message.payload)],
    "cut in two": lambda message: [echo(message)[:50], echo(message)[50:]],
    "with a ping before it": lambda message: [PING + echo(message)],
    "with a ping after it": lambda message: [echo(message) + PING],
    "after a ping": lambda message: [PING, echo(message)],
    "after a message": lambda message: [frames.encode(frames.TEXT, b"hello"), echo(message)],
    "in fragments": lambda message: [
        frames.encode(message.opcode, message.payload[:9], fin=False),
        frames.encode(frames.CONTINUATION, message.payload[9:]),
    ],
}


class Conversation:
    """One user of an engine, and its peer, which answers as the test says.

    Attributes:
        peer: the server.
        dropped: set when the connection has been dropped.
        sent: payloads of the user's messages.
        counts: of the ended run.
        values: of the ended run, by phase: the counts, and the number of values of each latency series.
    """

    def __init__(self, kind: type[EchoDriver], **raw: str) -> None:
        self.peer = Peer()
        self._reports: list[Report] = []
        options = RunOptions.from_texts(raw, url=self.peer.url, users=1)
        self.engine = Engine(options, worker=0, send=self._reports.append)
        self.driver = kind(self.engine, 1)
        self.engine.connections.register(self.driver)
        self.dropped = Event()
        self.driver.on_dropped = self.dropped.set
        self.sent: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.values: dict[str, Counter[str]] = {}
        connecting = gevent.spawn(self.engine.connections.connect, self.driver)
        self.peer.accept()
        connecting.get(timeout=PATIENCE_S)
        self._given = self.engine.traffic.received

    def hear(self) -> Incoming:
        """Return the user's next message."""
        message = self._heard()
        self.sent.append(message.payload)
        return message

    def _heard(self) -> Incoming:
        while (incoming := self.peer.receive()).opcode == frames.PONG:
            pass
        return incoming

    def answer(self, message: Incoming, how: str) -> None:
        """Send the peer's answer."""
        for number, data in enumerate(ANSWERS[how](message)):
            if number:
                gevent.sleep(0.002)
            self.peer.send(data)

    def give(self, pieces: Iterable[bytes]) -> None:
        """Send bytes piece by piece, each when the user has read the one before; stop when the connection has ended."""
        for piece in pieces:
            if self.dropped.is_set():
                break
            self.peer.send(piece)
            self._given += len(piece)
            until(lambda: self.engine.traffic.received == self._given or self.dropped.is_set())

    def reset(self) -> None:
        """Reset the connection from the peer's side."""
        self.peer.reset()

    def end(self) -> None:
        """End the run: the message in flight is still answered, and no other follows."""
        last = self.hear() if self.driver.outstanding else None
        finishing = gevent.spawn(self.engine.finish)
        until(lambda: not self.engine.recorder.sending)
        if last is not None:
            self.answer(last, "echo")
        assert self._heard().opcode == frames.CLOSE
        self.peer.send(frames.encode_close(1000, ""))
        self.peer.end()
        finishing.get(timeout=PATIENCE_S)
        self.peer.stop()
        self._count()

    def give_up(self) -> None:
        """End the run after the connection has gone."""
        self.engine.finish()
        self.peer.stop()
        self._count()

    def _count(self) -> None:
        for delta in (delta for report in self._reports for delta in report.deltas):
            counts = Counter({name: delta.counts.get(name, 0) for name in MESSAGE_COUNTS})
            self.counts.update(counts)
            values = self.values.setdefault(delta.phase, Counter())
            values.update(counts)
            values.update({f"values of {name}": sum(delta.series.get(name, {}).values()) for name in LATENCY_SERIES})
