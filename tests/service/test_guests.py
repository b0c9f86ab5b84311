# SPDX-License-Identifier: GPL-2.0-or-later
"""What alice sees of machines that really run."""

import os
import signal
import subprocess
import time

import pytest

from agent_client import Hangup
from caller import BusError, GLib, options, wait_until
from real_world import STATE


def test_kernel_of_the_guest_is_not_the_hosts(world, vm):
    code, signal_number, out, err = world.run(vm, "uname", "-r")
    assert (code, signal_number, err) == (0, 0, "")
    assert "cloud" in out
    assert world.run(vm, "hostname")[2] == "shared\n"
    assert world.run(vm, "id", "-u")[2] == "0\n"


def test_kernel_is_kept_in_both_forms(world, vm):
    kernel = world.alice.get(vm, "org.vmsan.VM", "Kernel")
    formats, reason, size = (world.alice.get(kernel, "org.vmsan.Kernel", name)
                             for name in ("Formats", "NoElfReason", "Size"))
    assert formats == ["bzimage", "elf"] and reason == ""
    entry = f"{STATE}/kernels/{kernel.split('/')[-1]}"
    files = {name: os.stat(f"{entry}/{name}").st_size
             for name in ("content", "vmlinux", "modules.cpio")}
    assert files["vmlinux"] > files["content"] and size == sum(files.values())
    with open(f"{entry}/vmlinux", "rb") as file:
        head = file.read(20)
    assert head[:6] == b"\x7fELF\x02\x01" and head[18:20] == b"\x3e\x00"


def test_details_say_how_it_runs(world, vm):
    details = world.details(vm)
    acceleration = world.alice.get(vm, "org.vmsan.VM", "Acceleration")
    assert acceleration in ("kvm", "emulation")
    assert details["boot-ms"] > 0
    assert details["uid"] >= 1879048192
    assert os.stat(f"/proc/{details['pid']}").st_uid == details["uid"]


@pytest.mark.parametrize("code", list(range(0, 256, 15)) + [1, 2, 126, 127, 128])
def test_exit_codes_are_the_programs_own(world, vm, code):
    assert world.run(vm, "sh", "-c", f"exit {code}")[:2] == (code, 0)


def test_signal_that_ended_a_program_is_told(world, vm):
    assert world.run(vm, "sh", "-c", "kill -SEGV $$")[:2] == (128 + 11, 11)


def test_streams_are_separate_and_binary(world, vm):
    session = world.start_exec(vm, "sh", "-c", "cat; echo -n done >&2")
    data = bytes(range(256)) * 1024
    session.send_stdin(data)
    result = session.finish()
    assert result.stdout == data
    assert result.stderr == b"done"
    assert (result.code, result.signal) == (0, 0)


def test_program_without_input_ends(world, vm):
    assert world.run(vm, "cat") == (0, 0, "", "")
    assert world.run(vm, "cat", stdin=GLib.Variant("ay", b"x")) == (0, 0, "x", "")


def test_background_child_does_not_keep_the_session(world, vm):
    begin = time.monotonic()
    assert world.run(vm, "sh", "-c", "sleep 60 & echo hi")[2] == "hi\n"
    assert time.monotonic() - begin < 20
    world.run(vm, "sh", "-c", "kill $(ps | grep 'sleep 60' | grep -v grep | head -1)")


def processes(world, vm, what):
    return world.run(vm, "sh", "-c", f"ps | grep '{what}' | grep -v grep | wc -l")[2].strip()


def test_program_hangs_up_with_its_client(world, vm):
    session = world.start_exec(vm, "sh", "-c", "sleep 777; true")
    assert processes(world, vm, "sleep 777") != "0"
    session.stream.close()
    end = time.monotonic() + 30
    while processes(world, vm, "sleep 777") != "0":
        assert time.monotonic() < end, "the program goes on without its client"


