"""Proxies in front of a target: nginx, haproxy, caddy."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from wsbench.machine import raise_descriptor_limit
from wsbench.targets.catalogue import programs
from wsbench.targets.catalogue.target import Settings, Target
from wsbench.targets.child import Child
from wsbench.targets.ports import HOST, on_a_free_port
from wsbench.targets.running import RunningTarget
from wsbench.targets.self_signed import Certificate, issue

SEPARATOR = ">"
_MOST_DESCRIPTORS = 65_536  # nginx allocates its table of connections when it starts


@dataclass(frozen=True)
class Front:
    """How a proxy is to run: from `port` on to `behind` (host:port); `directory` is its own."""

    port: int
    behind: str
    workers: int
    certificate: Certificate | None
    directory: Path


class Proxy(ABC):
    """A program that passes connections on.

    Attributes:
        name: its own, the program's, and that of Debian's package.
    """

    name: str
    _version_option: str

    @property
    def install_command(self) -> str:
        """Brings it to this machine."""
        return f"apt-get install {self.name}"

    def missing(self) -> str | None:
        """The program, when it is not there."""
        return None if programs.find(self.name) else f"no {self.name} on PATH"

    def version(self) -> str:
        """As it says itself.

        Raises:
            TargetError: it is missing.
        """
        return programs.version_in(programs.said(self.name, self._version_option))

    def start(self, front: Front) -> Child:
        """Start it, and wait until it accepts connections.

        Raises:
            TargetError: it did not come up; with the end of what it wrote.
        """
        file = front.directory / f"{self.name}.conf"
        file.write_text(self._configuration(front))
        command = [programs.find(self.name) or self.name, *self._arguments(file)]
        child = Child(self.name, command, says_when_ready=False, environment=self._environment(front))
        try:
            child.wait_until_it_accepts(HOST, front.port)
        except BaseException:
            child.stop()
            raise
        return child

    @abstractmethod
    def _configuration(self, front: Front) -> str:
        """What it reads when it starts."""

    @abstractmethod
    def _arguments(self, file: Path) -> Sequence[str]:
        """Have it run in the foreground with this configuration."""

    def _environment(self, front: Front) -> dict[str, str]:  # noqa: ARG002
        """Variables to set for it."""
        return {}


class Proxied(Target):
    """A target behind a proxy, both on this machine. TLS ends at the proxy; several workers are so many of each."""

    def __init__(self, proxy: Proxy, backend: Target) -> None:
        self._proxy = proxy
        self._backend = backend
        self.name = f"{proxy.name}{SEPARATOR}{backend.name}"
        self.protocol = backend.protocol
        self.capabilities = replace(backend.capabilities, tls=True)
        # for whichever of both is missing; for both when neither is
        lacking = [part for part in (proxy, backend) if part.missing()] or [proxy, backend]
        self.install_command = " && ".join(filter(None, (part.install_command for part in lacking)))

    def missing(self) -> str | None:
        """The proxy, or what the target behind it lacks."""
        return " and ".join(filter(None, (self._proxy.missing(), self._backend.missing()))) or None

    def version(self) -> str:
        """Of both."""
        self.require()
        return f"{self._proxy.version()} {SEPARATOR} {self._backend.version()}"

    def _unsupported_compression(self, compression: str) -> str | None:
        return self._backend.unsupported(compression=compression)

    def _start(self, settings: Settings) -> RunningTarget:
        with contextlib.ExitStack() as undo:
            directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-")))
            certificate = issue(directory) if settings.tls else None
            backend = self._backend.start(compression=settings.compression, workers=settings.workers)
            undo.enter_context(backend)
            behind = urlsplit(backend.url)

            def start(port: int) -> tuple[int, Child]:
                return port, self._proxy.start(Front(port, behind.netloc, settings.workers, certificate, directory))

            port, child = on_a_free_port(start)
            undo.callback(child.stop)
            url = behind._replace(scheme="wss" if certificate else "ws", netloc=f"{HOST}:{port}").geturl()
            return RunningTarget(
                url,
                name=self.name,
                version=self.version(),
                children=[*backend.children, child],
                ca_file=certificate.ca if certificate else None,
                resources=undo.pop_all(),
            )


class Nginx(Proxy):
    """nginx, which passes the upgrade on only when it is told to."""

    name = "nginx"
    _version_option = "-v"
    headers = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;"""

    def _configuration(self, front: Front) -> str:
        pem = front.certificate
        tls = (
            f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {pem.cert}; ssl_certificate_key {pem.key};" if pem else ""
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {front.directory}/{kind};" for kind in kinds)
        return f"""
daemon off;
pid {front.directory}/nginx.pid;
error_log stderr warn;
worker_processes {front.workers};
events {{ worker_connections {min(raise_descriptor_limit(), _MOST_DESCRIPTORS)}; }}
http {{
    access_log off;
    {paths}
    server {{
        listen {HOST}:{front.port}{" ssl" if pem else ""} backlog=4096;
        {tls}
        location / {{
            proxy_pass http://{front.behind};{self.headers}
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"""

    def _arguments(self, file: Path) -> Sequence[str]:
        return ["-e", "stderr", "-p", str(file.parent), "-c", str(file)]


class Haproxy(Proxy):
    """haproxy. Workers are threads of one process."""

    name = "haproxy"
    _version_option = "-v"

    def _configuration(self, front: Front) -> str:
        tls = f" ssl crt {front.certificate.both} alpn http/1.1" if front.certificate else ""
        return f"""
global
    nbthread {front.workers}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend clients
    bind {HOST}:{front.port}{tls} backlog 4096
    default_backend target
backend target
    server target {front.behind}
"""

    def _arguments(self, file: Path) -> Sequence[str]:
        return ["-db", "-f", str(file)]


class Caddy(Proxy):
    """caddy. Workers are threads that run Go code at the same time."""

    name = "caddy"
    _version_option = "version"

    def _configuration(self, front: Front) -> str:
        tls = f"tls {front.certificate.cert} {front.certificate.key}" if front.certificate else ""
        return f"""
{{
    admin off
    auto_https off
    log {{
        level WARN
    }}
    servers {{
        protocols h1
    }}
}}
{"https" if front.certificate else "http"}://:{front.port} {{
    bind {HOST}
    {tls}
    reverse_proxy {front.behind}
}}
"""

    def _environment(self, front: Front) -> dict[str, str]:
        own = str(front.directory)
        return {"GOMAXPROCS": str(front.workers), "XDG_DATA_HOME": own, "XDG_CONFIG_HOME": own}

    def _arguments(self, file: Path) -> Sequence[str]:
        return ["run", "--adapter", "caddyfile", "--config", str(file)]


PROXIES: dict[str, Proxy] = {proxy.name: proxy for proxy in (Nginx(), Haproxy(), Caddy())}
