# SPDX-License-Identifier: GPL-2.0-or-later
"""“setup firecracker”: what is refused leaves the directory as it was, what broke off is continued,
and whoever looks at any moment sees a whole release. There is no service here."""

import contextlib
import fcntl
import gzip
import io
import json
import os
import pty
import shutil
import signal
import ssl
import stat
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest

from conftest import DEADLINE_S, Client
from releases import (ARCHITECTURE, PT_INTERP, Handler, Server, breaking, inside, member,
                      members_of, name_of, pack, program, redirect, release, sha256, whole)
from system_calls import Run

FAILED, USAGE, NOT_AUTHORIZED, BUSY = 1, 2, 4, 5
DEFAULT = "/usr/local/lib/vmsan/firecracker"


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


# ---- installing -----------------------------------------------------------------------------

def test_a_release_is_installed_for_root_and_runs(world):
    out, err = world.run(world.put_release("1.15.1"))
    assert out == world.path("v1.15.1") + "\n"
    assert world.installed() == ["current", "v1.15.1"] and world.current() == "v1.15.1"
    assert sorted(os.listdir(world.path("current"))) == ["firecracker", "jailer"]
    for name, code in ("firecracker", 15), ("jailer", 115):
        path = world.path("current", name)
        info = os.stat(path)
        assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o755, 0, 0)
        assert subprocess.run([path]).returncode == code
    assert stat.S_IMODE(os.stat(world.path("v1.15.1")).st_mode) == 0o755
    assert f"Directories={world.target}/current" in err and "try-restart" in err


def test_a_link_on_the_way_is_not_passed_on(world):
    os.mkdir(os.path.join(world.top, "real"))
    os.symlink("real", world.target)
    out, err = world.run(world.put_release("1.15.1"))
    assert out == os.path.join(world.top, "real", "v1.15.1") + "\n"
    assert f"Directories={world.top}/real/current" in err


def test_the_default_is_where_the_service_looks(world):
    os.makedirs("/usr/local/lib", exist_ok=True)
    with mounted("/usr/local/lib", "mode=755"):
        out, err = world.client.run("setup", "firecracker", "--from", world.put_release("1.12.0"))
        assert out == f"{DEFAULT}/v1.12.0\n" and os.readlink(f"{DEFAULT}/current") == "v1.12.0"
        assert "by itself" in err and "try-restart" not in err


def test_modes_hold_whatever_the_umask_and_the_directory_say(world):
    os.mkdir(world.target)
    os.chown(world.target, 0, 50)
    os.chmod(world.target, 0o2755)
    old = os.umask(0o077)
    try:
        world.run(world.put_release("1.15.1"))
    finally:
        os.umask(old)
    for name in "v1.15.1", "v1.15.1/firecracker", "v1.15.1/jailer":
        info = os.stat(world.path(name))
        assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o755, 0), name


def test_versions_come_beside_each_other_and_go_when_told(world):
    world.run(world.put_release("1.10.1"))
    world.run(world.put_release("1.14.4"))
    assert world.installed() == ["current", "v1.10.1", "v1.14.4"]
    assert "v1.14.4 is newer" in world.refused(world.put_release("1.13.2"))
    result = json.loads(world.run(world.put_release("1.13.2"), "--force", "--json")[0])
    assert result == {"version": "v1.13.2", "directory": world.path("v1.13.2"),
                      "previous-version": "v1.14.4", "removed-versions": []}
    assert world.current() == "v1.13.2"

    # Only what “setup” installed goes.
    os.makedirs(world.path("v1.99"))
    os.symlink("v1.10.1", world.path("mine"))
    result = json.loads(world.run(world.put_release("1.15.0"), "--remove-old", "--json")[0])
    assert sorted(result["removed-versions"]) == ["v1.10.1", "v1.13.2", "v1.14.4"]
    assert world.installed() == ["current", "mine", "v1.15.0", "v1.99"]
    # Numbers are compared as such.
    world.run(world.put_release("1.15.10"))
    assert "is newer" in world.refused(world.put_release("1.15.9"))


def test_what_others_put_into_a_release_stays(world):
    world.run(world.put_release("1.10.1"))
    with open(world.path("v1.10.1", "notes"), "w") as file:
        file.write("mine")
    assert "v1.10.1/notes" in world.refused(world.put_release("1.10.1"))
    out, err = world.run(world.put_release("1.11.0"), "--remove-old", code=FAILED)
    assert out == world.path("v1.11.0") + "\n" and "v1.10.1/notes" in err
    assert world.current() == "v1.11.0" and os.path.exists(world.path("v1.10.1", "firecracker"))


