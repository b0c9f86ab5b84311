# SPDX-License-Identifier: GPL-2.0-or-later
"""Every policy, in every direction, by packets of a real guest; judged by what arrives where it must
not as well as by what is answered."""

import bisect
import subprocess
import time
from typing import NamedTuple

import pytest

from guest_frames import (DESTINATION_OPTIONS, HOP_BY_HOP, frame, last_fragment_first,
                          with_options)
from guest_network import (BARRIER, GATEWAY4, GATEWAY6, WAIT_S, host_members, set_policy,
                           strings)
from guest_packets import (Capture, Probe, probe_from_guest, probe_from_here, question,
                           run_in_guest)
from guest_stream import Stream
from real_world import POOL6
from small_internet import (DOH4, DOH6, HOST4, HOST6, METADATA4, METADATA6, NAME_SERVER4, NAMED4, NAMED6,
                            NAMESPACE, OTHER4, OTHER6, OUTSIDE4, OUTSIDE6, ip)

GUEST4, GUEST6 = "192.0.0.2", "fd76:6d73:616e::2"
WAYS = (("tcp", 80), ("udp", 80), ("icmp", 0), ("tcp", 53), ("udp", 53), ("tcp", 853), ("udp", 853),
        ("tcp", 443), ("udp", 443))
LATE_PORTS = {port for _, port in WAYS if port}  # of servers, whose answers may come late
PUBLISHED, GUEST_PORT = 8090, 4000  # over UDP
PUBLISHED_WEB, GUEST_WEB = 8091, 4080  # over TCP, in IPv6 only


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
        f"{HOST4}:{PUBLISHED}:{GUEST_PORT}/udp", f"[{HOST6}]:{PUBLISHED}:{GUEST_PORT}/udp",
        f"[{HOST6}]:{PUBLISHED_WEB}:{GUEST_WEB}"))
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


EVERYWHERE = ("0.0.0.0/0", "::/0")
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
    Policy("the host and metadata by name",
           {"allowed_cidrs": strings(*(f"{address}/32" for address in (HOST4, METADATA4)),
                                     *(f"{address}/128" for address in (HOST6, METADATA6)))},
           ("host", "metadata"), "refused"),
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
                payload = question("probe.example") if port == 53 else b"x"
                found.append(Probe(protocol, address, port, opens, payload))
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
    open_ways = {way_of(probe) for probe in probes if probe.answers}
    to_host = {way for way in open_ways if way[1] in (HOST4, HOST6)}
    assert arrived == (open_ways - to_host) | asked
    # What comes to the host is answered there, if only by a refusal.
    assert from_host & {HOST4, HOST6, *targets["host's end"]} == {way[1] for way in to_host}


@pytest.fixture(scope="module")
def routes_to_machines(internet):
    """So that only the firewall keeps the outside from machines' addresses."""
    for prefix, gateway in (("198.18.0.0/16", HOST4), ("192.0.0.0/29", HOST4), (POOL6, HOST6),
                            ("fd76:6d73:616e::/64", HOST6)):
        ip("-n", NAMESPACE, "route", "add", prefix, "via", gateway)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name.replace(" ", "-"))
def test_only_what_is_published_comes_to_a_guest(world, machine, routes_to_machines, policy):
    policy.put_in_force(world, machine)
    ways = (*WAYS, ("udp", PUBLISHED))
    here = [Probe(protocol, address, port, answers=False)
            for address in (machine.own4, machine.own6) for protocol, port in ways]
    # Where a port is published is where it is reached, not where that leads to.
    there = [Probe(protocol, address, port, answers=False)
             for address in (machine.own4, machine.own6, GUEST4, GUEST6)
             for protocol, port in (*ways, ("udp", GUEST_PORT), ("tcp", GUEST_WEB))]
    published = [Probe("udp", HOST4, PUBLISHED, answers=False),
                 Probe("udp", HOST6, PUBLISHED, answers=False)]
    with Capture("tap0", machine.namespace, outgoing=True) as tap:
        outcomes = probe_from_here([], here)
        outcomes += probe_from_here(["ip", "netns", "exec", NAMESPACE],
                                    [*there, *published, Probe("icmp", HOST4)])
        arrived = [packet.way for packet in tap.take() if packet.source_port not in LATE_PORTS
                   and packet.protocol in ("tcp", "udp", "icmp")]
    assert sorted(arrived) == [("udp", GUEST4, GUEST_PORT), ("udp", GUEST6, GUEST_PORT)]
    assert "answered" not in [outcome.kind for outcome in outcomes[:-1]]
    assert outcomes[-1].kind == "answered"


