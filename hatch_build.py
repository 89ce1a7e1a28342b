"""Build hook: adds the native echo path to a wheel, where there is a C compiler; without, it only warns."""

from __future__ import annotations

import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MISSING = (
    "the native echo path was not built ({reason}): echo runs take more CPU without it; it needs Linux, a C compiler "
    "and Python.h (Debian: apt-get install gcc python3-dev), then install wsbench again"
)


class NativeHook(BuildHookInterface[Any]):
    """Adds the extension module to a wheel, and to an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Compile; without success, the wheel is pure."""
        try:
            if sys.platform != "linux":
                raise OSError(f"no Linux: {sys.platform}")
            build = runpy.run_path(str(Path(self.root) / "build_native.py"))["build_native"]
            built = build(Path(self.root))
        except Exception as error:  # of setuptools, the compiler or the linker: none may stop an installation
            self.app.display_warning("wsbench: " + MISSING.format(reason=error))
            return
        build_data["artifacts"].append(str(built.relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
