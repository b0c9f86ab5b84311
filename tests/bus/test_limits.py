# SPDX-License-Identifier: GPL-2.0-or-later
"""What one user may have, with the limits of limits.conf; alice has two machines already."""

import pytest
from gi.repository import GLib

from caller import VM, BusError, options

EXCEEDED = "org.vmsan.Error.LimitExceeded"


@pytest.mark.parametrize("key, too_much, allowed", [
    ("vcpus", 7, "8"), ("memory_mib", 513, "1024"), ("disk_mib", 1025, "3072")])
def test_what_is_one_too_much_is_refused_with_what_is_used_and_allowed(world, key, too_much,
                                                                       allowed):
    with pytest.raises(BusError) as refused:
        world.create(world.alice, **{key: too_much})
    assert refused.value.name == EXCEEDED
    assert allowed in refused.value.message
    assert world.is_unchanged()
    world.create(world.alice, **{key: too_much - 1})


def test_a_user_has_a_number_of_machines_and_another_is_not_counted(world, users):
    world.create(world.alice)
    last = world.create(world.alice)
    with pytest.raises(BusError) as refused:
        world.create(world.alice)
    assert refused.value.name == EXCEEDED
    assert "4" in refused.value.message
    world.create(users["erin"])
    # What is removed counts no more.
    world.alice.call(last, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    world.scratch.remove(last)
    world.create(world.alice)


def test_the_host_has_a_number_of_machines_for_root_too(world, users):
    for _ in range(4):
        world.create(users["root"])
    for user in ("root", "erin"):
        with pytest.raises(BusError) as refused:
            world.create(users[user])
        assert refused.value.name == EXCEEDED
        assert "6" in refused.value.message


def test_calls_at_once_do_not_get_past_a_limit(world, users):
    """The reservation is made before anything slow begins."""
    calls = [users["erin"].start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                                 GLib.Variant("(a{sv})", (options(
                                     image="busybox", kernel="host", start=False, disk_mib=32),)))
             for _ in range(8)]
    outcomes = []
    for call in calls:
        try:
            call.result()
            outcomes.append("made")
        except BusError as error:
            outcomes.append(error.name)
    assert sorted(outcomes) == ["made"] * 4 + [EXCEEDED] * 4
