# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor finds and removes on a real host: things that nobody's machine has are made by
hand, beside a machine that runs and must not notice anything."""

import glob
import json
import os
import re
import subprocess

import pytest

from caller import Caller, GLib, options, wait_until
from real_world import PARENT, RUNTIME, STATE
from small_internet import HOST4, OUTSIDE4, SmallInternet

LOST = "lostlostlost"  # what an id looks like
LINK_GROUP = str(0x766D736E)
FIREWALLD = "org.fedoraproject.FirewallD1"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def internet(world):
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture(scope="module")
def online(world, internet):
    """A machine with a network."""
    machine = world.create(name="patient")
    yield machine
    world.call(machine, "Remove", force=True)


def examine(world, **values):
    return world.root.manager("Doctor", GLib.Variant("(a{sv})", (options(**values),)))[0]


def leaks(findings):
    """{(check, subject): repaired} of what is left of machines."""
    return {(f["check"], f["subject"]): f["repaired"] for f in findings if "repaired" in f}


def summaries(findings):
    """Without what says how much space is free."""
    return [(f["check"], f["severity"], f["subject"]) for f in findings]


def find(findings, check):
    return [f for f in findings if f["check"] == check]


def reaches_the_world(world, path):
    return world.run(path, "sh", "-c", f"nc -w 5 {OUTSIDE4} 80 </dev/null")[2].strip() == HOST4


def test_a_host_where_all_is_well_has_nothing_worse_than_a_note(world, online):
    findings = examine(world)
    assert [f for f in findings if f["severity"] not in ("ok", "note")] == []
    assert {f["check"] for f in findings} == {
        "driver", "kvm", "image", "kernel", "kernel-feature", "cgroups", "nftables", "dnsmasq",
        "state-directory", "runtime-directory", "damaged", "network-conflict", "uplink", "resolver",
        "leaks"}
    assert find(findings, "uplink")[0]["subject"] == "wan0"
    report = run("vmsan-client", "doctor")
    assert "ok  leaks: Nothing is left" in report and "\033" not in report
    assert summaries(json.loads(run("vmsan-client", "doctor", "--json"))) == summaries(findings)


# ---- Left-overs ------------------------------------------------------------------------------


class Namespace:
    key = ("leak-namespace", f"vmsan-{LOST}")

    def make(self):
        run("ip", "netns", "add", self.key[1])

    def exists(self):
        return self.key[1] in run("ip", "netns")


class Link:
    key = ("leak-link", "vmsan77")

    def make(self):
        run("ip", "link", "add", "vmsan77", "group", LINK_GROUP, "type", "veth", "peer", "name",
            "lost0")

    def exists(self):
        return "vmsan77" in run("ip", "link")


class Element:
    key = ("leak-element", "members4 198.18.4.2 . vmsan256")

    def make(self):
        run("nft", 'add element inet vmsan members4 { 198.18.4.2 . "vmsan256" }')

    def exists(self):
        return "198.18.4.2" in run("nft", "list", "table", "inet", "vmsan")


class Port(Element):
    key = ("leak-element", "ports4 6 . 127.0.0.1 . 7777 . 198.18.4.2 . 80")

    def make(self):
        run("nft", "add element inet vmsan ports4 { tcp . 127.0.0.1 . 7777 : 198.18.4.2 . 80 }")


class RuntimeDirectory:
    key = ("leak-runtime-directory", LOST)
    place = f"{RUNTIME}/{LOST}"

    def make(self):
        os.mkdir(self.place)
        with open(f"{self.place}/console.log", "w") as file:
            file.write("x")

    def exists(self):
        return os.path.exists(self.place)


class StateDirectory(RuntimeDirectory):
    key = ("leak-state-directory", LOST)
    place = f"{STATE}/vms/{LOST}"


class Cgroup:
    key = ("leak-cgroup", LOST)

    def places(self):
        return [f"{top}{PARENT}/{LOST}" for top in glob.glob("/sys/fs/cgroup/*") + ["/sys/fs/cgroup"]
                if os.path.isdir(f"{top}{PARENT}")]

    def make(self):
        self.process = subprocess.Popen(["sleep", "600"])
        for place in self.places():
            os.mkdir(place)
            with open(f"{place}/cgroup.procs", "w") as file:
                file.write(str(self.process.pid))

    def exists(self):
        if self.process.poll() is None:
            return True
        return any(os.path.exists(place) for place in self.places())


KINDS = [Namespace, Link, Element, Port, RuntimeDirectory, StateDirectory, Cgroup]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_nobodys_is_found_and_removed(world, online, kind):
    thing = kind()
    thing.make()
    assert thing.exists()
    assert leaks(examine(world)) == {thing.key: False}
    assert thing.exists()
    assert subprocess.run(["vmsan-client", "doctor", "--quiet"], capture_output=True).returncode == 1
    assert leaks(examine(world, repair=True)) == {thing.key: True}
    assert not thing.exists()
    assert leaks(examine(world)) == {}
    assert reaches_the_world(world, online)


def test_a_process_of_nobody_is_an_error_and_an_empty_group_is_none(world, online):
    group = Cgroup()
    group.make()
    finding, = find(examine(world), "leak-cgroup")
    assert finding["severity"] == "error" and finding["message"].startswith("1 process runs")
    group.process.kill()
    group.process.wait()
    finding, = find(examine(world), "leak-cgroup")
    assert finding["severity"] == "warning"
    for place in group.places():
        os.rmdir(place)


def test_all_of_it_at_once_by_the_client(world, online):
    things = [kind() for kind in KINDS]
    for thing in things:
        thing.make()
    before = run("vmsan-client", "list")
    report = run("vmsan-client", "doctor", "--repair")
    assert report.count(" repaired  leak-") == len(KINDS), report
    assert not any(thing.exists() for thing in things)
    assert run("vmsan-client", "list").split()[:4] == before.split()[:4]
    assert reaches_the_world(world, online)


def test_the_table_and_settings_go_when_no_machine_needs_them(world, internet, vm, online):
    setting = "/proc/sys/net/ipv4/conf/wan0/forwarding"

    def read():
        with open(setting) as file:
            return file.read()

    for machine in (vm, online):
        world.call(machine, "Stop", force=True)
    assert read() == "0\n"
    run("nft", "add table inet vmsan")
    with open(setting, "w") as file:
        file.write("1")
    with open(f"{RUNTIME}/uplink-settings", "w") as file:
        file.write("ipv4/conf/wan0/forwarding=0")
    keys = [("leak-table", "inet vmsan"), ("leak-setting", "ipv4/conf/wan0/forwarding=0")]
    assert leaks(examine(world)) == dict.fromkeys(keys, False)
    assert leaks(examine(world, repair=True)) == dict.fromkeys(keys, True)
    assert read() == "0\n"
    assert "vmsan" not in run("nft", "list", "tables")
    assert not os.path.exists(f"{RUNTIME}/uplink-settings")
    world.call(online, "Start")


def test_what_is_somebody_elses_is_left_alone(world, online):
    """A link of our name without our mark, and directories that are no machine's."""
    run("ip", "link", "add", "vmsan78", "type", "veth", "peer", "name", "other0")
    os.mkdir(f"{STATE}/vms/not-an-id")
    try:
        assert leaks(examine(world, repair=True)) == {}
        assert "vmsan78" in run("ip", "link")
        assert os.path.isdir(f"{STATE}/vms/not-an-id")
    finally:
        run("ip", "link", "del", "vmsan78")
        os.rmdir(f"{STATE}/vms/not-an-id")