def fetch(prefix, address, port):
    """The first word of what a web server says, or "" when there is none."""
    script = ("import socket\n"
              f"s = socket.create_connection(('{address}', {port}), {WAIT_S})\n"
              f"s.settimeout({WAIT_S})\n"
              "s.sendall(b'GET /none HTTP/1.0\\r\\n\\r\\n')\n"
              "print(s.recv(4).decode())")
    return subprocess.run([*prefix, "/usr/bin/python3", "-c", script], capture_output=True,
                          text=True).stdout.strip()


def test_a_port_published_over_ipv6_leads_to_the_guest(world, machine):
    set_policy(world, machine.path, network_policy="deny-all")
    server = world.start_exec(machine.path, "httpd", "-f", "-p", str(GUEST_WEB), "-h", "/bin")
    outside = ["ip", "netns", "exec", NAMESPACE]
    end = time.monotonic() + 60
    while fetch(outside, HOST6, PUBLISHED_WEB) != "HTTP":
        assert time.monotonic() < end, "the published port does not answer"
    assert fetch([], HOST6, PUBLISHED_WEB) == "HTTP"
    assert fetch(outside, HOST4, PUBLISHED_WEB) == ""
    server.stream.close()


# ---- Forged sources ----------------------------------------------------------------------------

FORGED4 = ("192.0.0.1", "192.0.0.3", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1",
           HOST4, OUTSIDE4, OTHER4)
FORGED6 = ("fd76:6d73:616e::1", "fd76:6d73:616e::3", "fe80::1", "fe80::76:6dff:fe73:2", "::", "::1",
           "ff02::1", HOST6, OUTSIDE6, OTHER6)
FORGED_MACS = ("02:76:6d:73:00:03", "02:76:6d:73:00:01", "00:00:00:00:00:00")
VLAN_TAG = bytes.fromhex("81000001")


def forged_frames(machine, neighbour):
    """Each to a port of its own, outside; echoes have no port, and go to an address of their own."""
    port = 6000
    sources4 = (*FORGED4, machine.own4, host_end(machine.own4), neighbour.own4)
    sources6 = (*FORGED6, machine.own6, host_end(machine.own6), neighbour.own6)
    for sources, address, echo_address in ((sources4, OUTSIDE4, NAMED4), (sources6, OUTSIDE6, NAMED6)):
        for source in sources:
            for protocol in ("tcp", "udp"):
                port += 1
                yield frame(protocol, source, address, port)
            yield frame("icmp", source, echo_address, 0)
    for source, address in ((GUEST4, OUTSIDE4), (GUEST6, OUTSIDE6)):
        for mac in FORGED_MACS:
            port += 1
            yield frame("udp", source, address, port, source_mac=mac)
        port += 1
        yield frame("udp", source, address, port, tag=VLAN_TAG)


def test_forged_sources_never_leave_the_machine(world, machine, neighbour):
    set_policy(world, machine.path, network_policy="allow-all", allow_icmp=True)
    honest = [(protocol, address, 7000 if protocol != "icmp" else 0)
              for address in (OUTSIDE4, OUTSIDE6) for protocol in ("tcp", "udp", "icmp")]
    frames = list(forged_frames(machine, neighbour))
    frames += [frame(protocol, GUEST6 if ":" in address else GUEST4, address, port)
               for protocol, address, port in honest]
    lines = "".join(one.hex() + "\n" for one in frames).encode()
    with Capture(machine.link) as from_machine, Capture("eth0", NAMESPACE) as outside:
        run_in_guest(world, machine.path, "guest-probe", "frames", "eth0", stdin=lines)
        probe_from_guest(world, machine.path, [BARRIER])
        packets = from_machine.take()
        arrived = outside.take_ways()
    left = {packet.way for packet in packets if packet.protocol in ("tcp", "udp", "icmp")}
    asked = ("udp", NAME_SERVER4, 53)
    assert left - {asked} == set(honest)
    assert arrived - {asked} == set(honest)
    assert {packet.source for packet in packets} == {machine.own4, machine.own6}


# ---- Disguised ports ---------------------------------------------------------------------------

def disguised_frames(port):
    yield from last_fragment_first(GUEST4, OUTSIDE4, port)
    yield from last_fragment_first(GUEST6, OUTSIDE6, port)
    for kind in (DESTINATION_OPTIONS, HOP_BY_HOP):
        yield with_options(kind, GUEST6, OUTSIDE6, port)


