# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies, whom a guest reaches under them, and what the host's network is like."""

import json
import os
import subprocess

from caller import GLib, options
from guest_packets import Probe, probe_from_guest, question
from small_internet import UDP_LOG

WAIT_S = 2  # for what must not come
GATEWAY4, GATEWAY6 = "192.0.0.1", "fd76:6d73:616e::1"
# Whatever the policy, an answer or a refusal comes: when it is there, all that the guest sent
# before it has gone where it could.
BARRIER = Probe("udp", GATEWAY4, 53, payload=question("barrier.example"))


def strings(*values):
    return GLib.Variant("as", values)


def set_policy(world, path, caller=None, **values):
    (caller or world.alice).call(path, "org.vmsan.VM", "SetNetworkPolicy",
                                 GLib.Variant("(a{sv})", (options(**values),)))


def reach(world, path, *probe):
    return probe_from_guest(world, path, [Probe(*probe)], WAIT_S, 0)[0]


def tcp(world, path, address, port=80):
    """What a server says to the guest, or ""."""
    return reach(world, path, "tcp", address, port).text


def udp(world, path, address, port=80):
    """Where a datagram of the guest came from, as the server saw it, or ""."""
    open(UDP_LOG, "w").close()
    reach(world, path, "udp", address, port)
    with open(UDP_LOG) as log:
        return log.readline().strip()


def ping(world, path, address):
    return reach(world, path, "icmp", address).kind == "answered"


def answering(world, path, *addresses):
    """What of these answers the guest, in any protocol: (protocol, address)."""
    probes = [Probe(protocol, address, 0 if protocol == "icmp" else 80, answers=False)
              for address in addresses for protocol in ("tcp", "udp", "icmp")]
    outcomes = probe_from_guest(world, path, [*probes, BARRIER])
    assert outcomes[-1].kind in ("answered", "refused")
    return [(probe.protocol, probe.address) for probe, outcome in zip(probes, outcomes)
            if outcome.kind == "answered"]


def host_members():
    """(address, link) of each machine, in both families; none before the first has a network."""
    ruleset = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True,
                             check=True).stdout
    sets = [part["set"] for part in json.loads(ruleset)["nftables"] if "set" in part]
    return [tuple(entry["concat"]) for one in sets if one["name"] in ("members4", "members6")
            for entry in one.get("elem", [])]


def read_settings(link):
    """Those of the host that are changed for machines; only newer kernels have force_forwarding."""
    found = {}
    for name in (f"ipv4/conf/{link}/forwarding", f"ipv6/conf/{link}/force_forwarding",
                 f"ipv6/conf/{link}/accept_ra", "ipv6/conf/all/forwarding"):
        path = f"/proc/sys/net/{name}"
        if os.path.exists(path):
            with open(path) as file:
                found[name] = file.read()
    return found


def host_state():
    """Links, namespaces, rules and settings of each link of this run's host, without those networks
    that wait for machines: these may come at any time, but each is known by its namespace's name."""
    def run(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    namespaces = {line.split()[0] for line in run("ip", "netns").splitlines()}
    waiting = {name for name in namespaces if name.startswith(("vmsan-prepared-", "vmsan-making-"))}
    links = {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}
    links -= {f"vmsan{name.split('-')[2]}" for name in waiting}
    return (sorted(links), namespaces - waiting, run("nft", "list", "ruleset"),
            {link: read_settings(link) for link in links})