def test_timeout_kills_the_whole_group(world, vm):
    with pytest.raises(BusError) as caught:
        world.run(vm, "sh", "-c", "sleep 888 & sleep 888", timeout_ms=GLib.Variant("t", 300))
    assert caught.value.name == "org.vmsan.Error.TimedOut"
    assert processes(world, vm, "sleep 888") == "0"


def test_missing_program_user_and_directory_are_told(world, vm):
    with pytest.raises(BusError) as caught:
        world.run(vm, "no-such-program")
    assert caught.value.name == "org.vmsan.Error.NotFound"
    for values in ({"user": "nobody-here"}, {"cwd": "/no/such/directory"}):
        with pytest.raises(BusError) as caught:
            world.run(vm, "true", **values)
        assert caught.value.name == "org.vmsan.Error.GuestFailed"


def test_environment_and_directory_are_given(world, vm):
    out = world.run(vm, "sh", "-c", "echo $A; pwd", env=GLib.Variant("as", ["A=b c"]),
                    cwd="/bin")[2]
    assert out == "b c\n/bin\n"


def test_too_much_output_is_an_error(world, vm):
    with pytest.raises(BusError) as caught:
        world.run(vm, "yes")
    assert caught.value.name == "org.vmsan.Error.LimitExceeded"
    assert processes(world, vm, "yes") == "0"


def test_many_sessions_at_once_then_one_too_many(world, vm):
    sessions = []
    with pytest.raises(BusError) as caught:
        for _ in range(64):
            sessions.append(world.start_exec(vm, "cat"))
    assert caught.value.name == "org.vmsan.Error.LimitExceeded"
    assert len(sessions) == 7  # in 128 MiB
    for session in sessions:
        session.stream.close()
    # Streams are free again as soon as the guest has noticed.
    end = time.monotonic() + 30
    while True:
        try:
            assert world.run(vm, "echo", "free")[2] == "free\n"
            break
        except BusError as error:
            assert error.name == "org.vmsan.Error.LimitExceeded"
            assert time.monotonic() < end


def test_memory_hog_dies_and_the_agent_lives(world, vm):
    code, signal_number, *_ = world.run(vm, "sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=512M")
    assert code != 0 or signal_number != 0
    assert world.run(vm, "echo", "alive")[2] == "alive\n"


def test_service_restart_keeps_machine_and_sessions(world, vm):
    session = world.start_exec(vm, "cat")
    pid = world.details(vm)["pid"]
    world.end(signal.SIGKILL)
    os.kill(pid, 0)
    world.start()
    assert world.state(vm) == "running"
    # The stream never went through the service.
    session.send_stdin(b"still")
    assert session.finish().stdout == b"still"
    assert world.run(vm, "echo", "new session")[2] == "new session\n"


def test_disk_keeps_what_was_written(world, vm):
    world.run(vm, "sh", "-c", "echo kept > /file; sync")
    assert world.call(vm, "Stop") == ("graceful",)
    assert world.state(vm) == "stopped"
    world.call(vm, "Start")
    assert world.run(vm, "cat", "/file")[2] == "kept\n"


def test_image_is_never_written(world, vm):
    other = world.create(name="other")
    assert world.run(other, "ls", "/file")[0] != 0
    world.call(other, "Remove", force=True)


def test_hung_agent_blocks_nobody_else(world):
    hung = world.create(name="hung", init="none")
    # The agent is PID 1, which only the kernel can stop: freeze the machine by stopping its monitor.
    pid = world.details(hung)["pid"]
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    for child in children:
        os.kill(int(child), signal.SIGSTOP)
    try:
        pending = world.alice.start(hung, "org.vmsan.VM", "Run",
                                    GLib.Variant("(asa{sv})", (["true"], {})))
        begin = time.monotonic()
        world.alice.manager("ListVMs", GLib.Variant("(a{sv})", ({},)))
        assert time.monotonic() - begin < 2
        with pytest.raises(BusError) as caught:
            pending.result(60)
        assert caught.value.name == "org.vmsan.Error.TimedOut"
    finally:
        for child in children:
            os.kill(int(child), signal.SIGCONT)
    world.call(hung, "Remove", force=True)


