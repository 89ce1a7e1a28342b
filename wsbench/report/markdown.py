"""GitHub-flavoured Markdown, for the summary page of a CI job and for comments on pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wsbench.errors import WsbenchError
from wsbench.report import availability_text, outcome_text, series_labels
from wsbench.report.text.comparison_text import HEADINGS, basis, metric_cells, verdict_text
from wsbench.report.text.summary import ERRORS_SHOWN, LATENCY_COLUMNS, describe_conditions, first_of, latency_cells
from wsbench.results.comparison_result import Comparison, Pair, Verdict
from wsbench.results.run_result import ReplyExample, Run
from wsbench.units import format_count

_CODE = re.compile(r"\\`(.*?)\\`")
"""Code in an escaped text of wsbench."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!&])")
_MARKS = {
    Verdict.SLOWER: "❌",
    Verdict.FASTER: "✅",
    Verdict.NO_DIFFERENCE: "✅",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.NOT_COMPARED: "–",
}


def run_summary(run: Run) -> str:
    """Return a run's outcome, its key figures, its gates and the generator's verdict."""
    kind = outcome_text.kind(run)
    mark = "❌" if kind == "bad" else "⚠️" if kind == "warn" or run.generator.verdict != "ok" else "✅"
    rows = [f"### {mark} wsbench run: {_escape(run.name)}", ""]
    if headline := outcome_text.headline(run):
        rows += [f"**{_with_code(headline)}**", ""]
    rows.append(f"{_escape(run.conditions.url)}  ")
    rows += [_escape(describe_conditions(run)), ""]
    if not run.complete:
        rows += ["**Incomplete:** the run ended early; these are the results until then.", ""]
    rows += [*_latency(run), "", *_figures(run), ""]
    if run.counters:
        counters = ((name, format_count(count)) for name, count in run.counters.items())
        rows += [*_table(("counted", "of the whole run"), counters), ""]
    if away := availability_text.describe(run):
        rows += [f"**Available:** {_escape(away)}", ""]
    if run.gates:
        gates = [("❌ failed" if gate.failed else "✅ passed", gate.stated, gate.value) for gate in run.gates]
        rows += [*_table(("gate", "condition", "was"), gates), ""]
    if run.errors:
        errors = (f"- {e.count} × {_escape(e.example)} *({e.side})*" for e in run.errors[:ERRORS_SHOWN])
        rows += ["**Errors:**", *errors, ""]
    if run.examples:
        rows += ["**Wrong replies:**", *map(_example, run.examples[:ERRORS_SHOWN]), ""]
    rows.append(f"**Generator: {_escape(run.generator.verdict)}**")
    rows += [f"- `{f.code}`: {_with_code(f.evidence)} *{_with_code(f.remedy)}*" for f in run.generator.findings]
    return "\n".join(rows) + "\n\n"


def comparison_summary(comparison: Comparison) -> str:
    """Return the verdict, and one table per pair."""
    rows = [f"### {_MARKS[comparison.verdict]} wsbench compare: {_escape(comparison.said)}", ""]
    sides = (("BASE", comparison.base), ("NEW", comparison.new))
    body = [(name, side.given, ", ".join(side.targets)) for name, side in sides]
    rows += _table(("", "result", "target"), body)
    for pair in comparison.pairs:
        rows += ["", *_pair(pair, named=len(comparison.pairs) > 1)]
    rows += ["", _escape(basis(comparison)) + "."]
    if comparison.differences:
        rows += ["", "**Compared anyway**, although the two are not comparable:"]
        rows += [f"- {_escape(difference)}" for difference in comparison.differences]
    if comparison.notes:
        rows += ["", *(f"- {_escape(note)}" for note in comparison.notes)]
    return "\n".join(rows) + "\n\n"


def refusal(what: str, error: WsbenchError) -> str:
    """Return the error that ended a command without a result; `what` is its heading."""
    remedy = [f"*{_with_code(error.remedy)}*", ""] if error.remedy else []
    return "\n".join([f"### ❌ wsbench {_escape(what)}", "", _escape(error.what), "", *remedy, ""])


def _pair(pair: Pair, *, named: bool) -> list[str]:
    if pair.reason:
        return [f"**{_escape(pair.key)}**: not compared: {_escape(pair.reason)}"]
    body = [
        (metric.metric, *metric_cells(metric), f"{_MARKS[metric.verdict]} {verdict_text(metric)}")
        for metric in pair.metrics
    ]
    heading = [f"**{_escape(pair.key)}** ({len(pair.base)} against {len(pair.new)} runs)", ""] if named else []
    return [*heading, *_table(("", *HEADINGS, "verdict"), body)]


def _latency(run: Run) -> list[str]:
    names = (*series_labels.message_series(run), *series_labels.scenario_series(run))
    body = [(series_labels.label(run, name), *latency_cells(run.latency[name])) for name in names]
    return _table(("latency", *LATENCY_COLUMNS), body)


def _figures(run: Run) -> list[str]:
    m, c = run.messages, run.connections
    row = (
        f"{format_count(run.throughput.received_per_s)} {'messages' if m.pushed else 'replies'}/s",
        *map(format_count, (m.sent, m.received, m.lost)),
        f"{format_count(c.opened)} of {format_count(c.asked)}",
    )
    return _table(("throughput", "sent", "received", "lost", "connections"), [row])


def _example(example: ReplyExample) -> str:
    received = f"; received '{example.received}'"
    return f"- {example.kind}, {_escape(first_of(example))}: {_escape(example.difference + received)}"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    rows = [[_escape(cell) for cell in row] for row in (head, *body)]
    rows.insert(1, [":---"] * len(head))
    return ["| " + " | ".join(row) + " |" for row in rows]


def _with_code(text: str) -> str:
    """Escape a text of wsbench, in which backticks enclose code."""
    return _CODE.sub(lambda found: re.sub(r"\\(.)", r"\1", f"`{found[1]}`"), _escape(text))


def _escape(text: str) -> str:
    """Escape text so that it contains no markup and no line break."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
