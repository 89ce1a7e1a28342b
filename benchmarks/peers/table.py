"""The comparison as a table, as text or Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.bench import median_and_spread
from benchmarks.peers.catalogue import BARE, BY_HAND_TUNED, WSBENCH
from benchmarks.peers.measure import Sample
from benchmarks.peers.peer import Peer

_HEADER = ("generator", "messages/s", "CPU µs a round trip", "of wsbench's", "core busy", "verifies")
_RIGHT = (1, 2, 3, 4)
_BY_HAND_SHARE, _BARE_SHARE = 0.2, 0.9

Results = Mapping[str, Sequence[Sample]]


def _cpu_us(results: Results, name: str) -> float | None:
    return statistics.median(sample.cpu_us for sample in results[name]) if results.get(name) else None


def rows(peers: Sequence[Peer], results: Results) -> list[tuple[str, ...]]:
    """Return a row for each measured peer, the cheapest first."""
    own = _cpu_us(results, WSBENCH)
    measured = sorted((peer for peer in peers if results.get(peer.name)), key=lambda peer: _cpu_us(results, peer.name))
    notes = _numbered(measured)
    return [
        (
            f"{peer.name}{notes.get(peer.name, '')} ({peer.version()})".replace(" ()", ""),
            median_and_spread([sample.per_s for sample in results[peer.name]], 0),
            median_and_spread([sample.cpu_us for sample in results[peer.name]]),
            f"{_cpu_us(results, peer.name) / own:.2f}x" if own else "–",
            f"{statistics.median(sample.busy for sample in results[peer.name]):.0%}",
            peer.verifies,
        )
        for peer in measured
    ]


def _numbered(peers: Sequence[Peer]) -> dict[str, str]:
    noted = [peer.name for peer in peers if peer.note]
    return {name: f" [{number}]" for number, name in enumerate(noted, 1)}


def notes(peers: Sequence[Peer], results: Results) -> list[str]:
    """Return the notes on peers, numbered as in the table."""
    own = _cpu_us(results, WSBENCH)
    measured = sorted((peer for peer in peers if results.get(peer.name)), key=lambda peer: _cpu_us(results, peer.name))
    lines = [f"[{number}] {peer.note}" for number, peer in enumerate((peer for peer in measured if peer.note), 1)]
    outputs = [sample.output for sample in results.get(WSBENCH, ()) if sample.output]
    if own and outputs:
        generators = [json.loads(text)["generator"] for text in outputs]
        figures = median_and_spread([generator["cpu_us_per_message"] for generator in generators])
        path = generators[0]["echo_path"]
        lines.append(f"wsbench took the {path} echo path; its own figure for itself (cpu_us_per_message): {figures}")
    return lines


def verdicts(results: Results) -> list[str]:
    """Return a line for each of the two ratios with a limit."""
    own = _cpu_us(results, WSBENCH)
    lines = []
    for name, limit in ((BY_HAND_TUNED, _BY_HAND_SHARE), (BARE, _BARE_SHARE)):
        other = _cpu_us(results, name)
        if own and other:
            kept = "kept" if own / other <= limit else "missed"
            lines.append(f"wsbench / {name}: {own / other:.2f} of its CPU a round trip (at most {limit:g}: {kept})")
    return lines


def plain(table: Sequence[Sequence[str]]) -> str:
    """Return the table as text, numbers right-aligned."""
    lines = [_HEADER, *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    rule = ["---:" if column in _RIGHT else "---" for column in range(len(_HEADER))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (_HEADER, rule, *table))
