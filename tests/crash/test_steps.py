# SPDX-License-Identifier: GPL-2.0-or-later
"""Every step of every operation, failed once and killed once."""

import os
import socket
import time

import pytest

from caller import BusError, GLib, options
from world import RUNTIME

CREATE = ["directory", "disk"]
RUN = ["runtime", "cgroup", "network", "monitor", "guest"]


def cases(steps, moments, actions=("fail", "kill")):
    return [(s, m, a) for s in steps for m in moments for a in actions]


def names(case):
    return "-".join(case) if isinstance(case, tuple) else None


@pytest.mark.parametrize("case", cases(CREATE + RUN, ["before-apply", "after-apply"]), ids=names)
def test_create_leaves_nothing(world, case):
    step, moment, action = case
    before = world.snapshot()
    world.wait_for_pool()
    descriptors = world.open_descriptors()
    world.order("create", step, moment, action)
    with pytest.raises(BusError) as caught:
        world.create(name="victim")
    assert world.was_carried_out()
    if action == "kill":
        world.wait_dead()
        world.start()
    else:
        assert caught.value.name == "org.vmsan.Error.Failed"
        assert f"{moment} {step}" in caught.value.message
    assert world.list_vms() == {}
    world.assert_back_to(before)
    if action == "fail":
        # Networks that wait for machines have descriptors, and some are made meanwhile.
        world.wait_for_pool()
        world.look_until(lambda: world.open_descriptors() <= descriptors, "no more descriptors")
    # The name is free, and the next one works.
    path = world.create(name="victim")
    assert world.state(path) == "running"


@pytest.mark.parametrize("case", cases(RUN, ["before-apply", "after-apply"]), ids=names)
def test_start_leaves_it_stopped(world, case):
    step, moment, action = case
    path = world.create(start=False)
    before = world.snapshot()
    world.order("start", step, moment, action)
    with pytest.raises(BusError):
        world.vm(path, "Start")
    assert world.was_carried_out()
    if action == "kill":
        world.wait_dead()
        world.start()
    assert world.state(path) == "stopped"
    assert world.root.get(path, "org.vmsan.VM", "StateReason") != ""
    world.assert_back_to(before)
    world.vm(path, "Start")
    assert world.state(path) == "running"


@pytest.mark.parametrize("case", cases(RUN, ["before-revert", "after-revert"], ["kill"]), ids=names)
def test_stop_that_is_killed_is_finished(world, case):
    step, moment, action = case
    path = world.create(start=False)
    before = world.snapshot()
    world.vm(path, "Start")
    world.order("stop", step, moment, action)
    with pytest.raises(BusError):
        world.vm(path, "Stop", force=True)
    assert world.was_carried_out()
    world.wait_dead()
    world.start()
    assert world.state(path) == "stopped"
    world.assert_back_to(before)


@pytest.mark.parametrize("case", cases(RUN, ["before-revert", "after-revert"], ["fail"]), ids=names)
def test_stop_that_fails_can_be_removed_by_force(world, case):
    step, moment, action = case
    before = world.snapshot()
    path = world.create()
    world.order("stop", step, moment, action)
    with pytest.raises(BusError):
        world.vm(path, "Stop", force=True)
    assert world.was_carried_out()
    assert world.state(path) == "error"
    with pytest.raises(BusError) as caught:
        world.vm(path, "Start")
    assert caught.value.name == "org.vmsan.Error.WrongState"
    world.vm(path, "Remove", force=True)
    world.assert_back_to(before)


@pytest.mark.parametrize("case", cases(CREATE, ["before-revert", "after-revert"]), ids=names)
def test_remove_is_finished(world, case):
    step, moment, action = case
    before = world.snapshot()
    path = world.create(start=False, name="again")
    world.order("remove", step, moment, action)
    with pytest.raises(BusError):
        world.vm(path, "Remove")
    assert world.was_carried_out()
    if action == "kill":
        world.wait_dead()
        world.start()
        assert world.list_vms() == {}
        world.assert_back_to(before)
        # The name can be used at once.
        world.create(start=False, name="again")
    else:
        assert world.state(path) == "error"
        world.vm(path, "Remove", force=True)
        world.assert_back_to(before)


@pytest.mark.parametrize("case", cases(CREATE + RUN, ["before-revert", "after-revert"], ["kill"]),
                         ids=names)
def test_undo_that_is_killed_is_finished(world, case):
    """A creation fails, and the service dies while it undoes that."""
    step, moment, action = case
    before = world.snapshot()
    world.order_null(fail="boot")
    world.order("create", step, moment, action)
    with pytest.raises(BusError):
        world.create()
    assert world.was_carried_out()
    world.wait_dead()
    world.start()
    assert world.list_vms() == {}
    world.assert_back_to(before)


# What is seen first of each part of a machine's network, in the order of their making.
SIGNS = {
    "namespace": lambda: any(name.startswith("vmsan-") for name in names_of_namespaces()),
    "link": lambda: any(name.startswith("vmsan") for _, name in socket.if_nameindex()),
    "policy": lambda: os.path.exists(f"{only_runtime_directory()}/network-policy"),
    "settings": lambda: os.path.exists(f"{RUNTIME}/uplink-settings"),
}


def names_of_namespaces():
    return os.listdir("/run/netns") if os.path.exists("/run/netns") else []


def only_runtime_directory():
    return next((entry.path for entry in os.scandir(RUNTIME) if entry.is_dir()), "/nonexistent")


@pytest.mark.parametrize("sign", SIGNS)
def test_network_of_which_the_making_is_killed_leaves_nothing(world, sign):
    before = world.snapshot()
    world.order_null(hang="boot")
    pending = world.root.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                               GLib.Variant("(a{sv})", (options(name="victim"),)))
    end = time.monotonic() + 30
    while not SIGNS[sign]():
        GLib.MainContext.default().iteration(False)
        assert time.monotonic() < end, f"there never was a {sign}"
    world.kill()
    with pytest.raises(BusError):
        pending.result()
    world.order_null()
    world.start()
    assert world.list_vms() == {}
    world.assert_back_to(before)
    world.create(name="victim")


def test_every_failure_is_an_error_signal(world, listener):
    world.order("create", "cgroup", "before-apply", "fail")
    with pytest.raises(BusError) as caught:
        world.create()
    signal = listener.wait_signal("Error")
    assert signal[3:6] == ("create", caught.value.name, caught.value.message)
    assert signal[6] == "uid:0"
    numbers = [s[2][0] for s in listener.signals]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_caller_that_leaves_has_its_creation_undone(world, listener):
    from caller import Caller
    before = world.snapshot()
    world.order_null(hang="boot")
    caller = Caller(0, "root")
    caller.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                 GLib.Variant("(a{sv})", (options(),)))
    listener.wait_signal("BeforeStart")
    caller.close()
    error = listener.wait_signal("Error")
    assert error[4] == "org.vmsan.Error.Cancelled"
    world.assert_back_to(before)
