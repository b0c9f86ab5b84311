# SPDX-License-Identifier: GPL-2.0-or-later
"""What is true of machines whatever their driver, and Firecracker behind the real service. In its
place and its jailer's are the stand-ins of tests/vmm, with the real agent in them."""

import glob
import os
import signal

import pytest

from caller import BusError, GLib, wait_until
from guest_network import host_state, strings
from real_world import RUNTIME

DRIVERS = ["qemu", "firecracker"]


@pytest.fixture(scope="module")
def programs(world):
    return world.copy_firecracker()


@pytest.fixture(scope="module")
def both(world, internet, programs):
    """The service with both drivers."""
    def restart(more=""):
        world.end(signal.SIGTERM)
        world.start(more)

    restart(world.firecracker_config)
    yield world
    world.remove_all()
    restart()


@pytest.fixture(scope="module", params=DRIVERS)
def machine(both, request):
    path = both.create(name=f"of-{request.param}", driver=request.param)
    yield path
    both.call(path, "Remove", force=True)


@pytest.fixture(params=DRIVERS)
def driver(both, request):
    return request.param


def monitors_of(details):
    """Pids in its control group."""
    for top in glob.glob("/sys/fs/cgroup/*") + ["/sys/fs/cgroup"]:
        procs = f"{top}{details['cgroup']}/cgroup.procs"
        if os.path.exists(procs):
            with open(procs) as file:
                return [int(line) for line in file]
    return []


def arguments_of(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")


def monitor_of(details):
    """The pid of QEMU or Firecracker itself, beside its supervisor and what else it may have."""
    pid, = [pid for pid in monitors_of(details)
            if os.path.basename(arguments_of(pid)[0]).startswith(("qemu-", "firecracker"))]
    return pid


def test_driver_is_as_asked_for(both, machine):
    name = both.alice.get(machine, "org.vmsan.VM", "Name")
    assert both.alice.get(machine, "org.vmsan.VM", "Driver") == name.removeprefix("of-")
    drivers = both.alice.get("/org/vmsan/Manager", "org.vmsan.Manager", "Drivers")
    assert all(drivers[driver]["available"] for driver in DRIVERS)


def test_programs_run_and_end(both, machine):
    assert both.run(machine, "echo", "hello")[2] == "hello\n"
    assert both.run(machine, "sh", "-c", "exit 7")[:2] == (7, 0)
    assert both.run(machine, "sh", "-c", "kill -9 $$")[:2] == (137, 9)
    with pytest.raises(BusError) as caught:
        both.run(machine, "no-such-program")
    assert caught.value.name == "org.vmsan.Error.NotFound"


def test_streams_are_binary(both, machine):
    session = both.start_exec(machine, "cat")
    data = bytes(range(256)) * 4096
    session.send_stdin(data)
    assert session.finish().stdout == data


def test_many_sessions_at_once(both, machine):
    sessions = [both.start_exec(machine, "cat") for _ in range(6)]
    for number, session in enumerate(sessions):
        session.send_stdin(b"%d" % number)
    for number, session in enumerate(sessions):
        assert session.finish().stdout == b"%d" % number


def test_details_say_who_runs_it(both, machine):
    details = both.details(machine)
    pids = monitors_of(details)
    assert details["pid"] in pids and len(pids) >= 2
    for pid in pids:
        assert os.stat(f"/proc/{pid}").st_uid == details["uid"]


def test_stop_and_start(both, driver):
    path = both.create(driver=driver)
    try:
        for force in (False, True):
            both.call(path, "Stop", force=force)
            assert both.state(path) == "stopped"
            both.call(path, "Start")
            assert both.run(path, "echo", "again")[2] == "again\n"
    finally:
        both.call(path, "Remove", force=True)


def test_machine_outlives_the_service(both, driver):
    path = both.create(driver=driver)
    pid = both.details(path)["pid"]
    both.end(signal.SIGKILL)
    both.start(both.firecracker_config)
    try:
        assert both.state(path) == "running"
        assert both.details(path)["pid"] == pid
        assert both.run(path, "echo", "still here")[2] == "still here\n"
    finally:
        both.call(path, "Remove", force=True)


def test_end_of_the_monitor_is_noticed_and_leaves_nothing(both, driver):
    before = host_state()
    path = both.create(driver=driver)
    identifier = path.split("/")[-1]
    os.kill(monitor_of(both.details(path)), signal.SIGKILL)
    wait_until(lambda: both.state(path) == "stopped", 20, "the end")
    assert "killed" in both.alice.get(path, "org.vmsan.VM", "StateReason")
    assert not os.path.exists(f"{RUNTIME}/{identifier}")
    both.call(path, "Remove")
    assert host_state() == before


def test_isolation_that_was_left_out_holds(both, driver):
    weaker = {"disable_seccomp": True, "disable_pid_ns": True, "disable_cgroup": True}
    path = both.create(caller=both.root, driver=driver, **weaker)
    try:
        for _ in range(2):
            details = both.details(path, both.root)
            assert all(details[key.replace("_", "-")] for key in weaker)
            monitor = arguments_of(monitor_of(details))
            assert ("--no-seccomp" in monitor) == (driver == "firecracker")
            assert "-sandbox" not in monitor
            both.call(path, "Stop", caller=both.root, force=True)
            both.call(path, "Start", caller=both.root)
        with open(both.log.name) as log:
            assert (f"{path.rpartition('/')[2]} of uid 0 is confined less than others, as was asked: "
                    "disable-seccomp, disable-pid-ns, disable-cgroup") in log.read()
    finally:
        both.call(path, "Remove", caller=both.root, force=True)


def test_policy_is_put_in_force(both, driver):
    path = both.create(driver=driver, network_policy="deny-all")
    try:
        both.alice.call(path, "org.vmsan.VM", "SetNetworkPolicy", GLib.Variant("(a{sv})", (
            {"allowed-cidrs": strings("203.0.113.0/24")},)))
        assert both.details(path)["network"]["network-policy"] == "custom"
    finally:
        both.call(path, "Remove", force=True)


def test_auto_takes_firecracker_and_what_is_installed_now(both, programs):
    path = both.create()
    assert both.alice.get(path, "org.vmsan.VM", "Driver") == "firecracker"
    both.call(path, "Remove", force=True)
    os.rename(f"{programs}/jailer", f"{programs}/away")
    try:
        # A machine that is there needs no probe; a new one is refused, or made by the other driver.
        both.end(signal.SIGTERM)
        both.start(both.firecracker_config)
        with pytest.raises(BusError) as refused:
            both.create(driver="firecracker")
        assert refused.value.name == "org.vmsan.Error.Unavailable"
        assert "setup firecracker" in refused.value.message
        path = both.create()
        assert both.alice.get(path, "org.vmsan.VM", "Driver") == "qemu"
        both.call(path, "Remove", force=True)
    finally:
        os.rename(f"{programs}/away", f"{programs}/jailer")
    # Without a restart of the service.
    path = both.create(driver="firecracker")
    both.call(path, "Remove", force=True)
