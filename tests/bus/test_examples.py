# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples for listeners and plugins, as they are installed and as their text says."""

import json
import os
import pwd
import subprocess

import pytest
from gi.repository import GLib

from caller import VM, BusError, options, wait_until
from plugin import list_plugins

EXAMPLES = os.path.join(os.environ["VMSAN_TEST_SOURCEDIR"], "data/examples")
NOTHING = GLib.Variant("(a{sv})", ({},))
FORCE = GLib.Variant("(a{sv})", (options(force=True),))


@pytest.fixture
def example():
    """Starts one as a user: example("tunnel.py", "root"); ended after the test."""
    started = []

    def start(name, user, *arguments):
        entry = pwd.getpwnam(user)
        started.append(subprocess.Popen(
            ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups",
             os.path.join(EXAMPLES, name), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_registered(world, name):
    wait_until(lambda: [p for p in list_plugins(world.root) if p["name"] == name],
               what=f"the registration of {name}")


@pytest.fixture
def log_file():
    """In a directory of dave's, whom nothing is allowed: signals are public."""
    path = os.path.join(pwd.getpwnam("dave").pw_dir, "audit.log")
    yield path
    os.unlink(path)


def read_log(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def wait_logged(path, machine, event):
    def found():
        return [e for e in read_log(path)
                if e["event"] == event and e.get("id") == os.path.basename(machine)]

    wait_until(found, what=f"{event} in the log")


def test_the_audit_log_misses_nothing_while_it_does_not_run(world, example, log_file):
    process = example("audit-log.py", "dave", log_file)
    first = world.create(world.alice)
    wait_logged(log_file, first, "AfterCreate")
    process.kill()
    process.wait()
    second = world.create(world.alice)
    example("audit-log.py", "dave", log_file)
    third = world.create(world.alice)
    wait_logged(log_file, third, "AfterCreate")
    wait_logged(log_file, second, "AfterCreate")
    log = read_log(log_file)
    numbers = [entry["sequence"] for entry in log]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {"time", "event", "id", "owner", "actor"} <= set(log[-1])


def test_the_audit_log_says_when_it_missed_something(world, example, log_file):
    with open(log_file, "w") as file:
        os.fchown(file.fileno(), pwd.getpwnam("dave").pw_uid, -1)
        file.write('{"sequence": 5, "event": "AfterStop"}\n')
    example("audit-log.py", "dave", log_file)
    path = world.create(world.alice)
    wait_logged(log_file, path, "AfterCreate")
    assert read_log(log_file)[1]["event"] == "Missed"


def test_a_machine_without_a_project_is_refused(world, example):
    example("require-project.py", "bob")
    wait_registered(world, "require-project")
    with pytest.raises(BusError) as refused:
        world.create(world.alice)
    assert refused.value.name == "org.vmsan.Error.Vetoed"
    assert "“require-project”" in refused.value.message
    assert "--project" in refused.value.message
    assert world.is_unchanged()
    path = world.create(world.alice, project="paint", labels=GLib.Variant("a{ss}", {"a": "b"}))
    details = world.alice.call(path, VM, "GetDetails")[0]
    assert details["labels"] == {"a": "b", "cost-centre": "paint"}


@pytest.mark.parametrize("name", ["require-project.py", "tunnel.py"])
def test_who_may_not_register_is_told_so(world, example, name):
    process = example(name, "dave")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "not authorized" in err.lower()


def test_the_tunnel_leads_ports_while_a_machine_runs(world, example):
    process = example("tunnel.py", "root")
    wait_registered(world, "tunnel")
    path = world.create(world.alice, published_ports=GLib.Variant(
        "as", ["18080:80", "127.0.0.1:15353:53/udp"]))
    details = world.alice.call(path, VM, "GetDetails")[0]["network"]
    assert details["skip-dnat"] is False
    world.alice.call(path, VM, "Start", NOTHING)
    machine, address = os.path.basename(path), details["address"]
    assert process.stdout.readline() == f"{machine}: lead 127.0.0.1:18080/tcp to {address}:80\n"
    assert process.stdout.readline() == f"{machine}: lead 127.0.0.1:15353/udp to {address}:53\n"
    assert world.alice.call(path, VM, "GetDetails")[0]["network"]["skip-dnat"] is True
    world.alice.call(path, VM, "Stop", FORCE)
    assert process.stdout.readline() == f"{machine}: lead 127.0.0.1:18080/tcp nowhere\n"
    assert process.stdout.readline() == f"{machine}: lead 127.0.0.1:15353/udp nowhere\n"
    # One without ports is none of its business.
    path = world.create(world.alice, start=True)
    assert world.alice.call(path, VM, "GetDetails")[0]["network"]["skip-dnat"] is False
