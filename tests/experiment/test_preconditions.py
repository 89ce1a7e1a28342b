"""Differences that refuse a comparison, and those that are only notes."""

from __future__ import annotations

import pytest
from helpers.comparisons import run_with
from msgspec.structs import replace

from wsbench.experiment.preconditions import differences, notes, remedy
from wsbench.results.run_result import (
    Environment,
    Generator,
    MessageCounts,
    NegotiatedWith,
    Outcome,
    Reason,
    Run,
    Timestamps,
)

RUN = run_with()
HERE = RUN.environment


def on(host_id: str, **changes: object) -> Run:
    return replace(RUN, environment=Environment(**{**_fields(HERE), "host_id": host_id, **changes}))  # type: ignore[arg-type]


def _fields(environment: Environment) -> dict[str, object]:
    return {name: getattr(environment, name) for name in environment.__struct_fields__}


def test_different_secrets_are_no_difference() -> None:
    base, new = (run_with(settings={"token": token, "room": "1"}, url=f"ws://a/?key={token}") for token in ("a", "***"))
    assert differences([base], [new]) == []
    assert differences([base], [run_with(settings={"token": "a"})]) == ["settings: token=***, room=1 against token=***"]


@pytest.mark.parametrize(
    ("new", "named"),
    [
        (on("0123456789", cpu="other"), "host: abc (cpu) against 01234567 (other)"),
        (run_with(scenario="chat"), "scenario: echo against chat"),
        (run_with(payload_size=1256), "payload: 128 B against 1,256 B"),
        (run_with(binary=True), "frames: text against binary"),
        (run_with(users=1000), "connections: 50 against 1,000"),
        (run_with(loop="closed", rate=None), "loop: open against closed"),
        (run_with(rate=2000.0), "rate: 1,000/s against 2,000/s"),
        (run_with(rate=1000.5), "rate: 1,000/s against 1,000.5/s"),
        (run_with(arrivals="poisson"), "arrivals: constant against poisson"),
        (run_with(tls=True), "tls: off against on"),
        (run_with(compression="on"), "compression requested: off against on"),
        (
            replace(RUN, negotiated=replace(RUN.negotiated, compression="permessage-deflate")),
            "compression granted: none against permessage-deflate",
        ),
        (run_with(processes=2), "processes: 1 against 2"),
        (replace(RUN, generator=Generator("late")), "verdict of NEW: late"),
        (replace(RUN, complete=False), "NEW is incomplete"),
        (
            replace(RUN, outcome=Outcome("not-measured", [Reason("never-answers", 9, "not one reply")])),
            "NEW has measured nothing: not one reply",
        ),
    ],
)
def test_every_difference_is_named_and_nothing_else(new: Run, named: str) -> None:
    assert differences([RUN], [new]) == [named]
    assert differences([RUN], [RUN]) == []
    assert len(differences([new], [RUN])) == 1


def test_the_window_matters_in_a_closed_loop_alone() -> None:
    closed = [run_with(loop="closed", rate=None, arrivals="", in_flight=number) for number in (1, 32)]
    assert differences(closed[:1], closed[1:]) == ["in flight: 1 against 32"]
    assert differences([run_with(in_flight=1)], [run_with(in_flight=32)]) == []


def test_a_side_that_disagrees_with_itself() -> None:
    assert differences([RUN, run_with(users=60)], [RUN]) == ["connections: 50 and 60 against 50"]
    assert differences([RUN, run_with(users=60)], [RUN, run_with(users=60)]) == [
        "connections: 50 and 60 against 50 and 60"
    ]


def test_every_reason_at_once() -> None:
    new = replace(run_with(payload_size=256, rate=2000.0), complete=False, generator=Generator("saturated"))
    assert differences([RUN], [new]) == [
        "payload: 128 B against 256 B",
        "rate: 1,000/s against 2,000/s",
        "verdict of NEW: saturated",
        "NEW is incomplete",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["verdict of NEW: saturated"], "--rate"),
        (["verdict of BASE: late"], "lower --rate"),
        (["tls: on against off"], "same conditions"),
    ],
)
def test_remedies(found: list[str], said: str) -> None:
    assert said in remedy(found)
    assert "--anyway" in remedy(found)


def test_notes() -> None:
    new = replace(
        run_with(duration_ns=5_000_000_000),
        wsbench="0.2.0",
        environment=replace(HERE, kernel="6.2", python="3.13", cores=4, cpu_quota=0.5),
        timestamps=Timestamps("user", 0, 5),
        negotiated=NegotiatedWith(tls_version="TLSv1.2"),
        messages=MessageCounts(sent=1_000, received=990, lost=10, corrupted=1),
    )
    assert differences([RUN], [new]) == []
    assert notes([RUN], [new]) == [
        "cores: 2 against 4",
        "CPU quota: none against 0.5 cores",
        "kernel: 6.1 against 6.2",
        "Python: 3.11 against 3.13",
        "wsbench: 0.1.0 against 0.2.0",
        "timestamps: kernel against user",
        "TLS version: TLSv1.3 against TLSv1.2",
        "measured for: 10s against 5s",
        "messages lost: 0 against 10",
        "messages corrupted: 0 against 1",
    ]
    assert notes([RUN], [run_with(duration_ns=10_003_000_000)]) == []
