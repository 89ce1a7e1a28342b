"""`wsbench probe` against servers that are well, and against those that people meet when something is wrong.

What is wrong is put up by the real thing wherever there is one: nginx from Debian, servers of the catalogue.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import process
from helpers.bad_handshakes import BadHandshakes
from helpers.misconfigured_nginx import ORIGIN, RunningNginx, misconfigured_nginx
from helpers.process import CliResult

from wsbench.cli import main
from wsbench.targets import catalogue
from wsbench.targets.embedded import EmbeddedTarget

RunCli = Callable[..., CliResult]
STEPS = ["dns", "tcp", "tls", "upgrade", "echo", "ping", "close"]


@dataclass(frozen=True)
class Said:
    """Return the result of a probe in this process: gevent works there, since nothing is patched."""

    returncode: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


Probe = Callable[..., Said]


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Probe:
    """`wsbench probe ARGUMENTS`, without the second that a process takes to start."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main.run(["probe", *arguments])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def nginx() -> Iterator[RunningNginx]:
    with misconfigured_nginx("ws", "gorilla") as running:
        yield running


@pytest.fixture(scope="module")
def target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start(compression="on") as running:
        yield running


@pytest.fixture(scope="module")
def tls_target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget.start(tls=True) as running:
        yield running


def states(found: dict[str, Any]) -> dict[str, bool | None]:
    return {step["name"]: step["ok"] for step in found["steps"]}


# -- a server that is well ---------------------------------------------------------------------------------------------


