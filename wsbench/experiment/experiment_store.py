"""An experiment's directory: made under an id of its own, kept current run by run, opened again to go on."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from wsbench.errors import UsageError
from wsbench.results import experiment_result
from wsbench.results.directory import create_directory, replace_file, timed_id, unwritable
from wsbench.results.experiment_result import EXPERIMENT_FILE, RUNS, TOML_FILE, Experiment


class ExperimentStore:
    """The directory of one experiment, which is this process's alone for as long as the context lasts."""

    def __init__(self, path: Path) -> None:
        """Of a directory that exists.

        Raises:
            UsageError: another process is at work in it, or it cannot be read.
        """
        self.path = path
        self.id = path.name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise UsageError(f"{path}: another wsbench matrix is at work in it") from error

    @classmethod
    def create(cls, results: Path, name: str, text: bytes) -> ExperimentStore:
        """A new one in `results`, under an id that nobody else has; `text` is the experiment file.

        Raises:
            UsageError: nothing can be written there.
        """
        path = new_directory(results, name)
        try:
            (path / TOML_FILE).write_bytes(text)
        except OSError as error:
            raise unwritable(results, error) from error
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def runs(self) -> Path:
        """Where the runs' results lie."""
        return self.path / RUNS

    @property
    def toml(self) -> Path:
        """The experiment file, as it was given."""
        return self.path / TOML_FILE

    def load(self) -> Experiment:
        """What is stored.

        Raises:
            ResultError: nothing is, or it cannot be read.
        """
        return experiment_result.load(self.path)

    def save(self, experiment: Experiment) -> None:
        """Replace what is stored; a reader sees the old or the new, whole."""
        replace_file(self.path / EXPERIMENT_FILE, experiment_result.encode(experiment))


def new_directory(results: Path, name: str) -> Path:
    """Create a directory for many runs in `results`, under a free id, with a directory in it for their results.

    Raises:
        UsageError: the results directory cannot be written.
    """
    path = create_directory(results, timed_id(name))
    try:
        (path / RUNS).mkdir()
    except OSError as error:
        raise unwritable(results, error) from error
    return path


def latest_experiment(results: Path, text: bytes | None) -> Path:
    """The directory of the latest experiment in `results` that was started with this text; with any, for None.

    Raises:
        UsageError: there is none.
    """
    found = [path.parent for path in results.glob(f"*/{TOML_FILE}") if text is None or path.read_bytes() == text]
    if not found:
        raise UsageError(
            f"--resume: there is no experiment to go on with in {results}",
            remedy="Name its directory, or leave --resume out to start a new one.",
        )
    return max(found, key=lambda path: path.name)
