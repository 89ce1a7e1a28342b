"""Spilling settled seconds to a file does not change the result, even when reports arrive late."""

from __future__ import annotations

import contextlib
import random
import re
import resource
import signal
from datetime import UTC, datetime
from pathlib import Path

from helpers import runs

from wsbench.master import result_builder, result_files
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.measurement import Measurement
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import record
from wsbench.measure.phases import PhasePlan
from wsbench.measure.totals import Totals
from wsbench.report import hlog
from wsbench.report.html import run_page
from wsbench.results.directory import Staging
from wsbench.results.run_result import Ending, TargetResult, decode
from wsbench.run.option_table import OPTIONS
from wsbench.run.options import RunOptions
from wsbench.run.protocol import RunDescription

S = 10**9
BEGIN = 1_795_000_000 * S
DRAIN = BEGIN + 62 * S


def _delta(rng: random.Random, second: int, phase: str = "measure", messages: int = 40) -> IntervalDelta:
    names = ("connect", "tcp", "upgrade") if phase == "ramp" else ("response", "service", "send_lag", "read_lag")
    series = {name: {} for name in names}
    for buckets in series.values():
        for _ in range(messages):
            record(buckets, int(rng.lognormvariate(12, 0.8)))
    counts = {"connections_opened": messages} if phase == "ramp" else {"sent": messages, "received": messages}
    if phase == "measure":
        counts |= {"payload_sent": 128 * messages, "payload_received": 128 * messages, "wall_ns": S}
    return IntervalDelta(phase, BEGIN + second * S, counts, series)


def _run(seed: int = 1) -> list[tuple[int, IntervalDelta]]:
    """Return deltas with the second of their arrival; a part of every tenth second arrives 30 s late."""
    rng = random.Random(seed)
    came = [(0, _delta(rng, 0, "ramp")), (1, _delta(rng, 1, "warmup"))]
    came += [(n, _delta(rng, n)) for n in range(2, 62)]
    came += [(n + 30, _delta(rng, n, messages=3)) for n in range(5, 62, 10)]
    came.append((92, IntervalDelta("drain", DRAIN, {"connections_closed": 40}, {})))
    return sorted(came, key=lambda each: each[0])


def _files(where: Path, *, settled_after_s: int | None, but: str = "report.html") -> dict[str, bytes]:
    with contextlib.closing(IntervalSpill(where)) as spill:
        files = _stored(where, spill, settled_after_s)
        return {name: content for name, content in files.items() if name != but}


def _stored(where: Path, spill: IntervalSpill, settled_after_s: int | None) -> dict[str, bytes]:
    totals = Totals()
    for second, delta in _run():
        totals.add([delta])
        if settled_after_s is not None:
            spill.spill(totals, BEGIN + (second - settled_after_s) * S)
    held = len(totals.intervals())
    assert held == 63 if settled_after_s is None else held < 25, "settled seconds are not in memory"
    options = RunOptions.from_texts({option.name: option.default for option in OPTIONS}, url="ws://h/", users=40)
    described = RunDescription(options, "echo", "20261122T091500Z-echo", datetime(2026, 11, 22, tzinfo=UTC), [], {})
    plan = PhasePlan(BEGIN + S, BEGIN + 2 * S, DRAIN)
    measured = Measurement(plan, totals, spill, WorkerRegistry(), Ending.DURATION, True, TargetResult(), {})
    staging = Staging.of_id(where, described.run_id)
    staging.store(result_files.build(result_builder.build(described, measured), measured))
    return {path.name: path.read_bytes() for path in staging.final.iterdir()}


def test_the_result_is_the_same_with_and_without_spilled_seconds(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = _files(tmp_path / "one", settled_after_s=None)
    assert _files(tmp_path / "two", settled_after_s=15) == whole
    logged = runs.log_by_tag(next((tmp_path / "two").glob("*/latency.hlog")))
    assert logged["response"].total_count == 60 * 40 + 6 * 3
    assert whole["latency.hlog"].count(b"Tag=response,") == 60, "one line a second, also where something came late"


def test_the_report_of_a_run_equals_the_report_made_from_its_files(tmp_path: Path) -> None:
    files = _files(tmp_path, settled_after_s=15, but="")
    again = run_page.report(
        decode(files["run.json"], "run.json"),
        hlog.read_lines(files["latency.hlog"].splitlines(), "log"),
        files["timeline.csv"],
    )
    made, remade = (re.sub(rb"nonce[-=]\"?[\w-]+", b"", text) for text in (files["report.html"], again))
    assert made == remade


def test_settled_seconds_stay_in_memory_when_the_disk_is_full(tmp_path: Path) -> None:
    totals, spill = Totals(), IntervalSpill(tmp_path)
    rng = random.Random(1)
    totals.add([_delta(rng, second) for second in range(10)])
    spill.spill(totals, BEGIN + 5 * S)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))
        spill.spill(totals, BEGIN + 9 * S)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    kept = [start for start, _, _ in spill.log_rows()]
    spill.close()
    assert sorted({*kept, *(interval.start_ns for interval in totals.intervals())}) == [
        BEGIN + second * S for second in range(10)
    ]
    assert len(kept) == 4 * len(spill.rows()), "whole seconds, or none of them"
    assert len(totals.intervals()) + len(spill.rows()) == 10


def test_it_yields_control_between_pieces(tmp_path: Path) -> None:
    totals, spill = Totals(), IntervalSpill(tmp_path)
    totals.add([_delta(random.Random(1), 0, messages=3000)])
    taken: list[None] = []
    spill.spill(totals, BEGIN + S, lambda: taken.append(None))
    spill.close()
    assert len(taken) > 12, "between series, between pieces of a series"
