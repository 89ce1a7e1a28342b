"""Standard output and error that never fail: what they do not take is dropped, and the reason kept.

A command goes on when a stream is closed, the reader of its pipe has gone or its disk is full: its exit code, its
result and the files for CI do not depend on who reads what it prints.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from wsbench.errors import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NO_READER = {errno.EPIPE: "its reader has gone", errno.EBADF: "it is closed"}
_stored: list[Path] = []


def note_stored(path: Path) -> None:
    """Note where a result is: standard error tells it if standard output cannot."""
    _stored.append(path)


class Outlet(io.FileIO):
    """The raw stream of a descriptor; `failure` is the first error of a write, after which it drops all bytes."""

    def __init__(self, descriptor: int) -> None:
        self.failure = _reserve(descriptor)
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: ReadableBuffer, /) -> int:
        while self.failure is None:
            try:
                written = super().write(data)
            except OSError as error:
                self.failure = error
                break
            if written is not None:
                return written
            select.select([], [self], [])  # another process has made the pipe or terminal non-blocking
        return memoryview(data).nbytes


def _reserve(descriptor: int) -> OSError | None:
    """If a descriptor is closed, open /dev/null in its place, or a pipe or a log would get its number."""
    try:
        os.fstat(descriptor)
    except OSError as error:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        os.set_inheritable(descriptor, True)
        return error
    return None


class StandardStreams:
    """Replaces the standard streams of this process."""

    def __init__(self) -> None:
        _reserve(0)
        self._out, self._err = Outlet(1), Outlet(2)
        sys.stdout, sys.stderr = _text(self._out, sys.stdout), _text(self._err, sys.stderr)

    def end(self, code: int) -> int:
        """Tell on standard error what standard output did not take; return the exit code of a command with `code`."""
        sys.stdout.flush()
        failure = self._out.failure
        if failure is not None and _stored:
            reason = _NO_READER.get(failure.errno or 0, failure.strerror)
            print(f"wsbench: standard output: {reason}\n  stored: {_stored[-1]}", file=sys.stderr)
        elif failure is not None and failure.errno not in _NO_READER:
            print(f"wsbench: error: standard output: {failure.strerror}", file=sys.stderr)
            code = code or ExitCode.NOT_MEASURED
        sys.stderr.flush()
        return code


def _text(outlet: Outlet, replaced: TextIO | None) -> TextIO:
    """Return a text stream like the one it replaces, which is None if its descriptor was closed."""
    if not isinstance(replaced, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(outlet), errors="backslashreplace", line_buffering=True)
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        replaced.encoding,
        replaced.errors,
        line_buffering=replaced.line_buffering,
        write_through=replaced.write_through,
    )
