"""socketify: uWebSockets, which is C++, with handlers in Python."""

from __future__ import annotations

from typing import Any

from socketify import App, AppOptions, CompressOptions

from wsbench.targets.servers import program

_NEVER = 0


def _echo(connection: Any, message: str | bytes, opcode: Any) -> None:
    connection.send(message, opcode, _compressed)


_compressed = False


def main() -> None:
    """Serve until SIGTERM."""
    global _compressed
    options = program.parse_options()
    _compressed = options.compression
    port = program.reserve_port(options.port)

    def serve(_index: int) -> None:
        app = App(AppOptions(key_file_name=options.key, cert_file_name=options.cert) if options.cert else None)
        app.ws(
            "/*",
            {
                "compression": CompressOptions.SHARED_COMPRESSOR if options.compression else CompressOptions.DISABLED,
                "max_payload_length": program.MAX_MESSAGE_BYTES,
                "max_backpressure": program.MAX_MESSAGE_BYTES,
                "idle_timeout": _NEVER,
                "message": _echo,
            },
        )
        app.listen({"host": program.HOST, "port": port})
        app.run()

    program.run_workers(serve, options.workers, lambda: program.print_when_listening(options, port))


if __name__ == "__main__":
    main()
