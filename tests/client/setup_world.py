# SPDX-License-Identifier: GPL-2.0-or-later
"""A place to install releases of Firecracker in, and a web server with them."""

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile

import pytest

from conftest import Client
from releases import Server, name_of, release, sha256

FAILED, USAGE, NOT_AUTHORIZED, BUSY = 1, 2, 4, 5
V = "1.15.1"


def look(top):
    """Everything below a directory: kind, permissions and content."""
    found = {}
    for where, folders, names in os.walk(top):
        for path in [where] + [os.path.join(where, n) for n in folders + names]:
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = sha256(file.read())
            else:
                content = None
            found[os.path.relpath(path, top)] = (info.st_mode, info.st_uid, info.st_gid, content)
    return found


class World:
    def __init__(self, top):
        self.top = top
        self.target = os.path.join(top, "target")
        self.client = Client("root")
        self.client.environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nowhere"

    def put(self, name, data):
        path = os.path.join(self.top, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def put_release(self, version, data=None):
        """An archive with its checksum beside it; its path."""
        data = release(version) if data is None else data
        path = self.put(name_of(version), data)
        self.put(name_of(version) + ".sha256.txt",
                 f"{sha256(data)}  {name_of(version)}\n".encode())
        return path

    def arguments(self, source, *options):
        return ["setup", "firecracker", "--from", source, "--directory", self.target, *options]

    def run(self, source, *options, code=0):
        return self.client.run(*self.arguments(source, *options), code=code)

    def refused(self, source, *options, code=FAILED):
        """Standard error of what must fail and change nothing, on nothing and on something."""
        before = look(self.target)
        out, err = self.run(source, *options, code=code)
        assert out == "" and look(self.target) == before
        assert os.path.exists(self.target) == bool(before)
        return err

    def installed(self):
        return sorted(os.listdir(self.target))

    def current(self):
        return os.readlink(os.path.join(self.target, "current"))

    def path(self, *names):
        return os.path.join(self.target, *names)


@pytest.fixture
def world():
    top = tempfile.mkdtemp(prefix="vmsan-setup-", dir="/var/tmp")
    yield World(top)
    shutil.rmtree(top)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@contextlib.contextmanager
def mounted(path, options):
    """A file system in memory, of the private mount namespace that tests run in."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)
