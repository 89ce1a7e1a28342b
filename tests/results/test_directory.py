"""Result directories: whole or absent, under an id that no other has."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.sample_run import RUN

from wsbench.errors import UsageError
from wsbench.results.directory import ResultNotStored, Staging, create_directory, replace_file, timed_id
from wsbench.results.json_files import encode_json

NOW = datetime(2026, 11, 22, 9, 15, 0, 999_999, UTC)


def test_there_is_no_result_before_it_is_whole(tmp_path: Path) -> None:
    staging = Staging.create(tmp_path, "echo", now=NOW)
    staging.write({"run.json": encode_json(RUN), "latency.hlog": b"log"})
    assert [path.name for path in tmp_path.iterdir()] == [".20261122T091500Z-echo.partial"]
    assert not staging.final.exists()
    final = staging.commit()
    assert [path.name for path in tmp_path.iterdir()] == [staging.run_id]
    assert {path.name: path.read_bytes() for path in final.iterdir()} == {
        "run.json": encode_json(RUN),
        "latency.hlog": b"log",
    }


def test_two_results_of_one_second_stand_side_by_side(tmp_path: Path) -> None:
    first = Staging.create(tmp_path, "echo", now=NOW)
    second = Staging.create(tmp_path, "echo", now=NOW)  # while the first is still in the making
    first.write({"which": b"first"})
    second.write({"which": b"second"})
    first.commit()
    third = Staging.create(tmp_path, "echo", now=NOW)  # when it is done
    third.write({"which": b"third"})
    third.commit()
    second.commit()
    assert {path.name: (path / "which").read_bytes() for path in tmp_path.iterdir()} == {
        "20261122T091500Z-echo": b"first",
        "20261122T091500Z-echo-2": b"second",
        "20261122T091500Z-echo-3": b"third",
    }


def test_what_took_the_name_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    staging = Staging.create(tmp_path, "echo", now=NOW)
    staging.write({"which": b"mine"})
    staging.final.mkdir()
    (staging.final / "which").write_bytes(b"somebody else's")
    with pytest.raises(OSError):
        staging.commit()
    assert (staging.final / "which").read_bytes() == b"somebody else's"
    assert (staging.path / "which").read_bytes() == b"mine"


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    staging = Staging.create(tmp_path, "echo", now=NOW)
    staging.write({"run.json": b"{}"})
    staging.discard()
    assert list(tmp_path.iterdir()) == []
    staging.discard()


def test_discarding_after_the_commit_leaves_the_result(tmp_path: Path) -> None:
    staging = Staging.create(tmp_path, "echo", now=NOW)
    final = staging.commit()
    staging.discard()
    assert final.is_dir()


def test_the_time_in_an_id_is_utc(tmp_path: Path) -> None:
    assert Staging.create(tmp_path, "a.b", now=NOW).run_id == "20261122T091500Z-a.b"
    before = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stamp = Staging.create(tmp_path, "echo").run_id.removesuffix("-echo")
    assert before <= stamp <= datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def a_file(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def a_dangling_link(path: Path) -> Path:
    path.symlink_to(path.parent / "nowhere")
    return path


@pytest.mark.parametrize(
    "results",
    [
        lambda tmp: a_file(tmp / "file"),
        lambda tmp: a_file(tmp / "file") / "below",
        lambda tmp: a_dangling_link(tmp / "link"),
        lambda tmp: tmp / ("x" * 300),
        lambda _: Path("/proc/results"),
    ],
    ids=["a file", "below a file", "a dangling link", "a name too long", "a file system that takes none"],
)
def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path, results: Any) -> None:
    where = results(tmp_path)
    with pytest.raises(UsageError) as caught:
        Staging.create(where, "echo", now=NOW)
    assert caught.value.what.startswith(f"--results {where}: ")
    assert caught.value.exit_code == 2


def test_a_directory_without_permission_is_a_usage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        with pytest.raises(UsageError, match="Permission denied"):
            Staging.create(tmp_path, "echo", now=NOW)
    finally:
        os.seteuid(user)


def test_many_runs_of_one_second_get_directories_of_their_own(tmp_path: Path) -> None:
    made = [create_directory(tmp_path, timed_id("matrix", NOW)) for _ in range(3)]
    assert [path.name for path in made] == [
        "20261122T091500Z-matrix",
        "20261122T091500Z-matrix-2",
        "20261122T091500Z-matrix-3",
    ]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    replace_file(file, b"old")
    file.with_name(f".run.json.{os.getpid()}.partial").mkdir()  # nothing can be written there
    with pytest.raises(OSError):
        replace_file(file, b"new")
    assert file.read_bytes() == b"old"


def test_what_is_no_file_is_written_in_place(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "other")
    replace_file(link, b"text")
    assert link.is_symlink()
    assert (tmp_path / "other").read_bytes() == b"text"


def test_a_report_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    def page() -> Any:
        yield b"<html>"
        raise OSError(28, "No space left on device")

    staging = Staging.create(tmp_path, "echo", now=NOW)
    missing = staging.store({"run.json": b"{}", "report.html": page()})
    assert missing == "report.html could not be written: No space left on device"
    assert [path.name for path in staging.final.iterdir()] == ["run.json"]


def test_a_result_that_was_not_stored_says_why_and_what_to_do() -> None:
    error = ResultNotStored(Path("results"), OSError(28, "No space left on device"))
    assert (error.what, error.kind) == (
        "the result could not be stored in results: No space left on device",
        "not-stored",
    )
    assert "--results DIR" in error.remedy
