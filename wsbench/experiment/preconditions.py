"""Preconditions of a comparison: same machine, same load, trusted runs. Every difference is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wsbench.credentials import DEFAULT_SECRETS
from wsbench.results.run_result import Run
from wsbench.run.outcome import nothing_measured
from wsbench.units import format_cores, format_count, format_seconds

Named = tuple[str, Callable[[Run], str]]
"""Name of a condition, and function from a run to its text; an empty text where it does not apply."""

_CONDITIONS: Sequence[Named] = (
    ("host", lambda run: f"{run.environment.host_id[:8]} ({run.environment.cpu})"),
    ("scenario", lambda run: run.conditions.scenario),
    ("payload", lambda run: f"{run.conditions.payload_size:,} B"),
    ("frames", lambda run: "binary" if run.conditions.binary else "text"),
    ("connections", lambda run: format_count(run.conditions.users)),
    ("loop", lambda run: run.conditions.loop),
    ("in flight", lambda run: str(run.conditions.in_flight) if run.conditions.loop == "closed" else ""),
    ("rate", lambda run: "" if run.conditions.rate is None else f"{run.conditions.rate:,.10g}/s"),
    ("arrivals", lambda run: run.conditions.arrivals if run.conditions.loop == "open" else ""),
    ("tls", lambda run: "on" if run.conditions.tls else "off"),
    ("compression requested", lambda run: run.conditions.compression),
    ("compression granted", lambda run: run.negotiated.compression or "none"),
    ("processes", lambda run: str(run.conditions.processes)),
    ("settings", lambda run: ", ".join(map("=".join, DEFAULT_SECRETS.settings(run.conditions.settings).items()))),
)
_CIRCUMSTANCES: Sequence[Named] = (
    ("cores", lambda run: str(run.environment.cores)),
    ("CPU quota", lambda run: "none" if (quota := run.environment.cpu_quota) is None else format_cores(quota)),
    ("kernel", lambda run: run.environment.kernel),
    ("Python", lambda run: run.environment.python),
    ("wsbench", lambda run: run.wsbench),
    ("timestamps", lambda run: run.timestamps.source or "none"),
    ("TLS version", lambda run: run.negotiated.tls_version or ""),
)
_VERDICT = "verdict of "
_LENGTH: Sequence[Named] = (("measured for", lambda run: format_seconds(run.conditions.duration_ns)),)
_LENGTH_TOLERANCE = 0.02
"""Measure phases of the same nominal length differ by the time that stopping takes."""


def differences(base: Sequence[Run], new: Sequence[Run]) -> list[str]:
    """Return why NEW's runs cannot be compared with BASE's; empty if they can. Each side has at least one run."""
    differing = _against(_CONDITIONS, base, new)
    for side, runs in (("BASE", base), ("NEW", new)):
        untrusted = sorted({run.generator.verdict for run in runs} - {"ok"})
        differing += [f"{_VERDICT}{side}: {verdict}" for verdict in untrusted]
        if not all(run.complete for run in runs):
            differing.append(f"{side} is incomplete")
        nothing = [evidence for run in runs if (evidence := nothing_measured(run))]
        differing += [f"{side} has measured nothing: {evidence}" for evidence in nothing[:1]]
    return differing


def notes(base: Sequence[Run], new: Sequence[Run]) -> list[str]:
    """Return further differences, which may or may not matter."""
    differing = _against(_CIRCUMSTANCES, base, new)
    lengths = [run.conditions.duration_ns for run in (*base, *new)]
    if max(lengths) - min(lengths) > _LENGTH_TOLERANCE * max(lengths):
        differing += _against(_LENGTH, base, new)
    for name, count in (("lost", lambda run: run.messages.lost), ("corrupted", lambda run: run.messages.corrupted)):
        wrong = [sum(map(count, runs)) for runs in (base, new)]
        if any(wrong):
            differing.append(f"messages {name}: {format_count(wrong[0])} against {format_count(wrong[1])}")
    return differing


def remedy(differing: Iterable[str]) -> str:
    """Return the remedy for differences."""
    if any(difference.startswith(_VERDICT) and "saturated" in difference for difference in differing):
        return "A saturated generator measures its own limit: use --rate, or compare --anyway."
    if all(difference.startswith(_VERDICT) for difference in differing):
        return "A late generator distorts the latencies: use a lower --rate, or compare --anyway."
    return "Measure both sides under the same conditions, or compare --anyway."


def _against(names: Iterable[Named], base: Sequence[Run], new: Sequence[Run]) -> list[str]:
    differing = []
    for name, value in names:
        left, right = [list(dict.fromkeys(map(value, runs))) for runs in (base, new)]
        if (left != right or len(left) > 1) and all((*left, *right)):
            differing.append(f"{name}: {' and '.join(left)} against {' and '.join(right)}")
    return differing
