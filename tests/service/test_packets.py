# SPDX-License-Identifier: GPL-2.0-or-later
"""Every policy, in every direction, by packets of a real guest; judged by what arrives where it must
not as well as by what is answered."""

import subprocess
import time
from typing import NamedTuple

import pytest

from guest_network import BARRIER, GATEWAY4, GATEWAY6, host_members, set_policy, strings
from guest_packets import Capture, Probe, probe_from_guest, probe_from_here, question
from real_world import POOL6
from small_internet import (DOH4, DOH6, HOST4, HOST6, METADATA4, METADATA6, NAME_SERVER4, NAMED4, NAMED6,
                            NAMESPACE, OTHER4, OTHER6, OUTSIDE4, OUTSIDE6, ip)

GUEST4, GUEST6 = "192.0.0.2", "fd76:6d73:616e::2"
WAYS = (("tcp", 80), ("udp", 80), ("icmp", 0), ("tcp", 53), ("udp", 53), ("tcp", 853), ("udp", 853),
        ("tcp", 443), ("udp", 443))
PUBLISHED = 8090  # to the guest's UDP port 80


class Machine:
    """A running guest, and what the host knows of its link."""

    def __init__(self, world, **values):
        before = host_members()
        self.path = world.create(**values)
        self.namespace = "vmsan-" + self.path.rpartition("/")[2]
        new = [member for member in host_members() if member not in before]
        (self.own4, self.link), (self.own6, _) = new


@pytest.fixture(scope="module")
def machine(world, internet):
    machine = Machine(world, name="prober", published_ports=strings(
        f"{HOST4}:{PUBLISHED}:80/udp", f"[{HOST6}]:{PUBLISHED}:80/udp"))
    yield machine
    world.call(machine.path, "Remove", force=True)


@pytest.fixture(scope="module")
def neighbour(world, internet):
    machine = Machine(world, name="neighbour")
    yield machine
    world.call(machine.path, "Remove", force=True)


def host_end(own):
    """The host's address of the link on which a machine has own."""
    return own[:-1] + format(int(own[-1], 16) - 1, "x")


@pytest.fixture(scope="module")
def targets(machine, neighbour):
    """Whom a guest may try to reach: by name, in both families."""
    return {
        "outside": (OUTSIDE4, OUTSIDE6),
        "other": (OTHER4, OTHER6),
        "named": (NAMED4, NAMED6),
        "doh": (DOH4, DOH6),
        "host": (HOST4, HOST6),
        "host's end": (host_end(machine.own4), host_end(machine.own6)),
        "own": (machine.own4, machine.own6),
        "gateway": (GATEWAY4, GATEWAY6),
        "neighbour": (neighbour.own4, neighbour.own6),
        "metadata": (METADATA4, METADATA6),
        "link-local": ("169.254.7.7", "fe80::1%eth0"),
        "multicast": ("224.0.0.251", "ff02::fb%eth0"),
    }


# ---- Every policy ------------------------------------------------------------------------------

class Policy(NamedTuple):
    name: str
    options: dict
    reaches: tuple  # names of targets, with a digit for one family only; no others
    questions: str  # to the gateway: passed on to the host's name server, listed or refused
    only_own_resolver: bool = True
    icmp: bool = True

    def put_in_force(self, world, machine):
        # Begins with empty lists: what is not named would stay.
        set_policy(world, machine.path, network_policy="allow-all", allow_icmp=True)
        set_policy(world, machine.path, **self.options)

    def opens(self, target, protocol, port):
        if target not in self.reaches or (protocol == "icmp" and not self.icmp):
            return False
        return not self.only_own_resolver or not (
            port in (53, 853) or (port == 443 and target == "doh"))


EVERYTHING = ("outside", "other", "named", "doh")
POLICIES = [
    Policy("allow-all", {"network_policy": "allow-all"}, EVERYTHING, "passed", only_own_resolver=False),
    Policy("allow-all without ICMP", {"network_policy": "allow-all", "allow_icmp": False}, EVERYTHING,
           "passed", only_own_resolver=False, icmp=False),
    Policy("deny-all", {"network_policy": "deny-all"}, (), "refused"),
    Policy("allowed CIDRs",
           {"allowed_cidrs": strings("203.0.113.0/24", "2001:db8::/64", "1.1.1.0/24",
                                     "2606:4700:4700::/48")},
           ("outside", "doh"), "refused"),
    Policy("denied CIDRs", {"denied_cidrs": strings("198.51.100.0/28", "2001:db8:1::/123")},
           ("outside", "named", "doh"), "passed"),
    Policy("denied beats allowed",
           {"allowed_cidrs": strings(f"{OTHER4}/32", f"{OTHER6}/128", "203.0.113.0/24", "2001:db8::/64"),
            "denied_cidrs": strings("198.51.100.0/24", "2001:db8:1::/48")},
           ("outside",), "refused"),
    Policy("domains", {"allowed_domains": strings("ok.example")}, ("named",), "listed"),
    Policy("domains and denied CIDRs",
           {"allowed_domains": strings("ok.example"), "denied_cidrs": strings("2600::/16")},
           ("named4",), "listed"),
]


