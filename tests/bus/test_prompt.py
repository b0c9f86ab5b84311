# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens while polkit asks a person for a password: nothing, and nobody else waits.

frank has no rule, so he is asked for the administrator's password when his call allows it.
"""

import os
import time

import pytest
from gi.repository import GLib

from caller import MANAGER, VM, BusError, wait_until

CREATE = (*MANAGER, "CreateVM", "({'image': <'busybox'>, 'start': <false>, 'disk-mib': <uint32 32>},)")


def records():
    names = os.listdir(os.path.join(os.environ["VMSAN_TEST_STATE_DIR"], "vms"))
    return [name for name in names if name.endswith(".json")]


@pytest.fixture
def frank(person):
    frank = person("frank")
    frank.register()
    return frank


def test_a_right_password_lets_the_call_through(world, frank):
    frank.call(*CREATE)
    asked = frank.wait("asked")
    assert asked["action"] == "org.vmsan.create"
    assert asked["details"]["polkit.subject-pid"] == str(frank.pid)
    assert world.is_unchanged()
    frank.do("answer", password="s3cret")
    reply = frank.wait("reply")
    assert reply["error"] is None, reply
    path = reply["value"].split("'")[1]
    assert world.root.get(path, VM, "Owner") == 4006


def test_the_question_says_what_it_is_about(world, frank):
    identifier = world.root.get(world.vm, VM, "Id")
    for method, args, action in [("GetDetails", "()", "view"),
                                 ("Remove", "(@a{sv} {},)", "manage"),
                                 ("Run", "(['true'], @a{sv} {})", "access")]:
        frank.call(world.vm, VM, method, args)
        asked = frank.wait("asked")
        assert asked["action"] == "org.vmsan." + action
        assert identifier in asked["message"] and "another user" in asked["message"]
        frank.do("dismiss")
        assert frank.wait("reply")["error"] == "org.vmsan.Error.AuthorizationDismissed"
    assert world.is_unchanged()


def test_a_wrong_password_is_a_refusal(world, frank):
    frank.call(*CREATE)
    frank.wait("asked")
    frank.do("answer", password="wrong")
    # polkit may ask again, as a person who mistyped would want; then the prompt is closed.
    wait_until(lambda: frank.seen("reply") or len(
        [e for e in frank.events if e["event"] == "asked"]), what="an answer to a wrong password")
    if not frank.seen("reply"):
        frank.wait("asked")
        frank.do("dismiss")
    assert frank.wait("reply")["error"] in ("org.vmsan.Error.NotAuthorized",
                                            "org.vmsan.Error.AuthorizationDismissed")
    assert world.is_unchanged()


def test_without_an_agent_the_refusal_says_that_a_password_would_help(world, person):
    frank = person("frank")
    frank.call(*CREATE)
    reply = frank.wait("reply")
    assert reply["error"] in ("org.vmsan.Error.AuthorizationRequired",
                              "org.vmsan.Error.NotAuthorized")
    assert world.is_unchanged()


def test_a_caller_that_leaves_while_polkit_asks_gets_nothing(world, users, connect, person):
    """The agent is another process, which answers rightly after the caller is gone."""
    listener = connect("root")
    listener.listen()
    caller, agent = person("frank"), person("frank")
    agent.register(caller.pid)
    before = records()
    caller.call(*CREATE)
    agent.wait("asked")
    caller.close()
    wait_until(lambda: not has_owner(users["root"], caller.unique_name), what="the caller's end")
    agent.do("answer", password="s3cret")
    wait_until(lambda: agent.seen("withdrawn") or agent.seen("answered"), what="the agent's end")
    # A call of somebody else after it, through the same steps: whatever was to happen has happened.
    world.create(world.alice)
    listener.wait_signal("AfterCreate")
    owners = {arguments[2] for _, _, arguments in listener.signals}
    assert owners == {4001}
    assert len(records()) == len(before) + 1
    assert world.is_unchanged()


def test_a_machine_that_vanishes_while_polkit_asks_is_not_found(world, frank):
    """What is authorized is looked at again before it is done."""
    path = world.create(world.alice)
    frank.call(path, VM, "Remove", "(@a{sv} {},)")
    frank.wait("asked")
    world.alice.call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    world.scratch.remove(path)
    frank.do("answer", password="s3cret")
    assert frank.wait("reply")["error"] in ("org.vmsan.Error.NotFound",
                                            "org.freedesktop.DBus.Error.UnknownObject")
    assert world.is_unchanged()


def test_one_password_opens_one_machine_only(world, frank):
    """polkit could remember it by action; then it would open every machine."""
    for _ in range(2):
        frank.call(world.vm, VM, "GetDetails")
        frank.wait("asked")
        frank.do("answer", password="s3cret")
        assert frank.wait("reply")["error"] is None
        frank.wait("answered")


def test_a_person_may_think_for_a_minute_and_others_are_served_meanwhile(world, users, frank):
    """D-Bus replies time out after 25 s by default, a polkit check must not."""
    path = world.create(world.alice)
    frank.call(path, VM, "Remove", "(@a{sv} {},)")
    frank.wait("asked")
    end = time.monotonic() + 60
    slowest = 0
    while time.monotonic() < end:
        started = time.monotonic()
        users["dave"].manager("ListVMs", GLib.Variant("(a{sv})", ({},)))
        # The very machine that the question is about is not locked by it.
        world.alice.call(path, VM, "GetDetails")
        with pytest.raises(BusError):
            users["dave"].call(path, VM, "GetDetails")
        slowest = max(slowest, time.monotonic() - started)
        waited = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > waited or frank.seen("reply"), 5)
        assert not frank.seen("reply"), frank.events
    assert slowest < 2
    frank.do("answer", password="s3cret")
    assert frank.wait("reply")["error"] is None
    assert not world.is_there(path)


def has_owner(caller, name):
    return caller.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                       GLib.Variant("(s)", (name,)), destination="org.freedesktop.DBus")[0]
