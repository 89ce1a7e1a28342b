"""wsbench: load tests and benchmarks for WebSocket servers that report the server's latency, not their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsbench.load.users import EchoUser

__version__ = "0.1.0"
__all__ = ["EchoUser", "__version__"]


def __getattr__(name: str) -> Any:
    """`EchoUser` on first use: importing Locust monkey-patches the process, and `import wsbench` must not."""
    if name == "EchoUser":
        from wsbench.load.users import EchoUser  # noqa: PLC0415

        return EchoUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
