"""TLS as a transformation of bytes, against Python's own server."""

from __future__ import annotations

import itertools
import ssl

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.websocket.tls import TlsStream

AUTHORITY = trustme.CA()
SERVER_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("server.test").configure_cert(SERVER_CONTEXT)


class Ends:
    """Return our stream and Python's own server, after their handshake."""

    def __init__(self, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, name: str = "server.test") -> None:
        context = ssl.create_default_context()
        AUTHORITY.configure_trust(context)
        context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = SERVER_CONTEXT.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.stream = TlsStream(context, name)
        received = b""
        for _ in range(10):
            done, sent = self.stream.handshake(received)
            self._incoming.write(sent)
            try:
                self.server.do_handshake()
            except ssl.SSLWantReadError:
                pass
            received = self._outgoing.read()
            if done:
                break
        assert done
        self.tickets = received

    def sent_by_server(self, *plaintexts: bytes) -> bytes:
        for plaintext in plaintexts:
            self.server.write(plaintext)
        return self._outgoing.read()

    def received_by_server(self, ciphertext: bytes) -> bytes:
        self._incoming.write(ciphertext)
        plain = b""
        try:
            while chunk := self.server.read(65_536):
                plain += chunk
        except ssl.SSLWantReadError:
            pass
        return plain


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_both_ways(version: ssl.TLSVersion) -> None:
    ends = Ends(version=version)
    assert ends.stream.ssl_object.version() == version.name.replace("_", ".")
    assert ends.stream.cipher
    assert ends.stream.decrypt(ends.tickets) == b""
    for payload in (b"x", bytes(100_000)):
        assert ends.received_by_server(ends.stream.encrypt(payload)) == payload
        assert ends.stream.decrypt(ends.sent_by_server(payload)) == payload
    assert ends.stream.outgoing() == b""


@given(
    sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 200_000), max_size=20),
)
@settings(max_examples=50)
def test_ciphertext_may_be_cut_anywhere(sizes: list[int], cuts: list[int]) -> None:
    ends = Ends()
    plaintexts = [bytes([number]) * size for number, size in enumerate(sizes)]
    stream = ends.tickets + ends.sent_by_server(*plaintexts)
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    plain = [ends.stream.decrypt(stream[start:end]) for start, end in itertools.pairwise(edges)]
    assert b"".join(plain) == b"".join(plaintexts)
    assert not ends.stream.closed


def test_a_record_is_given_as_soon_as_it_is_whole() -> None:
    ends = Ends()
    record = ends.tickets + ends.sent_by_server(b"whole")
    assert ends.stream.decrypt(record[:-1]) == b""
    assert ends.stream.decrypt(record[-1:]) == b"whole"


def test_close_notify_is_noticed_after_the_plaintext_before_it() -> None:
    ends = Ends()
    data = ends.tickets + ends.sent_by_server(b"last words")
    try:
        ends.server.unwrap()
    except ssl.SSLWantReadError:
        pass
    assert ends.stream.decrypt(data + ends.sent_by_server()) == b"last words"
    assert ends.stream.closed


def test_a_damaged_record_is_an_error() -> None:
    ends = Ends()
    record = bytearray(ends.sent_by_server(b"x" * 100))
    record[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        ends.stream.decrypt(ends.tickets + bytes(record))


def test_a_certificate_for_another_name_is_refused() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Ends(name="other.test")


def test_close_sends_a_valid_close_notify() -> None:
    ends = Ends()
    ends.stream.decrypt(ends.tickets)
    with pytest.raises(ssl.SSLWantReadError):
        ends.server.read(1)
    assert ends.received_by_server(ends.stream.encrypt(b"last words") + ends.stream.close()) == b"last words"
    assert ends.server.read(1) == b"", "the end, and not that more is wanted"
