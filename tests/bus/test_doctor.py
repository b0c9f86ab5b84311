# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets to see what of the doctor's findings, and that what is under way is none of them."""

import os

import pytest
from gi.repository import GLib

from caller import MANAGER, VM, BusError, options

RUNTIME = os.environ["VMSAN_TEST_RUNTIME_DIR"]
STATE = os.environ["VMSAN_TEST_STATE_DIR"]
LOST = "lostlostlost"
NAMED = {"check", "severity", "subject", "message", "advice"}


def examine(caller, **values):
    return caller.manager("Doctor", GLib.Variant("(a{sv})", (options(**values),)))[0]


def leaks(findings):
    return [f for f in findings if "repaired" in f]


@pytest.fixture
def lost():
    """A directory as of a machine that is no more."""
    os.mkdir(f"{RUNTIME}/{LOST}")
    yield f"{RUNTIME}/{LOST}"
    if os.path.exists(f"{RUNTIME}/{LOST}"):
        os.rmdir(f"{RUNTIME}/{LOST}")


def test_each_finding_has_its_keys(world):
    findings = examine(world.root)
    for finding in findings:
        assert set(finding) - {"repaired"} == NAMED
        assert finding["severity"] in ("ok", "note", "warning", "error")
        assert finding["message"] and (finding["advice"] or finding["severity"] in ("ok", "note"))
    assert {f["subject"] for f in findings if f["check"] == "driver"} == {"null", "null-elf"}


@pytest.mark.parametrize("user", ["alice", "bob", "erin"])
def test_what_may_be_somebodys_is_named_to_nobody_but_root(world, users, lost, user):
    with open(f"{STATE}/damaged/{LOST}.json.1", "w"):
        pass
    try:
        findings = examine(users[user])
        of_root = examine(world.root)
    finally:
        os.unlink(f"{STATE}/damaged/{LOST}.json.1")
    assert LOST not in repr(findings)
    summary, = [f for f in findings if f["check"] == "hidden"]
    assert summary["severity"] == "warning" and "2 findings" in summary["message"]
    assert {f["check"] for f in of_root if LOST in f["subject"]} == {"damaged",
                                                                     "leak-runtime-directory"}
    assert os.path.isdir(lost)


def test_who_may_repair_sees_what_was_removed(users, lost):
    assert [(f["subject"], f["repaired"]) for f in leaks(examine(users["bob"], repair=True))] == [
        (LOST, True)]
    assert not os.path.exists(lost)


def test_who_may_not_repair_removes_nothing(users, lost):
    with pytest.raises(BusError):
        examine(users["alice"], repair=True)
    assert os.path.isdir(lost)


def test_what_cannot_be_removed_is_an_error_that_says_why(world, lost):
    """Nothing below a directory of ours is deleted across a mount."""
    os.mkdir(f"{lost}/mount")
    assert os.system(f"mount -t tmpfs none {lost}/mount") == 0
    try:
        finding, = leaks(examine(world.root, repair=True))
        assert finding["severity"] == "error" and not finding["repaired"]
        assert "removing it failed: " in finding["message"]
    finally:
        assert os.system(f"umount {lost}/mount") == 0
        os.rmdir(f"{lost}/mount")


def test_many_who_look_at_once_all_get_an_answer(world, users):
    arguments = GLib.Variant("(a{sv})", ({},))
    pending = [users[user].start(*MANAGER, "Doctor", arguments)
               for _ in range(20) for user in ("root", "alice", "bob")]
    pending.append(world.root.start(*MANAGER, "Doctor",
                                    GLib.Variant("(a{sv})", (options(repair=True),))))
    answers = [one.result()[0] for one in pending]
    assert all(answers)


def test_machines_under_way_are_no_leaks(world):
    """They are made and removed while it is looked for what is nobody's, and removed."""
    rounds = 0
    for _ in range(3):
        made = [world.alice.start(*MANAGER, "CreateVM", GLib.Variant(
            "(a{sv})", (options(image="busybox", kernel="host", disk_mib=32),))) for _ in range(4)]
        while not all(one.done for one in made):
            assert leaks(examine(world.root, repair=True)) == []
            rounds += 1
        paths = [one.result()[0] for one in made]
        for path in paths:
            assert world.alice.call(path, VM, "GetDetails")[0]["pid"] > 0
            assert world.root.get(path, VM, "State") == "running"
        gone = [world.root.start(path, VM, "Remove", GLib.Variant(
            "(a{sv})", (options(force=True),))) for path in paths]
        while not all(one.done for one in gone):
            assert leaks(examine(world.root, repair=True)) == []
            rounds += 1
        for one in gone:
            one.result()
    assert rounds >= 6
