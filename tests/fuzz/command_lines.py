"""Random command lines of `wsbench run`: each ends within its time, with a documented exit code and no traceback.

They run against a server that echoes, one that never answers, one that does not exist, and a target of their own.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers import process
from helpers.bad_handshakes import BadHandshakes
from helpers.runs import echo_target
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

CODES = (0, 1, 2, 3, 4, 130)
LIMIT_S = 40
"""A run takes three seconds on an idle machine."""
AT_A_TIME = 3
NO_UTF_8 = b"\xff".decode(errors="surrogateescape")

_ALWAYS = ("--duration=300ms", "--warmup=0s", "--timeout=200ms", "--drain=200ms", "--users=3")
_VALUES: Mapping[str, Sequence[str]] = {
    "--users": ("1", "20", "0", "-1", "ten", "1e3", "1000000000", "9" * 400),
    "--spawn-rate": ("10", "1000", "1e308", "0", "fast"),
    "--processes": ("1", "2", "0", "257", "two"),
    "--duration": ("1ns", "100ms", "500ms", "0", "soon", "-1s", "1e99"),
    "--run-time": ("1s", "2s", "0s", "1500ms", "x"),
    "--warmup": ("0", "100ms", "x"),
    "--drain": ("0", "100ms", "1ns", "-1s"),
    "--timeout": ("1ns", "1ms", "100ms", "0", "x"),
    "--rate": ("0.0001", "1", "50", "2k", "100000", "2000000", "0", "1e308", "1e999", "0.0000000001", "fast"),
    "--arrivals": ("constant", "poisson", "burst"),
    "--in-flight": ("1", "7", "500", "0", "1000000000", "many"),
    "--payload-size": ("48", "5000", "100k", "10", "2GB", "900MB", "x"),
    "--payload-file": ("text.txt", "bytes.bin", "empty", "missing", "/dev/zero", "."),
    "--compression": ("on", "off", "client_max_window_bits=9", "client_max_window_bits=99", "€"),
    "--header": (
        "X-A: b",
        "Host: elsewhere",
        "X-A: 5 €",
        "X-A: \x1b[31m",
        "Cookie:",
        "no colon",
        "Ü: x",
        f"X: {NO_UTF_8}",
    ),
    "--subprotocol": ("chat", "a b", "a,b", "é", ""),
    "--origin": ("https://a.test", "€", "a\nb", ""),
    "--ca": ("missing.pem", "empty", ".", ""),
    "--addresses": ("first", "all", "last"),
    "--source-ip": ("127.0.0.2", "127.0.0.0/30", "203.0.113.7", "::1", "x"),
    "--reconnect": ("never", "on-drop", "maybe"),
    "--native": ("on", "off", "maybe"),
    "--set": ("a=b", "x", "=", f"a={NO_UTF_8}"),
    "--fail-if": ("p99 < 1h", "lost > 0", "errors > 0.1%", "sent == 0", "p99 >", "€", ""),
    "--name": ("mine", "größe", "../x", "x" * 300, ".x", ""),
    "--results": ("results", "deep/er", "empty", "missing/\x01", f"r{NO_UTF_8}"),
    "--summary": ("summary.md", "missing/summary.md", "."),
    "--junit": ("junit.xml", "/dev/full", "."),
    "--target": ("websockets", "picows>nowhere", "nowhere", ""),
    "--scenario": ("scenario.py", "failing.py", "nothing.py", "missing.py"),
}
_SWITCHES = ("--binary", "--insecure", "--tls-resume", "--request-events", "--strict", "--quiet", "--json", "--tls")
_ENVIRONMENT: Mapping[str, Sequence[str]] = {
    "LOCUST_MODE_MASTER": ("true",),
    "LOCUST_MODE_WORKER": ("true",),
    "LOCUST_TAGS": ("smoke",),
    "LOCUST_RUN_TIME": ("1h", "x"),
    "LOCUST_USERS": ("1000",),
    "LOCUST_LOGLEVEL": ("LOUD",),
    "LOCUST_SKIP_LOG_SETUP": ("true",),
    "LOCUST_SKIP_MONKEY_PATCH": ("1",),
    "LOCUST_STOP_TIMEOUT": ("1h",),
    "WSBENCH_STRICT": ("1", "maybe"),
    "WSBENCH_BINARY": ("true", ""),
    "PYTHONIOENCODING": ("ascii", "utf-16"),
    "PYTHONUNBUFFERED": ("1",),
    "LC_ALL": ("C", "no_SUCH.locale"),
    "TERM": ("dumb", ""),
    "FORCE_COLOR": ("1",),
    "COLUMNS": ("1", "x"),
    "HOME": ("/nonexistent",),
    "TMPDIR": ("/nonexistent",),
}
_CONFIGURATIONS = (
    "",
    "master = true\n",
    "tags = smoke\nrate = 100\n",
    "headless = maybe\nexpect-workers = 9\n",
    "[[[\n",
)
_REDIRECTIONS = ("", "", "", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| head -c 1")
_FILES = {
    "text.txt": b"hello",
    "bytes.bin": b"\xff\x00",
    "empty": b"",
    "scenario.py": b"from wsbench import EchoUser\nclass Echo(EchoUser):\n    pass\n",
    "failing.py": b"from wsbench import WebSocketUser\nclass Mine(WebSocketUser):\n"
    b"    def __init__(self, environment):\n        raise RuntimeError('as asked')\n",
    "nothing.py": b"import nowhere_at_all\n",
}


@dataclass(frozen=True)
class CommandLine:
    """A command line of `wsbench run`.

    Attributes:
        server: a name of `Servers.urls`; "" for none.
        configuration: the content of a locust.conf in its directory.
        redirection: of its standard streams, as a shell has it.
    """

    server: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    configuration: str
    redirection: str

    def __str__(self) -> str:
        environment = " ".join(f"{name}={value!r}" for name, value in self.environment)
        conf = f" (locust.conf: {self.configuration!r})" if self.configuration else ""
        return f"{environment} wsbench run {self.server} {list(self.arguments)} {self.redirection}{conf}"


def _pairs(table: Mapping[str, Sequence[str]]) -> st.SearchStrategy[tuple[str, str]]:
    return st.sampled_from(list(table)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(table[name])))


_ENV_OF_OPTION = {f"WSBENCH_{flag[2:].replace('-', '_').upper()}": values for flag, values in _VALUES.items()}
_OPTIONS = _pairs(_VALUES).map("=".join) | st.sampled_from(_SWITCHES)
_LINES = st.builds(
    CommandLine,
    server=st.sampled_from(["echo", "echo", "silent", "silent", "closed", ""]),
    arguments=st.lists(_OPTIONS, max_size=4).map(tuple),
    environment=st.lists(_pairs({**_ENVIRONMENT, **_ENV_OF_OPTION}), max_size=2, unique_by=lambda pair: pair[0]).map(
        tuple
    ),
    configuration=st.sampled_from(_CONFIGURATIONS),
    redirection=st.sampled_from(_REDIRECTIONS),
)


def command_lines(count: int, seed_: int) -> list[CommandLine]:
    """Return different command lines, the same ones for the same seed."""
    drawn: dict[CommandLine, None] = {}

    @seed(seed_)
    @settings(
        max_examples=2 * count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_LINES)
    def draw(line: CommandLine) -> None:
        drawn[line] = None

    draw()
    lines = list(drawn)
    random.Random(seed_).shuffle(lines)  # hypothesis begins with the simplest
    return lines[:count]


@contextmanager
def servers() -> Iterator[Mapping[str, str]]:
    """Run the servers; yield their URLs by name."""
    with ExitStack() as stack:
        silent = stack.enter_context(BadHandshakes())
        target = stack.enter_context(echo_target())
        yield {"echo": target.url, "silent": silent.url("/ok"), "closed": "ws://127.0.0.1:1/", "": ""}


def problems(lines: Sequence[CommandLine], urls: Mapping[str, str]) -> list[str]:
    """Run command lines, a few at a time; return what is wrong with each that misbehaved."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [found for found in pool.map(lambda line: _problem(line, urls), lines) if found]


def _problem(line: CommandLine, urls: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        for name, content in _FILES.items():
            (Path(directory) / name).write_bytes(content)
        (Path(directory) / "locust.conf").write_text(line.configuration)
        url = [urls[line.server]] if line.server else []
        program = f'"$@" {line.redirection}' if line.redirection.startswith("|") else f'exec "$@" {line.redirection}'
        command = ["bash", "-o", "pipefail", "-c", program, "wsbench", sys.executable, "-m", "wsbench", "run"]
        began = time.monotonic()
        try:
            result = process.Running(
                [*command, *url, *_ALWAYS, *line.arguments], env=dict(line.environment), cwd=directory
            ).finish(LIMIT_S)
            process.no_leftovers(result, grace=5)
        except AssertionError as error:
            return f"{line}\n{error}"
        said = result.stdout + result.stderr
        if result.returncode in CODES and "Traceback" not in said and "internal error" not in said:
            return ""
        return f"{line}\nexit code {result.returncode} after {time.monotonic() - began:.1f} s\n{said}"