def test_the_same_version_is_replaced(world):
    world.run(world.put_release("1.15.1"))
    os.unlink(world.path("current", "jailer"))
    world.run(world.put_release("1.15.1"))
    assert world.installed() == ["current", "v1.15.1"]
    assert subprocess.run([world.path("current", "jailer")]).returncode == 115


def test_versions_outside_what_is_supported(world):
    assert "too old" in world.refused(world.put_release("1.9.1"))
    assert "not been tested" in world.run(world.put_release("1.17.0"))[1]
    assert "not been tested" not in world.run(world.put_release("1.16.9"), "--force")[1]
    assert "not been tested" in world.run(world.put_release("2.0.0"))[1]


@pytest.mark.parametrize("name", [
    "firecracker.tgz", "firecracker-1.15.1-x86_64.tgz", "firecracker-v1.15-x86_64.tgz",
    "firecracker-v1.15.1-rc1-x86_64.tgz", "firecracker-v01.15.1-x86_64.tgz",
    "firecracker-v1.15.99999-x86_64.tgz", "firecracker-v1.15.1-riscv64.tgz",
    "firecracker-v1.15.1-x86_64.tar", "firecracker--x86_64.tgz", "firecracker-x86_64.tgz"])
def test_other_names_are_no_releases(world, name):
    data = release("1.15.1")
    path = world.put(name.replace("x86_64", ARCHITECTURE), data)
    assert "not the name of a release" in world.refused(path, "--sha256", sha256(data))


# ---- what is refused ------------------------------------------------------------------------

def test_checksums(world):
    data = release("1.15.1")
    name = name_of("1.15.1")
    path = world.put(name, data)
    right, wrong = sha256(data), sha256(b"something else")
    err = world.refused(path)
    assert "--sha256" in err and "--checksum-from" in err
    assert wrong in world.refused(path, "--sha256", wrong)
    assert "64 hexadecimal" in world.refused(path, "--sha256", right[:-1])
    assert "64 hexadecimal" in world.refused(path, "--sha256", right + "0")
    world.refused(path, "--sha256", right, "--checksum-from", path, code=USAGE)
    for text in (f"{right}  other.tgz\n", f"{right}\n", f"{right} {name}\n", f"{wrong}  {name}\n",
                 f"{right[:-1]}  {name}\n", f"{right}  {name}.tgz\n", "", "x" * 70000,
                 f"{wrong}  {name}\n{right}  {name}\n"):
        world.refused(path, "--checksum-from", world.put("list", text.encode()))
    world.refused(path, "--checksum-from", world.top)
    world.run(path, "--checksum-from",
              world.put("list", f"{wrong}  other.tgz\n{right}  {name}\n".encode()))
    world.run(path, "--sha256", right.upper())
    world.run(path, "--checksum-from", world.put("list", f"{right} *{name}\n".encode()))


def test_nothing_of_an_archive_is_looked_into_before_its_checksum(world):
    path = world.put(name_of("1.15.1"), b"\x1f\x8b" + b"\xff" * 1000)
    err = world.refused(path, "--sha256", "0" * 64)
    assert "should have " + "0" * 64 in err


def changed(version, index, *replacement):
    members = members_of(version)
    members[index:index + 1] = replacement
    return members


def claiming(name, size):
    """An archive of one member that is not as large as it says."""
    info = tarfile.TarInfo(name)
    info.size = size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + program() + bytes(10240))


