"""Proxies in settings of a target: nginx, haproxy, caddy."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from wsbench import machine
from wsbench.machine import raise_descriptor_limit
from wsbench.targets.catalogue import programs
from wsbench.targets.catalogue.target import Settings, StartableTarget
from wsbench.targets.child import HOST, Child, on_a_free_port
from wsbench.targets.running import RunningTarget
from wsbench.targets.self_signed import CertificateFiles, issue

SEPARATOR = ">"
_MAX_CONNECTIONS = 65_536  # nginx allocates its table of connections at its start


@dataclass(frozen=True)
class ProxySettings:
    """Settings of a proxy from `port` to `backend` (host:port); `directory` is private to it."""

    port: int
    backend: str
    workers: int
    certificate: CertificateFiles | None
    directory: Path


class Proxy(ABC):
    """A proxy program. `name` is also the name of the program and of Debian's package."""

    name: str
    _version_option: str

    @property
    def install_command(self) -> str:
        """The command that installs the program."""
        return f"apt-get install {self.name}"

    def missing(self) -> str | None:
        """Return what is missing, or None."""
        return None if programs.find(self.name) else f"no {self.name} on PATH"

    def version(self) -> str:
        """Return the version that the program prints; raise TargetError when the program is missing."""
        return programs.version_in(programs.output_of(self.name, self._version_option))

    def start(self, settings: ProxySettings) -> Child:
        """Start the proxy, which may not accept connections yet; raise TargetError if it cannot be executed."""
        file = settings.directory / f"{self.name}.conf"
        file.write_text(self._configuration(settings))
        command = [programs.find(self.name) or self.name, *self._arguments(file)]
        return Child(self.name, command, prints_url=False, environment=self._environment(settings))

    @abstractmethod
    def _configuration(self, settings: ProxySettings) -> str:
        """Return the content of the configuration file."""

    @abstractmethod
    def _arguments(self, file: Path) -> Sequence[str]:
        """Return the arguments to run in the foreground with the configuration `file`."""

    def _environment(self, settings: ProxySettings) -> dict[str, str]:  # noqa: ARG002
        """Return environment variables to set."""
        return {}


class Proxied(StartableTarget):
    """A target behind a proxy, both on this machine. TLS ends at the proxy; both have the same number of workers."""

    def __init__(self, proxy: Proxy, backend: StartableTarget) -> None:
        self._proxy = proxy
        self._backend = backend
        self.name = f"{proxy.name}{SEPARATOR}{backend.name}"
        self.protocol = backend.protocol
        self.capabilities = replace(backend.capabilities, tls=True)
        # of the missing one; of both when neither is missing
        lacking = [part for part in (proxy, backend) if part.missing()] or [proxy, backend]
        self.install_command = " && ".join(filter(None, (part.install_command for part in lacking)))

    def missing(self) -> str | None:
        return " and ".join(filter(None, (self._proxy.missing(), self._backend.missing()))) or None

    def version(self) -> str:
        """Return the versions of both."""
        self.require()
        return f"{self._proxy.version()} {SEPARATOR} {self._backend.version()}"

    def most_connections(self) -> int | None:
        """Return the smaller number of both; the proxy needs two sockets for each connection."""
        of_proxy = machine.connections_of_a_process()
        of_both = [self._backend.most_connections(), None if of_proxy is None else of_proxy // 2]
        return min((each for each in of_both if each is not None), default=None)

    def _unsupported_compression(self, compression: str) -> str | None:
        return self._backend.unsupported(compression=compression)

    def _start(self, settings: Settings) -> RunningTarget:
        with contextlib.ExitStack() as undo:
            directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-")))
            certificate = issue(directory) if settings.tls else None
            backend = self._backend.start(compression=settings.compression, workers=settings.workers)
            undo.enter_context(backend)
            url = urlsplit(backend.url)

            def start(port: int) -> Child:
                return self._proxy.start(ProxySettings(port, url.netloc, settings.workers, certificate, directory))

            port, child = on_a_free_port(start)
            undo.callback(child.stop)
            return RunningTarget(
                url._replace(scheme="wss" if certificate else "ws", netloc=f"{HOST}:{port}").geturl(),
                name=self.name,
                version=self.version(),
                children=[*backend.children, child],
                ca_file=certificate.ca if certificate else None,
                resources=undo.pop_all(),
            )


class Nginx(Proxy):
    """nginx, which forwards the upgrade only if configured to."""

    name = "nginx"
    _version_option = "-v"
    headers = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;"""

    def _configuration(self, settings: ProxySettings) -> str:
        pem = settings.certificate
        tls = (
            f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {pem.cert}; ssl_certificate_key {pem.key};" if pem else ""
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {settings.directory}/{kind};" for kind in kinds)
        return f"""
daemon off;
pid {settings.directory}/nginx.pid;
error_log stderr warn;
worker_processes {settings.workers};
events {{ worker_connections {min(raise_descriptor_limit(), _MAX_CONNECTIONS)}; }}
http {{
    access_log off;
    {paths}
    server {{
        listen {HOST}:{settings.port}{" ssl" if pem else ""} backlog=4096;
        {tls}
        location / {{
            proxy_pass http://{settings.backend};{self.headers}
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

    def _configuration(self, settings: ProxySettings) -> str:
        tls = f" ssl crt {settings.certificate.both} alpn http/1.1" if settings.certificate else ""
        return f"""
global
    nbthread {settings.workers}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend clients
    bind {HOST}:{settings.port}{tls} backlog 4096
    default_backend target
backend target
    server target {settings.backend}
"""

    def _arguments(self, file: Path) -> Sequence[str]:
        return ["-db", "-f", str(file)]


class Caddy(Proxy):
    """caddy. Workers are threads that run Go code at the same time."""

    name = "caddy"
    _version_option = "version"

    def _configuration(self, settings: ProxySettings) -> str:
        tls = f"tls {settings.certificate.cert} {settings.certificate.key}" if settings.certificate else ""
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
{"https" if settings.certificate else "http"}://:{settings.port} {{
    bind {HOST}
    {tls}
    reverse_proxy {settings.backend}
}}
"""

    def _environment(self, settings: ProxySettings) -> dict[str, str]:
        directory = str(settings.directory)
        return {"GOMAXPROCS": str(settings.workers), "XDG_DATA_HOME": directory, "XDG_CONFIG_HOME": directory}

    def _arguments(self, file: Path) -> Sequence[str]:
        return ["run", "--adapter", "caddyfile", "--config", str(file)]


PROXIES: dict[str, Proxy] = {proxy.name: proxy for proxy in (Nginx(), Haproxy(), Caddy())}
