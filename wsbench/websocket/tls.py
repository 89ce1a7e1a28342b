"""TLS over memory BIOs: the socket stays ours, so hub callbacks and kernel timestamps work as without TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from wsbench.errors import UsageError

_PLAIN_READ = 16_384
"""A record holds no more (RFC 8446, 5.1); a larger buffer would be mapped and unmapped for every read."""


def client_context(*, ca_file: str | None, insecure: bool) -> ssl.SSLContext:
    """A client context: the system's trust, plus or instead `ca_file`; no checks at all when `insecure`.

    Raises:
        UsageError: the CA file is missing or holds no certificate.
    """
    context = ssl.create_default_context()
    # RFC 6455 runs over HTTP/1.1; a server that prefers HTTP/2 must be told.
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = "it holds no PEM certificate" if Path(ca_file).is_file() else "there is no such file"
            raise UsageError(
                f"cannot use --ca {ca_file}: {reason}", remedy="Give a file with the CA's certificate in PEM."
            ) from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class TlsStream:
    """One TLS connection as a pure transformation: ciphertext in, plaintext out, and the reverse.

    Attributes:
        closed: the peer sent close_notify.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "closed")

    def __init__(self, context: ssl.SSLContext, server_name: str, session: ssl.SSLSession | None = None) -> None:
        """`session`: of an earlier connection, to be resumed if the server agrees."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name, session=session)
        self.closed = False

    def handshake(self, received: bytes) -> tuple[bool, bytes]:
        """One step of the handshake: (whether it is complete, what to send).

        Raises:
            ssl.SSLError: it failed; `outgoing` may hold an alert for the peer.
        """
        if received:
            self._incoming.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def outgoing(self) -> bytes:
        """Ciphertext that waits to be sent."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def encrypt(self, data: bytes) -> bytes:
        """Ciphertext of `data`, whole."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """The plaintext that `data` completes, maybe none.

        Raises:
            ssl.SSLError: a broken record.
        """
        incoming, read = self._incoming, self._object.read
        incoming.write(data)
        plain = b""
        try:
            # An exception costs more than a record: ask first whether anything is left to read.
            while incoming.pending or self._object.pending():
                chunk = read(_PLAIN_READ)
                if not chunk:
                    self.closed = True
                    break
                plain = plain + chunk if plain else chunk
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return plain

    def close(self) -> bytes:
        """close_notify for the peer."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection can resume; TLS 1.3 servers send it after the handshake."""
        return self._object.session

    @property
    def resumed(self) -> bool:
        """Whether an earlier connection's session was resumed."""
        return bool(self._object.session_reused)

    @property
    def version(self) -> str | None:
        """'TLSv1.3' and the like."""
        return self._object.version()

    @property
    def cipher(self) -> str | None:
        """The cipher suite's name."""
        cipher = self._object.cipher()
        return cipher[0] if cipher else None

    @property
    def application_protocol(self) -> str | None:
        """What both agreed to speak on top (ALPN); None when the server does not take part in that."""
        return self._object.selected_alpn_protocol()

    @property
    def certificate(self) -> bytes | None:
        """The server's, in DER, checked or not; of a handshake that is done."""
        return self._object.getpeercert(binary_form=True)
