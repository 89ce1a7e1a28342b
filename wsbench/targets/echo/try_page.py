"""The page at /: static, its script and style allowed by their hashes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

PAGE = files(__package__).joinpath("page.html").read_bytes()

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def _hash(tag: bytes) -> str:
    """Return the CSP source that allows only the page's one inline element `tag`."""
    match = re.search(b"<%b>(.*?)</%b>" % (tag, tag), PAGE, re.DOTALL)
    assert match is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(match[1]).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; script-src {_hash(b'script')}; style-src {_hash(b'style')}; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'"
)


def content_security_policy(hosts: Sequence[str]) -> str:
    """Return the header's value for a request with these Host headers.

    The page may connect only to its own host. Not every browser includes ws:// in 'self', so the policy names the
    host, if it has the syntax of one.
    """
    if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
        return f"{_POLICY} ws://{hosts[0]} wss://{hosts[0]}"
    return _POLICY
