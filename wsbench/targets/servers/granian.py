"""granian: an ASGI server in Rust, on tungstenite, which has no permessage-deflate."""

from __future__ import annotations

from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from wsbench.targets.servers import program


def main() -> None:
    """Serve until SIGTERM."""
    options = program.parse_options(compression=False)
    port = program.reserve_port(options.port)
    server = Server(
        "wsbench.targets.servers.asgi:app",
        address=program.HOST,
        port=port,
        interface=Interfaces.ASGINL,
        workers=options.workers,
        log_level=LogLevels.error,  # its warnings go to standard output
        ssl_cert=Path(options.cert) if options.cert else None,
        ssl_key=Path(options.key) if options.key else None,
        workers_kill_timeout=1,
    )
    program.print_when_listening(options, port)
    server.serve()


if __name__ == "__main__":
    main()
