"""A probe's steps as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from wsbench.errors import printable
from wsbench.probe.certificate import ServerCertificate
from wsbench.probe.document import Probe, ProbeFinding, ProbeStep
from wsbench.units import format_bytes, format_count, format_duration

_INDENT = " " * 25
_NAMES = 5


class Lines:
    """Formatter of a probe's lines; with ANSI escapes if `colour`."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def heading(self, result: Probe) -> str:
        """Format the line before the first step."""
        return f"{self._paint(result.url, bold=True)}\n"

    def step(self, result: Probe, step: ProbeStep) -> str:
        """Format a finished step and its result."""
        mark = self._paint("✓", fg="green") if step.ok else self._paint("✗", fg="red", bold=True)
        duration = format_duration(_shown_ns(result, step))
        failed = [] if step.ok or result.problem is None else [self._paint(result.problem.kind, fg="red")]
        first, *more = [*failed, *map(printable, _DETAILS[step.name](result))] or [""]
        head = f"  {mark} {self._paint(f'{step.name:<8}', bold=True)} {duration:>9}   {first}".rstrip()
        return "\n".join([head, *(f"{_INDENT}{self._dimmed(line)}" for line in more)])

    def ending(self, result: Probe) -> str:
        """Format the lines after the last step: steps not reached, findings, and whether all is well."""
        missed = ", ".join(step.name for step in result.steps if step.ok is None)
        lines = [self._paint(f"  · {missed}: not reached", dim=True)] if missed else []
        lines += ["", *(line for finding in result.findings for line in self._finding(finding))]
        if result.ok:
            lines.append(self._paint("all else is well" if result.findings else "all is well", fg="green"))
        return "\n".join(lines).rstrip()

    def _finding(self, finding: ProbeFinding) -> Iterator[str]:
        yield f"{self._paint('note', fg='yellow', bold=True)}  {finding.evidence}"
        yield f"      {finding.remedy}"

    def _dimmed(self, line: str) -> str:
        """Dim the lines of the request and the response."""
        return self._paint(line, dim=True) if line.startswith(("> ", "< ")) else line

    def _paint(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._colour else text


def _shown_ns(result: Probe, step: ProbeStep) -> int | None:
    """Return the duration to show: by the kernel's timestamp if there is one, which excludes our own time."""
    measured = {"echo": result.echo and result.echo.service_ns, "ping": result.ping and result.ping.service_ns}
    return measured.get(step.name) or step.duration_ns


def _dns(result: Probe) -> Iterator[str]:
    if result.addresses:
        yield ", ".join(result.addresses)


def _tcp(result: Probe) -> Iterator[str]:
    if result.tcp is None:
        return
    if result.tcp.address is not None:
        yield f"{result.tcp.address} from {result.tcp.local}"
    yield from (f"not {refused}" for refused in result.tcp.refused)


def _tls(result: Probe) -> Iterator[str]:
    tls = result.tls
    if tls is None:
        return
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


def _upgrade(result: Probe) -> Iterator[str]:
    upgrade = result.upgrade
    if upgrade is None:
        return
    if upgrade.status == 101:
        yield f"101, extensions {upgrade.extensions or 'none'}, subprotocol {upgrade.subprotocol or 'none'}"
    yield from (f"> {line}" for line in upgrade.request)
    yield from (f"< {line}" for line in upgrade.answer)
    if body := " ".join(upgrade.body.split()):
        yield f"< {body[:200]}"


def _echo(result: Probe) -> Iterator[str]:
    echo = result.echo
    if echo is None:
        return
    sent = f"{format_bytes(echo.size)} of {echo.kind}"
    if echo.echoed:
        how = "came back" if echo.identical else "came back changed"
        yield f"{sent} {how} ({echo.timestamps} timestamp, read {format_duration(echo.read_lag_ns)} later)"
    else:
        yield f"{sent} did not come back"
    if echo.others:
        yield f"{format_count(echo.others)} other message{'s' * (echo.others > 1)}, the first: {echo.first_other}"


def _ping(result: Probe) -> Iterator[str]:
    if result.ping is not None:
        answered = result.ping.service_ns is not None
        yield f"pong ({result.ping.timestamps} timestamp)" if answered else "no pong"


def _close(result: Probe) -> Iterator[str]:
    close = result.close
    if close is None:
        return
    reason = f" {close.reason!r}" if close.reason else ""
    answer = "not answered" if close.received_code is None else f"answered with {close.received_code}{reason}"
    yield f"{close.sent_code} {answer}, {'then TCP ended' if close.tcp_ended else 'TCP left open'}"


_DETAILS: dict[str, Callable[[Probe], Iterator[str]]] = {
    "dns": _dns,
    "tcp": _tcp,
    "tls": _tls,
    "upgrade": _upgrade,
    "echo": _echo,
    "ping": _ping,
    "close": _close,
}
