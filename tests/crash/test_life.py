# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines across the ends of vmsand, of their monitors and of the host."""

import json
import os
import signal
import subprocess
import tempfile

import pytest

from caller import BusError, GLib, options, wait_until
from odd_kernel import REASON, odd_kernel
from world import PARENT, RUNTIME, STATE, cgroup_roots, networks


def record_path(path):
    return f"{STATE}/vms/{path.split('/')[-1]}.json"


def read_record(path):
    with open(record_path(path)) as file:
        return json.load(file)


def write_record(path, record):
    with open(record_path(path), "w") as file:
        json.dump(record, file)


def details(world, path):
    return world.root.call(path, "org.vmsan.VM", "GetDetails")[0]


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_machines_outlive_the_service(world, end):
    path = world.create()
    pid = details(world, path)["pid"]
    getattr(world, end)()
    os.kill(pid, 0)
    world.start()
    assert world.state(path) == "running"
    assert details(world, path)["pid"] == pid
    assert world.run(path, "/bin/echo", "still here") == (0, 0, "still here\n", "")
    world.vm(path, "Stop")
    assert world.state(path) == "stopped"


def test_monitor_that_died_while_the_service_was_away(world):
    path = world.create()
    pid = details(world, path)["pid"]
    world.kill()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the monitor's end")
    world.start()
    assert world.state(path) == "stopped"
    assert "while the service was away" in world.root.get(path, "org.vmsan.VM", "StateReason")
    world.vm(path, "Start")


def test_host_that_was_restarted(world):
    path = world.create()
    world.kill()
    record = read_record(path)
    record["boot-id"] = "00000000-0000-0000-0000-000000000000"
    write_record(path, record)
    world.start()
    assert world.state(path) == "stopped"
    assert "restarted" in world.root.get(path, "org.vmsan.VM", "StateReason")
    world.vm(path, "Start")


def test_monitor_that_dies_is_noticed_at_once(world, listener):
    path = world.create(start=False)
    before = world.snapshot()
    world.vm(path, "Start")
    os.kill(details(world, path)["pid"], signal.SIGKILL)
    stopped = listener.wait_signal("AfterStop", 1)
    assert stopped[4] == "crash"
    assert "signal 9" in stopped[3] or "killed" in stopped[3].lower()
    assert world.state(path) == "stopped"
    world.assert_back_to(before)


def test_exit_code_of_a_monitor_is_told(world, listener):
    world.order_null(die_after_ms=300, exit_code=149)
    world.create()
    assert "149" in listener.wait_signal("AfterStop", 5)[3]


def test_monitor_that_dies_during_boot_is_told_from_a_slow_guest(world):
    before = world.snapshot()
    world.order_null(agent=None, die_after_ms=100, exit_code=3)
    with pytest.raises(BusError) as caught:
        world.create()
    assert caught.value.name == "org.vmsan.Error.VmmFailed"
    assert "3" in caught.value.message
    world.assert_back_to(before)


def test_process_with_the_same_command_line_is_left_alone(world):
    path = world.create()
    vm_id = path.split("/")[-1]
    other = subprocess.Popen(["/bin/bash", "-c", "read -r line", f"qemu-system-x86_64 {vm_id}"],
                             stdin=subprocess.PIPE)
    try:
        world.vm(path, "Stop", force=True)
        world.vm(path, "Remove")
        assert other.poll() is None
    finally:
        other.stdin.close()
        other.wait(10)


def test_record_with_another_processs_pid_harms_nobody(world):
    path = world.create()
    world.kill()
    other = subprocess.Popen(["/bin/bash", "-c", "read -r line"], stdin=subprocess.PIPE)
    try:
        record = read_record(path)
        record["pid"] = other.pid
        write_record(path, record)
        world.start()
        assert world.state(path) == "stopped"
        assert other.poll() is None
    finally:
        other.stdin.close()
        other.wait(10)