def test_monitor_killed_during_exec_is_an_error(world):
    victim = world.create(name="victim")
    session = world.start_exec(victim, "cat")
    os.kill(world.details(victim)["pid"], signal.SIGKILL)
    with pytest.raises(Hangup):
        session.finish()
    wait_until(lambda: world.state(victim) == "stopped", 10, "the end of the machine")
    assert "signal" in world.alice.get(victim, "org.vmsan.VM", "StateReason")
    world.call(victim, "Remove")


def test_guest_that_powers_off_is_stopped(world):
    machine = world.create(name="leaving", init="none")
    world.alice.listen()
    start = len(world.alice.signals)
    try:
        world.run(machine, "sh", "-c", "echo o > /proc/sysrq-trigger; sleep 10")
    except BusError:
        pass
    stopped = world.alice.wait_signal("AfterStop", 30, since=start)
    assert stopped[4] in ("guest", "crash")
    assert world.state(machine) == "stopped"
    world.call(machine, "Remove")


def test_stop_is_forced_when_the_guest_does_not_answer(world):
    machine = world.create(name="stubborn")
    pid = world.details(machine)["pid"]
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    for child in children:
        os.kill(int(child), signal.SIGSTOP)
    begin = time.monotonic()
    assert world.call(machine, "Stop", deadline_ms=500) == ("forced",)
    assert time.monotonic() - begin < 15
    world.call(machine, "Remove")


@pytest.mark.parametrize("format", ["squashfs", "erofs"])
def test_compressed_images_boot(world, format):
    tree = world.busybox_tree(name=f"tree-{format}")
    image = f"{world.directory}/image.{format}"
    if format == "squashfs":
        subprocess.run(["mksquashfs", tree, image, "-quiet", "-no-progress"], check=True)
    else:
        subprocess.run(["mkfs.erofs", "--quiet", image, tree], check=True)
    path = world.add_image(image, format)
    assert world.alice.get(path, "org.vmsan.Image", "Format") == format
    machine = world.create(name=f"from-{format}", image=format)
    assert world.run(machine, "echo", format)[2] == f"{format}\n"
    world.call(machine, "Remove", force=True)
    world.root.call(path, "org.vmsan.Image", "Remove")


def test_tar_becomes_an_image(world):
    tree = world.busybox_tree(name="tree-tar")
    os.mkfifo(f"{tree}/fifo")
    os.symlink("/nowhere", f"{tree}/dangling")
    os.mkdir(f"{tree}/etc")
    # Would lead to a file of the host, if anything on the host followed it.
    os.symlink("/etc/hosts", f"{tree}/etc/hosts")
    before = open("/etc/hosts").read()
    os.chown(f"{tree}/etc", 1234, 1234)
    tar = subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE)
    path = world.root.manager("AddImage", GLib.Variant("(ha{sv})", (0, options(name="tar"))),
                              fds=[tar.stdout.fileno()])[0]
    assert tar.wait() == 0
    tar.stdout.close()
    assert world.alice.get(path, "org.vmsan.Image", "Format") == "ext4"
    machine = world.create(name="from-tar", image="tar")
    assert world.run(machine, "stat", "-c", "%u", "/etc")[2] == "1234\n"
    assert world.run(machine, "ls", "/fifo")[0] == 0
    assert open("/etc/hosts").read() == before
    world.call(machine, "Remove", force=True)


def test_image_with_its_own_init(world):
    tree = world.busybox_tree(name="tree-init", applets=["sh", "echo", "ps", "cat", "sleep", "init",
                                                         "true"])
    os.makedirs(f"{tree}/sbin")
    os.symlink("/bin/busybox", f"{tree}/sbin/init")
    os.makedirs(f"{tree}/etc")
    with open(f"{tree}/etc/inittab", "w") as file:
        file.write("::sysinit:/bin/echo booted > /booted\n::respawn:/bin/sleep 4444\n")
    image = f"{tree}.ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, "16M"], check=True,
                   stdout=subprocess.DEVNULL)
    world.add_image(image, "with-init")
    machine = world.create(name="init", image="with-init")
    first = world.run(machine, "cat", "/proc/1/cmdline")[2]
    assert "init" in first and "agent" not in first
    assert world.call(machine, "Stop", deadline_ms=60000) == ("graceful",)
    world.call(machine, "Remove")


