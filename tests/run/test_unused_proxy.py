"""The note on a proxy of the environment."""

from __future__ import annotations

import pytest

from wsbench.run.unused_proxy import unused_proxy
from wsbench.websocket.connect_options import ConnectOptions


@pytest.mark.parametrize(
    ("url", "variables", "noted"),
    [
        ("ws://a.test/", {"http_proxy": "http://me:pass-word@p:3128"}, "http_proxy (http://me:***@p:3128) is not used"),
        (
            "wss://a.test/",
            {"HTTPS_PROXY": "p:3128"},
            "https_proxy (p:3128) is not used: wsbench connects to a.test:443",
        ),
        ("wss://a.test/", {"all_proxy": "socks5://p"}, "all_proxy (socks5://p) is not used"),
        ("ws://a.test/", {"https_proxy": "p:3128"}, ""),
        ("wss://a.test/", {"https_proxy": ""}, ""),
        ("wss://a.test/", {"https_proxy": "p:3128", "no_proxy": "b.test,.test"}, ""),
        ("ws://127.0.0.1/", {"http_proxy": "p:3128"}, ""),
        ("ws://[::1]/", {"http_proxy": "p:3128"}, ""),
        ("ws://a.test/", {}, ""),
    ],
)
def test_a_proxy_for_this_server_is_named(
    url: str,
    variables: dict[str, str],
    noted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ws", "wss", "http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = unused_proxy(ConnectOptions(url))
    assert noted in said and bool(said) == bool(noted)
