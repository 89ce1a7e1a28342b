"""Opening many connections with the same options."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from wsbench.transport.connect_attempt import ConnectAttempt, HandshakeResult
from wsbench.transport.resolver import Resolver
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions


class Connector:
    """Opens connections that share their options, TLS context and session, resolved names and byte counts."""

    def __init__(
        self,
        options: ConnectOptions,
        *,
        context: ssl.SSLContext | None,
        traffic: Traffic,
        sources: Iterator[str] | None = None,
    ) -> None:
        """Prepare to open connections with `options`, unless a call gives others.

        `context` is needed for wss only. Each connection comes from the next of `sources`; None: the system's choice.
        """
        self.options = options
        self.traffic = traffic
        self._sources = sources
        self._session: ssl.SSLSession | None = None
        self._context = context
        self._resolver = Resolver()

    def attempt(self, options: ConnectOptions | None = None) -> ConnectAttempt:
        """Return the next connection's attempt, not started yet; `options` replace the connector's."""
        options = options or self.options
        source = next(self._sources) if self._sources is not None else None
        context = self._context if options.uri.secure else None
        return ConnectAttempt(options, context, self.traffic, self._resolver, source, self._session)

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
