"""The port of Locust's web UI."""

from __future__ import annotations

import socket

import pytest

from wsbench.errors import UsageError
from wsbench.launcher.web_port import WEB_HOST, web_port


def test_a_free_port_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((WEB_HOST, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("LOCUST_WEB_PORT", str(port))
        with pytest.raises(
            UsageError, match=rf"--web: port {port} of 127\.0\.0\.1 cannot be used: Address already in use"
        ):
            web_port()
    assert web_port() == port


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1"])
def test_no_port(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_WEB_PORT", text)
    with pytest.raises(UsageError, match=f"LOCUST_WEB_PORT={text} is not a port"):
        web_port()
