# SPDX-License-Identifier: GPL-2.0-or-later
"""“setup firecracker”: what is installed, and that what is refused leaves the directory as it was.
There is no service here."""

import fcntl
import gzip
import json
import os
import stat
import subprocess
import tarfile

import pytest

from conftest import Client
from releases import (ARCHITECTURE, PT_INTERP, inside, member, members_of, name_of, pack, program,
                      release, sha256)
from setup_world import BUSY, FAILED, NOT_AUTHORIZED, USAGE, V, look, mounted, world

DEFAULT = "/usr/local/lib/vmsan/firecracker"


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
