# SPDX-License-Identifier: GPL-2.0-or-later
"""“setup firecracker” at any moment: whoever looks sees a whole release, whenever it is killed and
whatever fails."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import threading

import pytest

from conftest import DEADLINE_S
from releases import ARCHITECTURE, program, release, sha256
from setup_world import FAILED, look, mounted, server, world
from system_calls import Run


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
