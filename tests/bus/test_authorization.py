# SPDX-License-Identifier: GPL-2.0-or-later
"""Every method of every interface, called by every kind of user: one table says what must happen.

alice owns the machines. root and bob (rules allow him everything) may do everything with them,
erin (rules allow her what is hers), carol and frank (no rules) would be asked for a password,
dave is denied. Nobody allows interaction here, so "asked" is the error AuthorizationRequired.
"""

import os

import pytest
from gi.repository import GLib

from caller import MANAGER, VM, BusError, options
from interface import INTERFACES, documented_options
from plugin import Plugin, list_plugins

OK = None
NO = "org.vmsan.Error.NotAuthorized"
ASK = "org.vmsan.Error.AuthorizationRequired"

#             root      alice      bob      carol       dave      erin       frank
PUBLIC = dict(root=OK, alice=OK, bob=OK, carol=OK, dave=OK, erin=OK, frank=OK)
CREATE = dict(root=OK, alice=OK, bob=OK, carol=ASK, dave=NO, erin=OK, frank=ASK)
OWNERS = dict(root=OK, alice=OK, bob=OK, carol=ASK, dave=NO, erin=ASK, frank=ASK)
LOOK = dict(root=OK, alice=OK, bob=OK, carol=ASK, dave=NO, erin=OK, frank=ASK)
REPAIR = dict(root=OK, alice=ASK, bob=OK, carol=ASK, dave=NO, erin=ASK, frank=ASK)
PLUGINS = dict(root=OK, alice=ASK, bob=OK, carol=ASK, dave=NO, erin=ASK, frank=ASK)
IMAGES = dict(root=OK, alice=ASK, bob=OK, carol=ASK, dave=NO, erin=OK, frank=ASK)


def call_create(world, caller):
    path = world.create(caller)
    assert caller.get(path, VM, "Owner") == caller.uid


def call_get(method, name):
    def call(world, caller):
        path = caller.manager(method, GLib.Variant("(s)", (name,)))[0]
        assert path == {"GetVM": world.vm, "GetImage": world.image, "GetKernel": world.kernel}[method]

    return call


def call_list(method, args=None):
    def call(world, caller):
        paths = caller.manager(method, args)[0]
        assert {"ListVMs": world.vm, "ListImages": world.image,
                "ListKernels": world.kernel}[method] in paths

    return call


def call_add_image(world, caller):
    with world.new_image() as file:
        args = GLib.Variant("(ha{sv})", (0, {}))
        path = caller.manager("AddImage", args, fds=[file.fileno()])[0]
    assert caller.get(path, "org.vmsan.Image", "AddedBy") == caller.uid


def call_add_kernel(world, caller):
    with world.new_kernel() as file:
        args = GLib.Variant("(ha{sv})", (0, {}))
        path = caller.manager("AddKernel", args, fds=[file.fileno()])[0]
    assert caller.get(path, "org.vmsan.Kernel", "AddedBy") == caller.uid


def call_remove_content(kind):
    def call(world, caller):
        path = world.add_image() if kind == "Image" else world.add_kernel()
        caller.call(path, "org.vmsan." + kind, "Remove")
        assert not world.is_there(path)

    return call


def call_start(world, caller):
    """On a machine that is stopped, and is so again afterwards."""
    path = world.idle_vm
    try:
        caller.call(path, VM, "Start", GLib.Variant("(a{sv})", ({},)))
        assert caller.get(path, VM, "State") == "running"
    finally:
        if world.root.get(path, VM, "State") != "stopped":
            world.root.call(path, VM, "Stop", GLib.Variant("(a{sv})", (options(force=True),)))


def call_stop(world, caller):
    """The machine is stopped already: who may stop it is told so."""
    with pytest.raises(BusError) as refused:
        caller.call(world.idle_vm, VM, "Stop", GLib.Variant("(a{sv})", ({},)))
    if refused.value.name != "org.vmsan.Error.WrongState":
        raise refused.value


def call_remove(world, caller):
    path = world.create(world.alice)
    caller.call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    assert not world.is_there(path)


def call_set_timeout(world, caller):
    caller.call(world.vm, VM, "SetTimeout", GLib.Variant("(t)", (3600000,)))
    assert caller.get(world.vm, VM, "TimeoutAt") > 0
    caller.call(world.vm, VM, "SetTimeout", GLib.Variant("(t)", (0,)))
    assert caller.get(world.vm, VM, "TimeoutAt") == 0


