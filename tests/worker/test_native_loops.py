"""A connection on the native path sends the same messages and has the same counts as one on the general path."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from helpers import frames
from helpers.conversation import PING, Conversation, damaged, echo
from helpers.frames import Incoming
from helpers.peer import until
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.measure.payloads import JsonMessages
from wsbench.measure.phases import FOREVER_NS, PhasePlan
from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.run.options import RunOptions
from wsbench.worker.echo import driver_for
from wsbench.worker.echo.closed_loop import ClosedLoop
from wsbench.worker.echo.native_loops import NativeClosedLoop, NativeOpenLoop
from wsbench.worker.echo.open_loop import OpenLoop
from wsbench.worker.engine import Engine

pytestmark = pytest.mark.needs("native")

HEADER = 8
"""Size of a masked frame with 128 bytes of payload; a pong with one byte of payload has 7 bytes in all."""
HOWS = ("echo", "echo", "echo", "twice", "damaged", "as binary", "drop", "late", "hello", "ping", "fragments")
Values = dict[str, Counter[str]]


@dataclass(frozen=True)
class Round:
    """One turn of the peer: it answers each message that it has in one of `HOWS`, and cuts the bytes."""

    hows: Sequence[str]
    cuts: Sequence[float]
    new_phase: bool = False


rounds = st.builds(
    Round,
    hows=st.lists(st.sampled_from(HOWS), min_size=1, max_size=6),
    cuts=st.lists(st.floats(0, 1), max_size=4),
    new_phase=st.sampled_from([False, False, False, True]),
)


class Script:
    """A conversation in rounds.

    Attributes:
        unanswered: messages that the peer has not answered, oldest first.
        native_rounds: rounds after which the connection was in the table.
    """

    def __init__(self, kind: type[ClosedLoop] | type[OpenLoop], **raw: str) -> None:
        self.conversation = Conversation(kind, drain="50ms", **raw)
        self.unanswered: list[Incoming] = []
        self.native_rounds = 0
        self._traffic = self.conversation.engine.traffic
        self._size = int(raw.get("payload_size", "128"))
        self._sent_before = self._traffic.sent - self._in_flight() * self._frame
        self._pings = 0
        self._plan = PhasePlan()
        self._dropped = 0

    @property
    def _frame(self) -> int:
        return self._size + (6 if self._size < 126 else HEADER)

    def _in_flight(self) -> int:
        return self.conversation.driver.outstanding

    def listen(self) -> None:
        """Hear all that the user has sent."""
        sent = (self._traffic.sent - self._sent_before - 7 * self._pings) / self._frame
        assert sent == int(sent)
        while len(self.conversation.sent) < sent:
            self.unanswered.append(self.conversation.hear())

    def answer(self, each: Round, most_dropped: int) -> None:
        """Answer every message, except those dropped."""
        data = b""
        late: list[bytes] = []
        for place, message in enumerate(self.unanswered):
            how = each.hows[place % len(each.hows)]
            if how == "drop" and self._dropped < most_dropped:
                self._dropped += 1
            elif how == "late":
                late.append(echo(message))
            else:
                data += self._reply(how, message)
        self.unanswered.clear()
        data += b"".join(late)
        places = sorted({0, *(int(cut * len(data)) for cut in each.cuts), len(data)})
        self.conversation.give(data[begin:end] for begin, end in itertools.pairwise(places))
        self.native_rounds += getattr(self.conversation.driver, "_in_table", False)
        if each.new_phase:
            self._begin_phase()

    def _reply(self, how: str, message: Incoming) -> bytes:
        self._pings += how == "ping"
        if how == "fragments":
            first = frames.encode(message.opcode, message.payload[:9], fin=False)
            return first + frames.encode(frames.CONTINUATION, message.payload[9:])
        replies = {
            "twice": echo(message) * 2,
            "damaged": damaged(message),
            "as binary": frames.encode(frames.BINARY, message.payload),
            "hello": frames.encode(frames.TEXT, b"hello") + echo(message),
            "ping": PING + echo(message),
        }
        return replies.get(how, echo(message))

    def _begin_phase(self) -> None:
        now = time.time_ns()
        begins = [self._plan.warmup_ns, self._plan.measure_ns]
        if FOREVER_NS in begins:
            begins[begins.index(FOREVER_NS)] = now
            self._plan = PhasePlan(*begins)
            self.conversation.engine.apply_plan(self._plan)

    def end(self) -> Values:
        """End the run with all messages in flight unanswered; return its values."""
        self.conversation.peer.close()
        until(self.conversation.dropped.is_set)
        self.conversation.give_up()
        return {phase: +values for phase, values in self.conversation.values.items() if +values}


def closed(kind: type[ClosedLoop], window: int, script: Sequence[Round]) -> tuple[list[bytes], Values, int]:
    talk = Script(kind, in_flight=str(window))
    for each in script:
        talk.listen()
        talk.answer(each, most_dropped=window - 1)
    talk.listen()
    return talk.conversation.sent, talk.end(), talk.native_rounds


@given(window=st.integers(1, 5), script=st.lists(rounds, min_size=1, max_size=6))
@settings(max_examples=40)
def test_closed_loops_are_equal_for_all_answers(window: int, script: list[Round]) -> None:
    assert closed(NativeClosedLoop, window, script)[:2] == closed(ClosedLoop, window, script)[:2]


@dataclass(frozen=True)
class Edit:
    """A change of some bytes: those from `place` on, `size` of them, become `instead`."""

    place: float
    size: int
    instead: bytes

    def of(self, data: bytes) -> bytes:
        at = int(self.place * len(data))
        return data[:at] + self.instead + data[at + self.size :]


edits = st.builds(Edit, st.floats(0, 1), st.integers(0, 140), st.binary(max_size=4) | st.just(PING))


def edited(kind: type[ClosedLoop], window: int, changes: Sequence[Edit], cuts: Sequence[float]) -> tuple[object, ...]:
    """Return the values, the errors and the examples of a run in which the echoes were changed at any place."""
    talk = Script(kind, in_flight=str(window))
    engine = talk.conversation.engine
    talk.listen()
    data = b"".join(echo(message) for message in talk.unanswered)
    for change in changes:
        data = change.of(data)
    places = sorted({0, *(int(cut * len(data)) for cut in cuts), len(data)})
    talk.conversation.give(data[begin:end] for begin, end in itertools.pairwise(places))
    dropped = talk.conversation.dropped.is_set()
    errors = {(each.kind, each.count) for each in engine.errors.tallies} if dropped else None
    sent = talk._traffic.sent - talk._sent_before
    return dropped, errors, sent, talk.end(), engine.examples.first


@given(
    window=st.integers(1, 4),
    changes=st.lists(edits, min_size=1, max_size=3),
    cuts=st.lists(st.floats(0, 1), max_size=4),
)
@settings(max_examples=60)
def test_closed_loops_are_equal_for_all_bytes(window: int, changes: list[Edit], cuts: list[float]) -> None:
    assert edited(NativeClosedLoop, window, changes, cuts) == edited(ClosedLoop, window, changes, cuts)


def opened(kind: type[OpenLoop], counts: Sequence[int], script: Sequence[Round]) -> tuple[list[bytes], Values]:
    talk = Script(kind, rate="0.001")
    engine, driver = talk.conversation.engine, talk.conversation.driver
    for count, each in zip(counts, script, strict=False):
        now = time.time_ns()
        engine._pacer.fire_together([(now, driver)] * count)  # type: ignore[list-item]
        talk.listen()
        talk.answer(each, most_dropped=100)
    return talk.conversation.sent, talk.end()


@given(counts=st.lists(st.integers(0, 5), min_size=6, max_size=6), script=st.lists(rounds, min_size=1, max_size=6))
@settings(max_examples=40)
def test_open_loops_are_equal_for_all_answers(counts: list[int], script: list[Round]) -> None:
    assert opened(NativeOpenLoop, counts, script) == opened(OpenLoop, counts, script)


def test_expected_replies_keep_a_connection_in_the_table() -> None:
    script = [Round(["echo"], [0.3, 0.7])] * 30
    sent, values, native_rounds = closed(NativeClosedLoop, 3, script)
    assert native_rounds == 30
    assert sent == [JsonMessages(1, 128).build(seq) for seq in range(1, 94)]
    assert values == {"ramp": Counter(sent=93, received=90, lost=3) + _values(service=90, read_lag=90, response=90)}


def _values(**counts: int) -> Counter[str]:
    return Counter({f"values of {name}": count for name, count in counts.items()} | {"values of send_lag": 93})


@pytest.mark.parametrize("how", ["damaged", "twice", "as binary", "hello", "ping", "fragments"])
def test_a_connection_comes_back_to_the_table(how: str) -> None:
    script = [Round(["echo"], []), Round([how], []), Round(["echo"], []), Round(["echo"], [])]
    assert closed(NativeClosedLoop, 2, script)[2] >= 3


@pytest.mark.parametrize("how", ["damaged", "as binary", "fragments"])
def test_a_connection_on_which_nothing_is_as_expected_stays_with_the_general_path(how: str) -> None:
    assert closed(NativeClosedLoop, 2, [Round([how], [])] * 5)[2] == 0


def test_a_paused_loop_is_with_the_general_path_and_goes_on_in_the_table() -> None:
    talk = Script(NativeClosedLoop, in_flight="3")
    recorder, driver = talk.conversation.engine.recorder, talk.conversation.driver
    talk.listen()
    recorder.pause_closed_loops(True)
    talk.answer(Round(["echo"], []), 0)
    assert (driver.outstanding, talk.native_rounds) == (0, 0)
    recorder.pause_closed_loops(False)
    driver.resume()
    talk.listen()
    assert (driver.outstanding, driver._in_table) == (3, True)  # type: ignore[attr-defined]
    assert talk.end()["ramp"]["received"] == 3


def test_expected_replies_never_come_to_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Script(NativeClosedLoop, in_flight="4")
    with monkeypatch.context() as watched:
        watched.setattr(NativeClosedLoop, "predicted", None)
        watched.setattr(NativeClosedLoop, "message", None)
        for _ in range(10):
            talk.listen()
            talk.answer(Round(["echo"], [0.1]), 0)
    assert talk.end()["ramp"]["received"] == 40


@pytest.mark.parametrize("size", ["48", "125", "126", "1024", "1025", "20000"])
def test_messages_are_the_same_for_all_sizes(size: str) -> None:
    talk = Script(NativeClosedLoop, in_flight="2", payload_size=size)
    for hows in [["echo"]] * 6 + [["damaged", "echo"], ["echo", "ping"]] + [["echo"]] * 6:
        talk.listen()
        talk.answer(Round(hows, [0.5]), 0)
    talk.listen()
    assert talk.conversation.sent == [JsonMessages(1, int(size)).build(seq) for seq in range(1, 31)]
    values = talk.end()["ramp"]
    assert {name: values[name] for name in MESSAGE_COUNTS if values[name]} == {
        "sent": 30,
        "received": 28,
        "lost": 2,
        "corrupted": 1,
    }


def test_a_part_of_a_reply_is_kept_when_messages_are_given_up() -> None:
    talk = Script(NativeClosedLoop, in_flight="2", timeout="300ms")
    talk.listen()
    first, second = talk.unanswered
    talk.conversation.give([echo(first)[:40]])
    assert talk.conversation.driver._in_table  # type: ignore[attr-defined]
    until(lambda: talk._traffic.sent > talk._sent_before + 2 * talk._frame)  # two more, in place of those given up
    talk.conversation.give([echo(first)[40:] + echo(second)])
    values = talk.end()["ramp"]
    assert (values["late"], values["lost"], values["unexpected"], values["corrupted"]) == (2, 4, 0, 0)


def test_the_table_forgets_the_tallies_of_intervals_that_are_over() -> None:
    talk = Script(NativeClosedLoop)
    for _ in range(4):
        talk.listen()
        talk.answer(Round(["echo"], [], new_phase=True), 0)
        talk.conversation.engine.recorder.collect()
    assert len(talk.conversation.driver._path._tallies) <= 2  # type: ignore[attr-defined]
    talk.end()


@pytest.mark.parametrize(
    ("raw", "kind", "path"),
    [
        ({}, NativeClosedLoop, "native"),
        ({"in_flight": "32", "binary": "true"}, NativeClosedLoop, "native"),
        ({"rate": "100"}, NativeOpenLoop, "native"),
        ({"native": "off"}, ClosedLoop, "python"),
        ({"native": "off", "rate": "100"}, OpenLoop, "python"),
        ({"request_events": "true"}, ClosedLoop, "python"),
        ({"compression": "on"}, ClosedLoop, "python"),
        ({"compression": "None"}, NativeClosedLoop, "native"),
        ({"payload_size": "2000000"}, ClosedLoop, "python"),
        ({"in_flight": "100000"}, ClosedLoop, "python"),
    ],
)
def test_the_native_path_takes_what_it_can_serve(raw: dict[str, str], kind: type, path: str) -> None:
    options = RunOptions.from_texts(raw, url="ws://127.0.0.1:9/", users=1)
    engine = Engine(options, worker=0, send=lambda _: None)
    assert type(driver_for(engine)) is kind
    assert engine.echo_path == path
    engine.finish()
