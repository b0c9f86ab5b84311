# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's way to the world comes, moves and goes while machines run: real guests follow, and at
the end the host is as it was."""

import os
import signal
import subprocess
import threading
import time

import pytest

from caller import Caller, wait_until
from guest_network import host_state, set_policy, strings, tcp
from plugin import Plugin, veto
from small_internet import (HOST4, NAME_LOG, NAME_SERVER, NAMED4, NAMESPACE, OTHER4, OUTSIDE4, SERVER,
                            UDP_LOG, SmallInternet, ip)

CABLE_HOST4, CABLE4 = "192.0.2.1", "192.0.2.2"


@pytest.fixture(scope="module")
def internet(world):
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture
def cable(internet):
    """Another uplink, by which OTHER4 can be reached as well; no route leads there yet."""
    ip("netns", "add", "cable")
    ip("link", "add", "wan1", "type", "veth", "peer", "name", "eth0", "netns", "cable")
    ip("addr", "add", f"{CABLE_HOST4}/24", "dev", "wan1")
    ip("link", "set", "wan1", "up")
    for command in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"],
                    ["addr", "add", f"{CABLE4}/24", "dev", "eth0"],
                    ["addr", "add", f"{OTHER4}/32", "dev", "lo"]):
        ip("-n", "cable", *command)
    server = internet.serve(["ip", "netns", "exec", "cable"], SERVER, UDP_LOG)
    yield
    server.kill()
    server.wait()
    server.stdout.close()
    ip("route", "replace", "default", "via", OUTSIDE4)
    subprocess.run(["ip", "link", "del", "wan1"])  # a test may have done it
    ip("netns", "del", "cable")


@pytest.fixture
def machine(world, internet):
    path = world.create(name="traveller")
    yield path
    world.call(path, "Remove", force=True)


def forwarding(link):
    with open(f"/proc/sys/net/ipv4/conf/{link}/forwarding") as file:
        return file.read().strip()


def wait_for_way(world, machine, source):
    wait_until(lambda: tcp(world, machine, OTHER4) == source, 30, f"the way by {source}")


def test_a_machine_follows_the_default_route(world, cable, machine):
    assert tcp(world, machine, OTHER4) == HOST4
    assert forwarding("wan1") == "0"
    ip("route", "replace", "default", "via", CABLE4)
    wait_for_way(world, machine, CABLE_HOST4)
    # What came first still is there for when it comes back, and for the machine alone.
    assert (forwarding("wan0"), forwarding("wan1")) == ("1", "1")
    rules = subprocess.run(["nft", "list", "chain", "inet", "vmsan", "forward"],
                           capture_output=True, text=True, check=True).stdout
    assert 'iifname "wan0"' in rules and 'iifname "wan1"' in rules
    ip("route", "replace", "default", "via", OUTSIDE4)
    wait_for_way(world, machine, HOST4)


def test_a_second_way_as_vpns_add_it_is_followed(world, cable, machine):
    ip("route", "add", "128.0.0.0/1", "via", CABLE4)
    try:
        wait_for_way(world, machine, CABLE_HOST4)
    finally:
        ip("route", "del", "128.0.0.0/1")
    wait_for_way(world, machine, HOST4)


def test_an_uplink_that_vanishes_and_comes_back_is_followed(world, cable, machine):
    for _ in range(2):
        ip("route", "replace", "default", "via", CABLE4)
        wait_for_way(world, machine, CABLE_HOST4)
        ip("link", "del", "wan1")  # and its routes with it
        ip("route", "add", "default", "via", OUTSIDE4)
        wait_for_way(world, machine, HOST4)
        ip("link", "add", "wan1", "type", "veth", "peer", "name", "eth0", "netns", "cable")
        ip("addr", "add", f"{CABLE_HOST4}/24", "dev", "wan1")
        ip("link", "set", "wan1", "up")
        ip("-n", "cable", "link", "set", "eth0", "up")
        ip("-n", "cable", "addr", "add", f"{CABLE4}/24", "dev", "eth0")
        assert forwarding("wan1") == "0"


def test_a_machine_made_without_any_uplink_gets_its_way_later(world, internet):
    ip("route", "del", "default")
    before = host_state()
    try:
        machine = world.create(name="early")
        assert tcp(world, machine, OTHER4) == ""
        assert forwarding("wan0") == "0"
        ip("route", "add", "default", "via", OUTSIDE4)
        wait_for_way(world, machine, HOST4)
        world.call(machine, "Remove", force=True)
        assert host_state() == before
    finally:
        ip("route", "replace", "default", "via", OUTSIDE4)


@pytest.mark.parametrize("link_goes", [False, True])
def test_the_host_is_as_it_was_afterwards(world, cable, link_goes):
    """Also when a later run of the service has to do it, and one of the links is gone."""
    before = host_state()
    machine = world.create(name="last")
    ip("route", "replace", "default", "via", CABLE4)
    wait_for_way(world, machine, CABLE_HOST4)
    world.end(signal.SIGKILL)
    ip("route", "replace", "default", "via", OUTSIDE4)
    if link_goes:
        ip("link", "del", "wan1")
    world.start()
    wait_for_way(world, machine, HOST4)
    world.call(machine, "Remove", force=True)
    after = host_state()
    if not link_goes:
        assert after == before
    else:
        links, _, rules, settings = after
        assert (links, rules) == ([link for link in before[0] if link != "wan1"], before[2])
        assert settings == {link: before[3][link] for link in links}


RESOLV_CONF = "/etc/resolv.conf"  # of this run's own /etc
NAMED_ELSEWHERE4 = "5.6.7.8"


@pytest.fixture
def name_servers(world, internet):
    """A second one, of another opinion; and a service that asks the host's."""
    server = internet.serve(["ip", "netns", "exec", NAMESPACE], NAME_SERVER, NAME_LOG, OUTSIDE4,
                            NAMED_ELSEWHERE4)
    with open(RESOLV_CONF) as file:
        kept = file.read()
    use_name_server(OTHER4)
    world.end(signal.SIGTERM)
    world.start("Resolver=\n")
    yield
    with open(RESOLV_CONF, "w") as file:
        file.write(kept)
    world.end(signal.SIGTERM)
    world.start()
    server.kill()
    server.wait()
    server.stdout.close()


