"""JUnit XML for CI servers: a test case for a run's outcome, its generator and each gate, or per metric compared.

Only a failed gate or a regression is a failure. Undecided metrics are skipped, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase
from junitparser.junitparser import FinalResult
from junitparser.xunit2 import TestSuite

from wsbench.errors import WsbenchError
from wsbench.report import outcome_text
from wsbench.report.text.comparison_text import HEADINGS, metric_cells, verdict_text
from wsbench.results.comparison_result import Comparison, Metric, Verdict
from wsbench.results.directory import name_of_id
from wsbench.results.experiment_result import EXPERIMENT_FILE
from wsbench.results.run_result import RUN_FILE, Run
from wsbench.run.outcome import NOT_MEASURED, NOT_TRUSTED
from wsbench.units import NS_PER_S

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may contain, escaped or not (production 2, Char)."""
_OUTCOME = "outcome"
"""The test case that every run has, also one without a result."""
_COMPARABLE = "comparable"
"""The test case that every comparison has, also one that is refused."""
_KINDS = {Verdict.SLOWER: Failure, Verdict.INCONCLUSIVE: Skipped, Verdict.NOT_COMPARED: Skipped}


def encode_run(run: Run) -> bytes:
    """Encode a run's outcome, the generator's verdict and the gates; the verdict fails a strict run alone."""
    suite = TestSuite(_clean(f"wsbench run {run.name}"))
    suite.timestamp = run.started.removesuffix("Z")
    _add_outcome(suite, run)
    _add_verdict(suite, run)
    for gate in run.gates:
        failure = _result(Failure, f"{gate.objective or gate.expression}: was {gate.value}") if gate.failed else None
        _add_case(suite, gate.stated, failure, f"was {gate.value}")
    return _encode(suite)


def encode_run_failure(name: str, error: WsbenchError) -> bytes:
    """Encode the error that left the run of this name without a result."""
    suite = TestSuite(_clean(f"wsbench run {name}"))
    _add_case(suite, _OUTCOME, _result(Error, error.what, [error.remedy]))
    return _encode(suite)


def encode_comparison(comparison: Comparison) -> bytes:
    """Encode a comparison's metrics. A slower one is a failure."""
    suite = _comparison_suite(comparison.base.given, comparison.new.given)
    _add_case(suite, _COMPARABLE, None)
    for pair in comparison.pairs:
        if pair.reason:
            _add_case(suite, pair.key, _result(Skipped, f"not compared: {pair.reason}"))
        for metric in pair.metrics:
            _add_metric(suite, pair.key, metric)
    anyway = (f"compared anyway: {difference}" for difference in comparison.differences)
    suite.system_out = _clean("\n".join([comparison.said, *anyway, *comparison.notes]))
    return _encode(suite)


def encode_refusal(base: str, new: str, error: WsbenchError) -> bytes:
    """Encode the error for which the arguments BASE and NEW were not compared."""
    suite = _comparison_suite(base, new)
    _add_case(suite, _COMPARABLE, _result(Error, error.what, [error.remedy]))
    return _encode(suite)


def _comparison_suite(base: str, new: str) -> TestSuite:
    return TestSuite(_clean(f"wsbench compare {_lasting_name(base)} {_lasting_name(new)}"))


def _lasting_name(argument: str) -> str:
    """Return the name of a result without a time stamp: CI servers follow a test by its name from build to build."""
    path = Path.cwd() / argument
    return name_of_id(path.parent.name if path.name in (RUN_FILE, EXPERIMENT_FILE) else path.name)


def _add_outcome(suite: TestSuite, run: Run) -> None:
    """Add the case that is an error where nothing was measured; what failed has a case of its own."""
    headline = outcome_text.headline(run)
    result = None
    if run.outcome.result == NOT_MEASURED:
        result = _result(Error, headline, (reason.evidence for reason in run.outcome.reasons))
    elif not run.complete:
        result = _result(Error, "the run ended early")
    _add_case(suite, _OUTCOME, result, headline, time_s=run.conditions.duration_ns / NS_PER_S)


def _add_verdict(suite: TestSuite, run: Run) -> None:
    verdict = run.generator.verdict
    findings = [f"{finding.code}: {finding.evidence}\n  {finding.remedy}" for finding in run.generator.findings]
    strict = any(reason.code == NOT_TRUSTED for reason in run.outcome.reasons)
    result = _result(Failure, f"the generator was {verdict}", findings) if strict else None
    _add_case(suite, "generator", result, "\n".join([verdict, *findings]))


def _add_metric(suite: TestSuite, key: str, metric: Metric) -> None:
    message = verdict_text(metric)
    if metric.verdict != Verdict.NOT_COMPARED:
        cells = zip(HEADINGS, metric_cells(metric), strict=True)
        message += f" ({', '.join(f'{name} {cell}' for name, cell in cells)})"
    kind = _KINDS.get(metric.verdict)
    _add_case(suite, f"{key}: {metric.metric}", _result(kind, message) if kind else None, message)


def _result(kind: type[FinalResult], message: str, details: Iterable[str] = ()) -> FinalResult:
    result = kind(_clean(message), None if kind is Skipped else "wsbench")
    if text := _clean("\n".join(details)):
        result.text = text
    return result


def _add_case(suite: TestSuite, name: str, result: FinalResult | None, output: str = "", *, time_s: float = 0) -> None:
    case = TestCase(_clean(name), suite.name, time_s)
    if result is None:
        case.system_out = _clean(output)
    else:
        case.result = [result]
    suite.add_testcase(case)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _encode(suite: TestSuite) -> bytes:
    document = JUnitXml(suite.name)
    document.add_testsuite(suite)
    document.update_statistics()
    output = BytesIO()
    document.write(output, pretty=True)
    return output.getvalue()
