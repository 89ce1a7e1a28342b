"""The bare echo server in C (`c_server.c`), which answers faster than the generator can ask.

    python -m benchmarks.c_server

Compiles it into a temporary directory and becomes it. It serves ws without TLS and compression.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from wsbench.machine import raise_descriptor_limit

SOURCE = Path(__file__).with_suffix(".c")


def main() -> None:
    """Serve until SIGTERM."""
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="wsbench-") as directory:
        program = Path(directory) / "c_server"
        subprocess.run(["cc", "-O2", "-std=c11", "-Wall", "-Wextra", "-o", program, SOURCE], check=True)
        descriptor = os.open(program, os.O_RDONLY)  # so that the directory can go before the server does
    os.execve(descriptor, ["c_server"], os.environ)


if __name__ == "__main__":
    main()