def test_a_server_that_is_well(run_cli: RunCli, tls_target: EmbeddedTarget) -> None:
    result = run_cli("probe", tls_target.url, "--ca", str(tls_target.ca_file), "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = result.json()
    assert (found["schema"], found["ok"], found["problem"], found["findings"]) == (1, True, None, [])
    assert [step["name"] for step in found["steps"]] == STEPS
    assert all(step["ok"] and step["duration_ns"] > 0 for step in found["steps"])
    assert found["addresses"] == ["127.0.0.1"]
    assert f"wss://{found['tcp']['address']}/echo" == found["url"] == tls_target.url
    tls, certificate = found["tls"], found["tls"]["certificate"]
    assert tls["verified"] and tls["version"] == "TLSv1.3" and tls["cipher"].startswith("TLS_")
    assert "throw-away CA" in certificate["issuer"]
    assert certificate["names"] == ["localhost", "127.0.0.1", "::1"]
    assert certificate["not_before"] < found["started"] < certificate["not_after"]
    upgrade = found["upgrade"]
    assert upgrade["request"][0] == "GET /echo HTTP/1.1" and upgrade["answer"][0] == "HTTP/1.1 101 Switching Protocols"
    assert any(line.startswith("Sec-WebSocket-Accept: ") for line in upgrade["answer"])
    assert (upgrade["status"], upgrade["extensions"], upgrade["subprotocol"]) == (101, None, None)
    echo, ping, close = found["echo"], found["ping"], found["close"]
    assert (echo["size"], echo["kind"], echo["echoed"], echo["identical"]) == (128, "text", True, True)
    assert echo["timestamps"] == ping["timestamps"] == "kernel"
    assert 0 < echo["service_ns"] <= found["steps"][4]["duration_ns"]
    assert 0 < ping["service_ns"] <= found["steps"][5]["duration_ns"]
    assert (close["sent_code"], close["received_code"], close["tcp_ended"]) == (1000, 1000, True)


def test_every_step_for_people(probe: Probe, tls_target: EmbeddedTarget) -> None:
    result = probe(tls_target.url, "--ca", str(tls_target.ca_file))
    assert (result.returncode, result.stderr) == (0, "")
    taken = re.findall(r"^  ✓ (\w+) +[\d.]+ (?:ns|µs|ms|s)   \S", result.stdout, re.MULTILINE)
    assert taken == STEPS
    assert "TLSv1.3" in result.stdout and "names      localhost, 127.0.0.1, ::1" in result.stdout
    assert "> GET /echo HTTP/1.1" in result.stdout and "< HTTP/1.1 101 Switching Protocols" in result.stdout
    assert "128 B of text came back (kernel timestamp, read " in result.stdout
    assert result.stdout.endswith("all is well\n")
    assert "\x1b" not in result.stdout


@pytest.mark.needs("nginx", "openssl", "target ws", "target gorilla")
def test_what_is_granted_is_shown(probe: Probe, tmp_path: Path, nginx: RunningNginx) -> None:
    (tmp_path / "image").write_bytes(b"\xff\x00" * 50)
    with catalogue.find("gorilla").start(compression="on") as gorilla:
        options = ("--compression", "on", "--subprotocol", "chat", "--payload-file", str(tmp_path / "image"), "--json")
        found = probe(gorilla.url, *options).json()
    assert found["ok"]
    assert found["upgrade"]["extensions"].startswith("permessage-deflate")
    assert found["upgrade"]["subprotocol"] is None
    assert [finding["code"] for finding in found["findings"]] == ["no-subprotocol"]
    assert (found["echo"]["size"], found["echo"]["kind"], found["echo"]["identical"]) == (100, "binary", True)
    found = probe(nginx.url("/good"), *options).json()
    assert found["ok"] and found["echo"]["identical"]
    assert [finding["code"] for finding in found["findings"]] == ["no-compression"]
    assert found["upgrade"]["subprotocol"] == "chat"


def test_a_server_that_is_no_echo_server(probe: Probe, target: EmbeddedTarget) -> None:
    url = target.url.replace("/echo", "/push?rate=20&size=60")
    result = probe(url, "--timeout", "1s", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = result.json()
    assert found["ok"] and all(states(found).values())
    echo, (finding,) = found["echo"], found["findings"]
    assert not echo["echoed"] and echo["service_ns"] is None and echo["others"] > 0 and echo["first_other"]
    assert finding["code"] == "no-echo"
    assert "did not echo the message within 1s, but stayed open" in finding["evidence"]
    assert found["ping"]["service_ns"] > 0
    shown = probe(url, "--timeout", "1s").stdout
    assert "did not come back" in shown and "note  the server did not echo" in shown
    assert shown.endswith("all else is well\n")


# -- credentials -------------------------------------------------------------------------------------------------------

SECRETS = ("hunter2", "aHVudGVyMg", "s3cret-token", "in-the-jar", "0f-the-user", "0ffered")
CREDENTIALS = (
    *("--secret", "x-own", "--header", "X-Own: 0f-the-user", "--subprotocol", "access_token"),
    *("--subprotocol", "0ffered"),
    "--header",
    "X-Api-Key: aHVudGVyMg",
    "--header",
    "Cookie: session=in-the-jar",
    "--header",
    "X-Plain: seen",
)


@pytest.mark.parametrize("path", ["/echo", "/nowhere"])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_credentials_are_masked_unless_asked_for(
    probe: Probe, target: EmbeddedTarget, path: str, form: tuple[str, ...]
) -> None:
    url = target.url.replace("ws://", "ws://me:hunter2@").replace("/echo", f"{path}?room=1&access_token=s3cret-token")
    result = probe(url, *CREDENTIALS, *form)
    assert result.returncode == (0 if path == "/echo" else 3)
    said = result.stdout + result.stderr
    assert not [secret for secret in SECRETS if secret in said]
    assert "Authorization: Basic ***" in said and "X-Plain: seen" in said and "room=1&access_token=***" in said
    if path == "/echo":
        said = probe(url, *CREDENTIALS, *form, "--show-credentials").stdout
        assert all(secret in said for secret in SECRETS)


# -- what is wrong with it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A thing that is wrong: where, how to ask for it, and what must be said of it in the first line."""

    path: str
    said: str
    kind: str
    step: str = "upgrade"
    name: str = "plain"
    options: tuple[str, ...] = ()
    scheme: str | None = None


TRUSTED = ("--ca", "CA")
NGINX = {
    "HTTP/1.0 and no headers": Case("/bare", r"headers did not reach it: a proxy \(nginx/.*\) dropped", "no-upgrade"),
    "HTTP/1.1 and no headers": Case("/no-headers", r"headers did not reach it: a proxy \(nginx/.*\)", "no-upgrade"),
    "HTTP/1.0 and the headers": Case("/no-version", r"a proxy \(nginx/.*\) passed .* on as HTTP/1\.0", "no-upgrade"),
    "no headers to gorilla": Case("/no-headers-gorilla", r"a proxy \(nginx/.*\) dropped or changed", "no-upgrade"),
    "no headers to ws": Case("/bare-ws", r"no such path, or the proxy nginx/\S+ dropped the Upgrade", "not-found"),
    "wrong path": Case("/nowhere", "404 Not Found .* for /nowhere: it has no such path ", "not-found"),
    "no origin": Case("/origin", "403 Forbidden .* refuses a request without an Origin header", "forbidden"),
    "wrong origin": Case(
        "/origin",
        r"refuses the origin https://evil\.example",
        "forbidden",
        options=("--origin", "https://evil.example"),
    ),
    "no credentials": Case("/private", "401 Unauthorized .* authentication is missing", "unauthorized"),
    "wrong credentials": Case(
        "/private", "it refuses the credentials", "unauthorized", options=("--header", "Authorization: Basic eDp5")
    ),
    "a web page": Case("/static", "200 OK .* plain HTTP, as from a web server", "no-upgrade"),
    "another version": Case("/version", "426 .* refuses version 13 of the protocol, and supports 8, 7", "version"),
    "redirect": Case("/moved", "301 .* redirects, .*Location: https://elsewhere", "redirected"),
    "nobody behind it": Case("/down", "502 Bad Gateway .* down or overloaded", "unavailable"),
    "ws:// to a TLS port": Case("/good", "this port speaks TLS", "tls-expected", name="good", scheme="ws"),
    "wss:// to a plain port": Case("/good", "no TLS with .* speaks plain text", "no-tls", "tls", scheme="wss"),
    "untrusted": Case("/good", "certificate .* is not trusted: its issuer is unknown", "certificate", "tls", "good"),
    "expired": Case("/good", "certificate .* expired on ", "certificate-expired", "tls", "expired", TRUSTED),
    "untrusted, and expired": Case("/good", "is not trusted.* and expired on ", "certificate", "tls", "expired"),
    "not yet valid": Case("/good", "is not valid before ", "certificate-not-yet-valid", "tls", "early", TRUSTED),
    "wrong host": Case(
        "/good",
        r"certificate .* is not for the host name 127\.0\.0\.4, but for a\.example, \*\.b\.example",
        "certificate-host",
        "tls",
        "wrong-host",
        TRUSTED,
    ),
    "another CA": Case("/good", "is not trusted", "certificate", "tls", "another-ca", TRUSTED),
    "self-signed": Case("/good", "is not trusted: it is self-signed", "certificate", "tls", "self-signed"),
}


@pytest.mark.needs("nginx", "openssl", "target ws", "target gorilla")
@pytest.mark.parametrize("case", NGINX.values(), ids=NGINX)
def test_nginx_as_people_set_it_up(probe: Probe, nginx: RunningNginx, case: Case) -> None:
    options = [str(nginx.ca) if option == "CA" else option for option in case.options]
    result = probe(nginx.url(case.path, case.name, case.scheme), *options, "--json")
    assert_diagnosed(result, case.said, case.kind, case.step)
    certificate = (result.json()["tls"] or {}).get("certificate")
    assert (certificate is not None) == case.kind.startswith("certificate")


@pytest.mark.needs("nginx", "openssl", "target ws", "target gorilla")
def test_the_same_nginx_when_all_is_right(probe: Probe, nginx: RunningNginx) -> None:
    for path, name, options in (
        ("/good", "good", ("--ca", str(nginx.ca))),
        ("/origin", "plain", ("--origin", ORIGIN)),
        ("/private", "plain", ("--header", "Authorization: Basic c29tZWJvZHk6c2VjcmV0")),
    ):
        result = probe(nginx.url(path, name), *options, "--json")
        assert (result.returncode, result.stderr, result.json()["findings"]) == (0, "", [])


@pytest.mark.needs("nginx", "openssl", "target ws", "target gorilla")
def test_a_bad_certificate_is_shown_and_may_be_taken(probe: Probe, nginx: RunningNginx) -> None:
    shown = probe(nginx.url("/good", "expired"), "--ca", str(nginx.ca)).stdout
    assert re.search(r"✗ tls  .* certificate-expired\n +certificate  .*\(refused\)$", shown, re.MULTILINE)
    assert re.search(r"valid      20\d\d-\d\d-\d\d to 20\d\d-\d\d-\d\d \(expired \d+ days ago\)", shown)
    assert "· upgrade, echo, ping, close: not reached" in shown
    found = probe(nginx.url("/good", "expired"), "--insecure", "--json").json()
    assert found["ok"] and not found["tls"]["verified"]
    assert "not checked (--insecure), and it expired on" in found["findings"][0]["evidence"]


FAULTS = {
    "/200": ("200 OK .* plain HTTP, as from a web server", "no-upgrade"),
    "/302": ("302 Found .* redirects", "redirected"),
    "/401": ("authentication is missing", "unauthorized"),
    "/403": ("403 Forbidden .* refuses a request without an Origin header, or the credentials", "forbidden"),
    "/404": ("404 Not Found .* no such path", "not-found"),
    "/426": ("refuses version 13 of the protocol, and supports 8, 7", "version"),
    "/503": ("503 .* down or overloaded", "unavailable"),
    "/no-upgrade": ("Upgrade and Connection headers did not reach it: a proxy dropped them", "no-upgrade"),
    "/101-no-upgrade": ("101, but with no Upgrade header", "no-upgrade"),
    "/wrong-accept": ("a wrong Sec-WebSocket-Accept", "wrong-accept"),
    "/unrequested-extension": ("an extension that was not offered .*permessage-deflate", "negotiation"),
    "/unrequested-subprotocol": ("a subprotocol that was not offered .*never-asked-for", "negotiation"),
    "/http10": ("HTTP/1.0, which has no upgrade", "http-1.0"),
    "/silent": (r"never answered the upgrade request within 500ms", "handshake-timeout"),
    "/close": ("closed the connection without answering the upgrade request", "handshake-closed"),
    "/rst": ("broke the connection during the upgrade: Connection reset by peer", "handshake-reset"),
    "/garbage": ("did not answer .* with HTTP/1.1, but with .*: it is no WebSocket server", "not-http"),
    "/slow": ("sent .* bytes of an answer, but not all of it", "handshake-timeout"),
}


@pytest.mark.parametrize("path", FAULTS)
def test_a_handshake_that_fails(probe: Probe, bad_handshakes: BadHandshakes, path: str) -> None:
    result = probe(bad_handshakes.url(path), "--timeout", "500ms", "--json")
    assert_diagnosed(result, *FAULTS[path])
    assert f"127.0.0.1:{bad_handshakes.port}" in result.stderr.splitlines()[0]


@pytest.mark.needs("target uvicorn-wsproto")
@pytest.mark.parametrize(
    ("library", "said", "kind"),
    [
        ("wsproto", "403 .* a request without an Origin header, the path or the credentials", "forbidden"),
        ("websockets-sansio", "403 .* a request without an Origin header, the path or the cred", "forbidden"),
        ("none", "404 .* no such path, or its uvicorn has no WebSocket library", "not-found"),
    ],
)
def test_uvicorn_with_an_application_that_closes_before_it_accepts(
    probe: Probe, tmp_path: Path, library: str, said: str, kind: str
) -> None:
    (tmp_path / "closing.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'websocket':\n"
        "        await receive()\n"
        "        await send({'type': 'websocket.close', 'code': 4403})\n"
        "    else:\n"
        "        await send({'type': 'http.response.start', 'status': 404, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': b''})\n"
    )
    options = ("--port", "0", "--lifespan", "off", "--ws", library)
    server = process.Running([sys.executable, "-m", "uvicorn", "closing:app", *options], cwd=tmp_path)
    try:
        port = server.wait_for(r"running on http://127\.0\.0\.1:(\d+)", 30)[1]
        result = probe(f"ws://127.0.0.1:{port}/chat", "--json")
    finally:
        server.stop()
    assert_diagnosed(result, said, kind)


def test_a_grant_that_is_refused_is_not_shown_as_none(probe: Probe, bad_handshakes: BadHandshakes) -> None:
    shown = probe(bad_handshakes.url("/unrequested-extension")).stdout
    assert "< Sec-WebSocket-Extensions: permessage-deflate" in shown and "extensions none" not in shown


def test_a_server_that_ends_the_connection_at_our_message(probe: Probe, bad_handshakes: BadHandshakes) -> None:
    result = probe(bad_handshakes.url("/ok"), "--json")
    assert_diagnosed(result, "ended the connection after our message without a close frame", "closed-abruptly", "echo")


def test_an_unknown_host(probe: Probe) -> None:
    result = probe("ws://something.invalid/echo", "--json")
    assert_diagnosed(result, "the host something.invalid is unknown", "unknown-host", "dns")


def test_a_refused_port(probe: Probe) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        result = probe(f"wss://127.0.0.1:{unused.getsockname()[1]}/echo", "--json")
    assert_diagnosed(result, r"nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)", "refused", "tcp")


@pytest.mark.parametrize(("scheme", "step"), [("ws", "upgrade"), ("wss", "tls")])
def test_a_server_that_accepts_and_says_nothing(probe: Probe, scheme: str, step: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
        result = probe(url, "--timeout", "500ms", "--json")
    kind = "handshake-timeout" if step == "upgrade" else "tls-timeout"
    assert_diagnosed(result, r"accepted the connection, but .* within 500ms \(timeout\)", kind, step)


@pytest.mark.needs("target ws", "target gorilla")
def test_ws_and_wss_mixed_up(probe: Probe, target: EmbeddedTarget, tls_target: EmbeddedTarget) -> None:
    """Servers answer that in words, with an alert, by hanging up, or not at all."""
    with (
        catalogue.find("ws").start() as ws,
        catalogue.find("gorilla").start() as gorilla,
        catalogue.find("ws").start(tls=True) as tls_ws,
        catalogue.find("gorilla").start(tls=True) as tls_gorilla,
    ):
        for plain in (target, ws, gorilla):
            result = probe(plain.url.replace("ws:", "wss:"), "--json")
            assert_diagnosed(result, "speaks no TLS|no TLS with .* speaks plain text", "no-tls", "tls")
            assert "ws:// instead of wss://" in result.stderr
        for secure in (tls_target, tls_ws, tls_gorilla):
            result = probe(secure.url.replace("wss:", "ws:"), "--json")
            assert_diagnosed(result, "speaks TLS", "tls-expected", "upgrade")
            assert "wss:// instead of ws://" in result.stderr


def assert_diagnosed(result: Said, said: str, kind: str, step: str = "upgrade") -> None:
    """The first line names the cause, and the document says the same and which steps were reached."""
    assert result.returncode == 3
    first = result.stderr.splitlines()[0]
    assert re.search(said, first), first
    found = json.loads(result.stdout)
    problem = found["problem"]
    assert not found["ok"]
    assert (problem["kind"], problem["step"]) == (kind, step)
    assert problem["side"] == ("network" if step == "dns" else "target")
    assert result.stderr == f"wsbench: error: {problem['what']}\n  {problem['remedy']}\n"
    expected = [name for name in STEPS if name != "tls" or found["url"].startswith("wss")]
    assert [each["name"] for each in found["steps"]] == expected
    failed = expected.index(step)
    assert list(states(found).values()) == [True] * failed + [False] + [None] * (len(expected) - failed - 1)


def test_the_steps_before_a_failure_are_shown(probe: Probe, bad_handshakes: BadHandshakes) -> None:
    result = probe(bad_handshakes.url("/404"))
    assert re.search(r"^  ✓ tcp .*127\.0\.0\.1", result.stdout, re.MULTILINE)
    assert re.search(r"^  ✗ upgrade ", result.stdout, re.MULTILINE)
    assert "< HTTP/1.1 404 Not Found" in result.stdout
    assert result.stdout.endswith("  · echo, ping, close: not reached\n")


# -- usage and output --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "URL"),
        (["http://127.0.0.1:1/echo"], "ws://127.0.0.1:1/echo"),
        (["127.0.0.1:8765"], "is not a WebSocket URL"),
        (["ws://127.0.0.1:1/", "--timeout", "0"], "--timeout"),
        (["ws://127.0.0.1:1/", "--ca", "nowhere.pem"], "nowhere.pem"),
        (["ws://127.0.0.1:1/", "--header", "X-Token"], "X-Token"),
        (["ws://127.0.0.1:1/", "--rate", "5"], "--rate"),
    ],
)
def test_wrong_usage(probe: Probe, arguments: list[str], said: str) -> None:
    result = probe(*arguments, "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr and len(result.stderr.splitlines()) <= 2


def test_no_asyncio_no_locust_and_no_patch(target: EmbeddedTarget) -> None:
    program = (
        f"import sys; from wsbench.cli.main import run; run(['probe', {target.url!r}]); from gevent import monkey;"
        "print([name for name in ('locust', 'asyncio') if name in sys.modules], monkey.is_module_patched('socket'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[] False"


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal(target: EmbeddedTarget, variables: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    command = [sys.executable, "-m", "wsbench", "probe", target.url]
    with subprocess.Popen(command, stdout=theirs, env={**environment, "TERM": "xterm", **variables}) as program:
        os.close(theirs)
        written = b""
        try:
            while data := os.read(ours, 65_536):
                written += data
        except OSError:  # how Linux says that the other end of a terminal is closed
            pass
        finally:
            os.close(ours)
        assert program.wait(process.scaled(60)) == 0
    assert (b"\x1b[" in written) == coloured
    assert b"all is well" in written


def test_ctrl_c_while_nothing_comes() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        program = process.start_cli("probe", f"ws://127.0.0.1:{silent.getsockname()[1]}/", "--timeout", "60s")
        program.wait_for("✓ tcp")
        program.signal(signal.SIGINT)
        result = program.finish()
    assert (result.returncode, result.stderr.strip()) == (130, "wsbench: error: interrupted")


def test_an_output_without_unicode(run_cli: RunCli, target: EmbeddedTarget) -> None:
    shown = run_cli("probe", target.url, env={"PYTHONIOENCODING": "ascii"}).stdout
    assert shown.isascii() and "  + upgrade " in shown and "\\u" not in shown
