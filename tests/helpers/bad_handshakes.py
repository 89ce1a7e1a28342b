"""A server with faults in its opening handshake; the path selects the fault (see `FAULTS`).

`/ok` is the control: the same code without a fault.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable

from . import frames
from .frames import Request

Fault = Callable[["Session"], None]
SLOW_PAUSE_S = 0.2
_HTML = b"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"


class Session:
    """Connection of a client whose request has been read, with the header lines of a valid 101."""

    def __init__(self, client: socket.socket, request: Request, stopped: threading.Event) -> None:
        self.client = client
        self.request = request
        self.stopped = stopped
        key = request.headers.get("sec-websocket-key", "")
        self.upgrade = "Upgrade: websocket"
        self.connection = "Connection: Upgrade"
        self.accept = f"Sec-WebSocket-Accept: {frames.accept_key(key)}"

    def switch(self, *headers: str, version: str = "HTTP/1.1") -> None:
        """Answer 101 with `headers`, then wait until the client sends something or closes."""
        self.client.sendall(frames.http_answer("101 Switching Protocols", *headers, version=version))
        self.client.recv(1 << 16)

    def refuse(self, status: str, *headers: str, body: bytes | None = None) -> None:
        """Answer `status` with an HTML page, or with a plain `body`."""
        kind = "text/html; charset=utf-8" if body is None else "text/plain"
        page = _HTML % (status.encode(), status.encode()) if body is None else body
        self.client.sendall(frames.http_answer(status, f"Content-Type: {kind}", *headers, body=page))


def _silent(session: Session) -> None:
    while not session.stopped.is_set() and session.client.recv(1 << 16):
        pass


def reset(session: Session) -> None:
    """Reset the TCP connection."""
    session.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.client.close()


def _slow(session: Session) -> None:
    head = frames.http_answer("101 Switching Protocols", session.upgrade, session.connection, session.accept)
    for byte in head:
        if session.stopped.wait(SLOW_PAUSE_S):
            return
        session.client.sendall(bytes((byte,)))
    _silent(session)


def _endless_headers(session: Session) -> None:
    session.client.sendall(f"HTTP/1.1 101 Switching Protocols\r\n{session.upgrade}\r\n".encode())
    for number in itertools.count():
        if session.stopped.is_set():
            return
        session.client.sendall(f"X-Filler-{number}: {'x' * 100}\r\n".encode())


def _garbage(session: Session) -> None:
    session.client.sendall(bytes(range(255, -1, -1)) * 4)
    _silent(session)


def _redirect(session: Session) -> None:
    host = session.request.headers.get("host", "")
    session.refuse("302 Found", f"Location: http://{host}/moved")


FAULTS: dict[str, Fault] = {
    "/ok": lambda s: s.switch(s.upgrade, s.connection, s.accept),
    # answers of an HTTP server without WebSocket, or that refuses this client
    "/200": lambda s: s.refuse("200 OK"),
    "/302": _redirect,
    "/redirect": _redirect,
    "/401": lambda s: s.refuse("401 Unauthorized", 'WWW-Authenticate: Basic realm="test"'),
    "/403": lambda s: s.refuse("403 Forbidden"),
    "/404": lambda s: s.refuse("404 Not Found"),
    "/426": lambda s: s.refuse("426 Upgrade Required", "Sec-WebSocket-Version: 8, 7"),
    "/503": lambda s: s.refuse("503 Service Unavailable", "Retry-After: 30"),
    # answer of a back end behind a proxy that does not forward the two hop-by-hop headers
    "/no-upgrade": lambda s: s.refuse("400 Bad Request", body=b"missing Upgrade header\n"),
    # a 101 with one thing wrong
    "/101-no-upgrade": lambda s: s.switch(s.connection, s.accept),
    "/wrong-accept": lambda s: s.switch(
        s.upgrade, s.connection, f"Sec-WebSocket-Accept: {frames.accept_key('the key of somebody else')}"
    ),
    "/unrequested-extension": lambda s: s.switch(
        s.upgrade, s.connection, s.accept, "Sec-WebSocket-Extensions: permessage-deflate"
    ),
    "/unrequested-subprotocol": lambda s: s.switch(
        s.upgrade, s.connection, s.accept, "Sec-WebSocket-Protocol: never-asked-for"
    ),
    "/http10": lambda s: s.switch(s.upgrade, s.connection, s.accept, version="HTTP/1.0"),
    # no complete answer
    "/silent": _silent,
    "/close": lambda _session: None,
    "/rst": reset,
    "/garbage": _garbage,
    "/slow": _slow,
    "/endless-headers": _endless_headers,
}


class BadHandshakes:
    """The server, with one thread per connection. A context manager.

    Attributes:
        port: port on 127.0.0.1.
        requests: requests in order of arrival.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._stopped = threading.Event()
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def url(self, path: str, scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> BadHandshakes:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._lock:
            # shutdown, not close: it wakes the threads that are blocked in accept, recv and sendall
            for each in (self._listener, *self._clients):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def fault_of(self, request: Request) -> Fault:
        """Return the fault that a request selects."""
        return FAULTS.get(request.target.partition("?")[0], FAULTS["/404"])

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="bad-handshakes", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._stopped.is_set():
                    client.close()
                    return
                self._clients.add(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError):
                request = _read_request(client)
                if request is not None:
                    self.requests.append(request)
                    self.fault_of(request)(Session(client, request, self._stopped))
        finally:
            with self._lock:
                self._clients.discard(client)


def _read_request(client: socket.socket) -> Request | None:
    """Return the request, or None if the client closed or sent no HTTP."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(1 << 16)
        if not data:
            return None
        head += data
    try:
        return frames.parse_request(head.partition(b"\r\n\r\n")[0])
    except ValueError:
        return None


def main() -> None:
    with BadHandshakes() as server:
        print(f"listening on {server.url('/ok')} and {' '.join(FAULTS)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
