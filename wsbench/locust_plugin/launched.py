"""The Locust process that `wsbench run` starts: Locust's own main, and a message to the launcher when it fails.

Most failures are the scenario's: a locustfile that cannot be imported, or that Locust refuses.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO, cast

from locust import argument_parser, events
from locust.main import main as locust_main

from wsbench.credentials import Secrets
from wsbench.errors import UsageError, WsbenchError
from wsbench.locust_plugin import plugin
from wsbench.master.result_writer import leave_failure
from wsbench.results.directory import Staging
from wsbench.run.handoff import FAILURE_FILE, Handoff

_NO_USER = "it has no user of wsbench's: derive one from WebSocketUser"


class _FilelessParser(argument_parser.LocustArgumentParser):
    """Locust's parser without locust.conf and pyproject.toml: they are for plain Locust, and the launcher has ours."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{**settings, "default_config_files": []})


class _Output:
    """A text stream without secrets. It remembers the last line written: Locust's reason when it exits."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self._stream = stream
        self._secrets = secrets
        self.line = ""

    def write(self, text: str) -> int:
        shown = self._secrets.text(text)
        if lines := shown.strip().splitlines():
            self.line = lines[-1].strip()
        self._stream.write(shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    """Run Locust; leave a `Failure` if it ends without a result or a failure of the run's own."""
    launched = os.getpid()
    handoff = Handoff.from_environment()
    assert handoff is not None
    sys.argv = ["locust", *handoff.arguments]
    vars(argument_parser)["LocustArgumentParser"] = _FilelessParser
    sys.stdout = cast("TextIO", _Output(sys.stdout, handoff.secrets))
    last = _Output(sys.stderr, handoff.secrets)
    sys.stderr = cast("TextIO", last)
    begun: list[bool] = []
    events.init.add_listener(_require_plugin)
    events.test_start.add_listener(lambda **_: begun.append(True))
    try:
        locust_main()
    except SystemExit as exit_:
        if exit_.code and os.getpid() == launched:  # workers are forked from this process
            if begun:
                reason = f"Locust ended with exit code {exit_.code} and left no result: {last.line}"
                _leave(WsbenchError(reason))
            else:
                _leave(_unusable(last.line if plugin.is_registered() else _NO_USER))
        raise
    except Exception as error:
        if os.getpid() == launched:
            _leave(_unusable(_describe(error)))
        raise


def _require_plugin(**_: Any) -> None:
    if not plugin.is_registered():
        sys.exit(1)


def _unusable(reason: str) -> UsageError:
    return UsageError(f"the scenario cannot be run: {reason}", remedy="`locust -f FILE --host URL` shows all of it.")


def _describe(error: Exception) -> str:
    """Return an exception in one line, with the file and the line number of its source."""
    text = traceback.format_exception_only(error)[-1].strip()
    source = traceback.extract_tb(error.__traceback__)[-1]
    file, line = source.filename, source.lineno
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    return f"{text} ({Path(file).name}, line {line})"


def _leave(failure: WsbenchError) -> None:
    handoff = Handoff.from_environment()
    assert handoff is not None
    staging = Staging(Path(handoff.staging))
    if not (staging.path / FAILURE_FILE).exists():
        # A full disk, or a result in its final directory: the launcher knows the exit code.
        with contextlib.suppress(OSError):
            leave_failure(failure, staging)


if __name__ == "__main__":
    main()
