"""The targets that wsbench knows how to start: `find("nginx>websockets").start()`."""

from __future__ import annotations

import difflib

from wsbench.errors import UsageError
from wsbench.targets.catalogue.custom import CommandTarget, UrlTarget
from wsbench.targets.catalogue.proxies import PROXIES, SEPARATOR, Proxied, Proxy
from wsbench.targets.catalogue.servers import ENTRIES
from wsbench.targets.catalogue.target import StartableTarget

__all__ = ["ENTRIES", "PROXIES", "CommandTarget", "Proxy", "StartableTarget", "UrlTarget", "find", "names"]


def names() -> list[str]:
    """Return the names of the servers. Proxies may be put in front of each: 'nginx>websockets'."""
    return [entry.name for entry in ENTRIES]


def find(name: str) -> StartableTarget:
    """Return the target with that name, such as 'haproxy>nginx>ws'; raise UsageError when there is none."""
    *proxies, server = (part.strip() for part in name.split(SEPARATOR))
    target = next((entry for entry in ENTRIES if entry.name == server), None)
    if target is None:
        raise _unknown("target", server, name, [*names(), *(f"{proxy}{SEPARATOR}websockets" for proxy in PROXIES)])
    for proxy in reversed(proxies):
        if proxy not in PROXIES:
            raise _unknown("proxy", proxy, name, list(PROXIES))
        target = Proxied(PROXIES[proxy], target)
    return target


def _unknown(kind: str, part: str, name: str, known: list[str]) -> UsageError:
    close = difflib.get_close_matches(part, known, n=1)
    if part in PROXIES:
        remedy = f"A proxy needs a server behind it: '{part}{SEPARATOR}websockets'."
    elif close:
        remedy = f"Did you mean {close[0]!r}?"
    else:
        remedy = f"There are: {', '.join(known)}."
    within = "" if part == name else f" in {name!r}"
    return UsageError(f"there is no {kind} {part!r}{within}", remedy=remedy)