V = "1.15.1"
FIRECRACKER = inside("firecracker", V)
# What is wrong with it, what is said about that, and the archive.
BAD_ARCHIVES = {
    "symbolic-link": ("no regular file", pack(changed(V, 2, member(
        FIRECRACKER, kind=tarfile.SYMTYPE, link="/bin/busybox")))),
    "hard-link": ("no regular file", pack(changed(V, 2, member(
        FIRECRACKER, kind=tarfile.LNKTYPE, link=inside("jailer", V))))),
    "directory": ("is not in it", pack(changed(V, 2, member(
        FIRECRACKER, kind=tarfile.DIRTYPE)))),
    "fifo": ("no regular file", pack(changed(V, 2, member(FIRECRACKER, kind=tarfile.FIFOTYPE)))),
    "device": ("no regular file", pack(changed(V, 2, member(FIRECRACKER, kind=tarfile.CHRTYPE)))),
    "twice": ("twice", pack(members_of(V) + [member("elsewhere/" + FIRECRACKER, program(1))])),
    "no-jailer": (f"“jailer-v{V}-{ARCHITECTURE}” is not in it", pack(members_of(V)[:-1])),
    "nothing": ("is not in it", pack([])),
    "other-version": ("is not in it", release("1.15.2")),
    "no-archive": ("cannot be used", gzip.compress(b"no archive at all" * 1000)),
    "empty": ("cannot be used", b""),
    "cut-off": ("cannot be used", release(V)[:-3000]),
    "zip": ("cannot be used", b"PK\x03\x04" + bytes(1000)),
    "many-members": ("more in it than in any release",
                     pack([member(f"m{i}") for i in range(1100)] + members_of(V))),
    "too-large": ("“firecracker” in it is too large",
                  release(V, firecracker=program() + bytes(257 << 20))),
    "huge-claim": ("more in it than in any release", claiming("README", 1 << 62)),
    "huge-claims": ("more in it than in any release",
                    claiming(FIRECRACKER + ".debug", (2 << 30) + 1)),
    "huge-program": ("cannot be used", claiming(FIRECRACKER, 1 << 30)),
    "other-architecture": ("another architecture", release(V, firecracker=program(machine=8))),
    "32-bit": ("another architecture", release(V, firecracker=program(elf_class=1))),
    "object-file": ("no program", release(V, jailer=program(kind=1))),
    "dynamic": ("dynamic loader", release(V, jailer=program(headers=(1, PT_INTERP)))),
    "script": ("no ELF file", release(V, jailer=b"#!/bin/sh\nexit 0\n" + bytes(100))),
    "short": ("no ELF file", release(V, jailer=b"\x7fELF")),
    "nothing-to-load": ("nothing in it to run", release(V, jailer=program(headers=(4,)))),
    "headers-far-away": ("cut off", release(V, jailer=program(header_offset=(1 << 64) - 8))),
    "headers-behind-the-end": ("cut off", release(V, jailer=program(header_offset=4090))),
    "many-headers": ("makes no sense", release(V, jailer=program(headers=(1,) * 129, size=16384))),
}


@pytest.mark.parametrize("what", BAD_ARCHIVES)
def test_bad_archives_are_refused(world, what):
    why, data = BAD_ARCHIVES[what]
    assert why in world.refused(world.put_release(V, data))
    world.run(world.put_release("1.10.1"))
    assert why in world.refused(world.put_release(V, data))


def test_programs_of_this_machine_need_a_loader(world):
    with open("/bin/true", "rb") as file:
        assert "dynamic loader" in world.refused(
            world.put_release(V, release(V, firecracker=file.read())))


def test_paths_of_an_archive_are_not_used(world):
    bait = world.put("bait", b"untouched")
    odd = [
        member(bait, b"overwritten"), member("../../../../" + bait, b"overwritten"),
        member("lead", kind=tarfile.SYMTYPE, link=world.top), member("lead/bait", b"overwritten"),
        member("/etc/" + os.path.basename(FIRECRACKER), program(15)),
        member("../../" + os.path.basename(inside("jailer", V)), program(115)),
    ]
    world.run(world.put_release(V, pack(odd)))
    with open(bait, "rb") as file:
        assert file.read() == b"untouched"
    assert not os.path.exists("/etc/" + os.path.basename(FIRECRACKER))
    assert sorted(look(world.target)) == [".", "current", "v1.15.1", "v1.15.1/firecracker",
                                          "v1.15.1/jailer"]
    assert subprocess.run([world.path("current", "firecracker")]).returncode == 15


def test_sources_that_are_no_files(world):
    path = os.path.join(world.top, name_of(V))
    options = ["--sha256", "0" * 64]
    assert "No such file" in world.refused(path, *options)
    os.mkfifo(path)
    assert "no regular file" in world.refused(path, *options)
    os.unlink(path)
    os.mkdir(path)
    assert "no regular file" in world.refused(path, *options)
    os.rmdir(path)
    with open(path, "wb") as file:
        file.truncate((256 << 20) + 1)
    assert "larger than 256.0 MiB" in world.refused(path, *options).replace("\u00a0", " ")


def test_wrong_usage(world):
    archive = world.put_release(V)
    for arguments in ([], ["--from"], ["--from", archive, "more"],
                      ["--from", archive, "--timeout", "soon"],
                      ["--from", archive, "--timeout", "0"],
                      ["--from", archive, "--timeout", "2h"]):
        world.client.run("setup", "firecracker", *arguments, "--directory", world.target,
                         code=USAGE)
    assert "firecracker" in world.client.run("setup", code=USAGE)[1]
    assert not os.path.exists(world.target)


