"""Opening many connections with the same options."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from wsbench.transport.connect_attempt import ConnectAttempt, HandshakeResult
from wsbench.transport.server_addresses import ServerAddresses
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions


class Connector:
    """Opens connections that share their options, TLS context and session, servers' addresses and byte counts."""

    def __init__(
        self,
        options: ConnectOptions,
        *,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        sources: Iterator[str] | None = None,
        turn: int = 0,
    ) -> None:
        """Prepare to open connections with `options`, unless a call gives others.

        `context` is needed for wss only. Each connection comes from the next of `sources`; None: the system's choice.
        `turn` is the place of the first connection's server address, if all are to be used.
        """
        self.options = options
        self.traffic = traffic
        self._sources = sources
        self._session: ssl.SSLSession | None = None
        self._context = context
        self._turn = turn
        self._servers: dict[tuple[str, int], ServerAddresses] = {}

    def attempt(self, options: ConnectOptions | None = None) -> ConnectAttempt:
        """Return the next connection's attempt, not started yet; `options` replace the connector's."""
        options = options or self.options
        source = next(self._sources) if self._sources is not None else None
        context = self._context if options.uri.secure else None
        return ConnectAttempt(options, context, self.traffic, self._server(options), source, self._session)

    def _server(self, options: ConnectOptions) -> ServerAddresses:
        key = host, port = options.uri.host_and_zone, options.uri.port
        if key not in self._servers:
            self._servers[key] = ServerAddresses(host, port, use=options.addresses, turn=self._turn)
        return self._servers[key]

    def connect(self, options: ConnectOptions | None = None) -> HandshakeResult:
        """Open a connection within the options' timeout, or raise ConnectError; `options` replace the connector's."""
        attempt = self.attempt(options)
        for _ in attempt.steps():
            pass
        handshake = attempt.result
        assert handshake is not None
        if (options or self.options).resume_tls and handshake.tls is not None:
            self._session = handshake.tls.ssl_object.session or self._session
        return handshake
