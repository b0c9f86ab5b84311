# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of vmsand while it waits for a plugin, and what a plugin changed when a step fails."""

import os

import pytest

from caller import BusError, Caller, GLib, options, wait_until
from plugin import AGREE, Plugin, change, list_plugins

VM = "org.vmsan.VM"


@pytest.fixture
def peer():
    caller = Caller(0, "root")
    yield caller
    caller.close()


def start_call(caller, path, method, **values):
    return caller.start(path, VM, method, GLib.Variant("(a{sv})", (options(**values),)))


def start_create(world, **values):
    return world.root.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                            GLib.Variant("(a{sv})", (options(**values),)))


CALLS = {
    "BeforeCreate": ("", None, {}),
    "BeforeStart": ("stopped", "Start", {}),
    "BeforeStop": ("running", "Stop", {"force": True}),
    "BeforeRemove": ("running", "Remove", {"force": True}),
    "BeforeNetworkPolicyChange": ("running", "SetNetworkPolicy", {"network_policy": "deny-all"}),
}


@pytest.mark.parametrize("end", ["kill", "terminate"])
@pytest.mark.parametrize("hook", CALLS)
def test_the_end_of_the_service_while_a_plugin_is_asked_changes_nothing(world, peer, hook, end):
    state, method, values = CALLS[hook]
    path = world.create(start=state == "running") if state else None
    before = world.snapshot()
    # A machine that runs has processes that come and go with its agent; its files stay.
    del before["processes"]
    with Plugin(peer, lambda h, event: None if h == hook else AGREE) as plugin:
        plugin.register("stuck", [hook], deadline_ms=60000)
        pending = start_call(world.root, path, method, **values) if path else start_create(world)
        plugin.wait_asked()
        getattr(world, end)()
        with pytest.raises(BusError):
            pending.result()
        plugin.held.clear()
        world.start()
        assert list_plugins(peer) == []
        # It registers again, as the examples do.
        plugin.register("stuck", [hook], deadline_ms=60000)
    if path:
        assert world.state(path) == state
        details = world.root.call(path, VM, "GetDetails")[0]
        assert details["network"]["network-policy"] == "allow-all"
        assert "operation" not in details
    else:
        assert world.list_vms() == {}
    after = world.snapshot()
    del after["processes"]
    assert after == before


def test_a_creation_that_fails_after_a_change_leaves_nothing(world, peer):
    before = world.snapshot()
    with Plugin(peer, lambda hook, event: change(network_policy="deny-all")) as plugin:
        plugin.register("closer", ["BeforeCreate", "BeforeStart"])
        world.order("create", "network", "after-apply", "fail")
        with pytest.raises(BusError) as failed:
            world.create()
        assert failed.value.name == "org.vmsan.Error.Failed"
        assert world.was_carried_out()
        assert plugin.hooks() == ["BeforeCreate", "BeforeStart"]
    assert world.list_vms() == {}
    world.assert_back_to(before)


@pytest.mark.parametrize("action", ["fail", "kill"])
def test_a_start_that_fails_after_a_change_leaves_it_stopped_and_narrower(world, peer, action):
    path = world.create(start=False)
    before = world.snapshot()
    with Plugin(peer, lambda hook, event: change(network_policy="deny-all")) as plugin:
        plugin.register("closer", ["BeforeStart"])
        world.order("start", "monitor", "after-apply", action)
        with pytest.raises(BusError):
            world.vm(path, "Start")
        assert world.was_carried_out()
        if action == "kill":
            world.wait_dead()
            world.start()
            wait_until(lambda: world.state(path) == "stopped", what="the end of the recovery")
    assert world.state(path) == "stopped"
    details = world.root.call(path, VM, "GetDetails")[0]
    assert details["network"]["network-policy"] == "deny-all"
    world.assert_back_to(before)
    assert os.path.exists(f"{os.environ['VMSAN_TEST_STATE_DIR']}/vms/{os.path.basename(path)}.json")
