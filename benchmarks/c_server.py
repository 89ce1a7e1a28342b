"""A bare echo server in C (`c_server.c`) with the counters of tests/helpers/echo_counter.py: ws only, no compression.

    python -m benchmarks.c_server

It compiles the server into a temporary directory and replaces itself with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from wsbench.machine import raise_descriptor_limit

_SOURCE = Path(__file__).with_suffix(".c")
_FLAGS = ("-O2", "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow")


def compile_into(directory: Path, *flags: str) -> Path:
    """Compile the server with additional flags; return the program's path.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: the compiler failed.
    """
    program = directory / "c_server"
    subprocess.run(["cc", *_FLAGS, *flags, "-o", program, _SOURCE], check=True)
    return program


def main() -> None:
    """Serve until SIGTERM."""
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="wsbench-") as directory:
        try:
            program = compile_into(Path(directory))
        except FileNotFoundError:
            sys.exit("this benchmark needs a C compiler for its echo server: apt-get install gcc libc6-dev")
        descriptor = os.open(program, os.O_RDONLY)  # the directory is removed before the program starts
    os.execve(descriptor, ["c_server"], os.environ)


if __name__ == "__main__":
    main()
