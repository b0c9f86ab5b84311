# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot be is refused by its own error, before anything is made or changed."""

import os
import signal
import time

import pytest

from caller import BusError, GLib, options
from guest_network import host_state, set_policy, strings, tcp
from real_world import RUNTIME, STATE
from small_internet import HOST4, OUTSIDE4, SmallInternet

WITHOUT_NFTABLES = os.path.join(os.path.dirname(__file__), "without-nftables")

# Options, and what the message must have: the value and the rule.
BAD = [
    ({"allowed_cidrs": strings("203.0.113.1/24")}, "203.0.113.1/24", "bits set"),
    ({"denied_cidrs": strings("2001:db8::1/64")}, "2001:db8::1/64", "bits set"),
    ({"denied_cidrs": strings("300.1.2.3")}, "300.1.2.3", "no IP address"),
    ({"allowed_cidrs": strings("10.0.0.0/33")}, "10.0.0.0/33", "0 to 32"),
    ({"allowed_cidrs": strings("2001:db8::/129")}, "2001:db8::/129", "0 to 128"),
    ({"allowed_cidrs": strings("10.0.0.0/-1")}, "10.0.0.0/-1", "0 to 32"),
    ({"allowed_cidrs": strings("10.0.0.0/")}, "10.0.0.0/", "0 to 32"),
    ({"allowed_cidrs": strings("::ffff:10.0.0.1")}, "::ffff:10.0.0.1", "mapped"),
    ({"allowed_cidrs": strings("example.com")}, "example.com", "no IP address"),
    ({"allowed_cidrs": strings("198.18.0.0/16")}, "198.18.0.0/16", "overlaps the pool"),
    ({"allowed_cidrs": strings("198.0.0.0/8")}, "198.0.0.0/8", "overlaps the pool"),
    ({"denied_cidrs": strings("198.18.0.1")}, "198.18.0.1", "overlaps the pool"),
    ({"allowed_cidrs": strings("192.0.0.2")}, "192.0.0.2", "link inside"),
    ({"allowed_cidrs": strings(*[f"10.{n // 256}.{n % 256}.0/24" for n in range(1025)])},
     "allowed-cidrs", "1024"),
    ({"allowed_domains": strings("exa mple.com")}, "exa mple.com", "no domain"),
    ({"allowed_domains": strings("a..b")}, "a..b", "labels"),
    ({"allowed_domains": strings("*")}, "*", "every name"),
    ({"allowed_domains": strings("a.*.b")}, "a.*.b", "pattern"),
    ({"allowed_domains": strings("*a.b")}, "*a.b", "pattern"),
    ({"allowed_domains": strings("10.0.0.1")}, "10.0.0.1", "looks like an address"),
    ({"allowed_domains": strings("exämple.de")}, "exämple.de", "xn--"),
    ({"published_ports": strings("0:80")}, "0:80", "1 to 65535"),
    ({"published_ports": strings("8080:65536")}, "8080:65536", "1 to 65535"),
    ({"published_ports": strings("1023:80")}, "1023:80", "only root"),
    ({"published_ports": strings("[::1]:8080:80")}, "[::1]:8080:80", "127.0.0.1"),
    ({"published_ports": strings("198.18.0.1:8080:80")}, "198.18.0.1:8080:80", "pool"),
    ({"published_ports": strings("8080:80", "8080:81")}, "8080:81", "same host port"),
    ({"published_ports": strings("8080:80", "0.0.0.0:8080:80")}, "0.0.0.0:8080:80",
     "same host port"),
    ({"bandwidth_mbit": GLib.Variant("u", 1000001)}, "bandwidth-mbit", "1000000"),
    ({"network_policy": "perhaps"}, "perhaps", "allow-all, deny-all, custom"),
    ({"network_policy": "deny-all", "allowed_cidrs": strings("10.0.0.0/8")}, "deny-all", "custom"),
]
BAD_AT_CREATION = [
    ({"network": "bridge"}, "bridge", "nat, none"),
    ({"network": "none", "published_ports": strings("8080:80")}, "published-ports", "none"),
    ({"network": "none", "allowed_domains": strings("a.b")}, "allowed-domains", "none"),
]


@pytest.fixture(scope="module")
def internet(world):
    world.root.listen()
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture(scope="module")
def machine(world, internet):
    return world.create(name="steady", network_policy="deny-all")


def everything(world):
    """What a creation could have left."""
    return (host_state(), sorted(os.listdir(RUNTIME)), sorted(os.listdir(f"{STATE}/vms")),
            world.root.manager("ListVMs", GLib.Variant("(a{sv})", ({},))))


def settled(world):
    """Everything, once it stays as it is."""
    deadline = time.monotonic() + 30
    before = everything(world)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = everything(world)
        if now == before:
            return now
        before = now
    raise AssertionError("The service does not come to rest")


def assert_told(world, since, name, *about):
    """What is missing is told to all by signals, and nothing else is: about are (id, phase)."""
    assert [(signal_name, args[1:5]) for signal_name, _, args in world.root.signals[since:]] == [
        ("Error", (vm_id, 4001, phase, f"org.vmsan.Error.{name}")) for vm_id, phase in about]