def call_set_network_policy(world, caller):
    def change(policy):
        caller.call(world.vm, VM, "SetNetworkPolicy",
                    GLib.Variant("(a{sv})", (options(network_policy=policy),)))

    change("deny-all")
    details = world.root.call(world.vm, VM, "GetDetails")[0]
    assert details["network"]["network-policy"] == "deny-all"
    change("allow-all")


def call_run(world, caller):
    assert caller.call(world.vm, VM, "Run", world.run_args("echo", "hello")) == (0, 0, "hello\n", "")


def call_exec(world, caller):
    pending = caller.start(world.vm, VM, "Exec", world.run_args("true"))
    pending.result()
    assert len(pending.fds) == 1
    os.close(pending.fds[0])


def call_details(world, caller):
    details = caller.call(world.vm, VM, "GetDetails")[0]
    assert details["project"] == "secret-project"


def call_doctor(**values):
    def call(world, caller):
        findings = caller.manager("Doctor", GLib.Variant("(a{sv})", (options(**values),)))[0]
        assert "kvm" in {finding["check"] for finding in findings}

    return call


def call_register(world, caller):
    with Plugin(caller, path="/test/Authorized") as plugin:
        plugin.register("authorized", ["BeforeRemove"])
        assert [p["owner"] for p in list_plugins(caller)] == [caller.uid]


def call_unregister(world, caller):
    """Whoever may is told that the object was never registered."""
    with pytest.raises(BusError) as refused:
        caller.manager("UnregisterPlugin", GLib.Variant("(o)", ("/test/None",)))
    if refused.value.name != "org.vmsan.Error.NotFound":
        raise refused.value


def call_list_plugins(world, caller):
    assert list_plugins(caller) == []


def call_get_events(world, caller):
    events, last, missed = caller.manager("GetEvents", GLib.Variant("(t)", (0,)))
    assert events[-1][0] == last and not missed


METHODS = {
    "org.vmsan.Manager.CreateVM": (CREATE, call_create),
    "org.vmsan.Manager.GetVM": (PUBLIC, call_get("GetVM", "hers")),
    "org.vmsan.Manager.ListVMs": (PUBLIC, call_list("ListVMs", GLib.Variant("(a{sv})", ({},)))),
    "org.vmsan.Manager.AddImage": (IMAGES, call_add_image),
    "org.vmsan.Manager.AddKernel": (IMAGES, call_add_kernel),
    "org.vmsan.Manager.GetImage": (PUBLIC, call_get("GetImage", "busybox")),
    "org.vmsan.Manager.GetKernel": (PUBLIC, call_get("GetKernel", "host")),
    "org.vmsan.Manager.ListImages": (PUBLIC, call_list("ListImages")),
    "org.vmsan.Manager.ListKernels": (PUBLIC, call_list("ListKernels")),
    "org.vmsan.Manager.Doctor": (LOOK, call_doctor()),
    "org.vmsan.Manager.RegisterPlugin": (PLUGINS, call_register),
    "org.vmsan.Manager.UnregisterPlugin": (PLUGINS, call_unregister),
    "org.vmsan.Manager.ListPlugins": (PUBLIC, call_list_plugins),
    "org.vmsan.Manager.GetEvents": (PUBLIC, call_get_events),
    "org.vmsan.VM.Start": (OWNERS, call_start),
    "org.vmsan.VM.Stop": (OWNERS, call_stop),
    "org.vmsan.VM.Remove": (OWNERS, call_remove),
    "org.vmsan.VM.SetTimeout": (OWNERS, call_set_timeout),
    "org.vmsan.VM.SetNetworkPolicy": (OWNERS, call_set_network_policy),
    "org.vmsan.VM.Run": (OWNERS, call_run),
    "org.vmsan.VM.Exec": (OWNERS, call_exec),
    "org.vmsan.VM.GetDetails": (OWNERS, call_details),
    "org.vmsan.Image.Remove": (IMAGES, call_remove_content("Image")),
    "org.vmsan.Kernel.Remove": (IMAGES, call_remove_content("Kernel")),
}


def test_every_method_is_in_the_table():
    there = {f"{name}.{m}" for name, interface in INTERFACES.items() for m in interface.methods}
    assert there == set(METHODS)


