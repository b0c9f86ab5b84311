# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of real guests under QEMU: packets between a guest and a namespace with its tap."""

import os
import socket

import pytest

import agent_client as protocol
from agent_client import ADDRESS, GATEWAY, RESOLVER, configure_payload, fields
from agent_guest import NET_MODULES, Guest, busybox_tree, make_ext4
from net_world import ADVERTISED, FAMILIES, FAR, GATEWAYS, GUESTS, Network

AGENT = os.environ["VMSAN_AGENT"]

NETWORK = [(ADDRESS, "192.0.0.2/29"), (GATEWAY, "192.0.0.1"),
           (ADDRESS, "fd76:6d73:616e::2/64"), (GATEWAY, "fd76:6d73:616e::1"),
           (RESOLVER, "192.0.0.1"), (RESOLVER, "fd76:6d73:616e::1")]
RESOLV_CONF = (b"# Written by vmsan at each start.\n"
               b"nameserver 192.0.0.1\nnameserver fd76:6d73:616e::1\n")
STUB = "../run/systemd/resolve/stub-resolv.conf"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """With an init, for whom wants one, and the resolv.conf that systemd-resolved wants."""
    directory = tmp_path_factory.mktemp("image")
    tree = directory / "tree"
    busybox_tree(str(tree))
    (tree / "sbin").mkdir()
    os.symlink("../bin/busybox", tree / "sbin/init")
    (tree / "etc/inittab").write_text("::sysinit:/bin/touch /run/started\n")
    os.symlink(STUB, tree / "etc/resolv.conf")
    make_ext4(str(directory / "image"), 32, str(tree))
    return str(directory / "image")


@pytest.fixture
def network():
    with Network() as network:
        yield network


def addresses(guest):
    """Of the Ethernet device, link-local ones left out."""
    output = guest.run(["ip", "-o", "addr", "show", "dev", "eth0"]).stdout.decode()
    words = [line.split() for line in output.splitlines()]
    return sorted(word[3] for word in words
                  if word[2] in ("inet", "inet6") and not word[3].startswith("fe80:"))


def assert_reaches(guest, network, family):
    result = guest.run(["ping", "-c", "1", "-W", "20", GATEWAYS[family]], timeout_ms=30000)
    assert result.code == 0, result.stdout + result.stderr
    for address in (GATEWAYS[family], FAR[family]):
        with network.listen(family, address) as listener:
            session = guest.open_session()
            session.start(["nc", address, str(listener.getsockname()[1])])
            connection, peer = listener.accept()
            with connection:
                assert peer[0] == GUESTS[family]
                connection.settimeout(20)
                connection.sendall(b"from outside\n")
                assert session.write(b"from inside\n")
                assert connection.recv(100) == b"from inside\n"
            session.finish()
            assert session.result.stdout == b"from outside\n"
            session.stream.close()
            guest.await_free(1)
    assert network.is_refused(family, GUESTS[family], 9)


@pytest.mark.parametrize("init", ["none", "auto"])
def test_a_guest_and_its_network_reach_each_other(image, network, init):
    with Guest(AGENT, image, modules=NET_MODULES, tap=network.tap) as guest:
        type_, payload = guest.boot(init=init, network=NETWORK)
        assert type_ == protocol.READY, payload
        if init == "auto":
            assert dict(fields(payload))[protocol.INIT] == b"/sbin/init"
            assert guest.run(["sh", "-c", "until test -e /run/started; do sleep 0.1; done"],
                             timeout_ms=10000).code == 0
        for family in FAMILIES:
            assert_reaches(guest, network, family)
        assert addresses(guest) == ["192.0.0.2/29", "fd76:6d73:616e::2/64"]
        assert guest.run(["cat", "/etc/resolv.conf"]).stdout == RESOLV_CONF
        assert guest.run(["test", "-L", "/etc/resolv.conf"]).code == 1
        assert guest.run(["ls", "/run/systemd"]).code != 0
        assert guest.shut_down() == 0


def test_routers_are_not_listened_to(image, network):
    with Guest(AGENT, image, modules=NET_MODULES, tap=network.tap) as guest:
        assert guest.boot(network=NETWORK)[0] == protocol.READY
        network.advertise_router()
        # It answers in the order of what it gets.
        assert network.is_refused(socket.AF_INET6, GUESTS[socket.AF_INET6], 9)
        assert addresses(guest) == ["192.0.0.2/29", "fd76:6d73:616e::2/64"]
        routes = guest.run(["ip", "-6", "route"]).stdout.decode()
        assert routes.count("default") == 1 and ADVERTISED not in routes
        assert guest.shut_down() == 0


def test_asking_again_changes_the_clock_only(image, network):
    with Guest(AGENT, image, modules=NET_MODULES, tap=network.tap) as guest:
        assert guest.boot(network=NETWORK[:2])[0] == protocol.READY
        assert guest.run(["ip", "addr", "add", "192.0.0.3/29", "dev", "eth0"]).code == 0
        guest.control.send_frame(protocol.CONFIGURE, configure_payload(
            realtime_ns=1_900_000_000 * 10**9,
            network=[(ADDRESS, "192.0.0.4/29"), (RESOLVER, "192.0.0.1")]))
        guest.control.expect(protocol.READY)
        assert abs(int(guest.run(["date", "+%s"]).stdout) - 1_900_000_000) < 60
        assert addresses(guest) == ["192.0.0.2/29", "192.0.0.3/29"]
        # No resolver was asked for at the start, so that is the image's still.
        assert guest.run(["readlink", "/etc/resolv.conf"]).stdout.decode() == STUB + "\n"
        assert guest.shut_down() == 0


def test_without_an_address_only_the_loopback_is_up(image, network):
    with Guest(AGENT, image, modules=NET_MODULES, tap=network.tap) as guest:
        assert guest.boot()[0] == protocol.READY
        up = guest.run(["sh", "-c", "cd /sys/class/net; for i in *; do "
                        "echo $i $(($(cat $i/flags) & 1)); done"]).stdout.decode()
        assert sorted(up.splitlines()) == ["eth0 0", "lo 1"]
        assert guest.run(["ping", "-c", "1", "::1"]).code == 0
        assert guest.run(["ping", "-c", "1", "127.0.0.1"]).code == 0
        assert addresses(guest) == []
        assert guest.run(["ip", "route"]).stdout == b""
        assert guest.run(["readlink", "/etc/resolv.conf"]).stdout.decode() == STUB + "\n"
        assert guest.shut_down() == 0


def test_an_address_without_a_device_is_a_failure(image):
    with Guest(AGENT, image, modules=NET_MODULES) as guest:
        type_, payload = guest.boot(network=NETWORK)
        assert type_ == protocol.FAILED
        assert b"no network device appeared within 10 seconds" in payload
        assert guest.process.wait(30) == 0


@pytest.mark.parametrize("network_fields, words", [
    ([(ADDRESS, "192.0.0.2/33")], "“192.0.0.2/33” is not of the form"),
    ([(ADDRESS, "192.0.0.2/29"), (GATEWAY, "10.0.0.1")], "the gateway 10.0.0.1 is not a host of"),
])
def test_an_address_that_cannot_be_is_a_failure(image, network_fields, words):
    with Guest(AGENT, image, modules=NET_MODULES) as guest:
        type_, payload = guest.boot(network=network_fields)
        assert type_ == protocol.FAILED and words in payload.decode()
        assert guest.process.wait(30) == 0
