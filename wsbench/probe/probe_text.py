"""A probe's steps as text for a terminal, with ANSI escapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from click import style

from wsbench.errors import printable
from wsbench.probe.certificate import ServerCertificate
from wsbench.probe.document import Close, EchoResult, Ping, Probe, ProbeStep, Tcp, Tls, Upgrade
from wsbench.units import format_bytes, format_count, format_duration

_INDENT = " " * 25
_NAMES = 5


def heading(result: Probe) -> str:
    """Format the line before the first step."""
    return f"{style(result.url, bold=True)}\n"


def step_lines(result: Probe, step: ProbeStep) -> str:
    """Format a finished step and its result."""
    mark = style("✓", fg="green") if step.ok else style("✗", fg="red", bold=True)
    duration = format_duration(_shown_ns(result, step))
    failed = [] if step.ok or result.problem is None else [style(result.problem.kind, fg="red")]
    first, *more = [*failed, *map(printable, _details(result, step))] or [""]
    head = f"  {mark} {style(f'{step.name:<8}', bold=True)} {duration:>9}   {first}".rstrip()
    return "\n".join([head, *(f"{_INDENT}{_dimmed(line)}" for line in more)])


def ending(result: Probe) -> str:
    """Format the lines after the last step: steps not reached, findings, and whether all is well."""
    missed = ", ".join(step.name for step in result.steps if step.ok is None)
    lines = [style(f"  · {missed}: not reached", dim=True)] if missed else []
    lines.append("")
    for finding in result.findings:
        lines += [f"{style('note', fg='yellow', bold=True)}  {finding.evidence}", f"      {finding.remedy}"]
    if result.ok:
        lines.append(style("all else is well" if result.findings else "all is well", fg="green"))
    return "\n".join(lines).rstrip()


def _dimmed(line: str) -> str:
    """Dim the lines of the request and the response."""
    return style(line, dim=True) if line.startswith(("> ", "< ")) else line


def _shown_ns(result: Probe, step: ProbeStep) -> int | None:
    """Return the duration to show: by the kernel's timestamp if there is one, which excludes our own time."""
    measured = {"echo": result.echo and result.echo.service_ns, "ping": result.ping and result.ping.service_ns}
    return measured.get(step.name) or step.duration_ns


def _details(result: Probe, step: ProbeStep) -> Iterator[str]:
    if step.name == "upgrade" and step.ok and result.upgrade is not None:
        yield _granted(result.upgrade)
    section = result.addresses if step.name == "dns" else getattr(result, step.name)
    if section:
        yield from _DETAILS[step.name](section)


def _dns(addresses: list[str]) -> Iterator[str]:
    yield ", ".join(addresses)


def _tcp(tcp: Tcp) -> Iterator[str]:
    if tcp.address is not None:
        yield f"{tcp.address} from {tcp.local}"
    yield from (f"not {refused}" for refused in tcp.refused)


def _tls(tls: Tls) -> Iterator[str]:
    if tls.version is not None:
        yield ", ".join(filter(None, (tls.version, tls.cipher, tls.alpn and f"ALPN {tls.alpn}")))
    if tls.certificate is not None:
        yield from _certificate(tls.certificate, checked=tls.verified, secured=tls.version is not None)


def _certificate(certificate: ServerCertificate, *, checked: bool, secured: bool) -> Iterator[str]:
    names = ", ".join(certificate.names[:_NAMES])
    more = len(certificate.names) - _NAMES
    state = "" if checked else " (not checked: --insecure)" if secured else " (refused)"
    yield f"certificate  {certificate.subject or 'no subject'}{state}"
    yield f"  issuer     {certificate.issuer}"
    yield f"  valid      {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d} ({_left(certificate)})"
    yield f"  names      {names or 'none'}{f' and {more} more' if more > 0 else ''}"


def _left(certificate: ServerCertificate) -> str:
    left = certificate.not_after - datetime.now(UTC)
    return f"{left.days:,} days left" if left.days >= 0 else f"expired {(-left).days:,} days ago"


def _granted(upgrade: Upgrade) -> str:
    return f"{upgrade.status}, extensions {upgrade.extensions or 'none'}, subprotocol {upgrade.subprotocol or 'none'}"


def _upgrade(upgrade: Upgrade) -> Iterator[str]:
    yield from (f"> {line}" for line in upgrade.request)
    yield from (f"< {line}" for line in upgrade.answer)
    if body := " ".join(upgrade.body.split()):
        yield f"< {body[:200]}"


def _echo(echo: EchoResult) -> Iterator[str]:
    sent = f"{format_bytes(echo.size)} of {echo.kind}"
    if echo.echoed:
        how = "came back" if echo.identical else "came back changed"
        yield f"{sent} {how} ({echo.timestamps} timestamp, read {format_duration(echo.read_lag_ns)} later)"
    else:
        yield f"{sent} did not come back"
    if echo.others:
        yield f"{format_count(echo.others)} other message{'s' * (echo.others > 1)}, the first: {echo.first_other}"


def _ping(ping: Ping) -> Iterator[str]:
    yield f"pong ({ping.timestamps} timestamp)" if ping.service_ns is not None else "no pong"


def _close(close: Close) -> Iterator[str]:
    reason = f" {close.reason!r}" if close.reason else ""
    answer = "not answered" if close.received_code is None else f"answered with {close.received_code}{reason}"
    yield f"{close.sent_code} {answer}, {'then TCP ended' if close.tcp_ended else 'TCP left open'}"


_DETAILS: dict[str, Callable[[Any], Iterator[str]]] = {
    "dns": _dns,
    "tcp": _tcp,
    "tls": _tls,
    "upgrade": _upgrade,
    "echo": _echo,
    "ping": _ping,
    "close": _close,
}
