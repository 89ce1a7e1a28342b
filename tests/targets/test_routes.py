"""The target's answers over plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
import websockets.version
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from wsbench.targets.echo.try_page import PAGE, content_security_policy
from wsbench.targets.embedded import EmbeddedTarget


def ask(target: EmbeddedTarget, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, str]:
    parts = urlsplit(target.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def test_stats_have_every_field(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/stats")
    assert response.headers["Content-Type"] == "application/json"
    document = json.loads(body)
    assert document.keys() == {
        "name", "version", "connections_open", "connections_opened", "messages_in", "messages_out", "bytes_in",
        "bytes_out", "cpu_s", "rss_bytes", "buffered_bytes", "refused", "processes", "uptime_s",
    }  # fmt: skip
    assert document["refused"].keys() == {
        "connections", "bad_handshakes", "handshake_timeouts", "origins", "message_sizes", "protocol_errors",
        "buffers", "write_timeouts",
    }  # fmt: skip
    assert (document["name"], document["version"]) == ("websockets", websockets.version.version)
    assert document["processes"] == 1
    assert document["rss_bytes"] > 1_000_000 and document["cpu_s"] > 0 and document["uptime_s"] > 0


@pytest.mark.parametrize("path", ["/", "/stats", "/healthz", "/nope", "/echo", "/push?rate=0"])
def test_every_answer_is_hardened(target: EmbeddedTarget, path: str) -> None:
    response, _ = ask(target, path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_healthz(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/healthz")
    assert (response.status, body) == (200, "ok\n")


def test_an_unknown_path_names_the_known_ones_in_a_line(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/nope")
    assert response.status == 404
    assert body.count("\n") == 1
    assert all(path in body for path in ("/echo", "/ws/...", "/broadcast", "/push?rate=R&size=B", "/stats", "/healthz"))
    with pytest.raises(InvalidStatus) as caught:
        connect(target.url.replace("/echo", "/nope"))
    assert caught.value.response.status_code == 404


def test_a_websocket_path_without_upgrade(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/echo")
    assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
    assert "upgrade" in response.headers["Connection"].lower()
    assert body.count("\n") == 1 and "WebSocket" in body


def test_other_methods(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/healthz", "HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, "3", "")
    response, body = ask(target, "/echo", "DELETE")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("query", ["rate=0", "rate=fast", "size=0", "size=1x", "size=17MiB", "rate=200k", "speed=1"])
def test_parameters_of_push_that_make_no_sense(target: EmbeddedTarget, query: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(target.url.replace("/echo", f"/push?{query}"))
    assert caught.value.response.status_code == 400
    assert caught.value.response.body.count(b"\n") == 1


class Elements(HTMLParser):
    """The text of <script> and <style>, and every attribute of the document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.attributes: list[str] = []
        self._tag = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style"):
            self.texts[self._tag] = self.texts.get(self._tag, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


def test_the_page_may_run_its_own_script_and_no_other(target: EmbeddedTarget) -> None:
    response, body = ask(target, "/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    elements = Elements(body)
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(elements.texts[tag].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    parts = urlsplit(target.url)
    assert policy["connect-src"] == f"'self' ws://{parts.netloc} wss://{parts.netloc}"
    # what such a policy would block silently
    assert not [name for name in elements.attributes if name == "style" or name.startswith("on")]


def test_the_page_never_makes_markup_of_what_it_receives() -> None:
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", PAGE)
    for word in (b"SEND", b"RECEIVE", b"OPEN", b"CLOSE", b"ERROR", b"textContent"):
        assert word in PAGE


@pytest.mark.parametrize("hosts", [[], ["a b"], ["x;script-src *"], ["a", "b"], ["a\u00e9"]])
def test_a_strange_host_does_not_get_into_the_policy(hosts: list[str]) -> None:
    assert content_security_policy(hosts).endswith("connect-src 'self'")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:80", "bench-1.example"])
def test_a_usual_host_does(host: str) -> None:
    assert content_security_policy([host]).endswith(f"ws://{host} wss://{host}")
