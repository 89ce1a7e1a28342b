"""`wsbench targets`: the catalogue of targets, and which of them this machine can start."""

from __future__ import annotations

import click
import msgspec

from wsbench.errors import TargetError
from wsbench.report.text.text_table import draw, left
from wsbench.results.json_files import encode_json
from wsbench.targets import catalogue
from wsbench.targets.catalogue import Proxy, StartableTarget

_HEADINGS = ("target", "version", "protocol", "tls", "compression", "workers")


class Entry(msgspec.Struct, frozen=True):
    """A target in the document of --json.

    Attributes:
        version: None when it cannot be started.
        missing: what this machine lacks to start it; None if it lacks nothing.
        install: the command that installs what is missing; None if nothing is.
    """

    name: str
    version: str | None
    protocol: str
    tls: bool
    compression: bool
    workers: bool
    missing: str | None
    install: str | None


class ProxyEntry(msgspec.Struct, frozen=True):
    """A proxy: it ends TLS; everything else is the target's."""

    name: str
    version: str | None
    missing: str | None
    install: str | None


class Document(msgspec.Struct, frozen=True):
    """The document of --json. A proxy can be put in front of a target or of another proxy: 'nginx>websockets'."""

    targets: list[Entry]
    proxies: list[ProxyEntry]


@click.command("targets")
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def command(as_json: bool) -> None:
    """List the servers that wsbench can start and measure: `wsbench run --target NAME`.

    For a server that this machine cannot start, the list has the command that installs what is missing.
    """
    document = Document(
        targets=[_entry(target) for target in catalogue.ENTRIES],
        proxies=[_proxy_entry(proxy) for proxy in catalogue.PROXIES.values()],
    )
    if as_json:
        click.echo(encode_json(document), nl=False)
    else:
        click.echo("\n".join(_lines(document)))


def _entry(target: StartableTarget) -> Entry:
    (version, missing), able = _version(target), target.capabilities
    return Entry(
        name=target.name,
        version=version,
        protocol=target.protocol,
        tls=able.tls,
        compression=able.compression,
        workers=able.workers,
        missing=missing,
        install=target.install_command if missing else None,
    )


def _proxy_entry(proxy: Proxy) -> ProxyEntry:
    version, missing = _version(proxy)
    return ProxyEntry(
        name=proxy.name,
        version=version,
        missing=missing,
        install=proxy.install_command if missing else None,
    )


def _version(target: StartableTarget | Proxy) -> tuple[str | None, str | None]:
    """Return the version and None, or None and what is missing."""
    if missing := target.missing():
        return None, missing
    try:
        return target.version(), None
    except TargetError as exc:  # a broken one must not hide the others
        return None, exc.what


def _lines(document: Document) -> list[str]:
    targets: list[list[str] | str] = []
    for entry in document.targets:
        able = ("yes" if has else "no" for has in (entry.tls, entry.compression, entry.workers))
        targets += [[entry.name, entry.version or "-", entry.protocol, *able], *_remedy(entry)]
    proxies: list[list[str] | str] = []
    for proxy in document.proxies:
        usage = f"in front of a target: '{proxy.name}>websockets'"
        proxies += [[proxy.name, proxy.version or "-", usage], *_remedy(proxy)]
    return [
        *draw([*map(left, _HEADINGS)], targets),
        "",
        *draw([left("proxy", 18), left("version", 26), left()], proxies),
        "",
        "wsbench run --target NAME starts one, puts load on it, and stops it.",
    ]


def _remedy(entry: Entry | ProxyEntry) -> list[str]:
    if entry.missing is None:
        return []
    return [f"  {entry.missing}; to install it:", f"    {entry.install}"]