def test_only_root_and_only_where_only_root_writes(world):
    os.chmod(world.top, 0o755)
    archive = world.put_release(V)
    alice = Client("alice")
    assert "root" in alice.run(*world.arguments(archive), code=NOT_AUTHORIZED)[1]
    os.mkdir(world.target)
    for owner, mode in (4001, 0o755), (0, 0o775), (0, 0o777):
        os.chown(world.target, owner, 0)
        os.chmod(world.target, mode)
        assert "Others than root" in world.refused(archive)
    os.chmod(world.target, 0o755)
    os.chown(world.top, 4001, 0)
    assert "Others than root" in world.refused(archive)
    os.chown(world.top, 0, 0)
    os.chmod(world.top, 0o757)
    assert "Others than root" in world.refused(archive)
    os.chmod(world.top, 0o755)
    with mounted(world.target, "mode=755,noexec"):
        assert "noexec" in world.refused(archive)
    with mounted(world.target, "mode=755,ro"):
        world.refused(archive)
    os.rmdir(world.target)
    world.put("target", b"a file")
    world.run(archive, code=FAILED)


def test_a_link_that_is_not_ours_stays(world):
    archive = world.put_release(V)
    os.mkdir(world.target)
    for target in "/opt/firecracker", "v1.15.1/x", "x" * 60:
        os.symlink(target, world.path("current"))
        assert "move it away" in world.refused(archive, "--force")
        os.unlink(world.path("current"))
    os.mkdir(world.path("current"))
    assert "move it away" in world.refused(archive, "--force")


