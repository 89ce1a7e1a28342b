"""HTTP responses, parsed leniently."""

from __future__ import annotations

import pytest

from wsbench.websocket.http_response import HttpResponse


@pytest.mark.parametrize(
    ("raw", "status", "headers", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\nC:d\r\n\r\nbody", 200, (("A", "b"), ("C", "d")), b"body"),
        (b"HTTP/1.1 200\r\n\r\n", 200, (), b""),
        (b"HTTP/1.1 200 OK\r\nno colon\r\nA: b", 200, (("A", "b"),), b""),
        (b"HTTP/1.1 abc OK\r\n\r\n", None, (), b"HTTP/1.1 abc OK\r\n\r\n"),
        (b"HTTP/1.1", None, (), b"HTTP/1.1"),
        (b"", None, (), b""),
    ],
)
def test_answers_are_read_leniently(
    raw: bytes, status: int | None, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    assert HttpResponse.parse(raw) == HttpResponse(status, headers, body)


def test_headers_of_an_answer_are_found_in_any_case() -> None:
    reply = HttpResponse.parse(b"HTTP/1.1 302 Found\r\nLOCATION: /first\r\nlocation: /second\r\n\r\n")
    assert reply.header("Location".lower()) == "/first"
    assert reply.header("server") is None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"d\r\nno such page\n\r\n0\r\n\r\n", "body 'no such page'"),
        (b"d;x=y\r\nno such page\n\r\n0\r\n\r\n", "body 'no such page'"),
        (b"not chunked after all", "body 'not chunked after all'"),
        (b"5\r\nno", "body 'no'"),
    ],
)
def test_of_a_chunked_body_the_first_chunk_is_shown(body: bytes, shown: str) -> None:
    assert shown in HttpResponse.parse(b"HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n" + body).excerpt


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        (b"<html><title>404</title><body><h1>Not Found</h1>\n<p>really", "body 'Not Found really'"),
        (b"<title>Only a title</title><script>let x", "body 'Only a title'"),
        (b"<html><head><title>cut sho", "()"),
    ],
)
def test_of_a_page_its_words_are_shown(html: bytes, shown: str) -> None:
    excerpt = HttpResponse.parse(b"HTTP/1.1 404 X\r\nContent-Type: text/html\r\n\r\n" + html).excerpt
    assert shown in excerpt or (shown == "()" and "body" not in excerpt)


@pytest.mark.parametrize(
    ("head", "proxy"),
    [
        (b"Server: nginx/1.22.1\r\n\r\nno such page", "nginx/1.22.1"),
        (b"Server: nginx\r\n\r\n<hr><center>nginx</center>", None),
        (b"Server: uvicorn\r\n\r\n", None),
        (b"Via: 1.0 a, 1.1 Caddy\r\nServer: uvicorn\r\n\r\n", "1.1 Caddy"),
        (b"\r\n", None),
    ],
)
def test_what_tells_of_a_proxy(head: bytes, proxy: str | None) -> None:
    assert HttpResponse.parse(b"HTTP/1.1 400 Bad Request\r\n" + head).proxy == proxy
