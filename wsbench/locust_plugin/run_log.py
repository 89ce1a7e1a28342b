"""The file locust.log in a result directory."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from wsbench.results.directory import LOG_FILE


class RunLog(logging.FileHandler):
    """A log handler that writes to a result directory until it is detached."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / LOG_FILE)
        self.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s/%(name)s: %(message)s"))
        logging.getLogger().addHandler(self)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore a full disk: the same lines go to the terminal, where a traceback per line would hide them."""

    def detach(self) -> None:
        """Stop logging and close the file."""
        logging.getLogger().removeHandler(self)
        with contextlib.suppress(OSError):  # a full disk
            self.close()
