"""An HTTP answer as a person reads it: leniently, and as far as it came."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from wsbench.errors import printable
from wsbench.websocket.credentials import hide_header

_BODY_START = 200
_TELLING = ("server", "via", "content-type", "location", "www-authenticate", "sec-websocket-version", "retry-after")
_PROXIES = re.compile(r"nginx|openresty|tengine|envoy|caddy|haproxy|traefik|varnish|apache|cloudflare|awselb", re.I)
_OWN_PAGES = re.compile(rb"<center>(?:nginx|openresty|tengine|cloudflare)|<address>Apache", re.IGNORECASE)
_CHUNK = re.compile(rb"[0-9A-Fa-f]+(?:;[^\r\n]*)?\r\n")
_MARKUP = re.compile(r"<(script|style|title)\b.*?(?:</\1>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP answer as far as it came. `status` is None when it is not HTTP."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> HttpResponse:
        """Read the head leniently: this is for telling a person what came, not for deciding anything."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not first.startswith("HTTP/") or len(words) < 2 or not re.fullmatch("[0-9]{3}", words[1]):
            return cls(None, (), raw[:_BODY_START])
        pairs = (line.partition(":") for line in lines if ":" in line)
        headers = tuple((name.strip(), value.strip()) for name, _, value in pairs)
        if any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in headers):
            body = _first_chunk(body)
        return cls(int(words[1]), headers, body[:_BODY_START])

    def header(self, name: str) -> str | None:
        """The first header of that name, which is given in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def phrase(self) -> str:
        """'404 Not Found'."""
        try:
            return f"{self.status} {HTTPStatus(self.status or 0).phrase}"
        except ValueError:
            return str(self.status)

    @property
    def proxy(self) -> str | None:
        """What seems to have passed this answer on; None when nothing tells of a proxy, or it is the proxy's own."""
        via, server = self.header("via"), self.header("server") or ""
        if _OWN_PAGES.search(self.body):
            return None
        if _PROXIES.search(server):
            return printable(server)
        return printable(via.split(",")[-1].strip()) if via else None

    @property
    def is_plain_text(self) -> bool:
        """It says something that was written for this case, not a page that serves for all."""
        return bool(self.body.strip()) and "text/plain" in (self.header("content-type") or "").lower()

    @property
    def excerpt(self) -> str:
        """What came back, short enough for an error line: telling headers and the start of the body."""
        telling = [f"{key}: {hide_header(key, value)}" for key, value in self.headers if key.lower() in _TELLING]
        text = self.body.decode("utf-8", "replace")
        if "html" in (self.header("content-type") or "").lower():
            text = _legible(text)
        shown = " ".join(text.split())[:100]
        parts = [*telling, *([f"body {shown!r}"] if shown else [])]
        return printable(f" ({', '.join(parts)})") if parts else ""


def _first_chunk(body: bytes) -> bytes:
    size = _CHUNK.match(body)
    return body[size.end() : size.end() + int(size[0].partition(b"\r\n")[0].partition(b";")[0], 16)] if size else body


def _legible(html: str) -> str:
    """The words of a page, its title among them only when there are no others."""
    words = _MARKUP.sub(" ", html).strip()
    title = _TITLE.search(html)
    return words or (title[1] if title else "")
