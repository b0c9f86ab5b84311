# SPDX-License-Identifier: GPL-2.0-or-later
"""Real guests under QEMU: the agent from the initramfs to the power-off."""

import os
import shutil
import subprocess

import pytest

import agent_client as protocol
from agent_client import CALLER, CONTROL, configure_payload, fields
from agent_guest import MODULES, Guest, busybox_tree, make_busybox_image, make_ext4

AGENT = os.environ["VMSAN_AGENT"]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_busybox_image(str(tmp_path_factory.mktemp("image")))


def test_power_off_ends_qemu_and_keeps_what_was_written(image, tmp_path):
    disk = str(tmp_path / "disk")
    make_ext4(disk, 64)
    with Guest(AGENT, image, disk=disk) as guest:
        assert guest.boot(realtime_ns=1_900_000_000 * 10**9)[0] == protocol.READY
        assert abs(int(guest.run(["date", "+%s"]).stdout) - 1_900_000_000) < 60
        session = guest.open_session()
        assert session.start(["sh", "-c", "echo kept > /kept; trap '' TERM; echo on; sleep 600"])
        while session.result.stdout != b"on\n":
            session.take_frame()
        assert guest.shut_down() == 0
    with Guest(AGENT, image, disk=disk) as guest:
        assert guest.boot(hostname="second")[0] == protocol.READY
        assert guest.run(["cat", "/kept"]).stdout == b"kept\n"
        hosts = guest.run(["cat", "/etc/hosts"]).stdout
        assert b"guest" in hosts and b"second" in hosts
        assert b"recover" not in guest.run(["dmesg"]).stdout
        assert guest.shut_down(action=2) == 0


def test_the_private_disk_is_not_filled_in_the_background(image):
    """Its file on the host is sparse, and what ext4 would zero in time are whole inode tables."""
    with Guest(AGENT, image) as guest:
        assert guest.boot()[0] == protocol.READY
        upper = guest.run(["sh", "-c", "basename $(dirname $(grep -lx upper "
                           "/sys/block/*/serial))"]).stdout.strip().decode()
        options = guest.run(["cat", "/proc/fs/ext4/%s/options" % upper]).stdout.splitlines()
        assert b"rw" in options and b"noinit_itable" in options, options


def test_callers_wait_until_the_guest_is_configured(image):
    with Guest(AGENT, image) as guest:
        stream = guest.connect(1)
        assert stream.handshake(CALLER, guest.token, timeout=60) == protocol.NOT_READY
        assert stream.handshake(CONTROL, guest.token) == protocol.NOT_READY
        guest.open_control()
        assert stream.handshake(CALLER, guest.token) == protocol.NOT_READY
        guest.control.send_frame(protocol.CONFIGURE, configure_payload())
        guest.control.expect(protocol.READY)
        assert stream.handshake(CALLER, guest.token) == protocol.OK


def test_an_image_with_nothing_in_it_boots(tmp_path):
    """No /proc, /sys, /dev, /etc or shell: one static program is enough."""
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copy("/bin/busybox", tree / "cat")
    make_ext4(str(tmp_path / "image"), 16, str(tree))
    with Guest(AGENT, str(tmp_path / "image")) as guest:
        assert guest.boot(hostname="bare", init="auto")[0] == protocol.READY
        assert guest.run(["/cat", "/etc/hostname"]).stdout == b"bare\n"
        code, message = guest.run(["sh"]).failed
        assert code == protocol.NOT_FOUND and "sh" in message
        assert guest.shut_down() == 0


def test_an_image_full_of_traps_boots(tmp_path):
    """Links, FIFOs and files where directories belong; nothing is followed or waited for."""
    tree = tmp_path / "tree"
    busybox_tree(str(tree))
    os.symlink("/proc/sysrq-trigger", tree / "etc/hostname")
    os.mkfifo(tree / "etc/hosts")
    for name in ("passwd", "group"):
        os.unlink(tree / "etc" / name)
        os.mkfifo(tree / "etc" / name)
    (tree / "proc").write_text("a file")
    os.symlink("nowhere", tree / "sys")
    os.symlink("etc", tree / "dev")
    os.symlink("var", tree / "tmp")
    make_ext4(str(tmp_path / "image"), 32, str(tree))
    with Guest(AGENT, str(tmp_path / "image")) as guest:
        assert guest.boot(hostname="trapped")[0] == protocol.READY, guest.console()
        assert guest.run(["hostname"]).stdout == b"trapped\n"
        assert guest.run(["readlink", "/etc/hostname"]).stdout == b"/proc/sysrq-trigger\n"
        assert guest.run(["sh", "-c", "test -p /etc/hosts && test -c /dev/null && "
                          "test -d /proc/1"]).code == 0
        assert guest.shut_down() == 0


@pytest.mark.parametrize("format_, command, modules", [
    ("squashfs", ["mksquashfs", "{tree}", "{image}", "-quiet", "-no-progress"], ["squashfs"]),
    ("erofs", ["mkfs.erofs", "{image}", "{tree}"], ["libcrc32c", "erofs"]),
])
def test_other_image_formats_boot(tmp_path, format_, command, modules):
    busybox_tree(str(tmp_path / "tree"))
    image = str(tmp_path / "image")
    subprocess.run([word.format(tree=tmp_path / "tree", image=image) for word in command],
                   check=True, stdout=subprocess.DEVNULL)
    with Guest(AGENT, image, format_, modules=MODULES + modules) as guest:
        assert guest.boot()[0] == protocol.READY, guest.console()
        assert guest.run(["sh", "-c", "echo x > /etc/x && cat /etc/x"]).stdout == b"x\n"
        assert guest.shut_down() == 0


@pytest.mark.parametrize("action", [1, 2])
def test_the_init_of_the_image_gets_the_machine(tmp_path, action):
    tree = tmp_path / "tree"
    busybox_tree(str(tree))
    (tree / "sbin").mkdir()
    os.symlink("../bin/busybox", tree / "sbin/init")
    (tree / "etc/inittab").write_text("::sysinit:/bin/touch /run/started\n"
                                      "::shutdown:/bin/touch /stopped\n")
    make_ext4(str(tmp_path / "image"), 32, str(tree))
    disk = str(tmp_path / "disk")
    make_ext4(disk, 64)
    with Guest(AGENT, str(tmp_path / "image"), disk=disk) as guest:
        type_, payload = guest.boot(init="auto")
        assert type_ == protocol.READY
        assert dict(fields(payload))[protocol.INIT] == b"/sbin/init"
        assert guest.run(["readlink", "/proc/1/exe"]).stdout == b"/bin/busybox\n"
        assert guest.run(["sh", "-c", "until test -e /run/started; do sleep 0.1; done"],
                         timeout_ms=10000).code == 0
        assert b"@init" in guest.run(["sh", "-c", "tr '\\0' ' ' </proc/$PPID/cmdline"]).stdout
        assert guest.run(["sh", "-c", "sleep 651 & exit 3"]).code == 3
        assert guest.shut_down(action) == 0
    with Guest(AGENT, str(tmp_path / "image"), disk=disk) as guest:
        assert guest.boot(init="none")[0] == protocol.READY
        assert guest.run(["test", "-e", "/stopped"]).code == 0
