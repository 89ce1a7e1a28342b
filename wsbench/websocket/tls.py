"""TLS over memory BIOs. The socket stays a plain one, so hub callbacks and kernel timestamps work as without TLS."""

from __future__ import annotations

import ssl

from wsbench.errors import UsageError

_PLAIN_READ = 16_384
"""Largest record (RFC 8446, 5.1); a larger buffer would be mapped and unmapped for every read."""


def client_context(*, ca_file: str | None, insecure: bool) -> ssl.SSLContext:
    """Return a client context that trusts the system's CAs and `ca_file`; it checks nothing if `insecure`.

    Raise UsageError if the CA file is missing or holds no certificate.
    """
    context = ssl.create_default_context()
    # RFC 6455 runs over HTTP/1.1; without ALPN a server may choose HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
            remedy = "Give a file with the CA's certificate in PEM."
            raise UsageError(f"cannot use --ca {ca_file}: {reason}", remedy=remedy) from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class TlsStream:
    """One TLS connection without I/O: ciphertext in, plaintext out, and the reverse.

    Attributes:
        ssl_object: Python's TLS object, which knows the version, the certificate and the session.
        closed: the server has sent close_notify.
    """

    __slots__ = ("_incoming", "_outgoing", "closed", "ssl_object")

    def __init__(self, context: ssl.SSLContext, server_name: str, session: ssl.SSLSession | None = None) -> None:
        """Start a connection; `session`, of an earlier one, is resumed if the server agrees."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name, session=session)
        self.closed = False

    def handshake(self, received: bytes) -> tuple[bool, bytes]:
        """Take one step of the handshake; return whether it is complete, and the bytes to send.

        Raise ssl.SSLError if it failed; `outgoing` may then return an alert for the server.
        """
        if received:
            self._incoming.write(received)
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def outgoing(self) -> bytes:
        """Return ciphertext to send, perhaps none."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def encrypt(self, data: bytes) -> bytes:
        """Return the ciphertext of `data`."""
        self.ssl_object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return the plaintext that `data` completes, perhaps none; raise ssl.SSLError for a broken record."""
        incoming, read = self._incoming, self.ssl_object.read
        incoming.write(data)
        plain = b""
        try:
            # An exception costs more than a record: check first whether bytes are left.
            while incoming.pending or self.ssl_object.pending():
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
        """Return close_notify for the server."""
        try:
            self.ssl_object.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()

    @property
    def resumed(self) -> bool:
        """Whether an earlier connection's session was resumed."""
        return bool(self.ssl_object.session_reused)

    @property
    def cipher(self) -> str | None:
        """Name of the cipher suite."""
        cipher = self.ssl_object.cipher()
        return cipher[0] if cipher else None
