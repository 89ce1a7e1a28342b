"""JUnit XML, as CI servers show it: a test case for every gate and for the verdict of a run, or for every metric of a
comparison. What could not be decided is skipped, with its reason; only a failed gate or a regression is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from wsbench.report.text.comparison_text import HEADINGS, metric_cells
from wsbench.results.comparison_result import Comparison, Metric, Verdict
from wsbench.results.run_result import Run
from wsbench.units import NS_PER_S

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not (production 2, Char)."""
_Case = ElementTree.Element


def encode_run(run: Run, *, strict: bool = False) -> bytes:
    """A run's gates, and its verdict on itself: a failure when `strict`."""
    suite = f"wsbench run {run.name}"
    cases = [_verdict_case(suite, run, strict=strict)]
    for gate in run.gates:
        case = _case(suite, f"--fail-if '{gate.expression}'")
        if gate.failed:
            _outcome(case, "failure", f"{gate.expression}: was {gate.value}")
        else:
            _child(case, "system-out", f"was {gate.value}")
        cases.append(case)
    return _document(suite, cases, time_s=run.conditions.duration_ns / NS_PER_S, timestamp=run.started)


def encode_comparison(comparison: Comparison) -> bytes:
    """A comparison's metrics; slower is a failure."""
    suite = f"wsbench compare {comparison.base.id} {comparison.new.id}"
    cases = []
    for pair in comparison.pairs:
        if pair.reason:
            case = _case(suite, pair.key)
            _outcome(case, "skipped", f"not compared: {pair.reason}")
            cases.append(case)
        cases += [_metric_case(suite, pair.key, metric) for metric in pair.metrics]
    return _document(suite, cases, output=_remarks(comparison))


def _verdict_case(suite: str, run: Run, *, strict: bool) -> _Case:
    case = _case(suite, "verdict")
    found = "\n".join(f"{finding.code}: {finding.evidence}\n  {finding.remedy}" for finding in run.generator.findings)
    if not run.complete:
        _outcome(case, "error", "the run was ended before its time", found)
    elif run.generator.verdict != "ok" and strict:
        _outcome(case, "failure", f"the generator was {run.generator.verdict}", found)
    else:
        _child(case, "system-out", "\n".join([f"verdict: {run.generator.verdict}", *([found] if found else [])]))
    return case


def _metric_case(suite: str, key: str, metric: Metric) -> _Case:
    case = _case(suite, f"{key}: {metric.metric}")
    named = ", ".join(f"{name} {cell}" for name, cell in zip(HEADINGS, metric_cells(metric), strict=True))
    message = ": ".join(part for part in (metric.verdict, metric.reason) if part)
    if metric.verdict != Verdict.NOT_COMPARED:
        message += f" ({named})"
    if metric.verdict == Verdict.SLOWER:
        _outcome(case, "failure", message)
    elif metric.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARED):
        _outcome(case, "skipped", message)
    else:
        _child(case, "system-out", message)
    return case


def _remarks(comparison: Comparison) -> str:
    anyway = [f"compared anyway: {difference}" for difference in comparison.differences]
    return "\n".join([comparison.said, *anyway, *comparison.notes])


def _case(suite: str, name: str) -> _Case:
    return ElementTree.Element("testcase", {"classname": _clean(suite), "name": _clean(name), "time": "0"})


def _outcome(case: _Case, kind: str, message: str, text: str = "") -> None:
    element = ElementTree.SubElement(case, kind, {"message": _clean(message)})
    if kind != "skipped":
        element.set("type", "wsbench")
    if text:
        element.text = _clean(text)


def _child(parent: _Case, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _document(
    name: str, cases: Sequence[_Case], *, time_s: float = 0.0, timestamp: str = "", output: str = ""
) -> bytes:
    counts = {kind: str(sum(case.find(tag) is not None for case in cases)) for kind, tag in _KINDS.items()}
    totals = {"name": _clean(name), "tests": str(len(cases)), **counts, "time": f"{time_s:.3f}"}
    suite = ElementTree.Element("testsuite", totals)
    if timestamp:
        suite.set("timestamp", timestamp.removesuffix("Z"))
    suite.extend(cases)
    if output:
        _child(suite, "system-out", output)
    suites = ElementTree.Element("testsuites", totals)
    suites.append(suite)
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


_KINDS = {"failures": "failure", "errors": "error", "skipped": "skipped"}
