"""Build of the Go server from Debian's source packages: without Go modules, so nothing is downloaded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from wsbench.errors import Side, TargetError
from wsbench.targets.catalogue import programs

_LIBRARY = "github.com/gorilla/websocket"
_DEBIAN_PACKAGE = "golang-github-gorilla-websocket-dev"
_DEBIAN_GOPATH = "/usr/share/gocode"
_BUILD_TIMEOUT_S = 300.0


def missing() -> str | None:
    """Return what this machine lacks for the build, or None."""
    if programs.find("go") is None:
        return "no go on PATH"
    if not any((Path(root) / "src" / _LIBRARY).is_dir() for root in _gopath()):
        return f"no source of {_LIBRARY} in {' or '.join(_gopath())}"
    return None


def library_version() -> str:
    """Return the version of Debian's package, or 'of unknown version' for a source from elsewhere."""
    with contextlib.suppress(TargetError):
        return programs.output_of("dpkg-query", "--show", "--showformat=${Version}", _DEBIAN_PACKAGE)
    return "of unknown version"


def compiler_version() -> str:
    """Return the version of the Go compiler, such as 1.19.8."""
    return programs.version_in(programs.output_of("go", "version"))


def build(source: Path) -> Path:
    """Return the program compiled from `source`, once per version of its inputs; raise TargetError if it fails."""
    inputs = source.read_bytes() + f"\n{library_version()}\n{compiler_version()}".encode()
    program = _cache() / f"{source.stem}-{hashlib.sha256(inputs).hexdigest()[:16]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="wsbench-", dir=program.parent) as directory:
            output = Path(directory) / program.name
            _compile(source, output)
            # atomic, and a concurrent build yields the same file
            output.replace(program)
    return program


def _compile(source: Path, to: Path) -> None:
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": os.pathsep.join(_gopath()),
        "GOFLAGS": "",
        "GOCACHE": str(_cache() / "go-build"),
    }
    command = [programs.find("go") or "go", "build", "-o", str(to), str(source)]
    try:
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        detail = exc.stderr.strip() if isinstance(exc, subprocess.CalledProcessError) else exc
        raise TargetError(
            f"{source.name} does not compile", remedy=f"go failed: {detail}", side=Side.GENERATOR
        ) from exc


def _gopath() -> list[str]:
    return [*filter(None, os.environ.get("GOPATH", "").split(os.pathsep)), _DEBIAN_GOPATH]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsbench"
