"""The echo path in C (docs/native-path.md), if it was built: without a compiler, wsbench works without it."""

from __future__ import annotations

try:
    from wsbench.native._echo import LARGEST_PAYLOAD, LARGEST_WINDOW, Table, bucket_key
except ImportError:
    BUILT = False
else:
    BUILT = True

MISSING = (
    "the native echo path was not built: echo messages take more CPU. It needs Linux, a C compiler and Python.h "
    "(Debian: apt-get install gcc python3-dev) when wsbench is installed; --native off does without"
)

__all__ = ["BUILT", "LARGEST_PAYLOAD", "LARGEST_WINDOW", "MISSING", "Table", "bucket_key"]
