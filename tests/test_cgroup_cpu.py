"""CPU quotas, from files as Linux writes them: both versions, both at once, nested, in containers, and none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from wsbench.cgroup_cpu import CpuQuota, ThrottleWatch, Throttling, cpu_quotas

MS = 1_000_000
V1_STAT = "nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time {ns}\nnr_bursts 0\nburst_time 0\n"
V2_STAT = (
    "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {us}\n"
)


@dataclass
class Machine:
    """A directory with the files of a process and of its cgroups."""

    root: Path

    def process(self, cgroup: str, *mounts: str) -> Path:
        """Write the process's own files; return their directory. `{}` in a mount stands for the machine's root."""
        (self.root / "cgroup").write_text(cgroup)
        lines = ["23 0 0:21 / / rw,relatime - ext4 /dev/root rw", *(mount.format(self.root) for mount in mounts)]
        (self.root / "mountinfo").write_text("\n".join(lines) + "\n")
        return self.root

    def v1(self, where: str, quota_us: int, period_us: int = 100_000) -> Path:
        files = {"cpu.cfs_quota_us": f"{quota_us}\n", "cpu.cfs_period_us": f"{period_us}\n"}
        return self._cgroup(where, {**files, "cpu.stat": V1_STAT.format(periods=10, throttled=4, ns=200 * MS)})

    def v2(self, where: str, cpu_max: str) -> Path:
        stat = V2_STAT.format(periods=10, throttled=4, us=200_000)
        return self._cgroup(where, {"cpu.max": f"{cpu_max}\n", "cpu.stat": stat})

    def _cgroup(self, where: str, files: Mapping[str, str]) -> Path:
        directory = self.root / where
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)
        return directory


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


V2_MOUNT = "31 23 0:28 / {}/fs rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "32 23 0:29 / {}/cpu,cpuacct rw,nosuid shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct"
V1_LINES = "12:pids:/job\n4:cpuacct,cpu:/job\n1:name=systemd:/job\n"


def cores(process: Path) -> list[float]:
    return [quota.cores for quota in cpu_quotas(process)]


def test_version_2(machine: Machine) -> None:
    machine.v2("fs/job", "50000 100000")
    process = machine.process("0::/job\n", V2_MOUNT)
    (quota,) = cpu_quotas(process)
    assert quota.throttling() == Throttling(0.5, quota.cgroup, 10, 4, 200 * MS)


def test_version_1(machine: Machine) -> None:
    machine.v1("cpu,cpuacct/job", 150_000)
    machine.v1("cpu,cpuacct", -1)
    process = machine.process(V1_LINES, "30 23 0:27 / {}/pids rw - cgroup cgroup rw,pids", V1_MOUNT)
    (quota,) = cpu_quotas(process)
    assert quota.throttling() == Throttling(1.5, quota.cgroup, 10, 4, 200 * MS)


def test_with_both_versions_mounted_the_one_with_the_cpu_controller_counts(machine: Machine) -> None:
    hybrid = "33 23 0:30 / {}/unified rw - cgroup2 cgroup2 rw"
    machine.v1("cpu,cpuacct/job", 50_000)
    machine.v2("unified/job", "70000 100000")
    assert cores(machine.process(f"{V1_LINES}0::/job\n", hybrid, V1_MOUNT)) == [0.5]
    assert cores(machine.process("12:pids:/job\n0::/job\n", hybrid, V1_MOUNT)) == [0.7]


def test_the_cgroups_above_have_quotas_too(machine: Machine) -> None:
    machine.v2("fs/kube.slice/pod/box", "max 100000")
    machine.v2("fs/kube.slice/pod", "25000 50000")
    machine.v2("fs/kube.slice", "400000 100000")
    machine.v2("fs/kube.slice/pod/box/other", "1000 100000")
    assert cores(machine.process("0::/kube.slice/pod/box\n", V2_MOUNT)) == [0.5, 4.0]


@pytest.mark.parametrize(
    ("cgroup", "mount_root"),
    [
        ("/", "/"),  # a namespace of its own
        ("/docker/4f0", "/docker/4f0"),  # the host's namespace, with the own cgroup mounted
        ("/docker/4f0", "/"),  # the host's path, of which the mount shows nothing
        ("/../../other", "/"),
        ("/..", "/"),
        ("/", "/.."),
        ("/docker/4f0", "/docker/9c1"),
        ("/docker/4f0 (deleted)", "/"),
    ],
)
def test_a_container_that_does_not_see_its_path_is_at_the_root_of_the_mount(
    cgroup: str, mount_root: str, machine: Machine
) -> None:
    machine.v2("elsewhere/fs", "50000 100000")
    machine.v2("elsewhere", "10000 100000")  # outside of the mount
    mount = V2_MOUNT.replace(" / ", f" {mount_root} ").replace("/fs", "/elsewhere/fs")
    assert cores(machine.process(f"0::{cgroup}\n", mount)) == [0.5]


def test_a_cgroup_has_one_id_in_all_its_containers(machine: Machine) -> None:
    pod, box = machine.v2("fs/pod", "400000 100000"), machine.v2("fs/pod/box", "50000 100000")
    machine.v2("fs/pod/other", "50000 100000")
    known = {quota.directory: quota.cgroup for quota in cpu_quotas(machine.process("0::/pod/box\n", V2_MOUNT))}
    assert known.keys() == {pod, box} and known[pod] != known[box]
    inside = cpu_quotas(machine.process("0::/\n", V2_MOUNT.replace("/fs", "/fs/pod/box")))
    beside = cpu_quotas(machine.process("0::/pod/other\n", V2_MOUNT))
    assert [quota.cgroup for quota in inside] == [known[box]]
    assert [quota.cgroup for quota in beside][1:] == [known[pod]] and beside[0].cgroup not in known.values()


def test_a_cgroup_below_that_of_the_mount(machine: Machine) -> None:
    machine.v1("cpu,cpuacct", 200_000)
    machine.v1("cpu,cpuacct/inner", 50_000)
    process = machine.process("4:cpu,cpuacct:/docker/4f0/inner\n", V1_MOUNT.replace(" / ", " /docker/4f0 "))
    assert cores(process) == [0.5, 2.0]


def test_of_several_mounts_the_one_that_shows_the_cgroup_counts(machine: Machine) -> None:
    machine.v2("fs/job", "50000 100000")
    machine.v2("other", "90000 100000")
    other = V2_MOUNT.replace(" / ", " /other ").replace("/fs", "/other")
    assert cores(machine.process("0::/job\n", other, V2_MOUNT)) == [0.5]


def test_a_mount_point_with_a_space(machine: Machine) -> None:
    machine.v2("my fs/a:b\\c", "50000 100000")
    assert cores(machine.process("0::/a:b\\c\n", V2_MOUNT.replace("/fs", "/my\\040fs"))) == [0.5]


@pytest.mark.parametrize(
    ("cgroup", "mounts"),
    [
        ("0::/job\n", [V2_MOUNT]),  # no quota
        ("0::/job\n", []),
        ("0::/job\n", [V1_MOUNT]),
        ("12:pids:/job\n", [V2_MOUNT]),  # version 1 without a CPU controller
        (V1_LINES, [V2_MOUNT]),  # with one that is not mounted
        ("", [V2_MOUNT]),
        ("nonsense\n", ["nonsense"]),
    ],
)
def test_without_a_quota_there_is_none(cgroup: str, mounts: list[str], machine: Machine) -> None:
    machine.v2("fs/job", "max 100000")
    machine._cgroup("fs", {"cpu.stat": "usage_usec 9\n"})
    assert cpu_quotas(machine.process(cgroup, *mounts)) == []


@pytest.mark.parametrize("text", ["", "max", "a b", "50000 100000 1", "50000 0x", "50000 0"])
def test_a_quota_that_cannot_be_read_is_none(text: str, machine: Machine) -> None:
    machine.v2("fs/job", text)
    assert cpu_quotas(machine.process("0::/job\n", V2_MOUNT)) == []


def test_a_system_without_proc_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quotas(tmp_path / "missing") == []


# -- what a quota does in a time ---------------------------------------------------------------------------------------


def throttled(directory: Path, periods: int, throttled: int, us: int) -> None:
    (directory / "cpu.stat").write_text(V2_STAT.format(periods=periods, throttled=throttled, us=us))


def test_what_happened_before_does_not_count(machine: Machine) -> None:
    box = machine.v2("box", "")
    watch = ThrottleWatch([CpuQuota(0.5, box)])
    assert watch.worst() == Throttling(0.5)
    throttled(box, 30, 14, 900_000)
    watch.reset()
    throttled(box, 50, 24, 1_000_000)
    assert watch.worst() == Throttling(0.5, "", 20, 10, 100 * MS)
    throttled(box, 60, 24, 1_000_000)
    assert watch.worst() == Throttling(0.5, "", 30, 10, 100 * MS)


def test_the_quota_that_stopped_longest_counts_or_else_the_strictest(machine: Machine) -> None:
    pod, box = machine.v2("pod", ""), machine.v2("pod/box", "")
    watch = ThrottleWatch([CpuQuota(0.5, box), CpuQuota(2.0, pod)])
    assert watch.worst() == Throttling(0.5)
    throttled(pod, 20, 9, 300_000)
    throttled(box, 20, 10, 250_000)
    assert watch.worst() == Throttling(2.0, "", 10, 5, 100 * MS)
    assert ThrottleWatch([]).worst() is None


def test_counters_that_cannot_be_read_are_those_of_the_last_time(machine: Machine) -> None:
    box = machine.v2("box", "")
    watch = ThrottleWatch([CpuQuota(0.5, box)])
    throttled(box, 50, 24, 1_000_000)
    known = watch.worst()
    (box / "cpu.stat").write_text("nonsense\n")
    assert watch.worst() == known
    (box / "cpu.stat").unlink()
    assert watch.worst() == known
