# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest booted with plain QEMU: this machine's kernel, the agent as initramfs, a small image.

For tests of the agent by itself; vmsand has its own drivers, its own packer and its own images."""

import glob
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time

from agent_client import (CALLER, CONFIGURE, CONTROL, OK, READY, SESSION_ENDED, SHUTDOWN, ACTION,
                          Session, Stream, configure_payload, field, u32)

MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "virtio_console", "overlay"]
NET_MODULES = MODULES + ["failover", "net_failover", "virtio_net"]

# Software emulation passes the host's time stamp counter through. A guest whose attempt to measure
# it fails, because the host is busy, waits for ever for a timer that this machine type lacks.
with open("/proc/cpuinfo") as cpuinfo:
    TSC_KHZ = int(float(re.search(r"cpu MHz\s*: ([0-9.]+)", cpuinfo.read()).group(1)) * 1000)
ACCELERATION = ["-accel", "tcg,thread=multi", "-cpu", "max"]


def find_kernel():
    """(kernel, module directory) of a cloud kernel of this machine."""
    for kernel in sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"), reverse=True):
        modules = "/lib/modules/" + kernel[len("/boot/vmlinuz-"):]
        if os.path.isdir(modules):
            return kernel, modules
    raise RuntimeError("no cloud kernel in /boot: install linux-image-cloud-amd64")


def find_module(directory, name):
    wanted = {name.replace("_", "-") + ".ko", name.replace("-", "_") + ".ko"}
    for parent, _, names in os.walk(directory):
        for found in wanted & set(names):
            return os.path.join(parent, found)
    raise RuntimeError("no module %s in %s" % (name, directory))


def cpio_entry(name, mode, data=b"", inode=[1]):
    inode[0] += 1
    numbers = [inode[0], mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    entry = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    entry += b"\0" * (-len(entry) % 4)
    return entry + data + b"\0" * (-len(data) % 4)


def pack_initramfs(path, agent, modules_dir, modules=MODULES):
    with open(path, "wb") as output:
        with open(agent, "rb") as file:
            output.write(cpio_entry("init", stat.S_IFREG | 0o755, file.read()))
        output.write(cpio_entry("modules", stat.S_IFDIR | 0o755))
        for i, name in enumerate(modules):
            with open(find_module(modules_dir, name), "rb") as file:
                output.write(cpio_entry("modules/%02d-%s.ko" % (i, name), stat.S_IFREG | 0o644,
                                        file.read()))
        output.write(cpio_entry("TRAILER!!!", 0))


def busybox_tree(directory, applets=True):
    """The smallest image that has a shell: static busybox and two users."""
    for name in ("bin", "etc", "home/ada", "var"):
        os.makedirs(os.path.join(directory, name))
    shutil.copy("/bin/busybox", os.path.join(directory, "bin/busybox"))
    if applets:
        listed = subprocess.run(["/bin/busybox", "--list"], stdout=subprocess.PIPE, check=True)
        for name in listed.stdout.decode().split():
            # An init would be found and started.
            if name not in ("init", "linuxrc", "busybox"):
                os.symlink("busybox", os.path.join(directory, "bin", name))
    with open(os.path.join(directory, "etc/passwd"), "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\n"
                   "ada:x:1000:1000:Ada:/home/ada:/bin/ash\n")
    with open(os.path.join(directory, "etc/group"), "w") as file:
        file.write("root:x:0:\nada:x:1000:\nstaff:x:50:ada\ngames:x:60:\nvideo:x:44:root,ada\n")


def make_ext4(path, size_mib, tree=None, options=()):
    with open(path, "wb") as file:
        file.truncate(size_mib << 20)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0,lazy_itable_init=1",
               "-m", "0", *options]
    subprocess.run(command + (["-d", tree] if tree else []) + [path], check=True,
                   env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})


def make_busybox_image(directory):
    tree, image = os.path.join(directory, "tree"), os.path.join(directory, "image")
    busybox_tree(tree)
    make_ext4(image, 32, tree)
    return image


class Guest:
    """One virtual machine. Use as a context manager: at its end nothing of it is left."""

    def __init__(self, agent, image, format_="ext4", memory_mib=128, n_ports=4, disk_mib=256,
                 modules=MODULES, directory=None, with_disk=True, disk=None, console=None,
                 tap=None):
        self.agent = agent
        self.image = image
        self.format = format_
        self.memory_mib = memory_mib
        self.n_ports = n_ports
        self.disk_mib = disk_mib
        self.modules = modules
        self.with_disk = with_disk
        self.tap = tap  # a descriptor
        self.directory = tempfile.mkdtemp(prefix="vmsan-guest-", dir=directory)
        self.disk = disk
        self.console_path = console or os.path.join(self.directory, "console")
        self.token = os.urandom(32)
        self.listeners = []
        self.control = None
        self.process = None

    def __enter__(self):
        try:
            self.spawn()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        for listener in self.listeners:
            listener.close()
        if self.control is not None:
            self.control.close()
        shutil.rmtree(self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def console(self):
        with open(self.console_path, errors="replace") as file:
            return file.read()

    def disk_arguments(self):
        if self.disk is None:
            self.disk = self.path("disk")
            make_ext4(self.disk, self.disk_mib)
        arguments = ["-blockdev", "driver=file,filename=%s,node-name=base0,read-only=on,"
                     "auto-read-only=off" % self.image,
                     "-blockdev", "driver=raw,file=base0,node-name=base,read-only=on",
                     "-device", "virtio-blk-device,drive=base,serial=base"]
        if self.with_disk:
            arguments += ["-blockdev", "driver=file,filename=%s,node-name=upper0" % self.disk,
                          "-blockdev", "driver=raw,file=upper0,node-name=upper",
                          "-device", "virtio-blk-device,drive=upper,serial=upper"]
        return arguments

    def port_arguments(self):
        arguments = ["-device", "virtio-serial-device,max_ports=%d" % (self.n_ports + 1)]
        for i in range(self.n_ports):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(self.path("port%d" % i))
            listener.listen(1)
            self.listeners.append(listener)
            arguments += ["-chardev", "socket,id=port%d,fd=%d,server=on,wait=off"
                          % (i, listener.fileno()),
                          "-device", "virtserialport,chardev=port%d,name=org.vmsan.agent.%d"
                          % (i, i)]
        return arguments

    def net_arguments(self):
        if self.tap is None:
            return []
        return ["-netdev", "tap,id=net,fd=%d" % self.tap,
                "-device", "virtio-net-device,netdev=net,mac=06:00:ac:10:00:02"]

    def spawn(self):
        kernel, modules_dir = find_kernel()
        pack_initramfs(self.path("initramfs"), self.agent, modules_dir, self.modules)
        command = ["qemu-system-x86_64",
                   "-M", "microvm,acpi=on,rtc=on,pit=on,pic=on,isa-serial=on", *ACCELERATION,
                   "-m", str(self.memory_mib), "-nodefaults", "-no-user-config", "-nographic",
                   "-no-reboot", "-serial", "file:" + self.console_path,
                   "-kernel", kernel, "-initrd", self.path("initramfs"),
                   "-append", "console=ttyS0 panic=-1 reboot=t quiet tsc=reliable "
                   "tsc_early_khz=%d vmsan.format=%s" % (TSC_KHZ, self.format),
                   *self.disk_arguments(), *self.port_arguments(), *self.net_arguments()]
        passed = [one.fileno() for one in self.listeners] + [self.tap] * (self.tap is not None)
        self.started = time.monotonic()
        with open(self.path("qemu.log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, pass_fds=passed)

    def connect(self, port):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(self.path("port%d" % port))
        return Stream(sock)

    def open_control(self, timeout=60):
        self.control = self.connect(0)
        status = self.control.handshake(CONTROL, self.token, timeout=timeout)
        assert status == OK, status

    def boot(self, timeout=60, **configuration):
        """Handshake, CONFIGURE; returns the answer's type and payload."""
        self.open_control(timeout)
        self.control.send_frame(CONFIGURE, configure_payload(**configuration))
        answer = self.control.read_frame(timeout)
        self.ready_s = time.monotonic() - self.started
        return answer

    def open_session(self, port=1):
        stream = self.connect(port)
        status = stream.handshake(CALLER, self.token)
        assert status == OK, status
        return Session(stream)

    def await_free(self, port):
        """After the stream was closed: the guest says that the port may be used again."""
        while True:
            type_, payload = self.control.read_frame()
            if type_ == SESSION_ENDED and payload == field(23, u32(port)):
                return

    def run(self, args, port=1, **keys):
        session = self.open_session(port)
        try:
            return session.run(args, **keys)
        finally:
            session.stream.close()
            self.await_free(port)

    def shut_down(self, action=1, timeout=30):
        """Returns QEMU's exit status."""
        self.control.send_frame(SHUTDOWN, field(ACTION, u32(action)))
        return self.process.wait(timeout)