@pytest.mark.parametrize("record", [f"damaged/{LOST}.json.1764000000", f"vms/{LOST}.json"])
def test_a_disk_whose_record_may_come_back_is_kept(world, online, record):
    os.mkdir(f"{STATE}/vms/{LOST}")
    with open(f"{STATE}/{record}", "w") as file:
        file.write("{")
    try:
        findings = examine(world, repair=True)
        assert leaks(findings) == {}
        assert os.path.isdir(f"{STATE}/vms/{LOST}")
        subjects = [f["subject"] for f in find(findings, "damaged") if f["severity"] == "warning"]
        assert subjects == ([f"{STATE}/{record}"] if record.startswith("damaged") else [])
    finally:
        os.unlink(f"{STATE}/{record}")
        os.rmdir(f"{STATE}/vms/{LOST}")


def test_machines_that_come_and_go_are_no_leak(world, online):
    """A stopped machine is no leak either, and one that is being booted is left alone."""
    pending = world.alice.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM", GLib.Variant(
        "(a{sv})", (options(image="busybox", memory_mib=128, disk_mib=64, name="coming"),)),
        deadline_s=150)
    while not pending.done:
        assert leaks(examine(world, repair=True)) == {}
    machine = pending.result()[0]
    assert reaches_the_world(world, machine)
    removal = world.alice.start(machine, "org.vmsan.VM", "Remove",
                                GLib.Variant("(a{sv})", (options(force=True),)))
    while not removal.done:
        assert leaks(examine(world, repair=True)) == {}
    removal.result()


