"""A name with several addresses, in a namespace with its own network and its own /etc/hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import runs
from helpers.process import scaled

pytestmark = [pytest.mark.needs("netns"), pytest.mark.timeout(scaled(120))]

DEAD = "fd00:9::2"
"""A neighbour that has a hardware address, but does not exist."""
SCRIPT = f"""
set -e
ip link set lo up
ip link add here type veth peer name there
ip link set here up
ip link set there up
ip -6 addr add fd00:9::1/64 dev here nodad
ip -6 neigh add {DEAD} lladdr 02:00:00:00:00:99 dev here
mount --bind hosts /etc/hosts
"$0" -m wsbench serve --host 0.0.0.0 --port 8765 & server=$!
trap 'kill $server' EXIT
until "$0" -c 'import socket; socket.create_connection(("127.0.0.2", 8765))' 2> refused; do sleep 0.1; done
"$0" -m wsbench probe ws://name.test:8765/echo
"$0" -m wsbench run ws://name.test:8765/echo -d 1s --warmup 0s "$@"
"""


def connections_of_a_run(directory: Path, addresses: tuple[str, ...], *options: str) -> tuple[dict[str, Any], str]:
    """Return `connections` of a run against a name with these addresses, and the output of probe and run."""
    names = [f"{address} name.test\n" for address in addresses]
    (directory / "hosts").write_text("".join(["127.0.0.1 localhost\n", *names]))
    command = ["unshare", "--net", "--mount", "sh", "-c", SCRIPT, sys.executable, *options]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    connections: dict[str, Any] = runs.read(runs.only(directory / "results"))["connections"]
    return connections, done.stdout


@pytest.mark.parametrize(
    ("use", "used"),
    [
        ("first", {"127.0.0.1"}),
        ("all", {"127.0.0.1", "127.0.0.2"}),
    ],
)
def test_a_dead_address_stops_no_connection(tmp_path: Path, use: str, used: set[str]) -> None:
    options = ("-u", "6", "--addresses", use, "--timeout", "5s")
    connections, stdout = connections_of_a_run(tmp_path, (DEAD, "127.0.0.1", "127.0.0.2"), *options)
    assert (connections["opened"], connections["attempts_failed"], sum(connections["peers"].values())) == (6, 0, 6)
    assert set(connections["peers"]) == {DEAD, "127.0.0.1", "127.0.0.2"}
    assert {address for address, count in connections["peers"].items() if count} == used
    assert "\naddresses    " in stdout
    assert f" not {DEAD}: no answer within 0.25 s\n" in stdout, "the probe shows it"


def test_workers_begin_with_different_addresses(tmp_path: Path) -> None:
    addresses = ("127.0.0.1", "127.0.0.2")
    connections, _ = connections_of_a_run(tmp_path, addresses, "-u", "2", "--processes", "2", "--addresses", "all")
    assert connections["peers"] == dict.fromkeys(addresses, 1)