def assert_refused(name, call, *words):
    with pytest.raises(BusError) as caught:
        call()
    assert caught.value.name == f"org.vmsan.Error.{name}", caught.value
    for word in words:
        assert word in caught.value.message
    return caught.value.message


def number(value):
    return f"{next(iter(value[0]))}-{value[1][:24]}"


@pytest.mark.parametrize("values, value, rule", BAD + BAD_AT_CREATION,
                         ids=map(number, BAD + BAD_AT_CREATION))
def test_bad_options_make_no_machine(world, machine, values, value, rule):
    before, since = everything(world), len(world.root.signals)
    for start in (True, False):
        assert_refused("InvalidArgument", lambda: world.create(start=start, **values), value, rule)
    assert everything(world) == before
    assert world.root.signals[since:] == []


@pytest.mark.parametrize("values, value, rule", BAD, ids=map(number, BAD))
def test_bad_options_change_no_policy(world, machine, values, value, rule):
    before, since = (everything(world), world.details(machine)), len(world.root.signals)
    assert_refused("InvalidArgument", lambda: set_policy(world, machine, **values), value, rule)
    assert (everything(world), world.details(machine)) == before
    assert world.root.signals[since:] == []


@pytest.fixture
def restarted(world):
    """The service with other settings; as it was, afterwards."""
    def restart(more="", prefix=()):
        world.end(signal.SIGTERM)
        world.prefix = list(prefix)
        world.start(more)

    yield restart
    restart()


def test_names_without_dnsmasq_are_unavailable(world, machine, restarted):
    restarted("Dnsmasq=/nowhere/dnsmasq\n")
    before, since = (everything(world), world.details(machine)), len(world.root.signals)
    for start in (True, False):
        assert_refused("Unavailable", lambda: world.create(
            start=start, allowed_domains=strings("ok.example")), "/nowhere/dnsmasq", "install")
    assert_refused("Unavailable",
                   lambda: set_policy(world, machine, allowed_domains=strings("ok.example")),
                   "/nowhere/dnsmasq")
    assert (everything(world), world.details(machine)) == before
    assert_told(world, since, "Unavailable", ("", "create"), ("", "create"),
                (os.path.basename(machine), "set-network-policy"))
    set_policy(world, machine, network_policy="allow-all")
    assert tcp(world, machine, OUTSIDE4) == HOST4
    set_policy(world, machine, network_policy="deny-all")


def test_names_without_a_name_server_are_unavailable(world, machine, restarted):
    with open("/etc/resolv.conf") as file:  # of this run's own /etc
        kept = file.read()
    try:
        with open("/etc/resolv.conf", "w") as file:
            file.write("nameserver 127.0.0.1\n")
        restarted("Resolver=\n")
        before = settled(world)  # the policy of the machine is made anew without the server
        since = len(world.root.signals)
        assert_refused("Unavailable",
                       lambda: world.create(allowed_domains=strings("ok.example")), "Resolver")
        assert_refused("Unavailable",
                       lambda: set_policy(world, machine, allowed_domains=strings("ok.example")),
                       "Resolver")
        assert everything(world) == before
        assert_told(world, since, "Unavailable", ("", "create"),
                    (os.path.basename(machine), "set-network-policy"))
    finally:
        with open("/etc/resolv.conf", "w") as file:
            file.write(kept)


def test_networks_without_nftables_are_unavailable(world, internet, restarted):
    world.remove_all()
    restarted(prefix=[WITHOUT_NFTABLES])
    before, since = everything(world), len(world.root.signals)
    for start in (True, False):
        assert_refused("Unavailable", lambda: world.create(start=start), "nftables", "“none”")
    assert everything(world) == before
    assert_told(world, since, "Unavailable", ("", "create"), ("", "create"))
    offline = world.create(network="none")
    assert world.run(offline, "echo", "hello")[2] == "hello\n"
    world.call(offline, "Remove", force=True)


def test_an_exhausted_pool_is_a_limit(world, internet, restarted):
    world.remove_all()
    restarted("IPv4Pool=198.18.0.0/28\n")  # of four machines
    for n in range(3):
        last = world.create(name=f"number{n}", start=False)
    values = options(image="busybox", disk_mib=64, start=False)
    pending = [world.alice.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                                 GLib.Variant("(a{sv})", (values,))) for _ in range(3)]
    errors = []
    for call in pending:
        try:
            last = call.result()[0]
        except BusError as error:
            errors.append(error.name)
    assert errors == ["org.vmsan.Error.LimitExceeded"] * 2
    before, since = everything(world), len(world.root.signals)
    assert_refused("LimitExceeded", world.create, "All 4 addresses", "IPv4Pool", "“none”")
    assert everything(world) == before
    assert_told(world, since, "LimitExceeded", ("", "create"))
    world.call(last, "Start")
    assert tcp(world, last, OUTSIDE4) == HOST4
    offline = world.create(network="none", start=False)
    world.call(last, "Remove", force=True)
    last = world.create()
    assert tcp(world, last, OUTSIDE4) == HOST4
    for path in (last, offline):
        world.call(path, "Remove", force=True)
    world.remove_all()
