"""Errors of one process, counted by kind and side; and descriptions of a scenario's exceptions."""

from __future__ import annotations

import logging
import sysconfig
import traceback
from pathlib import Path

import msgspec
from gevent.exceptions import BlockingSwitchOutError

from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.errors import WsbenchError, described, internal_error
from wsbench.results.run_result import ErrorCount
from wsbench.run.protocol import SCENARIO_FAILED

logger = logging.getLogger(__name__)

_LOGGED = 100
"""Limit of different exceptions whose tracebacks are logged: their texts may have numbers in them."""
_WSBENCH = str(Path(__file__).parents[1])
_LIBRARIES = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), _WSBENCH)
"""Directories of code that is not a scenario's."""
_USERS = str(Path(_WSBENCH, "users"))
"""Called by scenarios, also as the first function of a greenlet of theirs."""


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

    def count_scenario_failure(self, error: BaseException, *, logged: bool = False) -> None:
        """Count an exception of the scenario's code, and log its traceback once unless it is `logged` already."""
        failure = scenario_failure(error)
        if not logged:
            self.log_once(failure.what, error)
        self.count(failure)

    def count_internal(self, what: str, error: BaseException) -> str:
        """Count a fault of wsbench, log its traceback once, and return its text: `what`, and why."""
        failure = internal_error(what, error)
        self.log_once(failure.what, error)
        self.count(failure)
        return self._secrets.text(failure.what)

    def log_once(self, what: str, error: BaseException) -> None:
        """Log an exception with its traceback, unless `what` was logged before."""
        if what not in self._logged and len(self._logged) < _LOGGED:
            self._logged.add(what)
            logger.error("%s", what, exc_info=error)


def scenario_failure(error: BaseException, what: str = "the scenario failed") -> WsbenchError:
    """Return the error for an exception of the scenario's code."""
    remedy = "`locust -f` with it shows the traceback."
    return WsbenchError(f"{what}: {describe_scenario_error(error)}", kind=SCENARIO_FAILED, remedy=remedy)


def describe_scenario_error(error: BaseException) -> str:
    """Return what failed, with the innermost line of the scenario that was involved, if any."""
    if isinstance(error, BlockingSwitchOutError):
        text = "a callback must not wait, neither for a reply nor for a while"
    else:
        text = described(error)
    line = next((frame for frame in reversed(_frames(error)) if is_scenario_file(frame.filename)), None)
    return text if line is None else f"{text} ({Path(line.filename).name}, line {line.lineno}, in {line.name})"


def is_ours(error: BaseException) -> bool:
    """Return whether an exception ended a greenlet or a callback of wsbench's own."""
    frames = _frames(error)
    return bool(frames) and frames[0].filename.startswith(_WSBENCH) and not frames[0].filename.startswith(_USERS)


def is_scenario_file(filename: str) -> bool:
    """Return whether a file is the scenario's: no library, and none of wsbench."""
    # Compiled libraries have relative names, from where they were built, and code without a file has none.
    return Path(filename).is_absolute() and not filename.startswith(_LIBRARIES)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of an exception that have a file, the outermost first."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_absolute()]