# ---- Rules of others --------------------------------------------------------------------------


def conflicts(world, path):
    return world.details(path)["network"].get("conflicts", [])


def named(world):
    return [f["subject"] for f in find(examine(world), "network-conflict") if f["severity"] != "ok"]


def test_a_chain_that_drops_is_named_until_it_is_gone(world, online):
    """As Docker's and ufw's does."""
    assert conflicts(world, online) == []
    run("nft", "table ip filter { chain FORWARD { type filter hook forward priority filter;"
        " policy drop; }; }")
    try:
        assert named(world) == ["ip filter FORWARD"]
        wait_until(lambda: conflicts(world, online) == ["ip filter FORWARD"], 20, "the conflict")
        assert not reaches_the_world(world, online)
        assert "Dropped by: ip filter FORWARD" in run("vmsan-client", "network", "patient")
        # What the advice says helps.
        advice = find(examine(world), "network-conflict")[0]["advice"]
        commands = re.findall("nft (insert rule ip filter FORWARD [io]ifname [^;.]* accept)", advice)
        assert len(commands) == 2
        for command in commands:
            run("nft", command)
        wait_until(lambda: conflicts(world, online) == [], 20, "the end of the conflict")
        assert reaches_the_world(world, online)
    finally:
        run("nft", "delete table ip filter")
    assert named(world) == []


def test_a_conflict_that_ends_is_no_longer_told(world, online):
    run("nft", "table inet strict { chain f { type filter hook forward priority 0; policy drop; }; }")
    wait_until(lambda: conflicts(world, online) == ["inet strict f"], 20, "the conflict")
    run("nft", "delete table inet strict")
    wait_until(lambda: conflicts(world, online) == [], 20, "the end of the conflict")


def test_no_default_route_is_told(world, online):
    def uplink():
        finding, = find(examine(world), "uplink")
        return finding["severity"]

    assert uplink() == "ok"
    run("ip", "route", "del", "default")
    try:
        assert uplink() == "warning"
    finally:
        run("ip", "route", "add", "default", "via", OUTSIDE4)


# ---- firewalld --------------------------------------------------------------------------------


@pytest.fixture
def firewalld():
    """A connection that has firewalld's name, as nobody has it here."""
    policy = "/etc/dbus-1/system.d/firewalld-of-a-test.conf"
    with open(policy, "w") as file:
        file.write(f'<busconfig><policy user="root"><allow own="{FIREWALLD}"/></policy></busconfig>')
    caller = Caller(0, "root")
    bus = ("/org/freedesktop/DBus", "org.freedesktop.DBus")
    caller.call(*bus, "ReloadConfig", destination=bus[1])
    assert caller.call(*bus, "RequestName", GLib.Variant("(su)", (FIREWALLD, 4)),
                       destination=bus[1])[0] == 1
    yield caller
    caller.close()
    os.unlink(policy)


def emit_reloaded(caller):
    caller.bus.emit_signal(None, "/org/fedoraproject/FirewallD1", FIREWALLD, "Reloaded", None)
    caller.bus.flush_sync(None)


def has_table():
    return subprocess.run(["nft", "list", "chain", "inet", "vmsan", "forward"],
                          capture_output=True).returncode == 0


def reloads_seen(world):
    with open(world.log.name) as log:
        return log.read().count("firewalld has reloaded")


def test_the_table_is_made_again_when_firewalld_has_reloaded(world, online, firewalld):
    before = reloads_seen(world)
    run("nft", "delete table inet vmsan")
    emit_reloaded(firewalld)
    wait_until(lambda: reloads_seen(world) == before + 1, 20, "the look at the rules")
    wait_until(has_table, 20, "the table")
    assert reaches_the_world(world, online)


def test_only_firewalld_can_say_that_it_has_reloaded(world, online, firewalld):
    before = reloads_seen(world)
    emit_reloaded(world.alice)
    emit_reloaded(firewalld)
    wait_until(lambda: reloads_seen(world) > before, 20, "the look at the rules")
    assert reloads_seen(world) == before + 1
