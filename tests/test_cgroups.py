"""The memory that cgroups allow, from files as Linux writes them; test_cgroup_cpu.py covers how they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsbench import machine
from wsbench.cgroups import memory_limit

V2_MOUNT = "31 23 0:28 / {}/fs rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "32 23 0:29 / {}/fs rw,nosuid - cgroup cgroup rw,memory"
UNLIMITED_V1 = str(2**63 - 4096)


def process_in(root: Path, cgroup: str, mount: str, limits: dict[str, str]) -> Path:
    for where, text in limits.items():
        (root / "fs" / where).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / where).write_text(f"{text}\n")
    (root / "cgroup").write_text(f"{cgroup}\n")
    (root / "mountinfo").write_text(mount.format(root) + "\n")
    return root


@pytest.mark.parametrize(
    ("cgroup", "mount", "limits", "allowed"),
    [
        ("0::/job", V2_MOUNT, {"job/memory.max": "256000000"}, 256_000_000),
        ("0::/job", V2_MOUNT, {"job/memory.max": "max"}, None),
        ("0::/pod/box", V2_MOUNT, {"pod/box/memory.max": "max", "pod/memory.max": "1000"}, 1000),
        ("4:memory:/job", V1_MOUNT, {"job/memory.limit_in_bytes": "500", "memory.limit_in_bytes": UNLIMITED_V1}, 500),
        ("4:cpu:/job\n0::/job", V2_MOUNT, {"job/memory.max": "700"}, 700),  # each controller has its version
        ("nonsense", V2_MOUNT, {"memory.max": "700"}, None),
    ],
)
def test_the_strictest_limit_counts(
    tmp_path: Path, cgroup: str, mount: str, limits: dict[str, str], allowed: int | None
) -> None:
    assert memory_limit(process_in(tmp_path, cgroup, mount, limits)) == allowed


def test_a_limit_above_the_machines_memory_is_none() -> None:
    usable, whose = machine.usable_memory()
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    limit = memory_limit()
    assert usable == (total if limit is None else min(total, limit))
    assert whose == ("this machine has" if usable == total else "this container's cgroup allows")