@pytest.mark.parametrize("user", PUBLIC)
@pytest.mark.parametrize("method", METHODS)
def test_who_may_call(world, users, method, user):
    expected, call = METHODS[method]
    if expected[user] is OK:
        call(world, users[user])
        return
    with pytest.raises(BusError) as refused:
        call(world, users[user])
    assert refused.value.name == expected[user]
    # What it was about is as it was, and nothing came to it.
    assert world.is_unchanged()


@pytest.mark.parametrize("user", PUBLIC)
def test_who_may_repair(world, users, user):
    """The same method asks for more when it is to change something."""
    if REPAIR[user] is OK:
        call_doctor(repair=True)(world, users[user])
        return
    with pytest.raises(BusError) as refused:
        call_doctor(repair=True)(world, users[user])
    assert refused.value.name == REPAIR[user]


@pytest.mark.parametrize("user", PUBLIC)
@pytest.mark.parametrize("kind", INTERFACES)
def test_properties_are_public_read_only_and_those_of_the_interface(world, users, kind, user):
    caller, path = users[user], world.path_of(kind)
    got = caller.call(path, "org.freedesktop.DBus.Properties", "GetAll",
                      GLib.Variant("(s)", (kind,)))[0]
    assert set(got) == set(INTERFACES[kind].properties)
    for name, value in got.items():
        variant = INTERFACES[kind].any_value(name)
        with pytest.raises(BusError):
            caller.call(path, "org.freedesktop.DBus.Properties", "Set",
                        GLib.Variant("(ssv)", (kind, name, variant)))
        if kind != "org.vmsan.Manager":
            assert caller.get(path, kind, name) == value


@pytest.mark.parametrize("user", PUBLIC)
def test_the_object_tree_is_public_and_holds_the_same(world, users, user):
    objects = users[user].call("/org/vmsan", "org.freedesktop.DBus.ObjectManager",
                               "GetManagedObjects")[0]
    assert {world.vm, world.image, world.kernel, MANAGER[0]} <= set(objects)
    vms = users[user].manager("ListVMs", GLib.Variant("(a{sv})", ({},)))[0]
    assert objects[world.vm][VM] == vms[world.vm]


def test_details_hold_documented_keys_only(world):
    details = world.alice.call(world.vm, VM, "GetDetails")[0]
    assert set(details) <= set(documented_options(VM, "GetDetails"))
    assert details["labels"] == {"purpose": "secret-label"}


def test_no_secret_is_public(world, users):
    """What came in as option, environment, argument or input is in no property and no signal."""
    dave = users["dave"]
    dave.listen()
    args = world.run_args("sh", "-c", "cat; : secret-argument",
                          env=GLib.Variant("as", ["TOKEN=secret-environment"]),
                          stdin=GLib.Variant("ay", b"secret-input"))
    assert world.alice.call(world.vm, VM, "Run", args)[2] == "secret-input"
    path = world.create(world.alice, project="secret-project")
    world.alice.call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    dave.wait_signal("AfterRemove")
    seen = repr(dave.signals) + repr(dave.call(
        "/org/vmsan", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
    assert "secret-" not in seen
    assert "hers" in seen


def test_names_of_two_users_do_not_collide(world, users):
    """Each finds their own machine by the name, others' when just one has it."""
    erin = users["erin"]
    path = world.create(erin, name="hers")
    try:
        assert erin.manager("GetVM", GLib.Variant("(s)", ("hers",)))[0] == path
        assert world.alice.manager("GetVM", GLib.Variant("(s)", ("hers",)))[0] == world.vm
        with pytest.raises(BusError) as refused:
            users["dave"].manager("GetVM", GLib.Variant("(s)", ("hers",)))
        assert refused.value.name == "org.vmsan.Error.Ambiguous"
    finally:
        erin.call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    assert users["dave"].manager("GetVM", GLib.Variant("(s)", ("hers",)))[0] == world.vm


def test_hook_signals_are_numbered_without_a_gap_and_name_the_actor(world, users, connect):
    listener = connect("dave")
    listener.listen()
    path = world.create(world.alice)
    users["bob"].call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    listener.wait_signal("AfterRemove")
    numbers = [arguments[0] for _, _, arguments in listener.signals]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    by_name = {name: arguments for name, _, arguments in listener.signals if name != "StateChanged"}
    assert list(by_name) == ["BeforeCreate", "AfterCreate", "BeforeRemove", "AfterRemove"]
    assert all(arguments[2] == 4001 for arguments in by_name.values())
    assert [arguments[-1] for arguments in by_name.values()] == ["uid:4001"] * 2 + ["uid:4002"] * 2
