"""An experiment's directory: created under a free id, updated after every run, reopened to resume."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from wsbench.credentials import HIDDEN
from wsbench.errors import UsageError
from wsbench.results.directory import create_directory, replace_file, timed_id, unwritable
from wsbench.results.experiment_result import EXPERIMENT_FILE, RUNS, TOML_FILE, Experiment
from wsbench.results.json_files import encode_json


class ExperimentStore:
    """The directory of one experiment, locked by this process until the context ends.

    `runs` is the directory of the runs' results, and `toml` the copy of the experiment file.
    """

    def __init__(self, path: Path) -> None:
        """Lock an existing directory; raise UsageError if another process has locked it, or it cannot be read."""
        self.path, self.runs, self.toml = path, path / RUNS, path / TOML_FILE
        self.id = path.name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise UsageError(f"{path}: another wsbench matrix is running in it") from error

    @classmethod
    def create(cls, results: Path, name: str, text: bytes) -> ExperimentStore:
        """Create a directory in `results` with the experiment file `text`; raise UsageError if that fails."""
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
    def lacks_secrets(self) -> bool:
        """Whether the copy of the experiment file is without secrets that the file has."""
        return HIDDEN.encode() in self.toml.read_bytes()

    def save(self, experiment: Experiment) -> None:
        """Replace experiment.json atomically."""
        replace_file(self.path / EXPERIMENT_FILE, encode_json(experiment))


def new_directory(results: Path, name: str) -> Path:
    """Create a directory for many runs in `results`, under a free id, with a directory in it for their results.

    Raises UsageError if the results directory cannot be written.
    """
    path = create_directory(results, timed_id(name))
    try:
        (path / RUNS).mkdir()
    except OSError as error:
        raise unwritable(results, error) from error
    return path


def latest_experiment(results: Path, text: bytes | None) -> Path:
    """Return the directory of the latest experiment in `results` with this experiment file; None stands for any.

    Raises UsageError if there is none.
    """
    directories = [path.parent for path in results.glob(f"*/{TOML_FILE}") if text is None or path.read_bytes() == text]
    if not directories:
        raise UsageError(
            f"--resume: there is no experiment to resume in {results}",
            remedy="Name its directory, or start a new one without --resume.",
        )
    return max(directories, key=lambda path: path.name)
