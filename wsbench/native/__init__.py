"""The echo path in C (docs/native-path.md), if it was built: without a compiler, wsbench works without it."""

from __future__ import annotations

try:
    from wsbench.native._echo import LARGEST_PAYLOAD, LARGEST_WINDOW, Table, bucket_key
except ImportError:
    BUILT = False
else:
    BUILT = True

__all__ = ["BUILT", "LARGEST_PAYLOAD", "LARGEST_WINDOW", "Table", "bucket_key"]
