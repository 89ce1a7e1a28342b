"""granian: an ASGI server in Rust, on tungstenite, which has no permessage-deflate."""

from __future__ import annotations

from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from wsbench.targets.servers import program


def main() -> None:
    """Serve until SIGTERM."""
    given = program.options(compression=False)
    # held until the end of the process
    reserved = program.reserve_port(given.port)
    port = reserved.getsockname()[1]
    server = Server(
        "wsbench.targets.servers.asgi:app",
        address=program.HOST,
        port=port,
        interface=Interfaces.ASGINL,
        workers=given.workers,
        log_level=LogLevels.error,  # it warns on standard output
        ssl_cert=Path(given.cert) if given.cert else None,
        ssl_key=Path(given.key) if given.key else None,
        workers_kill_timeout=1,
    )
    program.say_when_listening(given, port)
    server.serve()


if __name__ == "__main__":
    main()
