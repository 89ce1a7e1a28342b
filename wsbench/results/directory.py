"""Result directories: a free id, files that are whole or absent, and a final name that appears last."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from wsbench.errors import Side, UsageError, WsbenchError
from wsbench.units import format_bytes

LOG_FILE = "locust.log"
REPORT_FILE = "report.html"
_NEEDED_BYTES = 8_000_000
"""A short run's result takes about 5 MB, nearly all of it the charting library in report.html."""
_TIMED = re.compile(r"^\d{8}T\d{6}Z-")
_MAX_IDS = 999
"""Ids of one second: `<id>`, `<id>-2`, and so on."""


def timed_id(name: str, now: datetime | None = None) -> str:
    """Return the id of something that starts now: `20261122T091500Z-<name>`."""
    return f"{(now or datetime.now(UTC)).strftime('%Y%m%dT%H%M%SZ')}-{name}"


def name_of_id(run_id: str) -> str:
    """Return the name in an id that `timed_id` made; any other text as it is."""
    return _TIMED.sub("", run_id)


def create_directory(results: Path, wanted_id: str, *, partial: bool = False) -> Path:
    """Create a directory under the id, or under the id with the first number that is free.

    A `partial` directory has a hidden name, and its id is free under its final name as well. Raises UsageError if the
    results directory cannot be written.
    """
    for number in range(1, _MAX_IDS + 1):
        free_id = wanted_id if number == 1 else f"{wanted_id}-{number}"
        path = results / (f".{free_id}.partial" if partial else free_id)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if path.exists():
                continue
            raise UsageError(f"--results {results}: there is a file of that name") from None
        except OSError as error:
            raise unwritable(results, error) from error
        if partial and (results / free_id).exists():
            path.rmdir()
            continue
        return path
    raise UsageError(f"--results {results}: it has {_MAX_IDS} results of this second")


def unwritable(results: Path, error: OSError) -> UsageError:
    """Return the error for a results directory that cannot be written."""
    return UsageError(f"--results {results}: {error.strerror or error}", remedy="Name a directory that can be written.")


def replace_file(file: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of the old content or all of the new; raise OSError if that fails."""
    if file.is_symlink() or (file.exists() and not file.is_file()):  # /dev/stdout, a pipe: not ours to replace
        file.write_bytes(content)
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        _write_durably(draft, [content])
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write_durably(file: Path, parts: Iterable[bytes]) -> None:
    with file.open("wb") as stream:
        stream.writelines(parts)
        stream.flush()
        os.fsync(stream.fileno())


class Staging:
    """A result directory in progress: `<results>/.<run id>.partial`, renamed to `<results>/<run id>` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name.removeprefix(".").removesuffix(".partial")

    @classmethod
    def create(cls, results: Path, name: str, *, now: datetime | None = None) -> Staging:
        """Create the directory for a run that starts now.

        Raises UsageError if the results directory cannot be written, or its disk is full.
        """
        staging = cls.of_id(results, timed_id(name, now))
        try:
            free = shutil.disk_usage(staging.path).free
        except OSError:
            return staging
        if free < _NEEDED_BYTES:
            staging.discard()
            raise UsageError(
                f"--results {results}: {format_bytes(free)} free there, and a result takes "
                f"{format_bytes(_NEEDED_BYTES)}",
                remedy="Free some space, or name a directory on another disk.",
            )
        return staging

    @classmethod
    def of_id(cls, results: Path, wanted_id: str) -> Staging:
        """Create the directory under the id (with a number if it is taken); raise UsageError if that fails."""
        return cls(create_directory(results, wanted_id, partial=True))

    @property
    def final(self) -> Path:
        """The directory's path after `commit`."""
        return self.path.parent / self.run_id

    def write(self, files: Mapping[str, bytes | Iterable[bytes]]) -> None:
        """Write files into the directory, each flushed to disk; raise OSError if a file could not be written."""
        for name, content in files.items():
            _write_durably(self.path / name, [content] if isinstance(content, bytes) else content)

    def store(self, files: Mapping[str, bytes | Iterable[bytes]]) -> str:
        """Write the files of a result and give the directory its final name; raise OSError if nothing was stored.

        Returns why the report could not be written; empty if it was. The report can be made again from the result.
        """
        missing = ""
        self.write({name: content for name, content in files.items() if name != REPORT_FILE})
        if REPORT_FILE in files:
            try:
                self.write({REPORT_FILE: files[REPORT_FILE]})
            except OSError as error:
                (self.path / REPORT_FILE).unlink(missing_ok=True)
                missing = f"{REPORT_FILE} could not be written: {error.strerror or error}"
        self.commit()
        return missing

    def commit(self) -> Path:
        """Give the directory its final name and return that; raise OSError if it could not be renamed."""
        self.path.rename(self.final)
        return self.final

    def discard(self) -> None:
        """Remove the directory, unless it was committed."""
        shutil.rmtree(self.path, ignore_errors=True)


class ResultNotStored(WsbenchError):
    """A run was measured, and its result could not be written."""

    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(
            f"the result could not be stored in {directory}: {error.strerror or error}",
            remedy="Only the printed summary is left. Free some space, or name another directory: --results DIR.",
            side=Side.GENERATOR,
            kind="not-stored",
        )
