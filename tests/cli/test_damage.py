"""Stored results that were cut off, edited or damaged: one or two lines and exit code 2, or the right figures.

In this process, for there are many of them; what the command line is as a process, its other tests show.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import synthetic, synthetic_experiment

from wsbench.cli import main
from wsbench.report import hgrm

Step = str | int
WRONG: list[Any] = [
    None, "", "x", -1, 0, 1.5, 1e300, -1e300, 2**63, 2**64, 10**400, True, [], {}, [1], {"a": 1},
    "2026-13-45T99:99:99Z", "\x00", "../../x", "9" * 5000, "<script>",
]  # fmt: skip
NUMBERS = [b"nan", b"inf", b"-1", b"1e999", b"9" * 40, b"", b"99999999999999999999.5", b"x"]


def said(*arguments: object) -> tuple[int, bytes]:
    """Exit code and output of a command. No input makes it fail with an internal error, or print much."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.run([str(argument) for argument in arguments])
    told = err.getvalue()
    assert code in (0, 1, 2, 5), (code, told)
    assert "internal error" not in told and "Traceback" not in told, told
    if code == 2:
        assert told.startswith("wsbench: error: ") and told.count("\n") <= 2, told
    return code, out.buffer.getvalue()


def places(document: Any, above: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield the place of every value in a document; of lists, the first two."""
    if above:
        yield above
    parts: Any = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document[:2])
        if isinstance(document, list)
        else ()
    )
    for step, value in parts:
        yield from places(value, (*above, step))


def edited(document: Any, source: random.Random) -> Iterator[tuple[str, str]]:
    """Every value in turn replaced by one that is wrong there, or taken out; with what was done."""
    for *above, last in places(document):
        other = copy.deepcopy(document)
        at = other
        for step in above:
            at = at[step]
        if source.random() < 0.1:
            del at[last]
            yield f"{above} {last} taken out", json.dumps(other)
        else:
            at[last] = source.choice(WRONG)
            yield f"{above} {last} = {at[last]!r:.50}", json.dumps(other)


def damaged(raw: bytes, source: random.Random) -> bytes:
    """Cut out, doubled, flipped, shuffled, or with another number."""
    data, at = bytearray(raw), source.randrange(len(raw))
    match source.randrange(5):
        case 0:
            data[at] = source.randrange(256)
        case 1:
            del data[at : at + source.randrange(1, 200)]
        case 2:
            data[at:at] = data[at : at + source.randrange(1, 300)]
        case 3:
            rows = raw.split(b"\n")
            source.shuffle(rows)
            return b"\n".join(rows)
        case _:
            number = source.choice(list(re.finditer(rb"[0-9][0-9.]*", raw)))
            data[number.start() : number.end()] = source.choice(NUMBERS)
    return bytes(data)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A whole one: run.json, latency.hlog, timeline.csv and a distribution."""
    made = synthetic.stored(3)
    directory = made.write(tmp_path / "results")
    buckets: dict[int, int] = {}
    for line in made.lines():
        if line.tag == "response":
            for key, count in line.counts.buckets().items():
                buckets[key] = buckets.get(key, 0) + count
    (directory / "response.hgrm").write_bytes(hgrm.encode(buckets))
    return directory


@pytest.mark.parametrize("seed", range(2))
def test_an_edited_run(result: Path, tmp_path: Path, seed: int) -> None:
    base = synthetic.stored(3, seed=2).write(tmp_path / "base")
    document = json.loads((result / "run.json").read_bytes())
    commands = [
        ("export", result, "--format", "openmetrics"),
        ("export", result, "--format", "json"),
        ("export", result, "--format", "csv"),
        ("compare", base, result),
        ("report", result, "--output", "-"),
    ]
    codes = set()
    for number, (what, text) in enumerate(edited(document, random.Random(seed))):
        (result / "run.json").write_text(text)
        # a report takes longest: not of each
        for command in commands[: 5 if number % 7 == 0 else 4]:
            try:
                codes.add(said(*command)[0])
            except AssertionError as error:
                raise AssertionError(f"{what}: {command}") from error
    assert {0, 2} <= codes


@pytest.mark.parametrize("seed", range(2))
def test_an_edited_experiment(tmp_path: Path, seed: int) -> None:
    experiment = synthetic_experiment.write(tmp_path, repetitions=1)
    document = json.loads((experiment / "experiment.json").read_bytes())
    for number, (what, text) in enumerate(edited(document, random.Random(seed))):
        (experiment / "experiment.json").write_text(text)
        try:
            said("compare", f"{experiment}:websockets", f"{experiment}:picows")
            if number % 5 == 0:
                said("report", experiment, "--output", "-")
        except AssertionError as error:
            raise AssertionError(what) from error


@pytest.mark.parametrize("name", ["latency.hlog", "timeline.csv", "response.hgrm", "run.json"])
def test_a_damaged_file(result: Path, name: str) -> None:
    whole, source = (result / name).read_bytes(), random.Random(name)
    for _ in range(40):
        (result / name).write_bytes(damaged(whole, source))
        for format_ in ("hlog", "csv", "hgrm"):
            said("export", result, "--format", format_)
        said("export", result, "--format", "csv", "--series", "response")


@pytest.mark.parametrize(
    ("name", "format_"),
    [("latency.hlog", "hlog"), ("timeline.csv", "csv"), ("response.hgrm", "hgrm"), ("run.json", "json")],
)
def test_a_truncated_file_is_refused(result: Path, name: str, format_: str) -> None:
    """Wherever it was cut, between two lines as well: less than all of it is never passed on as all."""
    whole = (result / name).read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == 10][:-2]
    source = random.Random(name)
    for end in (0, *source.sample(ends, min(15, len(ends))), *source.sample(range(ends[-1]), 15)):
        (result / name).write_bytes(whole[: end + (end in ends)])
        assert said("export", result, "--format", format_) == (2, b""), end
        if name != "response.hgrm":
            assert said("report", result, "--output", "-") == (2, b""), end
    (result / name).write_bytes(whole)
    assert said("export", result, "--format", format_) == (0, whole)


@pytest.mark.parametrize("name", ["", "x" * 5000, "no\nwhere", ":", "a:b", "/", "/dev/null", "run.json/x"])
@pytest.mark.parametrize("command", ["report", "export --format json", "compare"])
def test_a_name_that_is_none(result: Path, command: str, name: str) -> None:
    verb, *options = command.split()
    arguments = (result, name) if verb == "compare" else (name,)
    assert said(verb, *options, *arguments) == (2, b"")


def test_a_newer_schema_asks_for_an_upgrade(result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = {"schema": 2, "measured": [1, 2, 3]}
    experiment = tmp_path / "experiment"
    experiment.mkdir()
    (experiment / "experiment.json").write_text(json.dumps(newer))
    (result / "run.json").write_text(json.dumps(newer))
    for arguments in (["report", result], ["export", result, "--format", "hlog"], ["compare", result, result],
                      ["report", experiment], ["compare", experiment, experiment]):  # fmt: skip
        assert main.run([str(argument) for argument in arguments]) == 2
        assert "upgrade" in capsys.readouterr().err
    assert not (result / "report.html").exists()