@pytest.mark.parametrize("damage", ["empty", "cut", "type", "state", "huge", "id", "newer"])
def test_damaged_record_is_set_aside(world, damage):
    good = world.create(start=False, name="good")
    bad = world.create(start=False, name="bad")
    world.terminate()
    record = read_record(bad)
    text = json.dumps(record)
    changes = {"type": {"vcpus": "one"}, "state": {"state": "dancing"},
               "huge": {"memory-mib": 2 ** 62}, "id": {"id": "aaaaaaaaaaaa"},
               "newer": {"version": 999}}
    if damage == "empty":
        text = ""
    elif damage == "cut":
        text = text[:len(text) // 2]
    else:
        text = json.dumps({**record, **changes[damage]})
    with open(record_path(bad), "w") as file:
        file.write(text)
    world.start()
    assert list(world.list_vms()) == [good]
    vm_id = bad.split("/")[-1]
    aside = [n for n in os.listdir(f"{STATE}/damaged") if n.startswith(vm_id)]
    assert len(aside) == 1
    # Its disk is kept for whoever repairs the record; the test cleans up.
    assert os.path.exists(f"{STATE}/vms/{vm_id}/disk")
    os.unlink(f"{STATE}/damaged/{aside[0]}")
    world.terminate()
    world.start()
    assert not os.path.exists(f"{STATE}/vms/{vm_id}")


def test_machine_whose_resources_were_deleted_by_hand_can_be_removed(world):
    path = world.create()
    vm_id = path.split("/")[-1]
    os.kill(details(world, path)["pid"], signal.SIGSTOP)
    for root in cgroup_roots():
        group = f"{root}{PARENT}/{vm_id}"
        if os.path.isdir(group):
            with open(f"{group}/cgroup.procs") as procs:
                for pid in procs.read().split():
                    with open(f"{root}/cgroup.procs", "w") as up:
                        up.write(pid)
            os.rmdir(group)
    pid = details(world, path)["pid"]
    os.system(f"rm -rf {RUNTIME}/{vm_id} {STATE}/vms/{vm_id}")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: world.state(path) != "running", 5, "the end of the machine")
    world.vm(path, "Remove", force=True)
    assert world.list_vms() == {}


def test_leftovers_of_no_machine_are_cleared_away(world):
    world.terminate()
    os.makedirs(f"{STATE}/vms/abcdefghijkl")
    os.makedirs(f"{RUNTIME}/abcdefghijkl")
    for root in cgroup_roots():
        if os.path.isdir(f"{root}{PARENT}"):
            os.mkdir(f"{root}{PARENT}/abcdefghijkl")
    world.start()
    # The fixture compares with the state before.


def test_many_machines_at_once_share_nothing(world):
    pending = [world.root.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                                GLib.Variant("(a{sv})", (options(),))) for _ in range(32)]
    paths = [p.result()[0] for p in pending]
    assert len(set(paths)) == 32
    everything = [details(world, path) for path in paths]
    assert len({d["uid"] for d in everything}) == 32
    assert len({d["pid"] for d in everything}) == 32
    assert len({d["cgroup"] for d in everything}) == 32
    assert len({d["network"]["address"] for d in everything}) == 32
    namespaces, ready, making, slots = networks()
    assert len(slots - {name.split("-")[1] for name in ready | making}) == 32
    assert namespaces == {path.split("/")[-1] for path in paths}
    ends = [world.root.start(path, "org.vmsan.VM", "Remove",
                             GLib.Variant("(a{sv})", (options(force=True),))) for path in paths]
    for end in ends:
        end.result()
    assert world.list_vms() == {}


def test_second_operation_is_busy(world, listener):
    path = world.create(start=False)
    world.order_null(hang="boot")
    starting = world.root.start(path, "org.vmsan.VM", "Start",
                                GLib.Variant("(a{sv})", ({},)))
    listener.wait_signal("BeforeStart")
    with pytest.raises(BusError) as caught:
        world.vm(path, "Start")
    assert caught.value.name == "org.vmsan.Error.Busy"
    # A forced removal does not wait for what hangs.
    world.vm(path, "Remove", force=True)
    with pytest.raises(BusError) as caught:
        starting.result()
    assert caught.value.name == "org.vmsan.Error.Cancelled"
    assert world.list_vms() == {}


def test_terminated_service_undoes_a_creation_first(world, listener):
    before = world.snapshot()
    world.order_null(hang="boot")
    pending = world.root.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                               GLib.Variant("(a{sv})", (options(),)))
    listener.wait_signal("BeforeStart")
    world.terminate()
    with pytest.raises(BusError) as caught:
        pending.result()
    assert caught.value.name == "org.vmsan.Error.Cancelled"
    world.assert_back_to(before)


def set_timeout(world, path, milliseconds):
    world.root.call(path, "org.vmsan.VM", "SetTimeout", GLib.Variant("(t)", (milliseconds,)))


def test_time_limit_stops_a_machine(world, listener):
    path = world.create(timeout_ms=GLib.Variant("t", 300))
    stopped = listener.wait_signal("AfterStop", 20)
    assert stopped[4] == "timeout"
    assert world.state(path) == "stopped"
    assert world.root.get(path, "org.vmsan.VM", "TimeoutAt") == 0


def test_time_limit_survives_the_service(world, listener):
    path = world.create(timeout_ms=GLib.Variant("t", 3600000))
    at = world.root.get(path, "org.vmsan.VM", "TimeoutAt")
    world.kill()
    world.start()
    assert world.root.get(path, "org.vmsan.VM", "TimeoutAt") == at
    set_timeout(world, path, 100)
    assert listener.wait_signal("AfterStop", 20)[4] == "timeout"


