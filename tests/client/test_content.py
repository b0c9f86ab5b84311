# SPDX-License-Identifier: GPL-2.0-or-later
"""Images and kernels from files, directories and standard input."""

import os
import shutil
import socket
import subprocess
import tarfile

import pytest

from odd_kernel import REASON, odd_kernel

USAGE, NOT_FOUND, NOT_AUTHORIZED, BUSY = 2, 3, 4, 5


def make_tree(world, name):
    top = os.path.join(world.directory, name)
    os.makedirs(os.path.join(top, "etc"))
    with open(os.path.join(top, "etc", "hello"), "w") as file:
        file.write(name)
    os.link(os.path.join(top, "etc", "hello"), os.path.join(top, "etc", "linked"))
    os.symlink("/etc/shadow", os.path.join(top, "etc", "outside"))
    os.symlink("nowhere", os.path.join(top, "dangling"))
    os.mkfifo(os.path.join(top, "fifo"))
    with open(os.path.join(top, "sparse"), "wb") as file:
        file.truncate(1 << 20)
        file.seek(500000)
        file.write(b"island")
    return top


def read_image(world, image_id, path):
    """A file of a stored image, without mounting it."""
    state = os.environ["VMSAN_TEST_STATE_DIR"]
    for where, _, names in os.walk(state):
        for name in names:
            candidate = os.path.join(where, name)
            if image_id in candidate and os.path.getsize(candidate) > 4096:
                run = subprocess.run(["debugfs", "-R", f"cat {path}", candidate],
                                     capture_output=True)
                if run.stdout:
                    return run.stdout
    raise AssertionError(f"no {path} in image {image_id}")


def test_directory_becomes_an_image(world, root):
    top = make_tree(world, "tree")
    image = root.json("image", "add", top, "--name", "tree")
    assert (image["name"], image["format"]) == ("tree", "ext4")
    assert read_image(world, image["id"], "/etc/hello") == b"tree"
    assert read_image(world, image["id"], "/etc/linked") == b"tree"
    assert read_image(world, image["id"], "/sparse")[500000:500006] == b"island"
    root.run("image", "remove", "tree")
    root.run("image", "remove", "tree", code=NOT_FOUND)


def test_sockets_are_left_out_and_named(world, root):
    top = make_tree(world, "with-socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(top, "sock"))
    out, err = root.run("image", "add", top)
    listener.close()
    assert "./sock" in err and len(err.splitlines()) == 1
    root.run("image", "remove", out.strip())


def test_tar_on_standard_input(world, root):
    top = make_tree(world, "piped")
    path = os.path.join(world.directory, "piped.tar")
    with tarfile.open(path, "w") as tar:
        tar.add(top, ".")
    with open(path, "rb") as file:
        out, _ = root.run("image", "add", "-", input=file.read())
    assert read_image(world, out.strip(), "/etc/hello") == b"piped"
    root.run("image", "remove", out.strip())


def test_a_directory_that_cannot_be_read_whole_is_no_image(world, alice, root):
    top = make_tree(world, "closed")
    os.chmod(os.path.join(top, "etc", "hello"), 0)
    shutil.chown(top, "bob")
    bob = type(alice)("bob")
    before = len(root.json("image", "list"))
    err = bob.run("image", "add", top, code=1)[1]
    assert "etc/" in err and "ermission" in err
    assert len(root.json("image", "list")) == before


@pytest.mark.parametrize("content", [b"", b"no image at all\n" * 1000])
def test_what_is_no_image_is_refused(world, root, content):
    path = os.path.join(world.directory, "junk")
    with open(path, "wb") as file:
        file.write(content)
    assert root.run("image", "add", path, code=1)[1].startswith(
        "vmsan-client: Could not add the image: ")
    root.run("image", "add", "/nowhere/at/all", code=1)


def test_adding_needs_permission(world, alice):
    top = make_tree(world, "denied")
    assert "Could not add the image" in alice.run("image", "add", top, code=NOT_AUTHORIZED)[1]
    alice.run("kernel", "add", "--from-host", "--no-ask-password", code=NOT_AUTHORIZED)


def test_kernel_of_this_machine(root):
    [kernel] = [k for k in root.json("kernel", "list") if k["name"] == "host"]
    assert "overlay" in kernel["modules"] and kernel["version"] in os.listdir("/lib/modules")
    assert kernel["format"] == "bzimage" and kernel["formats"] == ["bzimage", "elf"]
    assert kernel["no-elf-reason"] == ""
    # The same again, asked for by version, is the same object.
    assert root.run("kernel", "add", "--from-host", kernel["version"])[0].strip() == kernel["id"]
    assert "9.9.9" in root.run("kernel", "add", "--from-host", "9.9.9", code=1)[1]
    assert root.run("kernel", "list", "-q")[0].split() == [kernel["id"]]
    table = root.run("kernel", "list")[0]
    assert kernel["id"][:12] in table and "bzimage elf" in table


def test_kernel_that_cannot_be_unpacked_is_noted(world, root):
    path = os.path.join(world.directory, "odd-kernel")
    with open(path, "wb") as file:
        file.write(odd_kernel())
    out, err = root.run("kernel", "add", path, "--name", "odd")
    assert "Firecracker cannot boot this kernel" in err and REASON in err
    [kernel] = [k for k in root.json("kernel", "list") if k["name"] == "odd"]
    assert kernel["id"] == out.strip() and kernel["formats"] == ["bzimage"]
    assert kernel["no-elf-reason"] == REASON
    assert root.run("kernel", "add", path, "--quiet")[1] == ""
    root.run("kernel", "remove", "odd")


def test_content_in_use_stays(root, vm):
    assert "Could not remove “plain”" in root.run("image", "remove", "plain", code=BUSY)[1]
    root.run("kernel", "remove", "host", code=BUSY)
