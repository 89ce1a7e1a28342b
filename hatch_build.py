"""Build hook: adds the native echo path to a wheel, where there is a C compiler; without, it only warns."""

from __future__ import annotations

import runpy
import sys
import textwrap
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags, sys_tags

MISSING = (
    "the native echo path was not built ({reason}): echo runs take more CPU without it; it needs Linux, a C compiler "
    "and Python.h (Debian: apt-get install gcc python3-dev), then install wsbench again"
)


class NativeHook(BuildHookInterface[Any]):
    """Adds the extension module to a wheel, and to an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Compile; without success, the wheel is pure."""
        try:
            tag = _tag()
            build = runpy.run_path(str(Path(self.root) / "build_native.py"))["build_native"]
            built = build(Path(self.root))
        except Exception as error:  # of setuptools, the compiler or the linker: none may stop an installation
            self.app.display_warning("wsbench: " + MISSING.format(reason=textwrap.shorten(str(error), 80)))
            return
        build_data["artifacts"].append(str(built.relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["tag"] = tag


def _tag() -> str:
    """Return the wheel's tag; raise OSError where this Python could not install a wheel with it."""
    if sys.platform != "linux":
        raise OSError(f"no Linux: {sys.platform}")
    platform = next(tag for tag in platform_tags() if tag.startswith("linux_"))  # auditwheel finds the manylinux tag
    tag = f"cp311-abi3-{platform}"
    if tag not in map(str, sys_tags()):  # PyPy, or a Python without the interpreter lock
        raise OSError(f"{sys.implementation.name} without the stable ABI of CPython 3.11")
    return tag
