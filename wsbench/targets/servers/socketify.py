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
    given = program.options()
    _compressed = given.compression
    # held until the end of the process
    reserved = program.reserve_port(given.port)
    port = reserved.getsockname()[1]

    def serve(_index: int) -> None:
        app = App(AppOptions(key_file_name=given.key, cert_file_name=given.cert) if given.cert else None)
        app.ws(
            "/*",
            {
                "compression": CompressOptions.SHARED_COMPRESSOR if given.compression else CompressOptions.DISABLED,
                "max_payload_length": program.MAX_MESSAGE_BYTES,
                "max_backpressure": program.MAX_MESSAGE_BYTES,
                "idle_timeout": _NEVER,
                "message": _echo,
            },
        )
        app.listen({"host": program.HOST, "port": port})
        app.run()

    program.run_workers(serve, given.workers, lambda: program.say_when_listening(given, port))


if __name__ == "__main__":
    main()
