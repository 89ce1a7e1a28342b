"""An HTTP response, parsed leniently: its head as clients accept it, the rest for messages to people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from wsbench.errors import printable

_BODY_START = 200
HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_INFORMATIVE = ("server", "via", "content-type", "location", "www-authenticate", "sec-websocket-version", "retry-after")
_PROXIES = re.compile(r"nginx|openresty|tengine|envoy|caddy|haproxy|traefik|varnish|apache|cloudflare|awselb", re.I)
_OWN_PAGES = re.compile(rb"<center>(?:nginx|openresty|tengine|cloudflare)|<address>Apache", re.IGNORECASE)
_CHUNK = re.compile(rb"[0-9A-Fa-f]+(?:;[^\r\n]*)?\r\n")
_MARKUP = re.compile(r"<(script|style|title)\b.*?(?:</\1>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)


def split_head(raw: bytes) -> tuple[list[bytes], bytes | None]:
    """Return the lines of the head, and the body: None if the head is not complete.

    A bare LF ends a line too, as RFC 9112 (2.2) allows.
    """
    end = HEAD_END.search(raw)
    head = raw[: end.start()] if end else raw
    return _LINE_END.split(head), raw[end.end() :] if end else None


def strict_head(raw: bytes) -> bytes:
    """Return a complete head with CRLF, and with the space that a status line without a reason phrase needs.

    Browsers and most other clients accept both faults.
    """
    (status, *headers), _ = split_head(raw)
    return b"\r\n".join([status if status.count(b" ") > 1 else status + b" ", *headers, b"", b""])


def head_faults(raw: bytes) -> list[str]:
    """Return the faults that `strict_head` corrects, completing "in the head of the response, ..."."""
    (status, *_), body = split_head(raw)
    head = raw[: len(raw) - len(body or b"")]
    lines = ["lines end in a bare LF"] if re.search(rb"(?<!\r)\n", head) else []
    return lines + (["the status line ends with the number, without a space"] if status.count(b" ") < 2 else [])


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response, perhaps cut. `status` is None if it is not HTTP."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> HttpResponse:
        """Parse leniently: the result is shown to people and decides nothing."""
        head, body = split_head(raw)
        first, *lines = (line.decode("latin-1") for line in head)
        body = body or b""
        parts = first.split(" ", 2)
        if not first.startswith("HTTP/") or len(parts) < 2 or not re.fullmatch("[0-9]{3}", parts[1]):
            return cls(None, (), raw[:_BODY_START])
        pairs = (line.partition(":") for line in lines if ":" in line)
        headers = tuple((name.strip(), value.strip()) for name, _, value in pairs)
        if any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in headers):
            body = _first_chunk(body)
        return cls(int(parts[1]), headers, body[:_BODY_START])

    def header(self, name: str) -> str | None:
        """Return the first header of that name (in lower case)."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def phrase(self) -> str:
        """Status and phrase, such as '404 Not Found'."""
        try:
            return f"{self.status} {HTTPStatus(self.status or 0).phrase}"
        except ValueError:
            return str(self.status)

    @property
    def proxy(self) -> str | None:
        """Proxy that seems to have passed this response on; None without a sign of one, or if it is the proxy's own."""
        via, server = self.header("via"), self.header("server") or ""
        if _OWN_PAGES.search(self.body):
            return None
        if _PROXIES.search(server):
            return printable(server)
        return printable(via.split(",")[-1].strip()) if via else None

    @property
    def is_plain_text(self) -> bool:
        """Whether the body is plain text, written for this case, and not a page for all errors."""
        return bool(self.body.strip()) and "text/plain" in (self.header("content-type") or "").lower()

    @property
    def excerpt(self) -> str:
        """The informative headers and the start of the body, short enough for an error line."""
        headers = [f"{key}: {value}" for key, value in self.headers if key.lower() in _INFORMATIVE]
        text = self.body.decode("utf-8", "replace")
        if "html" in (self.header("content-type") or "").lower():
            text = _visible_text(text)
        shown = " ".join(text.split())[:100]
        parts = [*headers, *([f"body {shown!r}"] if shown else [])]
        return printable(f" ({', '.join(parts)})") if parts else ""


def _first_chunk(body: bytes) -> bytes:
    size = _CHUNK.match(body)
    return body[size.end() : size.end() + int(size[0].partition(b"\r\n")[0].partition(b";")[0], 16)] if size else body


def _visible_text(html: str) -> str:
    """Return the text of a page; the title only if there is no other text."""
    text = _MARKUP.sub(" ", html).strip()
    title = _TITLE.search(html)
    return text or (title[1] if title else "")
