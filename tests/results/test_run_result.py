"""run.json: the document that others script against, and how it is read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.sample_run import RUN
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.errors import ResultError
from wsbench.results.directory import Staging
from wsbench.results.json_files import encode_json
from wsbench.results.run_result import (
    ConnectionCounts,
    Latency,
    TargetResult,
    decode,
    load,
)

NOW = datetime(2026, 11, 22, 9, 15, 0, 999_999, UTC)

# As in the contract; `survivors`, `missed`, `late` and the like were added to it.
FIELDS: dict[str, str] = {
    "": "schema id name complete started wsbench command conditions negotiated target environment connections messages "
    "messages_all_phases bytes throughput latency timestamps errors generator gates",
    "conditions": "url scenario loop rate arrivals in_flight users processes payload_size binary compression tls "
    "duration_ns warmup_ns timeout_ns",
    "negotiated": "compression subprotocol tls_version tls_cipher",
    "target": "name version started_by_wsbench cpu_s cpu_us_per_message rss_bytes bytes_per_connection",
    "environment": "cpu cores kernel python packages nofile host_id cpu_quota",
    "connections": "asked opened failed dropped reconnected close_codes",
    "messages": "sent received lost duplicated reordered corrupted unexpected",
    "messages_all_phases": "sent received lost duplicated reordered corrupted unexpected",
    "bytes": "payload_sent payload_received wire_sent wire_received",
    "throughput": "sent_per_s received_per_s",
    "latency.response": "count lost min_ns mean_ns stddev_ns p50_ns p90_ns p99_ns p99.9_ns p99.99_ns max_ns",
    "timestamps": "source kernel user",
    "errors.0": "kind side count example",
    "generator": "verdict findings cpu_us_per_message workers",
    "generator.findings.0": "code evidence remedy",
    "generator.workers.0": "index cpu_percent_mean cpu_percent_max rss_bytes messages",
    "gates.0": "expression failed value",
}


def at(document: Any, path: str) -> Any:
    for step in filter(None, path.split(".")):
        document = document[int(step) if step.isdigit() else step]
    return document


# -- the document ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FIELDS)
def test_the_fields_of_the_contract_are_there(path: str) -> None:
    document = json.loads(encode_json(RUN))
    assert set(FIELDS[path].split()) <= set(at(document, path))


def test_percentiles_have_the_names_people_write() -> None:
    latency = json.loads(encode_json(RUN))["latency"]
    response = latency["response"]
    assert (response["p99_ns"], response["p99.9_ns"], response["p99.99_ns"]) == (67_600, None, None)
    assert latency["connect"]["survivors"] == {"p99.9_ns": 8}
    assert "p99_9_ns" not in response


def test_what_is_absent_is_null() -> None:
    document = json.loads(encode_json(RUN))
    assert document["target"]["rss_bytes"] is None
    assert document["negotiated"]["compression"] is None
    assert document["latency"]["tls"]["p50_ns"] is None


def test_it_is_for_people_too() -> None:
    text = encode_json(RUN)
    assert text.endswith(b"}\n")
    assert b'\n  "name": "echo",\n' in text
    assert "…" in text.decode()


def test_what_is_written_is_what_is_read() -> None:
    assert decode(encode_json(RUN), "here") == RUN
    assert json.loads(encode_json(RUN)) == msgspec.to_builtins(RUN)


COUNTS = st.integers(0, 2**62)


@given(
    latency=st.dictionaries(
        st.text(max_size=8), st.builds(Latency, COUNTS, COUNTS, *[st.none() | COUNTS for _ in range(9)]), max_size=4
    ),
    name=st.text(max_size=10),
    cpu=st.none() | st.floats(0, 1e9),
    codes=st.dictionaries(st.text(max_size=4), COUNTS),
)
@settings(max_examples=50)
def test_any_run_is_read_as_it_was_written(
    latency: dict[str, Latency], name: str, cpu: float | None, codes: dict[str, int]
) -> None:
    run = msgspec.structs.replace(
        RUN,
        latency={**RUN.latency, **latency},
        name=name,
        target=TargetResult(name=name, cpu_s=cpu),
        connections=ConnectionCounts(close_codes=codes),
    )
    assert decode(encode_json(run), "here") == run


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    document = json.loads(encode_json(RUN))
    document["more"] = {"new": 1}
    document["latency"]["response"]["p99.999_ns"] = 5
    assert decode(json.dumps(document).encode(), "here") == RUN


# -- damage ----------------------------------------------------------------------------------------------------------


def edited(path: str, value: object) -> bytes:
    document = json.loads(encode_json(RUN))
    *above, last = path.split("/")
    target = at(document, ".".join(above))
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("messages/sent", "many"),
        ("messages/sent", 1.5),
        ("messages/sent", None),
        ("complete", "yes"),
        ("conditions", None),
        ("conditions/users", KeyError),
        ("latency", []),
        ("latency/response", 5),
        ("latency/response", KeyError),
        ("latency/tls", KeyError),
        ("messages/sent", -1),
        ("messages/sent", 2**63),
        ("messages/sent", 10**400),
        ("throughput/sent_per_s", -0.5),
        ("latency/response/max_ns", 1e300),
        ("generator/workers/0/rss_bytes", -1),
        ("latency/response/p99.9_ns", "fast"),
        ("messages", KeyError),
        ("generator/verdict", KeyError),
        ("errors", {}),
    ],
)
def test_an_edited_document_is_no_result(path: str, value: object) -> None:
    with pytest.raises(ResultError, match=r"^results/x/run\.json is not a whole result: ") as caught:
        decode(edited(path, value), "results/x/run.json")
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_a_truncated_document_is_no_result() -> None:
    text = encode_json(RUN).rstrip()
    for end in range(0, len(text), 97):
        with pytest.raises(ResultError, match="here is not JSON") as caught:
            decode(text[:end], "here")
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"{", b"nothing", b'{"schema": 1', b"[" * 100_000])
def test_what_is_not_json_is_no_result(text: bytes) -> None:
    with pytest.raises(ResultError, match="here is not JSON"):
        decode(text, "here")


@pytest.mark.parametrize(
    "text", [b"[]", b"1", b"null", b'"x"', b"{}", b'{"schema": "1"}', b'{"schema": 0}', b'{"schema": null}']
)
def test_other_json_is_no_result(text: bytes) -> None:
    with pytest.raises(ResultError, match="here is not a result of schema 1") as caught:
        decode(text, "here")
    assert "upgrade" not in caught.value.remedy


def test_a_newer_schema_asks_for_an_upgrade() -> None:
    with pytest.raises(ResultError, match=r"not a result of schema 1 \(its schema is 2\)") as caught:
        decode(edited("schema", 2), "here")
    assert "upgrade" in caught.value.remedy
    assert caught.value.exit_code == 2


# -- in a directory --------------------------------------------------------------------------------------------------


def stored(results: Path, **files: bytes) -> Path:
    staging = Staging.create(results, "echo", now=NOW)
    staging.write({"run.json": encode_json(RUN), **files})
    return staging.commit()


def test_a_result_is_found_by_its_directory_and_by_its_file(tmp_path: Path) -> None:
    directory = stored(tmp_path / "results")
    assert directory == tmp_path / "results" / "20261122T091500Z-echo"
    assert load(directory) == load(directory / "run.json") == RUN


@pytest.mark.parametrize("missing", ["nowhere", "empty", "empty/run.json"])
def test_no_result(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultError, match=f"no result at {tmp_path}/{missing}: No such file") as caught:
        load(tmp_path / missing)
    assert caught.value.exit_code == 2


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    directory = stored(tmp_path)
    (directory / "run.json").write_bytes(b"{")
    with pytest.raises(ResultError, match=f"{directory}/run.json is not JSON"):
        load(directory)
