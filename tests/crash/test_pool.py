# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks that wait for machines: given out, changed behind the service's back, and killed with it."""

import json
import subprocess
import time

import pytest

from caller import BusError, GLib, options
from world import N_PREPARED, networks


def address(world, path):
    return world.root.call(path, "org.vmsan.VM", "GetDetails")[0]["network"]["address"]


def slot_of(address):
    """Slot N of 198.18.0.0/16 has its third address."""
    high, low = map(int, address.split(".")[2:])
    return str((high * 256 + low) // 4)


def test_a_machine_gets_one_that_waits_and_another_takes_its_place(world):
    world.wait_for_pool()
    _, ready, _, _ = networks()
    path = world.create()
    assert f"prepared-{slot_of(address(world, path))}" in ready
    world.wait_for_pool()
    machines, ready, _, slots = networks()
    assert machines == {path.split("/")[-1]}
    assert slots == {n.split("-")[1] for n in ready} | {slot_of(address(world, path))}
    world.vm(path, "Remove", force=True)
    assert networks()[0] == set()


def test_many_at_once_get_one_each(world):
    count = 3 * N_PREPARED
    pending = [world.root.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                                GLib.Variant("(a{sv})", (options(),))) for _ in range(count)]
    paths = [call.result()[0] for call in pending]
    assert len({address(world, path) for path in paths}) == count
    assert networks()[0] == {path.split("/")[-1] for path in paths}
    # Several that go at once share a batch; each is gone when its removal returns.
    pending = [world.root.start(path, "org.vmsan.VM", "Remove",
                                GLib.Variant("(a{sv})", (options(force=True),))) for path in paths]
    for call in pending:
        call.result()
    assert networks()[0] == set()


def test_a_machine_that_is_not_started_keeps_its_address_and_takes_none(world):
    world.wait_for_pool()
    _, ready, _, _ = networks()
    path = world.create(start=False)
    before = address(world, path)
    assert networks()[1] == ready
    world.vm(path, "Start")
    assert address(world, path) == before
    world.vm(path, "Stop", force=True)
    world.vm(path, "Start")
    assert address(world, path) == before


def test_a_creation_that_fails_before_its_network_gives_it_back(world):
    world.wait_for_pool()
    _, ready, _, _ = networks()
    world.order("create", "cgroup", "before-apply", "fail")
    with pytest.raises(BusError):
        world.create()
    assert networks()[1] == ready
    path = world.create()
    assert f"prepared-{slot_of(address(world, path))}" in ready


def test_a_creation_that_fails_after_its_network_does_not(world):
    world.wait_for_pool()
    _, ready, _, _ = networks()
    world.order("create", "network", "after-apply", "fail")
    with pytest.raises(BusError):
        world.create()
    world.wait_for_pool()
    assert len(networks()[1] - ready) == 1


HARMS = {
    "unbound": ["umount", "/run/netns/vmsan-prepared-{}"],
    "deleted": ["ip", "netns", "del", "vmsan-prepared-{}"],
    "without-link": ["ip", "link", "del", "vmsan{}"],
    "without-rules": ["ip", "netns", "exec", "vmsan-prepared-{}", "nft", "flush", "ruleset"],
    "without-tap": ["ip", "netns", "exec", "vmsan-prepared-{}", "ip", "link", "del", "tap0"],
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_what_somebody_changed_is_replaced(world, harm):
    before = world.snapshot()
    world.wait_for_pool()
    for name in networks()[1]:
        subprocess.run([word.format(name.split("-")[1]) for word in harm], check=True)
    for _ in range(N_PREPARED):
        path = world.create()
        rules = subprocess.run(["ip", "netns", "exec", f"vmsan-{path.split('/')[-1]}", "nft", "-j",
                                "list", "table", "inet", "vmsan"], check=True, capture_output=True,
                               text=True).stdout
        policies = {c["chain"]["name"]: c["chain"].get("policy")
                    for c in json.loads(rules)["nftables"] if "chain" in c}
        assert policies["forward"] == policies["input"] == policies["output"] == "drop"
    for path in world.list_vms():
        world.vm(path, "Remove", force=True)
    world.wait_for_pool()
    world.assert_back_to(before)


def test_the_services_end_leaves_none(world):
    world.wait_for_pool()
    world.terminate()
    assert networks() == (set(), set(), set(), set())


def test_a_machine_keeps_its_network_when_the_service_ends(world):
    path = world.create()
    slot = slot_of(address(world, path))
    world.terminate()
    assert networks() == ({path.split("/")[-1]}, set(), set(), {slot})
    world.start()
    world.wait_for_pool()
    machines, ready, _, slots = networks()
    assert slots == {slot} | {n.split("-")[1] for n in ready}
    assert len(ready) == N_PREPARED and f"prepared-{slot}" not in ready


def test_a_kill_at_any_moment_of_filling_leaves_nothing(world):
    """The next start finds what is left by its name, and the one after that has the same."""
    world.terminate()
    for moment in range(12):
        world.start()
        time.sleep(moment * 0.01)  # the moment itself is what is tried, not waited for
        world.kill()
        world.start(more="[Network]\nPrepared=0")
        assert networks() == (set(), set(), set(), set())
        world.terminate()


def test_a_pool_of_none(world):
    world.terminate()
    world.start(more="[Network]\nPrepared=0")
    paths = [world.create() for _ in range(2)]
    assert len({address(world, path) for path in paths}) == 2
    for path in paths:
        world.vm(path, "Remove", force=True)
    assert networks() == (set(), set(), set(), set())
    world.terminate()


def test_no_address_is_lost_to_those_that_wait(world):
    """Four machines at most, of which every one gets its network, whether one waits or not."""
    world.terminate()
    world.start(more="[Network]\nIPv4Pool=198.18.0.0/28\nPrepared=1")
    paths = [world.create(start=number % 2 == 0) for number in range(4)]
    assert {slot_of(address(world, path)) for path in paths} == set("0123")
    for path in paths:
        if world.state(path) == "stopped":
            world.vm(path, "Start")
        world.vm(path, "Remove", force=True)
    world.wait_for_pool(1)
    world.terminate()
    assert networks() == (set(), set(), set(), set())
