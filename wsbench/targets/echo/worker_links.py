"""Connections between all workers, so that a broadcast reaches the clients of each."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from typing import cast

from websockets.frames import Opcode

_MAX_UNSENT_BYTES = 1024 * 1024
_HEADER = struct.Struct("!BQ")  # opcode, length of the payload that follows


class SocketPairs:
    """A socket pair for every two workers; created before the workers are forked."""

    def __init__(self, workers: int) -> None:
        self._pairs = {pair: socket.socketpair() for pair in itertools.combinations(range(workers), 2)}

    def take(self, worker: int) -> list[socket.socket]:
        """Return the ends that belong to `worker`, and close all others in this process."""
        ends_of_worker = []
        for pair, ends in self._pairs.items():
            for owner, end in zip(pair, ends, strict=True):
                if owner == worker:
                    ends_of_worker.append(end)
                else:
                    end.close()
        return ends_of_worker

    def close(self) -> None:
        """Close all ends, in the parent process."""
        for end in itertools.chain.from_iterable(self._pairs.values()):
            end.close()


class WorkerLinks:
    """One worker's connections to the others. A single worker has none, and sending does nothing.

    `full` is True while another worker leaves too much unread; `on_full` is called when that changes.
    """

    def __init__(self) -> None:
        self.full = False
        self.on_full: Callable[[], None] = lambda: None
        self._links: set[_Link] = set()

    async def connect(self, ends: Sequence[socket.socket], deliver: Callable[[Opcode, bytes], None]) -> None:
        """Connect to the other workers; pass their messages to `deliver`."""
        loop = asyncio.get_running_loop()
        for end in ends:
            end.setblocking(False)
            await loop.create_unix_connection(lambda: _Link(self, self._links, deliver), sock=end)

    def update_full(self) -> None:
        """Update `full` from the links, and call `on_full` if it changed."""
        full = any(link.full for link in self._links)
        if full is not self.full:
            self.full = full
            self.on_full()

    def send(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message to all other workers."""
        for link in self._links:
            link.transport.writelines((_HEADER.pack(opcode, len(payload)), payload))


class _Link(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, owner: WorkerLinks, links: set[_Link], deliver: Callable[[Opcode, bytes], None]) -> None:
        self.full = False
        self._owner = owner
        self._links = links
        self._deliver = deliver
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(_MAX_UNSENT_BYTES)
        self._links.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._links.discard(self)
        self._owner.update_full()

    def pause_writing(self) -> None:
        self.full = True
        self._owner.update_full()

    def resume_writing(self) -> None:
        self.full = False
        self._owner.update_full()

    def data_received(self, data: bytes) -> None:
        buffer, position = self._buffer, 0
        buffer += data
        while len(buffer) - position >= _HEADER.size:
            opcode, length = _HEADER.unpack_from(buffer, position)
            end = position + _HEADER.size + length
            if len(buffer) < end:
                break
            self._deliver(Opcode(opcode), bytes(buffer[position + _HEADER.size : end]))
            position = end
        del buffer[:position]
