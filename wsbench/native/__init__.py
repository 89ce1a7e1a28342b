"""The echo path in C (docs/native-path.md), if it was built: without a compiler, wsbench works without it."""

from __future__ import annotations

try:
    from wsbench.native._echo import LARGEST_PAYLOAD, LARGEST_WINDOW, Table, bucket_key
except ImportError as error:
    BUILT = False
    _state = "was not built" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"
else:
    BUILT = True
    _state = "was built"

MISSING = (
    f"the native echo path {_state}: echo messages take more CPU. It needs Linux, a C compiler and Python.h (Debian: "
    "apt-get install gcc python3-dev); then install wsbench again (in a clone: make -B bench), or use --native off"
)

__all__ = ["BUILT", "LARGEST_PAYLOAD", "LARGEST_WINDOW", "MISSING", "Table", "bucket_key"]
