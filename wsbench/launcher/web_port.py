"""The port of Locust's web UI, which Locust chooses by an environment variable."""

from __future__ import annotations

import os
import socket

from wsbench.errors import UsageError

WEB_HOST = "127.0.0.1"
_VARIABLE, _DEFAULT = "LOCUST_WEB_PORT", "8089"


def web_port() -> int:
    """Return the port; raise UsageError if it is none, or taken: Locust finds that out when the target runs already."""
    text = os.environ.get(_VARIABLE) or _DEFAULT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(f"{_VARIABLE}={text} is not a port", remedy="Use a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Locust's server
        try:
            probe.bind((WEB_HOST, int(text)))
        except OSError as error:
            raise UsageError(
                f"--web: port {text} of {WEB_HOST} cannot be used: {error.strerror}",
                remedy=f"Stop what listens there, or choose another one, for example {_VARIABLE}=8090.",
            ) from error
    return int(text)
