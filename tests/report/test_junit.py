"""JUnit XML, read by junitparser and by ElementTree."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from helpers.sample_comparison import ANYWAY, COMPARISON, PAIRS
from helpers.sample_run import RUN
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from msgspec.structs import replace

from wsbench.errors import UsageError
from wsbench.measure.findings import Finding
from wsbench.report.junit import encode_comparison, encode_refusal, encode_run
from wsbench.results.comparison_result import ComparisonSide
from wsbench.results.run_result import Gate, Generator, Outcome, Reason

NASTY = "\x00\x1b[1m<b>&\"']]>\ud800\ufffe p99 > 5ms"
LATE = Generator("late", [Finding("sent-late", "1 % < 2 & more", "Lower --rate.")])


def cases(document: bytes) -> dict[str, TestCase]:
    (suite,) = JUnitXml.fromstring(document)
    assert isinstance(suite, TestSuite)
    found = {case.name: case for case in suite}
    outcomes = [type(result) for case in suite for result in case.result]
    counted = (suite.tests, suite.failures, suite.errors, suite.skipped)
    assert counted == (len(list(suite)), *(outcomes.count(kind) for kind in (Failure, Error, Skipped)))
    return found


def outcome(case: TestCase) -> tuple[type, str] | None:
    return (type(case.result[0]), case.result[0].message) if case.result else None


def test_a_case_for_every_gate() -> None:
    run = replace(RUN, gates=[Gate("p99 > 5ms", False, "1.20 ms"), Gate("lost > 0", True, "50")])
    found = cases(encode_run(run))
    assert list(found) == ["outcome", "generator", "--fail-if 'p99 > 5ms'", "--fail-if 'lost > 0'"]
    assert outcome(found["--fail-if 'p99 > 5ms'"]) is None
    assert found["--fail-if 'p99 > 5ms'"].system_out == "was 1.20 ms"
    assert outcome(found["--fail-if 'lost > 0'"]) == (Failure, "lost > 0: was 50")
    assert {case.classname for case in found.values()} == {"wsbench run echo"}


def test_the_verdict_fails_only_a_strict_run() -> None:
    late = replace(RUN, generator=LATE)
    assert outcome(cases(encode_run(late))["generator"]) is None
    assert "sent-late: 1 % < 2 & more" in cases(encode_run(late))["generator"].system_out
    judged = Outcome("failed", [Reason("not-trusted", 1, "--strict: the generator was late")])
    strict = cases(encode_run(replace(late, outcome=judged)))["generator"]
    assert outcome(strict) == (Failure, "the generator was late")
    assert "Lower --rate." in strict.result[0].text


def test_a_run_that_ended_early_is_an_error() -> None:
    ended = cases(encode_run(replace(RUN, complete=False)))["outcome"]
    assert outcome(ended) == (Error, "the run ended early")


def test_a_service_that_gave_no_right_reply_is_an_error() -> None:
    nothing = Outcome("not-measured", [Reason("never-answers", 9, "not one reply"), Reason("lost", 9, "9 lost")])
    found = cases(encode_run(replace(RUN, outcome=nothing)))["outcome"]
    assert outcome(found) == (Error, "NOT MEASURED: not one reply")
    assert found.result[0].text == "not one reply\n9 lost"


def test_a_case_for_every_metric_of_a_comparison() -> None:
    found = cases(encode_comparison(COMPARISON))
    assert list(found) == ["comparable", *(f"echo: {metric}" for metric in ("throughput", "p50", "p99", "p99.9"))]
    assert outcome(found["echo: throughput"]) is None
    kind, message = outcome(found["echo: p50"]) or (None, "")
    assert (kind, message.split(" (")[0]) == (Failure, "slower")
    assert "base 50.0 µs, new 2.05 ms, ratio 41.0, interval 27.1 – 62.1" in message
    kind, message = outcome(found["echo: p99"]) or (None, "")
    assert (kind, message.split(" (")[0]) == (Skipped, "inconclusive: about 12")
    assert outcome(found["echo: p99.9"]) == (Skipped, "not compared: too few | <messages>")


def test_a_comparison_that_is_refused() -> None:
    refused = cases(encode_refusal("a", "b", UsageError("the rates differ", remedy="Use --anyway.")))
    assert list(refused) == ["comparable"] and outcome(refused["comparable"]) == (Error, "the rates differ")
    assert refused["comparable"].result[0].text == "Use --anyway."


@pytest.mark.parametrize(
    ("base", "new", "names"),
    [
        ("base/", "results/20261122T091500Z-new", "base new"),
        ("20261122T091500Z-a/run.json", "/x/20261122T091501Z-b/", "a b"),
        ("20261122T091500Z-matrix:picows", "20261122T091500Z-matrix/experiment.json", "matrix:picows matrix"),
    ],
)
def test_no_time_stamp_is_in_a_name_that_a_ci_server_follows(base: str, new: str, names: str) -> None:
    sides = [ComparisonSide(given, "run", "20261122T091500Z-x") for given in (base, new)]
    compared = replace(COMPARISON, base=sides[0], new=sides[1])
    for document in (encode_comparison(compared), encode_refusal(base, new, UsageError("no"))):
        (suite,) = JUnitXml.fromstring(document)
        assert suite.name == f"wsbench compare {names}"
        assert {case.classname for case in suite} == {suite.name}
    assert b"20261122T" not in encode_comparison(compared)


def test_pairs_without_runs_and_ignored_differences() -> None:
    found = cases(encode_comparison(PAIRS))
    assert len(found) == 6
    assert outcome(found["x 2B"]) == (Skipped, "not compared: NEW has no run of it")
    output = ElementTree.fromstring(encode_comparison(ANYWAY)).findtext("testsuite/system-out") or ""
    assert output.splitlines()[:2] == [
        "NEW is slower: p50 ×41",
        "compared anyway: payload: 128 B against 256 B",
    ]


@pytest.mark.parametrize("strict", [True, False])
def test_text_that_xml_cannot_hold(strict: bool) -> None:
    finding = Finding(NASTY, NASTY, NASTY)
    judged = Outcome("not-measured", [Reason("not-trusted" if strict else "lost", 1, NASTY)])
    gates, generator = [Gate(NASTY, True, NASTY)], Generator("late", [finding])
    document = encode_run(replace(RUN, name=NASTY, gates=gates, generator=generator, outcome=judged))
    cleaned = "\ufffd\ufffd[1m<b>&\"']]>\ufffd\ufffd p99 > 5ms"
    suite = ElementTree.fromstring(document)[0]
    assert suite.get("name") == f"wsbench run {cleaned}"
    failure = suite.findall("testcase/failure")[-1]
    assert failure.get("message") == f"{cleaned}: was {cleaned}"
    assert outcome(cases(document)[f"--fail-if '{cleaned}'"]) == (Failure, f"{cleaned}: was {cleaned}")
