"""The echo target: a server on `websockets`' asyncio server, to hold other servers against and to try clients on.

`serve` runs it in the foreground; `wsbench.targets.process.TargetProcess` starts it as a process of its own.
"""

from wsbench.targets.echo.compression import parse_compression
from wsbench.targets.echo.lateness import Stall, parse_stall
from wsbench.targets.echo.options import EchoOptions, Listening
from wsbench.targets.echo.supervisor import serve

__all__ = ["EchoOptions", "Listening", "Stall", "parse_compression", "parse_stall", "serve"]
