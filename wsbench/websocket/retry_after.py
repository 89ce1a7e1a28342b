"""The Retry-After header of a refused upgrade request (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime

from wsbench.errors import ConnectError, HandshakeError

_LONGEST_S = 86_400.0


def retry_after_s(error: ConnectError) -> float:
    """Return how many seconds the server asked us to wait before the next attempt, a day at most; 0 if it did not."""
    headers = error.headers if isinstance(error, HandshakeError) else ()
    value = next((value for name, value in headers if name.lower() == "retry-after"), "")
    return min(max(0.0, _seconds(value)), _LONGEST_S)


def _seconds(value: str) -> float:
    """Return the seconds that a number or a date stands for; 0 if it is neither."""
    if re.fullmatch("[0-9]+", value):
        return float(value)
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
