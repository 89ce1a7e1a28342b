"""The time until which a server asks clients to wait."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from wsbench.errors import ConnectError, HandshakeError, Side
from wsbench.websocket.retry_after import retry_after_s


def refusal(*headers: tuple[str, str], status: int = 503) -> HandshakeError:
    return HandshakeError("refused", kind="unavailable", remedy="", status=status, headers=headers, body=b"")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("99999999999999999999", 86_400),
        ("9" * 400, 86_400),
        ("-7", 0),
        ("1.5", 0),
        ("soon", 0),
        ("", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_seconds_and_dates_are_read_and_the_rest_is_ignored(value: str, seconds: float, status: int) -> None:
    assert retry_after_s(refusal(("Server", "x"), ("retry-after", value), status=status)) == seconds


def test_a_date_is_a_time_from_now() -> None:
    asked = retry_after_s(refusal(("Retry-After", formatdate(time.time() + 3600, usegmt=True))))
    assert 3500 < asked <= 3600


@pytest.mark.parametrize("error", [refusal(), ConnectError("x", step="tcp", side=Side.TARGET, kind="refused")])
def test_without_the_header_there_is_nothing_to_wait_for(error: ConnectError) -> None:
    assert retry_after_s(error) == 0
