# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shipped policy, the example rules and the rules of these tests say, asked of polkit."""

import os
import subprocess
import xml.etree.ElementTree

import gi
import pytest

gi.require_version("Polkit", "1.0")
from gi.repository import GLib, Polkit  # noqa: E402

from caller import BusError, wait_until  # noqa: E402

SOURCE = os.environ["VMSAN_TEST_SOURCEDIR"]
ACTIONS = ["create", "manage-own", "manage", "access-own", "access", "network-own", "network",
           "view", "images", "diagnose", "repair", "register-plugin", "weaken-isolation"]
ABOUT_NO_MACHINE = ["create", "images", "diagnose", "repair", "register-plugin", "weaken-isolation"]

# yes, no, or "ask" for an administrator's password; in the order of ACTIONS.
EXPECTED = {
    "root":  ["yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"],
    "alice": ["yes", "yes", "ask", "yes", "ask", "yes", "ask", "ask", "ask", "yes", "ask", "ask", "ask"],
    "bob":   ["yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"],
    "carol": ["ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask"],
    "dave":  ["no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no"],
    "erin":  ["yes", "yes", "ask", "yes", "ask", "yes", "ask", "ask", "yes", "yes", "ask", "ask", "ask"],
    "frank": ["ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask", "ask"],
}


@pytest.fixture(scope="module")
def authority():
    return Polkit.Authority.get_sync(None)


@pytest.mark.parametrize("user", EXPECTED)
@pytest.mark.parametrize("action", ACTIONS)
def test_rules_decide_as_documented(authority, users, user, action):
    subject = Polkit.SystemBusName.new(users[user].unique_name)
    result = authority.check_authorization_sync(
        subject, "org.vmsan." + action, None, Polkit.CheckAuthorizationFlags.NONE, None)
    answer = "yes" if result.get_is_authorized() else "ask" if result.get_is_challenge() else "no"
    assert answer == EXPECTED[user][ACTIONS.index(action)]


@pytest.mark.parametrize("password, gained", [("s3cret", True), ("wrong", False)])
def test_others_are_asked_for_the_administrators_password(authority, person, password, gained):
    frank = person("frank")
    frank.register()
    results = []
    details = Polkit.Details.new()
    details.insert("vm-id", "abc")
    authority.check_authorization(
        Polkit.SystemBusName.new(frank.unique_name), "org.vmsan.manage", details,
        Polkit.CheckAuthorizationFlags.ALLOW_USER_INTERACTION, None,
        lambda source, result: results.append(source.check_authorization_finish(result)))
    asked = frank.wait("asked")
    frank.do("answer", password=password)
    wait_until(lambda: results, what="polkit's answer")
    assert frank.wait("answered")["gained"] == gained
    assert results[0].get_is_authorized() == gained
    assert asked["action"] == "org.vmsan.manage"
    assert "virtual machine abc, which belongs to another user" in asked["message"]


def action_defaults():
    tree = xml.etree.ElementTree.parse("/usr/share/polkit-1/actions/org.vmsan.policy")
    for action in tree.getroot().findall("action"):
        yield action.get("id"), {d.tag: d.text for d in action.find("defaults")}


def test_every_action_is_tested():
    assert sorted(name for name, _ in action_defaults()) == sorted("org.vmsan." + a for a in ACTIONS)


def test_nothing_that_is_asked_about_one_machine_is_remembered():
    """polkit remembers by action, so a password for one machine would open all others."""
    about_one_machine = {"org.vmsan." + a for a in ACTIONS if a not in ABOUT_NO_MACHINE}
    for name, defaults in action_defaults():
        if name in about_one_machine:
            assert not [v for v in defaults.values() if v.endswith("_keep")], name


def test_only_looking_creating_and_using_ones_own_is_free_for_active_users():
    free = {name for name, defaults in action_defaults() if defaults["allow_active"] == "yes"}
    assert free == {"org.vmsan.create", "org.vmsan.manage-own", "org.vmsan.access-own",
                    "org.vmsan.network-own", "org.vmsan.diagnose"}
    for name, defaults in action_defaults():
        assert defaults["allow_any"].startswith("auth_admin"), name
        assert defaults["allow_inactive"].startswith("auth_admin"), name


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "dave", "erin", "frank"])
def test_only_root_may_be_the_service(users, user):
    with pytest.raises(BusError) as refused:
        users[user].call("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                         GLib.Variant("(su)", ("org.vmsan", 0)), destination="org.freedesktop.DBus")
    assert refused.value.name == "org.freedesktop.DBus.Error.AccessDenied"


def test_messages_name_the_machine():
    tree = xml.etree.ElementTree.parse("/usr/share/polkit-1/actions/org.vmsan.policy")
    for action in tree.getroot().findall("action"):
        about_one = action.get("id").split(".")[-1] not in ABOUT_NO_MACHINE
        assert ("$(vm-id)" in action.find("message").text) == about_one, action.get("id")


def test_unit_is_accepted_by_systemd(tmp_path):
    """Every directive is known; the program itself is not installed here."""
    with open(os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "data/vmsand.service")) as file:
        text = file.read()
    unit = tmp_path / "vmsand.service"
    program = [l for l in text.split("\n") if l.startswith("ExecStart=")][0].split("=", 1)[1]
    unit.write_text(text.replace(program, "/bin/true").replace("Documentation=man:vmsan-client(1)\n", ""))
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)],
                         capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_sample_configuration_holds_only_comments():
    """Installed as it is: it must change nothing."""
    with open(os.path.join(SOURCE, "data/vmsand.conf")) as file:
        lines = [l for l in file.read().split("\n") if l and not l.startswith(("#", "["))]
    assert lines == []
