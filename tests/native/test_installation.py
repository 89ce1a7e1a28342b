"""An installation without the native echo path: what the build hook makes of a failure, and what wsbench then says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import process, runs

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py", "build_native.py")


def python(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a tree, with its packages."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(tree), **environment},
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=process.scaled(60),
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what a wheel is built from, and leave out what was compiled."""
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "wsbench", tmp_path / "wsbench", ignore=shutil.ignore_patterns("*.so", "node_modules"))
    return tmp_path


@pytest.mark.needs("hatchling")
@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"CC": "/no/compiler"}, "/no/compiler"), ({"CFLAGS": "-nostdinc"}, "-nostdinc")],
    ids=["no-compiler", "no-header-files"],
)
def test_without_a_compiler_the_wheel_is_pure(tree: Path, environment: dict[str, str], reason: str) -> None:
    (tree / "wsbench" / "native" / "_echo.abi3.so").touch()  # of a former build: it must not stay
    built = python(tree, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist", **environment)
    assert built.returncode == 0, built.stderr
    [wheel] = (tree / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    [warning] = [line for line in (built.stdout + built.stderr).splitlines() if "native echo path" in line]
    assert reason in warning and "apt-get install gcc python3-dev" in warning
    assert not list(tree.glob("wsbench/native/*.so"))


@pytest.mark.needs("hatchling", "native")
def test_with_a_compiler_one_wheel_is_for_every_python(tree: Path) -> None:
    built = python(tree, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist")
    assert built.returncode == 0, built.stderr
    [wheel] = (tree / "dist").iterdir()
    assert "-cp311-abi3-linux_" in wheel.name


@pytest.mark.parametrize(
    ("options", "times"),
    [([], 1), (["--processes", "2"], 1), (["--native", "off"], 0), (["--tls"], 0), (["--compression", "on"], 0)],
    ids=["plain", "processes", "off", "tls", "compressed"],
)
def test_a_run_that_would_have_used_it_says_once_that_it_is_missing(tree: Path, options: list[str], times: int) -> None:
    shown = python(tree, "-m", "wsbench", "run", "-u", "2", *runs.QUICK, *options)
    assert shown.returncode == 0, shown.stderr
    lines = [line for line in shown.stderr.splitlines() if "native" in line]
    assert len(lines) == times
    assert all(line.startswith("the native echo path was not built: ") for line in lines)


def test_a_library_that_cannot_be_loaded_is_named(tree: Path) -> None:
    (tree / "wsbench" / "native" / "_echo.abi3.so").write_bytes(b"for another machine")
    _, line = python(tree, "-m", "wsbench", "version").stdout.splitlines()
    assert line.startswith("the native echo path cannot be loaded (") and "_echo.abi3.so" in line
