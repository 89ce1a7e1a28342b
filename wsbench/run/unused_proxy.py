"""A proxy of the environment: other clients use it, wsbench connects directly."""

from __future__ import annotations

from urllib.request import getproxies_environment, proxy_bypass

from wsbench.source_addresses import is_loopback
from wsbench.websocket.connect_options import ConnectOptions


def unused_proxy(options: ConnectOptions) -> str:
    """Return a note that a proxy which the environment names for this server is not used; empty if it names none."""
    uri, proxies = options.uri, getproxies_environment()
    schemes = ("wss", "https", "all") if uri.secure else ("ws", "http", "all")
    scheme = next((each for each in schemes if proxies.get(each)), None)
    if scheme is None or is_loopback(uri.host) or proxy_bypass(uri.host):
        return ""
    proxy = options.secrets.text(proxies[scheme])
    return f"{scheme}_proxy ({proxy}) is not used: wsbench connects to {options.where} directly"
