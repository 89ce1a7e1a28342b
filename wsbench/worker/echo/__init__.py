"""Echo drivers: messages that one connection sends, and verification of their replies.

`echo_driver` is the common part, and `closed_loop` and `open_loop` decide when to send. `native_loops` are the same two
loops with connections in the table of `native_path`, whose work is done in C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.echo_driver import EchoDriver
from wsbench.worker.echo.native_loops import NativeClosedLoop, NativeOpenLoop
from wsbench.worker.echo.native_path import NativePath
from wsbench.worker.echo.open_loop import OpenLoop

if TYPE_CHECKING:
    from wsbench.websocket.connect_options import ConnectOptions
    from wsbench.worker.engine import Engine

__all__ = ["EchoDriver", "driver_for"]


def driver_for(engine: Engine, connect: ConnectOptions | None = None) -> EchoDriver:
    """Return a registered driver of the kind that the options ask for; `connect`: its own, not those of the run."""
    options = engine.options
    target = connect or options.connect
    kind: type[EchoDriver]
    if NativePath.serves(options, target):
        path, kind = "native", NativeClosedLoop if options.closed_loop else NativeOpenLoop
    else:
        path, kind = "python", ClosedLoop if options.closed_loop else OpenLoop
    engine.echo_path = path if engine.echo_path in (None, path) else "mixed"
    driver = kind(engine, engine.new_id())
    engine.connections.register(driver)
    return driver