@pytest.mark.parametrize("port, leaves", [(7000, True), (53, False), (853, False)])
def test_a_closed_port_is_closed_however_it_is_written(world, machine, port, leaves):
    set_policy(world, machine.path, network_policy="allow-all")
    set_policy(world, machine.path, allowed_cidrs=strings(*EVERYWHERE))
    frames = list(disguised_frames(port))
    lines = "".join(one.hex() + "\n" for one in frames).encode()
    with Capture("eth0", NAMESPACE) as outside:
        run_in_guest(world, machine.path, "guest-probe", "frames", "eth0", stdin=lines)
        probe_from_guest(world, machine.path, [BARRIER])
        arrived = [packet.destination for packet in outside.take()
                   if packet.destination in (OUTSIDE4, OUTSIDE6)]
    # A router need not pass on options of hop by hop, and may pass on fragments again as such.
    assert set(arrived) == ({OUTSIDE4, OUTSIDE6} if leaves else set())
    assert arrived.count(OUTSIDE6) >= 2 if leaves else arrived == []


# ---- Changes -----------------------------------------------------------------------------------

N_CHANGES = 100
# By what the policies below do with them. Neighbours agree on the first and the last.
ALWAYS, EVEN, ODD, NEVER = ((OUTSIDE4, OUTSIDE6), (OTHER4, OTHER6), (DOH4, DOH6), (NAMED4, NAMED6))
CYCLE = [
    ({"allowed_cidrs": strings(*ALWAYS, *EVEN), "denied_cidrs": strings()}, {*ALWAYS, *EVEN}),
    ({"allowed_cidrs": strings(*ALWAYS, *ODD)}, {*ALWAYS, *ODD}),
    ({"allowed_cidrs": strings(*EVERYWHERE), "denied_cidrs": strings(*ODD, *NEVER)}, {*ALWAYS, *EVEN}),
    ({"denied_cidrs": strings(*EVEN, *NEVER)}, {*ALWAYS, *ODD}),
]


class Period(NamedTuple):
    """While a policy was in force, and until the next one was."""
    allowed: set
    begin: int  # the number of the first datagram that was surely sent in it
    settled: int  # up to here, all that was allowed must have come
    end: float  # when the next change began


def find_strays(arrivals, periods):
    """What arrived though neither the policy of the moment nor, once it was being replaced, the next
    one allows it. A datagram belongs to the last period that had begun when it was sent."""
    begins = [period.begin for period in periods]
    strays = []
    for number, address, arrived in arrivals:
        at = bisect.bisect_right(begins, number) - 1
        allowed = periods[at].allowed
        if arrived >= periods[at].end and at + 1 < len(periods):
            allowed = allowed | periods[at + 1].allowed
        if address not in allowed:
            strays.append((number, address, at))
    return strays


def test_nothing_slips_through_a_hundred_live_changes(world, machine):
    addresses = [*ALWAYS, *EVEN, *ODD, *NEVER]
    set_policy(world, machine.path, network_policy="allow-all", allow_icmp=True)
    periods = []
    with Capture("eth0", NAMESPACE) as capture:
        set_policy(world, machine.path, **CYCLE[-1][0], allowed_cidrs=strings(*EVERYWHERE))
        stream = Stream(world, machine.path, addresses, capture)
        for number in range(N_CHANGES):
            options, allowed = CYCLE[number % len(CYCLE)]
            set_policy(world, machine.path, **options)
            begin = stream.ask_next()
            settled = begin + 2 * len(addresses)
            stream.wait_for_number(settled)
            periods.append(Period(allowed, begin, settled, time.time()))
        sent = stream.finish()
        stream.wait_for_number(sent - len(addresses))
    first = periods[0].begin
    arrivals = [arrival for arrival in stream.arrivals if arrival[0] >= first]
    assert find_strays(arrivals, periods) == []
    come = {number for number, _, _ in arrivals}
    for period in periods:
        assert come >= {number for number in range(period.begin, period.settled)
                        if addresses[number % len(addresses)] in period.allowed}
    lost = [number for number in range(first, sent)
            if addresses[number % len(addresses)] in ALWAYS and number not in come]
    # None but in the moment of a change, when a rule can be in force before its set is filled
    # (net-rules.c); that is shorter than a round takes, and few rounds meet it.
    for before, after in zip(periods, periods[1:]):
        assert sum(before.settled <= number < after.begin for number in lost) <= len(ALWAYS)
    assert len(lost) <= N_CHANGES / 4, f"{len(lost)} of {sent - first} were lost"
