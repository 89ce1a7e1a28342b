"""The peers: command, version, and what each verifies. All send the same text, except where a note says otherwise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from benchmarks.peers.peer import (
    HERE,
    PAYLOAD,
    PAYLOAD_SIZE,
    Load,
    Peer,
    filled,
    npm_version,
    program,
    python_versions,
    unless_modules,
    unless_program,
)

WSBENCH, BARE = "wsbench", "bare picows client"
BY_HAND, BY_HAND_TUNED = "Locust + websocket-client", "Locust + websocket-client, tuned"
_TUNED = {"skip_utf8_validation": True, "enable_multithread": False}
"""Without the checks and locks that this load does not need: ASCII text, and one greenlet a connection."""
_NPM = "npm install --prefix benchmarks/peers/node"
_TCPKALI_RATE = 300
"""Messages per second and connection: tcpkali has no closed loop."""


def _asked(name: str, *arguments: str) -> Callable[[], str]:
    """Return a function that returns the version that a program prints."""

    def version() -> str:
        answer = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=30, check=False)
        found = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
        return found[0] if found else "?"

    return version


def _wsbench(load: Load) -> list[str]:
    times = ["--warmup", "1s", "-d", f"{load.lasting_s - 1:g}s"]
    return [sys.executable, "-m", "wsbench", "run", load.url, "-u", str(load.connections), *times, "--json"]


def _bare(load: Load) -> list[str]:
    arguments = [load.url, str(load.connections), f"{load.lasting_s:g}", PAYLOAD]
    return [sys.executable, str(HERE / "picows_client.py"), *arguments]


def _locust(locustfile: str, scheme: str) -> Callable[[Load], list[str]]:
    def command(load: Load) -> list[str]:
        users = ["-u", str(load.connections), "-r", str(load.connections)]
        host = urlsplit(load.url)._replace(scheme=scheme).geturl()
        locust = [sys.executable, "-P", "-m", "locust", "-f", str(HERE / locustfile), "--headless", "--only-summary"]
        return [*locust, *users, "--host", host]

    return command


def _artillery(load: Load) -> list[str]:
    # To wait for a reply, Artillery must be asked to match something in it.
    send = {"send": {"payload": PAYLOAD, "match": {"json": "$.id", "value": "peer"}}}
    script = {
        "config": {"target": load.url, "phases": [{"duration": 1, "arrivalCount": load.connections}]},
        "scenarios": [{"engine": "ws", "flow": [{"loop": [send], "count": 10**9}]}],
    }
    path = load.directory / "artillery.json"
    path.write_text(json.dumps(script))
    return [program("artillery"), "run", "--quiet", str(path)]


def _thor(load: Load) -> list[str]:
    sizes = ["--amount", str(load.connections), "--concurrent", str(load.connections), "--messages", str(10**8)]
    return [program("thor"), *sizes, "--workers", "1", "--buffer", str(PAYLOAD_SIZE), load.url]


def _loadtest(load: Load) -> list[str]:
    sizes = ["-c", str(load.connections), "-t", f"{load.lasting_s + 5:g}", "--cores", "1", "--quiet"]
    return [program("loadtest"), *sizes, "-P", PAYLOAD, load.url]


def _tsung(load: Load) -> list[str]:
    values = {
        "DTD": "/usr/share/tsung/tsung-1.0.dtd",
        "PORT": load.port,
        "CONNECTIONS": load.connections,
        "PAYLOAD": PAYLOAD,
    }
    script = filled("tsung.xml", values, load.directory)
    home = f"HOME={load.directory}"  # or it would leave its logs in ours
    return ["env", home, program("tsung"), "-n", "-f", script, "-l", str(load.directory / "log"), "start"]


def _k6(load: Load) -> list[str]:
    users = ["--vus", str(load.connections), "--duration", f"{load.lasting_s:g}s"]
    told = {"URL": load.url, "PAYLOAD": PAYLOAD, "SECONDS": f"{load.lasting_s:g}"}
    settings = [part for name, value in told.items() for part in ("-e", f"{name}={value}")]
    return [program("k6"), "run", "--quiet", "--no-usage-report", *users, *settings, str(HERE / "k6.js")]


def _tcpkali(load: Load) -> list[str]:
    sizes = ["-c", str(load.connections), "--connect-rate", str(load.connections), "-T", f"{load.lasting_s + 5:g}s"]
    how = ["--workers", "1", "--ws", "-r", str(_TCPKALI_RATE), "-m", PAYLOAD]
    return [program("tcpkali"), *sizes, *how, f"{load.address}/echo"]


def _load_test(load: Load) -> list[str]:
    return [program("load_test"), str(load.connections), "127.0.0.1", str(load.port), "0", "0", str(PAYLOAD_SIZE)]


def _by_hand(name: str, options: Mapping[str, bool], *, verifies: str) -> Peer:
    """Return Locust with websocket-client, which connects with these options."""
    return Peer(
        name,
        python_versions("locust", "websocket-client"),
        missing=unless_modules("websocket"),
        command=_locust("locust_websocket_client.py", "ws"),
        environment={"PEERS_PAYLOAD": PAYLOAD, "PEERS_OPTIONS": json.dumps(options)},
        verifies=verifies,
        note=f"connects with {', '.join(f'{key}={value}' for key, value in options.items())}" if options else "",
    )


PEERS = (
    Peer(
        WSBENCH,
        python_versions("wsbench"),
        missing=lambda: "",
        command=_wsbench,
        verifies="every byte, order, loss, duplicates",
        finishes=True,
    ),
    Peer(
        BARE,
        python_versions("picows", "uvloop"),
        missing=unless_modules("picows", "uvloop"),
        command=_bare,
        verifies="nothing",
        note="counts and times nothing either: what a WebSocket client in Python costs at least",
    ),
    _by_hand(BY_HAND, {}, verifies="UTF-8"),
    _by_hand(BY_HAND_TUNED, _TUNED, verifies="nothing"),
    Peer(
        "Locust SocketIOUser",
        python_versions("locust", "python-socketio"),
        missing=unless_modules("socketio", "uvicorn"),
        command=_locust("locust_socketio.py", "http"),
        environment={"PEERS_PAYLOAD": PAYLOAD},
        verifies="nothing",
        server="benchmarks.peers.socketio_echo",
        note="another protocol and another server, python-socketio on uvicorn: a round trip is an event and its "
        "acknowledgement, and where the generator is not busy, the server was the limit",
    ),
    Peer(
        "Artillery",
        npm_version("artillery"),
        missing=unless_program("artillery", _NPM),
        command=_artillery,
        environment={"ARTILLERY_DISABLE_TELEMETRY": "true"},
        verifies="one field of the JSON",
        note="it waits for a reply only when it has something to match in it: one field is matched",
    ),
    Peer(
        "loadtest",
        npm_version("loadtest"),
        missing=unless_program("loadtest", _NPM),
        command=_loadtest,
        verifies="that it is JSON",
        note=f"it sends its body as a JSON string, with the quotes in it escaped: {len(json.dumps(PAYLOAD))} bytes",
    ),
    Peer(
        "thor",
        npm_version("thor"),
        missing=unless_program("thor", "npm install -g thor (its dependencies are git repositories)"),
        command=_thor,
        verifies="nothing",
        note="sends bytes of its own making",
    ),
    Peer(
        "tsung",
        _asked("tsung", "-v"),
        missing=unless_program("tsung", "apt-get install tsung"),
        command=_tsung,
        verifies="nothing",
    ),
    Peer(
        "k6 (k6/ws)",
        _asked("k6", "version"),
        missing=unless_program("k6", "see grafana.com/docs/k6, Set up"),
        command=_k6,
        verifies="nothing",
    ),
    Peer(
        "tcpkali",
        _asked("tcpkali", "--version"),
        missing=unless_program("tcpkali", "from source: github.com/satori-com/tcpkali"),
        command=_tcpkali,
        verifies="nothing",
        note=f"has no closed loop: {_TCPKALI_RATE} messages a second on each connection, whether or not replies come",
    ),
    Peer(
        "uWebSockets load_test",
        lambda: "",
        missing=unless_program("load_test", "from source: uWebSockets, benchmarks/"),
        command=_load_test,
        verifies="byte counts",
        note=f"sends {PAYLOAD_SIZE} bytes of its own making, as a binary message",
    ),
)
