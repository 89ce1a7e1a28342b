"""report.html: its content, and that text from outside stays text."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from array import array

import pytest
from helpers.html_document import Document
from helpers.sample_run import EXAMPLES
from helpers.synthetic import Stored, stored
from msgspec.structs import replace

from wsbench.measure.findings import Finding
from wsbench.measure.series import SERIES
from wsbench.report import hlog, timeline
from wsbench.report.html import page, run_page
from wsbench.results.run_result import (
    ConnectionCounts,
    ErrorCount,
    Gate,
    Generator,
    Latency,
    MessageCounts,
    ReplyExample,
    Run,
    Throughput,
    Timestamps,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'&`\x00\u202e\ud800 {{ 7*7 }}"


@pytest.fixture(scope="module")
def minute() -> Stored:
    return stored(60, lost_per_stall=50)


def report(run: Stored, changed: Run | None = None) -> Document:
    return Document(run_page.report(changed or run.run, run.lines(), run.timeline).decode())


def unpacked(values: dict[str, str]) -> list[float]:
    assert values["dtype"] == "f4"
    return array("f", base64.b64decode(values["bdata"])).tolist()


def test_outcome_verdict_and_findings_come_first(minute: Stored) -> None:
    findings = [Finding("sent-late", "1 % were 5 ms late", "Lower --rate.", "late")]
    text = report(minute, replace(minute.run, generator=Generator("late", findings))).text
    order = [
        "echo",
        "✓ passed",
        "Generator: ▲ late",
        "sent-late : 1 % were 5 ms late",
        "Lower --rate.",
        "throughput",
        "Latency by percentile",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_all_plots_of_a_run_are_there(minute: Stored) -> None:
    document = report(minute)
    over_time = ["heat", "throughput", "errors", "connections", "cpu"]
    assert document.figures() == ["percentiles", *over_time, "connecting"]
    places = [attrs["id"] for tag, attrs in document.elements if tag == "figure"]
    assert places == document.figures()


def test_plots_show_the_figures_of_the_result(minute: Stored) -> None:
    document, latency = report(minute), minute.run.latency
    lines = {str(line["name"]): line for line in document.figure("percentiles")["data"]}
    assert list(lines) == ["response", "service", "send lag", "read lag"]
    reciprocals, values = lines["send lag"]["x"], lines["send lag"]["y"]
    assert isinstance(reciprocals, list) and isinstance(values, list)
    assert round(values[-1] * 1e9) == latency["send_lag"].max_ns
    at = {round(x, 6): round(y * 1e9) for x, y in zip(reciprocals, values, strict=True)}
    assert (at[10.0], at[100.0]) == (latency["send_lag"].p90_ns, latency["send_lag"].p99_ns)
    rates = {str(line["name"]): line for line in document.figure("throughput")["data"]}
    assert max(unpacked(rates["lost"]["y"])) == 50  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(minute.timeline.decode())))
    received = unpacked(rates["received"]["y"])[::2]  # type: ignore[arg-type]
    assert received == [float(row["received"]) for row in rows]


def test_plots_over_time_share_an_axis_that_covers_the_whole_run(minute: Stored) -> None:
    document = report(minute)
    layouts = [document.figure(name)["layout"] for name in ("heat", "throughput", "errors", "connections", "cpu")]
    assert layouts[0]["xaxis"]["range"] == [0, 2 + 3 + 60 + 1]  # type: ignore[call-overload]
    for name in ("xaxis", "shapes", "annotations", "meta"):
        assert all(each[name] == layouts[0][name] for each in layouts), name  # type: ignore[call-overload]


def test_errors_and_the_gap_between_open_and_wanted_connections_are_drawn(minute: Stored) -> None:
    document = report(minute)
    errors = {str(line["name"]): unpacked(line["customdata"]) for line in document.figure("errors")["data"]}  # type: ignore[arg-type]
    assert {name: max(rates) for name, rates in errors.items()} == {"lost": 50, "failed to connect": 12, "dropped": 10}
    assert [second for second, rate in enumerate(errors["dropped"][::2]) if rate] == [25, 45]
    open_, wanted = (unpacked(line["y"])[::2] for line in document.figure("connections")["data"])  # type: ignore[arg-type]
    assert [second for second, pair in enumerate(zip(open_, wanted, strict=True)) if pair == (40, 50)] == [25, 45]
    assert (open_[-1], wanted[-1]) == (0, 0)


def test_replies_that_the_scenario_failed_are_drawn_apart_from_corrupted_ones(minute: Stored) -> None:
    rows = list(csv.DictReader(io.StringIO(minute.timeline.decode())))
    rows[7].update(corrupted="5", rejected="2", errors=str(int(rows[7]["errors"]) + 5))
    text = "\n".join(",".join(row) for row in (rows[0], *(row.values() for row in rows)))
    document = Document(run_page.report(minute.run, minute.lines(), text.encode()).decode())
    errors = {str(line["name"]): unpacked(line["customdata"])[14] for line in document.figure("errors")["data"]}  # type: ignore[arg-type]
    assert (errors["corrupted"], errors["failed by the scenario"]) == (3, 2) and "others" not in errors


def test_a_timeline_of_an_earlier_version_has_a_report(minute: Stored) -> None:
    rows = list(csv.reader(io.StringIO(minute.timeline.decode())))
    text = "\n".join(",".join(row[: rows[0].index("missed")]) for row in rows)
    document = Document(run_page.report(minute.run, minute.lines(), text.encode()).decode())
    assert [line["name"] for line in document.figure("errors")["data"]] == ["lost"]
    assert [line["name"] for line in document.figure("connections")["data"]] == ["open"]


def test_without_an_error_there_is_no_plot_of_them() -> None:
    assert "errors" not in report(stored(3)).figures()


def test_text_from_outside_stays_text(minute: Stored) -> None:
    run = minute.run
    hostile = replace(
        run,
        name=HOSTILE,
        command=["wsbench", HOSTILE],
        conditions=replace(run.conditions, url=HOSTILE, scenario=HOSTILE),
        negotiated=replace(run.negotiated, compression=HOSTILE, subprotocol=HOSTILE, tls_cipher=HOSTILE),
        target=replace(run.target, name=HOSTILE, version=HOSTILE),
        environment=replace(run.environment, cpu=HOSTILE, packages={HOSTILE: HOSTILE}),
        connections=replace(run.connections, close_codes={HOSTILE: 1}),
        errors=[ErrorCount(HOSTILE, HOSTILE, 3, HOSTILE, HOSTILE)],
        generator=Generator(HOSTILE, [Finding(HOSTILE, HOSTILE, HOSTILE)]),
        gates=[Gate(HOSTILE, True, HOSTILE)],
        examples=[ReplyExample(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0, HOSTILE)],
    )
    document, plain = report(minute, hostile), report(minute)
    assert len(document.scripts) == len(plain.scripts) == 3
    assert {tag for tag, _ in document.elements} <= {tag for tag, _ in plain.elements} | {"tr", "td", "ul", "li", "b"}
    assert not any(name.startswith("on") for _, attrs in document.elements for name in attrs)
    assert document.text.count("<img src=x onerror=alert(2)>") >= 23
    assert "{{ 7*7 }}" in document.text


def test_the_first_wrong_replies_are_beside_the_expected_messages(minute: Stored) -> None:
    assert "Wrong replies" not in report(minute).text
    text = report(minute, replace(minute.run, examples=EXAMPLES)).text
    order = [
        "Wrong replies",
        "corrupted : 10 bytes before the message: 'You said: '",
        'expected {"id":7}',
        'received You said: {"id":7}',
        "rejected (order) : no funds",
        'received {"error":"no funds"}',
        "unexpected : no message awaited a reply",
        "received <b>welcome</b>",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places) and text.count("expected {") == 1


def test_no_plot_ends_its_script_element() -> None:
    data = page._json({"name": "</script><!--"})
    assert "<" not in data
    assert json.loads(data) == {"name": "</script><!--"}


def test_the_policy_lets_nothing_in(minute: Stored) -> None:
    document = report(minute)
    policy = next(
        attrs["content"] for tag, attrs in document.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    nonce = re.fullmatch(r"'nonce-([\w-]{20,})'", directives["script-src"])
    assert nonce is not None
    assert [attrs.get("nonce") for tag, attrs in document.elements if tag == "script"] == [None, nonce[1], nonce[1]]
    assert "http" not in policy
    sources = {attrs[name] for _, attrs in document.elements for name in ("src", "href") if name in attrs}
    assert sources == {"data:,"}
    assert nonce[1] not in run_page.report(minute.run, minute.lines(), minute.timeline).decode()


def test_an_empty_run_has_a_report() -> None:
    empty = stored(1)
    run = replace(
        empty.run,
        complete=False,
        latency={name: Latency() for name in SERIES},
        messages=MessageCounts(),
        messages_all_phases=MessageCounts(),
        throughput=Throughput(),
        timestamps=Timestamps(),
        connections=ConnectionCounts(),
        generator=Generator("unheard-of"),
        conditions=replace(empty.run.conditions, rate=None, loop="closed", duration_ns=0),
    )
    log = hlog.encode_header(start_ns=0, comment="")
    document = Document(
        run_page.report(run, hlog.read_lines(log.splitlines(), "log"), timeline.encode([], {})).decode()
    )
    assert document.figures() == []
    assert "Incomplete." in document.text
    assert "✕ unheard-of" in document.text
    assert "response p50 –" in document.text


def test_a_closed_loop_has_no_send_lag(minute: Stored) -> None:
    document = report(minute, replace(minute.run, conditions=replace(minute.run.conditions, loop="closed", rate=None)))
    assert [line["name"] for line in document.figure("percentiles")["data"]] == ["response", "service", "read lag"]


def test_a_series_is_a_row_and_response_is_named_once_where_it_is_service(minute: Stored) -> None:
    assert "p50 p90 p99 p99.9 p99.99 max mean messages lost response " in report(minute).text
    latency = {**minute.run.latency, "service": minute.run.latency["response"]}
    document = report(minute, replace(minute.run, latency=latency))
    assert "messages lost response = service " in document.text and "lost service" not in document.text
    assert document.figure("percentiles")["data"][0]["name"] == "response = service"


def test_code_in_texts_is_shown_as_code(minute: Stored) -> None:
    errors = [ErrorCount("scenario", None, 3, "`rate` is wrong", "`locust -f` with it shows the traceback.")]
    document = report(minute, replace(minute.run, errors=errors, counters={"good": 1200}))
    assert "`" not in document.text
    assert "counted of the whole run good 1,200" in document.text