def test_time_limit_can_be_taken_away(world):
    path = world.create(timeout_ms=GLib.Variant("t", 3600000))
    set_timeout(world, path, 0)
    assert world.root.get(path, "org.vmsan.VM", "TimeoutAt") == 0
    assert world.state(path) == "running"
    with pytest.raises(BusError) as caught:
        set_timeout(world, path, 2 ** 62)
    assert caught.value.name == "org.vmsan.Error.InvalidArgument"


def test_stop_says_how(world):
    path = world.create()
    assert world.vm(path, "Stop", force=True) == ("forced",)
    with pytest.raises(BusError) as caught:
        world.vm(path, "Stop")
    assert caught.value.name == "org.vmsan.Error.WrongState"


def test_signals_tell_a_life_in_order(world, listener):
    path = world.create()
    world.vm(path, "Stop", force=True)
    world.vm(path, "Start")
    world.vm(path, "Stop", force=True)
    world.vm(path, "Remove")
    listener.wait_signal("AfterRemove")
    told = [(s[0], *s[2][3:5]) if s[0] == "StateChanged" else (s[0],)
            for s in listener.signals]
    assert told == [
        ("BeforeCreate",), ("BeforeStart",), ("NetworkAfterSetup",),
        ("StateChanged", "creating", "running"),
        ("AfterStart",), ("AfterCreate",),
        ("BeforeStop",), ("StateChanged", "running", "stopping"), ("NetworkAfterTeardown",),
        ("StateChanged", "stopping", "stopped"), ("AfterStop",),
        ("BeforeStart",), ("StateChanged", "stopped", "starting"), ("NetworkAfterSetup",),
        ("StateChanged", "starting", "running"), ("AfterStart",),
        ("BeforeStop",), ("StateChanged", "running", "stopping"), ("NetworkAfterTeardown",),
        ("StateChanged", "stopping", "stopped"), ("AfterStop",),
        ("BeforeRemove",), ("StateChanged", "stopped", "removing"),
        ("StateChanged", "removing", "removed"), ("AfterRemove",),
    ]


def test_state_directory_that_cannot_be_used_is_refused_first(world):
    def refusal():
        with pytest.raises(BusError) as refused:
            world.create()
        assert world.snapshot() == before
        assert STATE in refused.value.message
        return refused.value

    world.terminate()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0700", "tmpfs", STATE],
                   check=True)
    try:
        world.start()
        world.add_content()
        filler = f"{STATE}/filler"
        with open(filler, "wb") as file:
            free = os.statvfs(STATE)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (32 << 20))
        before = world.snapshot()
        assert refusal().name == "org.vmsan.Error.NoSpace"
        os.unlink(filler)

        before = world.snapshot()
        subprocess.run(["mount", "-o", "remount,ro", STATE], check=True)
        refused = refusal()
        assert refused.name == "org.vmsan.Error.Unavailable"
        assert "“ro”" in refused.message and "remount,rw" in refused.message
        subprocess.run(["mount", "-o", "remount,rw", STATE], check=True)
        world.create()
        for path in world.list_vms():
            world.vm(path, "Remove", force=True)
    finally:
        world.terminate()
        subprocess.run(["umount", STATE], check=True)


def add_odd_kernel(world):
    with tempfile.TemporaryFile() as file:
        file.write(odd_kernel())
        file.flush()
        return world.root.manager("AddKernel", GLib.Variant("(ha{sv})", (0, options(name="odd"))),
                                  fds=[file.fileno()])[0]


def test_driver_that_boots_elf_kernels_only(world):
    kernel = add_odd_kernel(world)
    [host] = [k for k in world.root.manager("ListKernels")[0] if k != kernel]
    world.terminate()
    world.order_null(elf_driver="true")
    world.start()

    before = world.snapshot()
    with pytest.raises(BusError) as error:
        world.create(kernel="odd", driver="null-elf")
    assert error.value.name == "org.vmsan.Error.NotSupported"
    assert "null-elf boots ELF kernels only" in error.value.message
    assert REASON in error.value.message
    assert not world.list_vms()
    world.assert_back_to(before)

    path = world.create(kernel="odd")
    assert world.root.get(path, "org.vmsan.VM", "Driver") == "null"
    world.vm(path, "Remove", force=True)

    # This one was unpacked when it was added, and the driver looks at what it gets.
    path = world.create(kernel=host.split("/")[-1])
    assert world.root.get(path, "org.vmsan.VM", "Driver") == "null-elf"
    world.vm(path, "Stop")
    world.vm(path, "Start")
    world.vm(path, "Remove", force=True)

    world.root.call(kernel, "org.vmsan.Kernel", "Remove")
    world.terminate()
    world.order_null()
    world.start()