def ask(world, machine, policy):
    """Asks for an allowed name and another, at both addresses of the gateway."""
    names = [("ok.example", 1), ("ok.example", 28), ("evil.test", 1)]
    probes = [Probe("udp", gateway, 53, payload=question(*name))
              for gateway in (GATEWAY4, GATEWAY6) for name in names]
    outcomes = probe_from_guest(world, machine.path, probes)
    kinds = [outcome.kind for outcome in outcomes]
    refused = [outcome.kind == "answered" and outcome.data[3] & 15 == 5 for outcome in outcomes]
    # The host's name server has an IPv4 address only, so nobody is asked at the other gateway.
    expected = {"passed": ["answered"] * 3 + ["refused"] * 3, "refused": ["refused"] * 6,
                "listed": ["answered"] * 6}
    assert kinds == expected[policy.questions]
    assert refused == ([False, False, True] * 2 if policy.questions == "listed" else [False] * 6)


def guest_probes(policy, targets):
    """(probe, whether it is let out) for each target, family, protocol and port."""
    found = []
    for target, addresses in targets.items():
        for number, address in zip("46", addresses):
            for protocol, port in WAYS:
                if target == "gateway" and port == 53:
                    continue  # is asked above
                opens = (policy.opens(target, protocol, port)
                         or policy.opens(target + number, protocol, port))
                found.append(Probe(protocol, address, port, answers=opens))
    return found


def way_of(probe):
    return probe.protocol, probe.address, probe.port


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name.replace(" ", "-"))
def test_only_what_a_policy_allows_leaves_a_guest(world, machine, neighbour, targets, policy):
    policy.put_in_force(world, machine)
    ask(world, machine, policy)
    probes = guest_probes(policy, targets)
    with Capture("eth0", NAMESPACE) as outside, Capture(machine.link, outgoing=True) as answers, \
            Capture(neighbour.link, outgoing=True) as to_neighbour:
        outcomes = probe_from_guest(world, machine.path, [*probes, BARRIER])[:-1]
        arrived = outside.take_ways()
        from_host = {packet.source for packet in answers.take()}
        assert to_neighbour.take_ways() == set()
    wrong = [(probe, outcome.kind) for probe, outcome in zip(probes, outcomes)
             if (outcome.kind == "answered") != probe.answers]
    assert wrong == []
    asked = {("udp", NAME_SERVER4, 53)} if policy.questions == "passed" else set()
    assert arrived == {way_of(probe) for probe in probes if probe.answers} | asked
    assert from_host.isdisjoint({HOST4, HOST6, *targets["host's end"]})


@pytest.fixture(scope="module")
def routes_to_machines(internet):
    """So that only the firewall keeps the outside from machines' addresses."""
    for prefix, gateway in (("198.18.0.0/16", HOST4), ("192.0.0.0/29", HOST4), (POOL6, HOST6),
                            ("fd76:6d73:616e::/64", HOST6)):
        ip("-n", NAMESPACE, "route", "add", prefix, "via", gateway)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name.replace(" ", "-"))
def test_only_what_is_published_comes_to_a_guest(world, machine, routes_to_machines, policy):
    policy.put_in_force(world, machine)
    here = [Probe(protocol, address, port, answers=False)
            for address in (machine.own4, machine.own6) for protocol, port in WAYS]
    there = [Probe(protocol, address, port, answers=False)
             for address in (GUEST4, GUEST6) for protocol, port in WAYS]
    published = [Probe("udp", HOST4, PUBLISHED, answers=False),
                 Probe("udp", HOST6, PUBLISHED, answers=False)]
    with Capture("tap0", machine.namespace, outgoing=True) as tap:
        outcomes = probe_from_here([], here)
        outcomes += probe_from_here(["ip", "netns", "exec", NAMESPACE],
                                    [*here, *there, *published, Probe("icmp", HOST4)])
        arrived = {way for way in tap.take_ways() if (way[0], way[2]) in WAYS}
    assert arrived == {("udp", GUEST4, 80), ("udp", GUEST6, 80)}
    assert "answered" not in [outcome.kind for outcome in outcomes[:-1]]
    assert outcomes[-1].kind == "answered"
