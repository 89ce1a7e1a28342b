"""nginx (Debian's) with common configuration errors, one for each path and each address in 127/8.

`url("/no-headers")` is plain HTTP, `url("/good", "expired")` uses TLS with the certificate "expired".
"""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from wsbench.targets import catalogue
from wsbench.targets.catalogue.proxies import Nginx, ProxySettings
from wsbench.targets.child import Child, on_a_free_port

ADDRESSES = {"plain": "127.0.0.1", "good": "127.0.0.2", "expired": "127.0.0.3", "wrong-host": "127.0.0.4"}
ADDRESSES |= {"another-ca": "127.0.0.5", "early": "127.0.0.6", "self-signed": "127.0.0.7"}
ADDRESSES |= {"client-certificate": "127.0.0.8", "optional-certificate": "127.0.0.9"}
_VERIFY = {"client-certificate": "on", "optional-certificate": "optional"}
ORIGIN = "https://good.example"

_PASSED_ON = """
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";"""
_TO = "proxy_pass http://{behind}/echo;"
_LOCATIONS = {
    "/good": _TO + _PASSED_ON,
    # nginx's default: HTTP/1.0 to the server behind it, and neither of the two headers
    "/bare": _TO,
    "/no-headers": _TO + "proxy_http_version 1.1;",
    "/no-version": _TO + 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
    "/static": 'default_type text/html; return 200 "<h1>Welcome</h1>";',
    "/moved": "return 301 https://elsewhere.example/chat?token=s3cret;",
    "/private": 'auth_basic "members"; auth_basic_user_file {directory}/passwords; ' + _TO + _PASSED_ON,
    "/origin": f'if ($http_origin != "{ORIGIN}") {{{{ return 403; }}}} ' + _TO + _PASSED_ON,
    "/version": 'add_header Sec-WebSocket-Version "8, 7" always; return 426;',
    "/": "return 404;",
    "/forbidden": "return 403;",
    "/down": "proxy_pass http://127.0.0.1:1;",
}


class MisconfiguredNginx(Nginx):
    """One nginx with all of these errors."""

    def __init__(self, behind: dict[str, str]) -> None:
        """Take host:port of further servers by name; each is behind /bare-NAME and /no-headers-NAME."""
        self._behind = behind

    def _configuration(self, front: ProxySettings) -> str:
        paths = {
            path: body.format(behind=front.backend, directory=front.directory) for path, body in _LOCATIONS.items()
        }
        for name, where in self._behind.items():
            paths |= {f"/bare-{name}": f"proxy_pass http://{where}/echo;"}
            paths |= {f"/no-headers-{name}": f"proxy_pass http://{where}/echo; proxy_http_version 1.1;"}
        locations = "\n".join(f"location {path} {{ {body} }}" for path, body in paths.items())
        servers = ""
        for name, address in ADDRESSES.items():
            pem = f"{front.directory}/{name}.pem"
            tls = "" if name == "plain" else f"ssl_certificate {pem}; ssl_certificate_key {pem};"
            if name in _VERIFY:
                tls += f" ssl_verify_client {_VERIFY[name]}; ssl_client_certificate {front.directory}/ca.pem;"
            servers += f"server {{ listen {address}:{front.port}{' ssl' if tls else ''}; {tls}\n{locations} }}\n"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {front.directory}/{kind};" for kind in kinds)
        return f"""
daemon off; pid {front.directory}/nginx.pid; error_log stderr crit;
events {{ }}
http {{ access_log off; {temporary} {servers} }}
"""


@dataclass(frozen=True)
class RunningNginx:
    """A running nginx. `ca`: PEM file of the CA that signed all certificates but "another-ca" and "self-signed"."""

    port: int
    ca: Path

    def url(self, path: str, name: str = "plain", scheme: str | None = None) -> str:
        return f"{scheme or ('ws' if name == 'plain' else 'wss')}://{ADDRESSES[name]}:{self.port}{path}"


@contextlib.contextmanager
def misconfigured_nginx(*behind: str) -> Iterator[RunningNginx]:
    """Start nginx in front of the embedded target, and of the catalogue's targets in `behind`."""
    with contextlib.ExitStack() as undo:
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-")))
        backend, *others = (undo.enter_context(catalogue.find(name).start()) for name in ("websockets", *behind))
        nginx = MisconfiguredNginx(dict(zip(behind, (urlsplit(other.url).netloc for other in others), strict=True)))
        directory.chmod(0o755)  # nginx's workers run as another user
        (directory / "passwords").write_text("somebody:{PLAIN}secret\n")
        ca = _certificates(directory)

        def start(port: int) -> Child:
            return nginx.start(ProxySettings(port, urlsplit(backend.url).netloc, 1, None, directory))

        port, child = on_a_free_port(start)
        undo.callback(child.stop)
        yield RunningNginx(port, ca)


def _certificates(directory: Path) -> Path:
    authority, nobody = trustme.CA(), trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    year = datetime.timedelta(days=365)
    issued = {
        "good": authority.issue_cert(ADDRESSES["good"], "localhost"),
        "expired": authority.issue_cert(ADDRESSES["expired"], not_before=now - 2 * year, not_after=now - year),
        "wrong-host": authority.issue_cert("a.example", "*.b.example"),
        "another-ca": nobody.issue_cert(ADDRESSES["another-ca"]),
        **{name: authority.issue_cert(ADDRESSES[name]) for name in _VERIFY},
        "early": authority.issue_cert(ADDRESSES["early"], not_before=now + year, not_after=now + 2 * year),
    }
    for name, certificate in issued.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(directory / f"{name}.pem")
    _self_signed(directory / "self-signed.pem")
    ca = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    return ca


def _self_signed(file: Path) -> None:
    """Write a self-signed certificate, made by openssl's command line."""
    names = f"subjectAltName=IP:{ADDRESSES['self-signed']}"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=test"]
    # the key goes to the file, the certificate to standard output
    made = subprocess.run([*command, "-addext", names, "-keyout", str(file)], capture_output=True, check=True)
    file.write_bytes(file.read_bytes() + made.stdout)
