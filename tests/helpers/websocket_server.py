"""A WebSocket server in a thread of the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from websockets.sync.server import ServerConnection, serve


@contextlib.contextmanager
def websocket_server(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    """Serve connections with `handler`, each in a thread; yield the URL. `options` are those of `websockets`."""
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join()