def test_what_is_no_image_is_refused(world):
    path = f"{world.directory}/noise"
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    for bad in (path, "/bin/busybox", "/dev/null"):
        with pytest.raises(BusError) as caught:
            world.add_image(bad, "bad")
        assert caught.value.name.startswith("org.vmsan.Error.")
        assert caught.value.name != "org.vmsan.Error.Failed"
    with pytest.raises(BusError) as caught:
        world.create(image="bad")
    assert caught.value.name == "org.vmsan.Error.NotFound"


def monitor_of(world, path, caller):
    """Pid and arguments of its QEMU: the supervisor's one child."""
    supervisor = world.details(path, caller)["pid"]
    with open(f"/proc/{supervisor}/task/{supervisor}/children") as file:
        pid, = file.read().split()
    with open(f"/proc/{pid}/cmdline") as file:
        return pid, file.read().split("\0")


def own_namespaces(pid):
    """Those of the kinds that this pid does not share with us."""
    return {kind for kind in ("pid", "net", "mnt")
            if os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")}


def test_a_weakened_confinement_needs_an_administrator_and_holds(world, vm):
    weaker = {"disable_seccomp": True, "disable_pid_ns": True, "disable_cgroup": True,
              "disable_netns": True, "network": "none"}
    with pytest.raises(BusError) as refused:
        world.create(**weaker)
    assert refused.value.name == "org.vmsan.Error.AuthorizationRequired"
    machine = world.create(caller=world.root, **weaker)
    try:
        for _ in range(2):
            details = world.details(machine, world.root)
            assert all(details[key.replace("_", "-")] for key in weaker if key != "network")
            pid, arguments = monitor_of(world, machine, world.root)
            assert "-sandbox" not in arguments
            assert own_namespaces(pid) == {"mnt"}
            world.call(machine, "Stop", caller=world.root, force=True)
            world.call(machine, "Start", caller=world.root)
        pid, arguments = monitor_of(world, vm, world.alice)
        assert "-sandbox" in arguments
        assert own_namespaces(pid) == {"pid", "net", "mnt"}
        assert "disable-seccomp" not in world.details(vm)
    finally:
        world.call(machine, "Remove", caller=world.root, force=True)


def test_image_in_use_cannot_be_removed(world, vm):
    path = world.alice.manager("GetImage", GLib.Variant("(s)", ("busybox",)))[0]
    with pytest.raises(BusError) as caught:
        world.root.call(path, "org.vmsan.Image", "Remove")
    assert caught.value.name == "org.vmsan.Error.InUse"


def test_without_qemu_creation_is_refused_first(world, vm):
    world.end(signal.SIGTERM)
    world.start("[QEMU]\nBinary=/usr/bin/there-is-no-qemu\n")
    try:
        drivers = world.alice.get("/org/vmsan/Manager", "org.vmsan.Manager", "Drivers")
        assert not drivers["qemu"]["available"]
        before = world.root.manager("ListVMs", GLib.Variant("(a{sv})", ({},)))[0]
        with pytest.raises(BusError) as refused:
            world.create()
        assert refused.value.name == "org.vmsan.Error.Unavailable"
        assert "Install QEMU" in refused.value.message
        assert world.root.manager("ListVMs", GLib.Variant("(a{sv})", ({},)))[0] == before
        # What runs already needs no new one.
        assert world.state(vm) == "running"
        assert world.run(vm, "echo", "here")[2] == "here\n"
    finally:
        world.end(signal.SIGTERM)
        world.start()
