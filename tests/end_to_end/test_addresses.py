"""A name with several addresses, in a namespace with its own network and its own /etc/hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
"$0" -m wsbench run ws://name.test:8765/echo -u 6 -d 1s --warmup 0s "$@"
"""


@pytest.mark.parametrize(
    ("use", "used"),
    [
        ("first", {"127.0.0.1"}),
        ("all", {"127.0.0.1", "127.0.0.2"}),
    ],
)
def test_a_dead_address_stops_no_connection(tmp_path: Path, use: str, used: set[str]) -> None:
    names = [f"{address} name.test\n" for address in (DEAD, "127.0.0.1", "127.0.0.2")]
    (tmp_path / "hosts").write_text("".join(["127.0.0.1 localhost\n", *names]))
    command = ["unshare", "--net", "--mount", "sh", "-c", SCRIPT, sys.executable, "--addresses", use, "--timeout", "5s"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = runs.read(runs.only(tmp_path / "results"))
    connections = run["connections"]
    assert (connections["opened"], connections["attempts_failed"], sum(connections["peers"].values())) == (6, 0, 6)
    assert set(connections["peers"]) == {DEAD, "127.0.0.1", "127.0.0.2"}
    assert {address for address, count in connections["peers"].items() if count} == used
    assert "\naddresses    " in done.stdout
    assert f" not {DEAD}: no answer within 0.25 s\n" in done.stdout, "the probe shows it"
