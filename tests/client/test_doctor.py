# SPDX-License-Identifier: GPL-2.0-or-later
"""What “vmsan-client doctor” prints and exits with."""

import json
import os
import re

import pytest

LOST = "lostlostlost"
RUNTIME = os.environ["VMSAN_TEST_RUNTIME_DIR"]
STATE = os.environ["VMSAN_TEST_STATE_DIR"]


@pytest.fixture
def lost():
    """A directory as of a machine that is no more."""
    os.mkdir(f"{RUNTIME}/{LOST}")
    yield f"{RUNTIME}/{LOST}"
    if os.path.exists(f"{RUNTIME}/{LOST}"):
        os.rmdir(f"{RUNTIME}/{LOST}")


def severities(findings):
    return {f["check"]: f["severity"] for f in findings}


def test_report_says_how_things_are_and_what_to_do(root):
    """There is no way out of this network namespace, which is a warning."""
    out, err = root.run("doctor", code=1)
    assert err == ""
    assert re.search(r"^       ok  driver null: Machines can run under null 0$", out, re.MULTILINE)
    assert re.search(r"^  warning  uplink: The host has no default route\n           → Give the host",
                     out, re.MULTILINE)


def test_quiet_prints_only_what_is_worse_than_a_note(root):
    out = root.run("doctor", "-q", code=1)[0]
    assert "warning  uplink" in out
    assert " ok " not in out and " note " not in out


def test_json_has_every_finding(root):
    findings = json.loads(root.run("doctor", "--json", code=1)[0])
    assert severities(findings)["image"] == "ok" and severities(findings)["kvm"] == "note"
    assert all({"check", "severity", "subject", "message", "advice"} <= set(f) for f in findings)


def test_what_is_left_of_machines_is_shown_and_repaired(root, lost):
    assert f"  warning  leak-runtime-directory {LOST}: " in root.run("doctor", code=1)[0]
    out = root.run("doctor", "--repair", code=1)[0]
    assert f" repaired  leak-runtime-directory {LOST}: " in out
    assert not os.path.exists(lost)
    assert "ok  leaks: Nothing is left" in root.run("doctor", code=1)[0]


def test_only_administrators_repair(alice, lost):
    out = alice.run("doctor", code=1)[0]
    assert LOST not in out and "  warning  hidden: There is 1 finding" in out
    err = alice.run("doctor", "--repair", "--no-ask-password", code=4)[1]
    assert err.startswith("vmsan-client: Could not examine the host: ")
    assert os.path.isdir(lost)


def test_a_host_with_a_way_out_and_a_name_server_is_a_success(root):
    """And so is everything that is no worse than a note."""
    with open("/etc/resolv.conf", "w") as file:
        file.write("nameserver 203.0.113.53\n")
    assert os.system("ip link add wan9 type veth peer name wan10 && ip link set wan9 up"
                     " && ip link set wan10 up && ip route add default dev wan9") == 0
    try:
        bad = [f for f in root.json("doctor") if f["severity"] not in ("ok", "note")]
        assert bad == []
        assert root.run("doctor", "--quiet")[0] == ""
    finally:
        os.system("ip link del wan9")


def test_a_name_server_that_machines_cannot_reach_is_told(root):
    with open("/etc/resolv.conf") as file:
        before = file.read()
    with open("/etc/resolv.conf", "w") as file:
        file.write("nameserver 127.0.0.53\n")
    try:
        out = root.run("doctor", code=1)[0]
    finally:
        with open("/etc/resolv.conf", "w") as file:
            file.write(before)
    assert re.search(r"^  warning  resolver: Machines cannot resolve names: .* loopback", out,
                     re.MULTILINE)


def move_while_stopped(world, source, destination):
    world.stop_service()
    os.rename(f"{STATE}/{source}", f"{STATE}/{destination}")
    world.start_service()


def test_a_machine_whose_image_is_gone_is_named(world, root, alice):
    vm_id = alice.run("create", "plain", "--no-start")[0].strip()
    image = root.json("image", "list")[0]["id"]
    move_while_stopped(world, f"images/{image}", "away")
    try:
        out = root.run("doctor", code=1)[0]
        assert f"  warning  image {vm_id}: The image {image} of machine {vm_id} is not there" in out
        assert "  warning  image: There is no image" in out
        assert vm_id not in alice.run("doctor", code=1)[0]
    finally:
        move_while_stopped(world, "away", f"images/{image}")
        alice.run("remove", vm_id)
    assert severities(json.loads(root.run("doctor", "--json", code=1)[0]))["image"] == "ok"