def use_name_server(address):
    """As most programs do it: a new file in place of the old one."""
    with open(f"{RESOLV_CONF}.new", "w") as file:
        file.write(f"nameserver {address}\n")
    os.rename(f"{RESOLV_CONF}.new", RESOLV_CONF)


@pytest.mark.parametrize("values", [{"network_policy": "allow-all"},
                                    {"allowed_domains": strings("ok.example")}],
                         ids=["all-names", "listed-names"])
def test_machines_ask_the_name_servers_that_the_host_has_now(world, name_servers, machine, values):
    def resolve():
        return world.run(machine, "nslookup", "ok.example")[2]

    set_policy(world, machine, **values)
    assert NAMED4 in resolve()
    peer = Caller(0, "root")
    try:
        # The policy stays the same, so nobody is asked.
        with Plugin(peer, lambda hook, event: veto("no")) as plugin:
            plugin.register("stubborn", ["BeforeNetworkPolicyChange"])
            use_name_server(OUTSIDE4)
            wait_until(lambda: NAMED_ELSEWHERE4 in resolve(), 30, "the other name server's answer")
            assert plugin.asked == []
    finally:
        peer.close()
    # While nobody looks, too.
    world.end(signal.SIGKILL)
    use_name_server(OTHER4)
    world.start("Resolver=\n")
    wait_until(lambda: NAMED4 in resolve(), 30, "the answer of the first name server")


class NameServerChange(threading.Thread):
    """Changes the name server when the service's log has a certain text."""

    def __init__(self, world, text, address):
        super().__init__()
        self.text, self.address = text.encode(), address
        self.log = open(world.log.name, "rb")
        self.log.seek(0, os.SEEK_END)
        self.happened = False
        self.start()

    def run(self):
        text, deadline = b"", time.monotonic() + 60
        while self.text not in text and time.monotonic() < deadline:
            time.sleep(0.001)
            text += self.log.read()
        self.log.close()
        if self.text in text:
            use_name_server(self.address)
            self.happened = True


def test_a_change_while_machines_are_adopted_is_followed(world, name_servers, machine):
    def resolve():
        return world.run(machine, "nslookup", "ok.example")[2]

    set_policy(world, machine, allowed_domains=strings("ok.example"))
    assert NAMED4 in resolve()
    world.end(signal.SIGKILL)
    use_name_server(OUTSIDE4)
    change = NameServerChange(world, "putting the policy in force again", OTHER4)
    world.start("Resolver=\n")
    change.join()
    assert change.happened
    wait_until(lambda: NAMED4 in resolve(), 30, "the answer of the name server of now")