def test_one_at_a_time(world):
    archive = world.put_release(V)
    os.mkdir(world.target)
    fd = os.open(world.target, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert "Another" in world.refused(archive, code=BUSY)
    os.close(fd)
    world.run(archive)


# ---- downloading ----------------------------------------------------------------------------

@pytest.fixture
def big():
    """A release that takes several reads to send."""
    return release(V, firecracker=program(15, 1 << 20), jailer=program(115, 1 << 20))


def paths(server):
    return [path for path, _ in server.requests]


def kept(world):
    folder = world.path(".setup")
    return sorted(os.listdir(folder)) if os.path.exists(folder) else []


def test_a_release_is_downloaded(world, server, big):
    url = server.publish(V, big)
    out, err = world.run(url)
    assert world.installed() == ["current", "v1.15.1"]
    assert server.sent == len(big) + len(f"{sha256(big)}  {name_of(V)}\n")
    lines = [f"vmsan-client: Downloading {name_of(V)}",
             f"vmsan-client: {name_of(V)} has the right checksum"]
    assert err.splitlines()[:2] == lines
    assert world.run(url, "--quiet") == (out, "")
    world.run(url + "?token=1#there", "--sha256", sha256(big), code=FAILED)
    path, headers = server.requests[-1]
    assert path == f"/{name_of(V)}?token=1" and headers["Accept-Encoding"] == "identity"


def test_the_checksum_beside_a_url_and_elsewhere(world, server, big):
    url = server.publish(V, big)
    list_url = server.url("/list")
    server.answers["/list"] = whole(f"{sha256(big)}  {name_of(V)}\n".encode())
    world.run(url, "--checksum-from", list_url)
    assert paths(server) == ["/list", f"/{name_of(V)}"]
    del server.answers[f"/{name_of(V)}.sha256.txt"]
    err = world.refused(url)
    assert "404" in err and "--sha256" in err and "--checksum-from" in err
    world.run(url, "--sha256", sha256(big))
    server.answers["/list"] = lambda handler: handler.reply(200, b"x" * 70000)
    assert "larger than any list" in world.refused(url, "--checksum-from", list_url)
    server.answers["/list"] = breaking(b"x" * 100, [50])
    assert "broke off" in world.refused(url, "--checksum-from", list_url)
    server.forget()
    server.answers[f"/{name_of(V)}.sha256.txt"] = whole(
        f"{'0' * 64}  {name_of(V)}\n".encode())
    assert "should have" in world.refused(url)
    assert kept(world) == []


def test_progress_is_shown_on_a_terminal(world, server, big):
    half = len(big) // 2

    def slow(handler):
        handler.head(200, Content_Length=len(big))
        handler.body(big[:half])
        time.sleep(0.5)  # the server's, so that there is something to show
        handler.body(big[half:])
    url = server.publish(V, big, slow)
    ours, theirs = pty.openpty()
    with world.client.start(*world.arguments(url), stderr=theirs) as process:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                text += data
        os.close(ours)
        assert process.wait(timeout=DEADLINE_S) == 0
    assert b"\r\033[Kdownloading " + name_of(V).encode() in text and b" 100 %" not in text
    assert b"MiB, " in text or b"KiB, " in text
    assert b"Downloading" not in text and b"is installed" in text


def test_what_breaks_off_is_continued_at_once(world, server, big):
    url = server.publish(V, big, breaking(big, [300000, 200000, 100000]))
    err = world.run(url, "--sha256", sha256(big))[1]
    assert server.sent == len(big) and len(server.requests) == 4
    assert "Range" not in server.requests[0][1]
    assert [headers["Range"] for _, headers in server.requests[1:]] == [
        "bytes=300000-", "bytes=500000-", "bytes=600000-"]
    assert {headers["If-Range"] for _, headers in server.requests[1:]} == {'"first"'}
    assert err.count("Downloading the rest of") == 3
    assert world.installed() == ["current", "v1.15.1"]


def test_what_broke_off_is_continued_by_the_next(world, server, big):
    """After a server that brings nothing more, and after being killed."""
    url = server.publish(V, big, breaking(big, [400000, 0]))
    out, err = world.run(url, "--sha256", sha256(big), code=FAILED)
    assert out == "" and "broke off" in err and len(server.requests) == 2
    assert world.installed() == [".setup"] and kept(world) == ["download", "download-origin"]
    assert stat.S_IMODE(os.stat(world.path(".setup")).st_mode) == 0o700

    stuck = threading.Event()
    server.answers[f"/{name_of(V)}"] = breaking(big, [100000], end=lambda handler: stuck.wait())
    with world.client.start(*world.arguments(url, "--sha256", sha256(big))) as process:
        part = world.path(".setup", "download")
        deadline = time.monotonic() + DEADLINE_S
        while os.stat(part).st_size < 500000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    stuck.set()
    assert server.sent == 500000

    server.answers[f"/{name_of(V)}"] = whole(big)
    world.run(url, "--sha256", sha256(big))
    assert server.sent == len(big)
    assert server.requests[-1][1]["Range"] == "bytes=500000-"
    assert world.installed() == ["current", "v1.15.1"]


def keep_part(world, server, data, etag='"first"'):
    """Leaves 400000 bytes of a download."""
    url = server.publish(V, data, breaking(data, [400000, 0], etag))
    world.run(url, "--sha256", sha256(data), code=FAILED)
    assert kept(world) == ["download", "download-origin"]
    server.forget()
    return url


def odd_part(start=None, status=206, etag='"first"', total=None):
    """Answers a request for a part in a way that cannot be used, and one for all as it should."""
    def make(data):
        def answer(handler):
            if "Range" not in handler.headers:
                whole(data)(handler)
            elif status != 206:
                handler.reply(status, b"no such part")
            else:
                handler.reply(206, data[400000:], ETag=etag, Content_Range=None if start is None
                              else f"bytes {start}-{len(data) - 1}/{total or len(data)}")
        return answer
    return make


@pytest.mark.parametrize("answer", [
    lambda data: whole(data, '"second"'),
    odd_part(start=399999),
    odd_part(start=400000, etag='"second"'),
    odd_part(start=400000, total=1 << 30),
    odd_part(start=None),
    odd_part(status=416),
], ids=["another-file", "another-start", "another-tag", "more-to-come", "no-range", "too-far"])
def test_what_cannot_be_continued_begins_anew(world, server, big, answer):
    url = keep_part(world, server, big)
    other = release(V, firecracker=program(15, 1 << 20))
    server.answers[f"/{name_of(V)}"] = answer(other)
    world.run(url, "--sha256", sha256(other))
    assert ["Range" in headers for _, headers in server.requests] in ([True], [True, False])
    assert world.installed() == ["current", "v1.15.1"]


def test_parts_are_only_of_the_same_url(world, server, big):
    keep_part(world, server, big)
    server.answers[f"/elsewhere/{name_of(V)}"] = whole(big)
    world.run(server.url(f"/elsewhere/{name_of(V)}"), "--sha256", sha256(big))
    assert "Range" not in server.requests[0][1] and world.installed() == ["current", "v1.15.1"]


@pytest.mark.parametrize("spoil", ["origin-cut-off", "origin-gone", "part-too-large"])
def test_parts_of_unknown_origin_are_not_used(world, server, big, spoil):
    url = keep_part(world, server, big)
    origin = world.path(".setup", "download-origin")
    if spoil == "origin-cut-off":
        os.truncate(origin, os.stat(origin).st_size - 1)
    elif spoil == "origin-gone":
        os.unlink(origin)
    else:
        os.truncate(world.path(".setup", "download"), (256 << 20) + 1)
    server.answers[f"/{name_of(V)}"] = whole(big)
    world.run(url, "--sha256", sha256(big))
    assert "Range" not in server.requests[0][1] and world.installed() == ["current", "v1.15.1"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"', '"' + "x" * 300 + '"', "bare"])
def test_without_a_strong_tag_nothing_is_kept(world, server, big, etag):
    url = server.publish(V, big, breaking(big, [400000], etag))
    assert "broke off" in world.refused(url)
    world.run(url)
    assert all("Range" not in headers for _, headers in server.requests)


def test_a_part_that_was_damaged_is_not_kept_for_ever(world, server, big):
    url = keep_part(world, server, big)
    with open(world.path(".setup", "download"), "r+b") as file:
        file.write(b"damaged")
    server.answers[f"/{name_of(V)}"] = whole(big)
    assert "should have" in world.run(url, "--sha256", sha256(big), code=FAILED)[1]
    assert world.installed() == []
    world.run(url)


@pytest.mark.parametrize("silent", ["at-once", "in-the-head", "in-the-body", "in-the-checksum"])
def test_a_silent_server_is_given_up(world, server, big, silent):
    stuck = threading.Event()
    url = server.publish(V, big)
    path = f"/{name_of(V)}"

    def say_nothing(handler):
        if silent == "in-the-head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
        stuck.wait()
        handler.close_connection = True
    if silent == "in-the-body":
        server.answers[path] = breaking(big, [0], None, end=say_nothing)
    else:
        server.answers[path + ".sha256.txt" * (silent == "in-the-checksum")] = say_nothing
    begin = time.monotonic()
    err = world.refused(url, "--timeout", "1s")
    stuck.set()
    assert "timed out" in err and 0.9 < time.monotonic() - begin < DEADLINE_S


@pytest.mark.parametrize("body", ["claimed", "chunked", "to-the-end"])
def test_bodies_without_end_are_refused(world, server, body):
    block = bytes(1 << 20)

    def endless(handler):
        if body == "claimed":
            handler.head(200, Content_Length=(256 << 20) + 1, ETag='"first"')
        elif body == "chunked":
            handler.head(200, Transfer_Encoding="chunked", ETag='"first"')
        else:
            handler.head(200, ETag='"first"', Connection="close")
        with contextlib.suppress(OSError):
            while True:
                if body == "chunked":
                    handler.wfile.write(b"100000\r\n")
                handler.body(block)
                if body == "chunked":
                    handler.wfile.write(b"\r\n")
        handler.close_connection = True
    url = server.publish(V, b"", endless)
    assert "larger than 256.0 MiB" in world.refused(url).replace("\u00a0", " ")
    assert server.sent < (270 << 20 if body != "claimed" else 20 << 20)


def test_a_body_of_chunks_has_an_end(world, server, big):
    def answer(claim, end):
        def send(handler):
            handler.head(200, Transfer_Encoding="chunked")
            handler.body(b"%x\r\n" % claim + big + end)
            handler.hang_up()
        return send
    world.run(server.publish(V, big, answer(len(big), b"\r\n0\r\n\r\n")))
    assert "broke off" in world.refused(server.publish(V, big, answer(len(big) + 1, b"")))
    assert "broke off" in world.refused(server.publish(V, big, answer(len(big), b"\r\nno chunk")))


@pytest.mark.parametrize("status", [204, 206, 300, 304, 401, 403, 404, 500, 503])
def test_other_answers_are_errors(world, server, big, status):
    url = server.publish(V, big, lambda handler: handler.reply(
        status, b"" if status in (204, 304) else big, ETag='"first"'))
    assert f"answers {status}" in world.refused(url)


def test_what_is_no_http_is_an_error(world, server, big):
    def noise(handler):
        handler.wfile.write(os.urandom(1 << 17))
        handler.hang_up()
    world.refused(server.publish(V, big, noise))
    server.answers[f"/{name_of(V)}"] = Handler.hang_up
    world.refused(server.url(f"/{name_of(V)}"), "--sha256", sha256(big))


def test_nobody_listens(world, server, big):
    url = server.publish(V, big)
    server.shutdown()
    server.socket.close()
    assert "refused" in world.refused(url)


# ---- where from -----------------------------------------------------------------------------

@pytest.mark.parametrize("url, why", [
    ("http://192.0.2.1/", "begins with https"), ("http://example.com/", "begins with https"),
    ("http://127.0.0.1.example.com/", "begins with https"), ("ftp://127.0.0.1/", "https"),
    ("http://localhost.example.com/", "begins with https"), ("file:///", "not a URL"),
    ("https://alice:s3cret@127.0.0.1/", "user name"), ("https:///", "not a URL"),
    ("http://[::1/", "not a URL"),
    ("http://0177.0.0.1/", "begins with https"), ("HTTP://192.0.2.1/", "begins with https")])
def test_urls_that_are_not_used(world, url, why):
    for options in (["--sha256", "0" * 64], []):
        err = world.refused(url + name_of(V), *options)
        assert why in err and "s3cret" not in err
    err = world.refused(world.put_release(V), "--checksum-from", url + "list")
    assert why in err and "s3cret" not in err


def test_this_machine_has_several_names(world, server, big):
    url = server.publish(V, big)
    for name in "localhost", "LOCALHOST", "127.0.0.1":
        world.run(url.replace("127.0.0.1", name))


def test_redirects_are_few(world, server, big):
    url = server.publish(V, big)
    data = server.answers[f"/{name_of(V)}"]
    for status in 301, 302, 303, 307, 308:
        server.answers[f"/{name_of(V)}"] = redirect("hop/1?a=b", status)
        for i in range(1, 5):
            server.answers[f"/hop/{i}?a=b"] = redirect(f"/hop/{i + 1}?a=b", status)
        server.answers["/hop/5?a=b"] = data
        world.run(url, "--sha256", sha256(big))
    server.answers["/hop/5?a=b"] = redirect("/hop/6?a=b")
    server.answers["/hop/6?a=b"] = data
    server.forget()
    assert "more than 5 times" in world.refused(url)
    assert "/hop/6?a=b" not in paths(server)
    server.answers[f"/{name_of(V)}"] = redirect(url)
    assert "more than 5 times" in world.refused(url)


@pytest.mark.parametrize("to, why", [
    ("http://192.0.2.1/x", "begins with https"), ("ftp://127.0.0.1/x", "begins with https"),
    ("file:///etc/passwd", "not a URL"), ("https://a@127.0.0.1/x", "user name"),
    ("http://[", "not a URL"), ("", "more than 5 times")])
def test_redirects_lead_nowhere_else(world, server, big, to, why):
    url = server.publish(V, big, redirect(to))
    assert why in world.refused(url)


def test_a_redirect_does_not_hinder_continuing(world, server, big):
    """As with signed links: each request gets another one."""
    url = server.publish(V, big)
    serve, links = breaking(big, [300000, 200000]), iter(range(10))

    def another(handler):
        link = f"/signed/{next(links)}"
        server.answers[link] = serve
        redirect(link)(handler)
    server.answers[f"/{name_of(V)}"] = another
    world.run(url, "--sha256", sha256(big))
    assert sum(path.startswith("/signed/") for path in paths(server)) == 3


@pytest.fixture
def authority(world):
    """Certificates of an authority that this machine does not trust, until trust() is called."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=world.top, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test", "-days", "2")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "tls.key", "-out", "tls.csr", "-subj", "/CN=127.0.0.1")
    world.put("names", b"subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-out",
            "tls.crt", "-days", "2", "-extfile", "names")
    store = "/etc/ssl/certs/ca-certificates.crt"  # of the private /etc
    os.makedirs(os.path.dirname(store), exist_ok=True)
    before = open(store, "rb").read() if os.path.exists(store) else b""

    def trust():
        with open(store, "wb") as file, open(os.path.join(world.top, "ca.crt"), "rb") as ours:
            file.write(before + ours.read())
    yield trust
    with open(store, "wb") as file:
        file.write(before)


@pytest.fixture
def tls_server(world, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(world.top, "tls.crt"), os.path.join(world.top, "tls.key"))
    made = Server(context)
    made.trust = authority
    yield made
    made.close()


def test_https_is_checked_and_stays_https(world, server, tls_server, big):
    url = tls_server.publish(V, big, breaking(big, [300000]))
    assert "certificate" in world.refused(url) and tls_server.requests == []
    tls_server.trust()
    world.run(url, "--sha256", sha256(big))
    assert tls_server.sent == len(big)
    # By another name than the certificate's.
    assert "certificate" in world.refused(url.replace("127.0.0.1", "localhost"))

    tls_server.answers[f"/{name_of(V)}"] = redirect(server.publish(V, big))
    assert "from https to" in world.refused(url)
    assert server.requests == []
    # The other way round is fine.
    tls_server.answers["/here"] = whole(big)
    server.answers[f"/{name_of(V)}"] = redirect(tls_server.url("/here"))
    world.run(server.url(f"/{name_of(V)}"))


def test_proxies_are_those_of_the_environment(world, server, big):
    proxy = server.url("/")
    world.client.environment.update(http_proxy=proxy, https_proxy=proxy, no_proxy="")
    world.refused(f"https://download.example/{name_of(V)}", "--sha256", sha256(big))
    assert paths(server) == ["CONNECT download.example:443"]
    # What is for this machine itself does not go to another.
    server.forget()
    world.client.environment.update(http_proxy="http://127.0.0.1:9/")
    world.run(server.publish(V, big))
    assert len(server.requests) == 2


# ---- at any moment --------------------------------------------------------------------------

def programs_of(data):
    """The checksums of both programs in a release."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        by_name = {os.path.basename(info.name): tar.extractfile(info).read() for info in tar}
    return {name: sha256(next(data for full, data in by_name.items()
                              if full.startswith(name + "-v") and full.endswith(ARCHITECTURE)))
            for name in ("firecracker", "jailer")}


def test_a_reader_always_sees_a_program(world):
    """While versions are installed, gone back from, replaced and removed."""
    releases = {version: release(version) for version in ("1.10.0", "1.11.0", "1.12.0")}
    archives = [world.put_release(*pair) for pair in releases.items()]
    known = {name: {programs_of(data)[name] for data in releases.values()}
             for name in ("firecracker", "jailer")}
    over, seen, wrong = threading.Event(), set(), []

    def read():
        while not over.is_set():
            for name in "firecracker", "jailer":
                try:
                    with open(world.path("current", name), "rb") as file:
                        found = sha256(file.read())
                    seen.add(found)
                    if found not in known[name]:
                        wrong.append(name)
                except OSError as error:
                    wrong.append(error)
    world.run(archives[0])
    reader = threading.Thread(target=read)
    reader.start()
    for archive in archives * 4:
        world.run(archive, "--force", *["--remove-old"] * (archive == archives[2]))
        world.run(archive)
    over.set()
    reader.join()
    assert wrong == [] and len(seen) == 6


def assert_whole(world):
    name = world.current()
    minor = int(name.split(".")[1])
    assert sorted(os.listdir(world.path(name))) == ["firecracker", "jailer"]
    for program_name, code in ("firecracker", minor), ("jailer", 100 + minor):
        assert subprocess.run([world.path("current", program_name)]).returncode == code


def without_private(found):
    return {name: what for name, what in found.items() if not name.startswith(".setup")
            and name != "."}


def stop_at_each_call(world, source, version, fail):
    """Yields each run of an installation over or beside 1.10.1 that was killed or disturbed, with
    what was there before; one that is left alone cleans up after it."""
    world.run(world.put_release("1.10.1"))
    saved = os.path.join(world.top, "saved")
    shutil.copytree(world.target, saved, symlinks=True)
    before = without_private(look(saved))
    command = ["vmsan-client", *world.arguments(source, "--remove-old")]
    for at in range(1, 1000):
        shutil.rmtree(world.target)
        shutil.copytree(saved, world.target, symlinks=True)
        run = Run(command, world.client.environment, at, fail)
        if run.call is None:
            assert run.exit_code == 0 and at > 20
            return
        yield run, before
        world.run(source, "--remove-old")
        assert world.installed() == ["current", f"v{version}"], f"after {run.call}, call {at}"
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind, version", [("file", "1.10.1"), ("url", "1.11.0")],
                         ids=["file-over-itself", "url-beside-it"])
def test_killed_at_each_call(world, server, kind, version):
    data = release(version)
    source = server.publish(version, data) if kind == "url" else world.put_release(version, data)
    for run, _ in stop_at_each_call(world, source, version, fail=False):
        assert run.exit_code == -signal.SIGKILL
        assert_whole(world)


@pytest.mark.parametrize("kind, version", [("file", "1.11.0"), ("url", "1.10.1")],
                         ids=["file-beside-it", "url-over-itself"])
def test_each_call_fails(world, server, kind, version):
    data = release(version)
    source = server.publish(version, data) if kind == "url" else world.put_release(version, data)
    for run, before in stop_at_each_call(world, source, version, fail=True):
        assert_whole(world)
        now = without_private(look(world.target))
        if now == before:
            assert run.exit_code == FAILED, run.call
        else:
            assert world.current() == f"v{version}"
            # What is installed stays when it is removing the old that fails.
            removing = version != "1.10.1" and run.call in ("renameat", "unlinkat")
            assert run.exit_code in ((0, FAILED) if removing else (0,)), run.call


@pytest.mark.parametrize("version", ["1.10.1", "1.11.0"], ids=["over-itself", "beside-it"])
@pytest.mark.parametrize("what", ["inodes", "space"])
def test_a_full_disk_leaves_what_was(world, version, what):
    """It gets one more of what is scarce each time, until that is enough."""
    os.mkdir(world.target)
    with mounted(world.target, "mode=755"):
        world.run(world.put_release("1.10.1"))
        archive = world.put_release(version, release(version, firecracker=program(7, 1 << 16)))
        before = look(world.target)
        failures = set()
        for more in range(64):
            used = os.statvfs(world.target)
            limit = (f"nr_inodes={used.f_files - used.f_ffree + more}" if what == "inodes" else
                     f"size={(used.f_blocks - used.f_bfree + more) * 4096}")
            subprocess.run(["mount", "-o", f"remount,{limit}", world.target], check=True)
            with world.client.start(*world.arguments(archive)) as process:
                err = process.communicate(timeout=DEADLINE_S)[1].decode()
            if process.returncode == 0:
                break
            failures.add(err)
            assert process.returncode == FAILED and look(world.target) == before
        assert process.returncode == 0 and world.current() == f"v{version}"
        assert subprocess.run([world.path("current", "firecracker")]).returncode == 7
        assert len(failures) >= 2, failures
