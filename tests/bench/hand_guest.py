# SPDX-License-Identifier: GPL-2.0-or-later
"""The QEMU command of a machine of vmsand, run by hand: the same arguments and files, but no
namespaces, no cgroup, no service."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vm"))
from agent_client import (CALLER, CONFIGURE, CONTROL, OK, READY, SESSION_ENDED,  # noqa: E402
                          Session, Stream, configure_payload)

BARE_PORT = "bare.0"


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])


class Command:
    """What a running machine's QEMU was given. Holds its files open when the machine is gone."""

    def __init__(self, pid):
        qemu = child_of(pid)  # pid is the supervisor's
        with open(f"/proc/{qemu}/cmdline") as file:
            self.argv = file.read().split("\0")[:-1]
        self.directory = tempfile.mkdtemp(prefix="vmsan-hand-", dir="/run")
        self.files = {}
        for name in ("kernel", "initramfs"):
            shutil.copy(f"/proc/{qemu}/root/{name}", self.directory)
        self.argv = [a.replace("/kernel", f"{self.directory}/kernel") if a == "/kernel" else
                     a.replace("/initramfs", f"{self.directory}/initramfs") if a == "/initramfs"
                     else a for a in self.argv]
        # QEMU closes the descriptors of -add-fd once it has copied them, so they are found by what
        # they are: disk and image by their names in the state directory, the rest is the console.
        text = " ".join(self.argv)
        sets = {re.search(rf"/dev/fdset/(\d+),node-name={name}-file", text).group(1): name
                for name in ("base", "upper")}
        for number, fdset in re.findall(r"fd=(\d+),set=(\d+)", text):
            self.files[int(number)] = self.open(qemu, sets.get(fdset))

    @staticmethod
    def open(qemu, name):
        if name is None:
            return os.open("/dev/null", os.O_WRONLY | os.O_APPEND)
        wanted = "/images/" if name == "base" else "/disk"
        for number in os.listdir(f"/proc/{qemu}/fd"):
            path = f"/proc/{qemu}/fd/{number}"
            if wanted in os.readlink(path):
                return os.open(path, os.O_RDONLY if name == "base" else os.O_RDWR)
        raise AssertionError(f"QEMU has no file for {name} open")

    def close(self):
        for fd in self.files.values():
            os.close(fd)
        shutil.rmtree(self.directory)


class HandGuest:
    """One run of it. With extra ports: streams 1 and 2, and one without an agent."""

    def __init__(self, command, with_ports=False):
        self.token = os.urandom(32)
        self.listeners = {}
        self.streams = []
        fds = dict(command.files)
        argv = []
        for argument in command.argv:
            match = re.match(r"socket,id=(\w+),fd=(\d+)", argument)
            if match:
                fds[int(match.group(2))] = self.listen(command.directory, match.group(1))
            argv.append(argument)
        numbers = {old: fd if isinstance(fd, int) else fd.fileno() for old, fd in fds.items()}
        argv = [re.sub(r"\bfd=(\d+)", lambda m: f"fd={numbers[int(m.group(1))]}", a) for a in argv]
        passed = list(numbers.values())
        if with_ports:
            bare = self.listen(command.directory, "bare")
            passed.append(bare.fileno())
            argv += ["-chardev", f"socket,id=bare,fd={bare.fileno()},server=on,wait=off",
                     "-device", f"virtserialport,chardev=bare,nr=20,name={BARE_PORT}"]
            for number in (1, 2):
                argv += ["-device", f"virtserialport,chardev=stream{number},nr={number + 1},"
                         f"name=org.vmsan.agent.{number}"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, pass_fds=passed, stdin=subprocess.DEVNULL)
        try:
            self.boot()
        except BaseException:
            self.close()
            raise

    def listen(self, directory, name):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = os.path.join(directory, name)
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen(4)
        self.listeners[name] = listener
        return listener

    def path(self, name):
        return self.listeners[name].getsockname()

    def connect(self, name):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(self.path(name))
        return one

    def boot(self):
        with self.connect("qmp") as qmp, qmp.makefile("rw") as lines:
            lines.readline()
            for word in ("qmp_capabilities", "cont"):
                lines.write(json.dumps({"execute": word}) + "\n")
                lines.flush()
                while "return" not in json.loads(lines.readline()):
                    pass
        self.control = Stream(self.connect("stream0"), timeout=120)
        self.streams.append(self.control)
        assert self.control.handshake(CONTROL, self.token) == OK
        self.control.send_frame(CONFIGURE, configure_payload(init="auto"))
        assert self.control.read_frame()[0] == READY
        self.ready_s = time.monotonic() - self.started

    def session(self, number):
        stream = Stream(self.connect(f"stream{number}"))
        self.streams.append(stream)
        assert stream.handshake(CALLER, self.token) == OK
        return Session(stream)

    def run(self, number, *args):
        """Seconds from the handshake to the exit status, and the output."""
        start = time.monotonic()
        session = self.session(number)
        session.start(args)
        while session.result.code is None:
            session.take_frame()
        taken = time.monotonic() - start
        assert session.result.code == 0, session.result.stderr
        session.stream.close()
        while self.control.read_frame()[0] != SESSION_ENDED:
            pass
        return taken, session.result.stdout

    def close(self):
        self.process.kill()
        self.process.wait()
        for one in [*self.streams, *self.listeners.values()]:
            one.close()
