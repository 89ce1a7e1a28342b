"""Compile the native echo path, `wsbench.native._echo`, in its place in the tree: python build_native.py

One build serves CPython 3.11 and later (limited API). CFLAGS and LDFLAGS are honoured: CI adds -Werror and sanitizers.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

LIMITED_API = "0x030B0000"
FLAGS = ("-std=c11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wconversion", "-Wshadow")


def build_native(root: Path) -> Path:
    """Compile the extension module in its place in the tree; return its path, or raise setuptools' error."""
    folder = root / "wsbench" / "native"
    for former in folder.glob("_echo*.so"):  # it must not outlive a change of its sources
        former.unlink()
    extension = Extension(
        "wsbench.native._echo",
        [str(path) for path in sorted(folder.glob("*.c"))],
        depends=[str(path) for path in folder.glob("*.h")],
        define_macros=[("Py_LIMITED_API", LIMITED_API)],
        extra_compile_args=list(FLAGS),
        py_limited_api=True,
    )
    command = build_ext(Distribution({"name": "wsbench", "ext_modules": [extension]}))
    command.build_lib = str(root)
    command.build_temp = str(root / "build")
    command.force = True
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(extension.name))


if __name__ == "__main__":
    print(build_native(Path(__file__).parent))
