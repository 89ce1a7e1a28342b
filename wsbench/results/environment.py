"""The `environment` of a result: the hardware and software of the load generator."""

from __future__ import annotations

import os
import platform
import resource
from importlib import metadata
from pathlib import Path

from wsbench.cgroup_cpu import strictest_quota
from wsbench.machine import host_id
from wsbench.results.run_result import Environment

_PACKAGES = ("wsbench", "locust", "gevent", "websockets", "orjson", "hdrhistogram", "uvloop", "msgspec")


def environment() -> Environment:
    """Return this machine's environment."""
    return Environment(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: version for name in _PACKAGES if (version := _version(name))},
        nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        host_id=host_id(),
        cpu_quota=strictest_quota(),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(models, platform.machine())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
