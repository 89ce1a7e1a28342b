"""The feed sends progress through a pipe once a second and never waits for the reader."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import msgspec
from helpers.run_hosts import RecordingHost, delta, failing, options, report
from helpers.sample_run import RUN

from wsbench.errors import WsbenchError
from wsbench.master.collector import Collector
from wsbench.master.phase_control import PhaseControl
from wsbench.master.progress_feed import ProgressFeed
from wsbench.master.target_usage import TargetSampler
from wsbench.run.handoff import NotStored, Progress


class Feed:
    """A feed that writes to `writer`; `left` is set when it finds its reader gone."""

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.phases.end()
        self.collector.close()
        self.collector.spill.close()

    def __init__(self, directory: Path, writer: int | None) -> None:
        host, asked = RecordingHost(), options()
        self.left = gevent.event.Event()
        self.collector = Collector(
            asked, directory, host, beside_engine=False, after_report=lambda: None, on_failure=failing
        )
        self.phases = phases = PhaseControl(asked, self.collector, TargetSampler(None), host, on_end=lambda: None)
        self.feed = ProgressFeed(writer, self.collector, phases, notices=[], on_launcher_gone=self.left.set)


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for descriptor in (reader, writer):
            try:
                os.close(descriptor)
            except OSError:
                pass  # the test has closed it


def test_progress_is_a_line_of_json_once_a_second(tmp_path: Path) -> None:
    with pipe() as (reader, writer), Feed(tmp_path, writer) as made:
        counts = {"wall_ns": 10**9, "connections_opened": 2, "lost": 1}
        made.collector.receive(report(1, delta("ramp", 10**9, 1.0, 1.0, **counts), asked=2, opened=2))
        made.collector.close()
        for _ in range(5):
            made.feed.update()
        [line] = os.read(reader, 65536).splitlines()
        progress = msgspec.json.decode(line, type=Progress)
        assert (progress.phase, progress.connections, progress.asked) == ("ramp", 2, 2)
        assert (progress.received, progress.errors, progress.per_s) == (2, 1, 2.0)
        assert progress.verdict is None and progress.p50_ns is not None


def test_a_reader_that_does_not_read_delays_nothing(tmp_path: Path) -> None:
    with pipe() as (reader, writer), Feed(tmp_path, writer) as made:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * 4096)
        made.feed.update()
        assert os.read(reader, 65536) == b"x" * 4096
        assert not made.left.is_set()


def test_a_reader_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pipe() as (reader, writer), Feed(tmp_path, writer) as made:
        os.close(reader)
        made.feed.update()
        assert made.left.wait(10)


def test_without_a_launcher_the_verdict_is_kept_ready_while_the_live_page_is_open(tmp_path: Path) -> None:
    with Feed(tmp_path, None) as made:
        made.collector.receive(report(1, delta("measure", 10**9, 1.0, wall_ns=10**9), asked=2, opened=2))
        made.collector.close()
        made.feed.update()
        assert made.collector.live.verdict is None, "the live page is not open"
        made.feed.watch()
        made.feed.update()
        assert made.collector.live.verdict is not None


def test_a_result_that_no_file_can_hold_goes_through_the_pipe_whole(tmp_path: Path) -> None:
    with pipe() as (reader, writer), Feed(tmp_path, writer) as made:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        read = bytearray()

        def read_slowly() -> None:
            while not read.endswith(b"\n"):
                read.extend(os.read(reader, 100))

        thread = threading.Thread(target=read_slowly)
        thread.start()
        made.feed.hand_over(RUN, WsbenchError("the disk is full", remedy="make room"))
        thread.join(20)
        assert msgspec.json.decode(bytes(read), type=NotStored) == NotStored(RUN, "the disk is full", "make room")
