"""Echo drivers: what one connection sends and what it expects, message by message.

`driver` is what all have in common; the others say when to send, and `lane` is the shortest way of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.echo_driver import EchoDriver
from wsbench.worker.echo.one_in_flight import OneInFlight
from wsbench.worker.echo.open_loop import OpenLoop

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine

__all__ = ["EchoDriver", "driver_for"]


def driver_for(engine: Engine) -> EchoDriver:
    """A driver of the kind that the options ask for."""
    options = engine.options
    kind: type[EchoDriver] = OpenLoop
    if options.closed_loop:
        # There is no short way through TLS, nor for who wants an event for every message.
        long_way = options.in_flight > 1 or options.request_events or options.connect.uri.secure
        kind = ClosedLoop if long_way else OneInFlight
    driver = kind(engine, engine.new_id())
    engine.connections.register(driver)
    return driver
