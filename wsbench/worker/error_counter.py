"""Errors of one process, counted by kind and side; and descriptions of a scenario's exceptions."""

from __future__ import annotations

import logging
import sysconfig
import traceback
from pathlib import Path

import msgspec
from gevent.exceptions import BlockingSwitchOutError

from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.errors import WsbenchError
from wsbench.results.run_result import ErrorCount
from wsbench.run.protocol import SCENARIO_FAILED

logger = logging.getLogger(__name__)

_LIBRARIES = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), str(Path(__file__).parents[1]))
"""Directories of code that is not a scenario's."""


class ErrorCounter:
    """Counts errors by kind and side; the first of each is kept as an example, without secrets."""

    def __init__(self, secrets: Secrets = DEFAULT_SECRETS) -> None:
        self._secrets = secrets
        self._tallies: dict[tuple[str, str], ErrorCount] = {}
        self._logged: set[str] = set()

    @property
    def tallies(self) -> list[ErrorCount]:
        """All kinds so far."""
        return list(self._tallies.values())

    @property
    def total(self) -> int:
        """Number of errors, without those of messages that count as lost or corrupted as well."""
        return sum(tally.count - tally.of_messages for tally in self._tallies.values())

    def count(self, error: WsbenchError, *, of_message: bool = False) -> None:
        """Count an error; `of_message`: of a message that counts as lost or corrupted as well."""
        key = (error.kind, str(error.side))
        known = self._tallies.get(key)
        if known is None:
            hide = self._secrets.text
            known = ErrorCount(*key, count=0, example=hide(error.what), remedy=hide(error.remedy))
        self._tallies[key] = msgspec.structs.replace(
            known, count=known.count + 1, of_messages=known.of_messages + of_message
        )

    def count_scenario_failure(self, error: Exception, *, logged: bool = False) -> None:
        """Count an exception of the scenario's code, and log its traceback once unless it is `logged` already."""
        what = f"the scenario failed: {describe_scenario_error(error)}"
        if not logged and what not in self._logged:
            self._logged.add(what)
            logger.error("%s", what, exc_info=error)
        self.count(WsbenchError(what, kind=SCENARIO_FAILED, remedy="`locust -f` with it shows the traceback."))


def describe_scenario_error(error: Exception) -> str:
    """Return what failed, with the innermost line of the scenario that was involved, if any."""
    if isinstance(error, BlockingSwitchOutError):
        text = "a callback must not wait, neither for a reply nor for a while"
    elif isinstance(error, WsbenchError):
        text = error.what
    else:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = reversed(traceback.extract_tb(error.__traceback__))
    # Compiled libraries have relative names, from where they were built.
    own = (f for f in frames if Path(f.filename).is_absolute() and not f.filename.startswith(_LIBRARIES))
    line = next(own, None)
    return text if line is None else f"{text} ({Path(line.filename).name}, line {line.lineno}, in {line.name})"
