# SPDX-License-Identifier: GPL-2.0-or-later
"""The service as its systemd unit restricts it: whatever it does for machines it can still do."""

import os
import signal
import socket
import subprocess

import pytest

from caller import BusError, wait_until
from guest_network import host_state, ping, set_policy, strings, tcp
from real_world import RUNTIME, STATE, RealWorld
from small_internet import HOST4, NAMED4, OTHER4, OUTSIDE4, SmallInternet

UNIT = os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "data/vmsand.service")
AS_UNIT = os.path.join(os.path.dirname(__file__), "as-unit")


@pytest.fixture(scope="module")
def world():
    world = RealWorld([AS_UNIT, UNIT, "--writable", STATE, RUNTIME, "--"])
    world.start()
    world.add_kernel()
    world.add_busybox()
    yield world
    world.remove_all()
    world.close()
    world.assert_nothing_left()


@pytest.fixture(scope="module")
def internet(world):
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture(scope="module")
def machine(world, internet):
    before = host_state()
    path = world.create(name="confined", published_ports=strings("8080:80"))
    yield path
    world.call(path, "Remove", force=True)
    assert host_state() == before


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t") for line in file if ":\t" in line)


def test_the_service_is_restricted(world):
    """Or nothing here would prove anything."""
    found = status(world.process.pid)
    with open(UNIT) as file:
        named, = [line for line in file if line.startswith("CapabilityBoundingSet=")]
    assert bin(int(found["CapBnd"], 16)).count("1") == len(named.split())
    assert found["CapBnd"] == found["CapPrm"]
    assert (found["NoNewPrivs"], found["Seccomp"], found["Seccomp_filters"]) == ("1", "2", "2")
    with open(f"/proc/{world.process.pid}/mountinfo") as file:
        root, = [line.split() for line in file if line.split()[4] == "/"]
    assert "ro" in root[5].split(",")


def test_machines_run_and_reach_what_they_may(world, machine):
    assert world.run(machine, "echo", "hello")[2] == "hello\n"
    assert tcp(world, machine, OUTSIDE4) == HOST4
    assert ping(world, machine, OUTSIDE4)
    set_policy(world, machine, network_policy="deny-all")
    assert tcp(world, machine, OUTSIDE4) == ""
    set_policy(world, machine, allowed_cidrs=strings(f"{OTHER4}/32"), bandwidth_mbit=100)
    assert tcp(world, machine, OTHER4) == HOST4
    assert tcp(world, machine, OUTSIDE4) == ""


def test_listed_names_have_their_resolver(world, machine):
    set_policy(world, machine, allowed_domains=strings("ok.example"))
    assert NAMED4 in world.run(machine, "nslookup", "ok.example")[2]
    assert tcp(world, machine, NAMED4) == HOST4
    assert NAMED4 not in world.run(machine, "nslookup", "evil.test")[2]


def test_ports_are_published_and_those_of_programs_seen(world, machine):
    server = world.start_exec(machine, "httpd", "-f", "-p", "80", "-h", "/bin")

    def answers():
        try:
            with socket.create_connection(("127.0.0.1", 8080), 2) as connection:
                connection.sendall(b"GET /none HTTP/1.0\r\n\r\n")
                return connection.recv(4) == b"HTTP"
        except OSError:
            return False

    wait_until(answers, 20, "the published port")
    server.stream.close()
    with socket.create_server(("127.0.0.1", 8081)), pytest.raises(BusError) as caught:
        set_policy(world, machine, published_ports=strings("8081:80"))
    assert caught.value.name == "org.vmsan.Error.Exists"


def test_machines_outlive_the_service_and_start_again(world, machine):
    set_policy(world, machine, network_policy="allow-all")
    world.end(signal.SIGTERM)
    world.start()
    assert tcp(world, machine, OUTSIDE4) == HOST4
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    wait_until(lambda: tcp(world, machine, OUTSIDE4) == HOST4, 20, "the rules")
    world.call(machine, "Stop", force=True)
    world.call(machine, "Start")
    assert tcp(world, machine, OUTSIDE4) == HOST4


def test_machines_of_firecracker_start(world, internet):
    world.copy_firecracker()
    world.end(signal.SIGTERM)
    world.start(world.firecracker_config)
    path = world.create(driver="firecracker")
    assert world.run(path, "echo", "hello")[2] == "hello\n"
    world.call(path, "Stop")
    world.call(path, "Start")
    world.end(signal.SIGTERM)
    world.start(world.firecracker_config)
    assert world.run(path, "echo", "hello")[2] == "hello\n"
    world.call(path, "Remove", force=True)
    world.end(signal.SIGTERM)
    world.start()


def test_images_are_made_of_archives(world):
    tree = world.busybox_tree("archived")
    archive = f"{tree}.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    world.add_image(archive, "archived")
    machine = world.create(name="archived", image="archived", network="none")
    assert world.run(machine, "echo", "hello")[2] == "hello\n"
    world.call(machine, "Remove", force=True)
