# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that cannot come up, or do not want to go, and what the agent makes of them."""

import os

import pytest

import agent_client as protocol
from agent_client import fields
from agent_guest import Guest, busybox_tree, make_busybox_image, make_ext4

AGENT = os.environ["VMSAN_AGENT"]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_busybox_image(str(tmp_path_factory.mktemp("image")))


def message_of(payload):
    return dict(fields(payload))[protocol.MESSAGE].decode()


def test_what_cannot_boot_says_why_and_powers_off(image, tmp_path):
    junk = str(tmp_path / "junk")
    with open(junk, "wb") as file:
        file.truncate(16 << 20)
    cases = [
        (dict(image=junk), {}, "the image cannot be mounted as ext4"),
        (dict(image=image, format_="erofs"), {}, "the kernel has no such file system"),
        (dict(image=image, format_="ntfs"), {}, "“ntfs”"),
        (dict(image=image, disk=junk), {}, "the private disk cannot be mounted"),
        (dict(image=image), dict(init="/no/such/init"), "/no/such/init"),
        (dict(image=image), dict(init="/etc/passwd"), "/etc/passwd"),
        (dict(image=image), dict(hostname="bad name"), "“bad name”"),
    ]
    for machine, configuration, message in cases:
        with Guest(AGENT, **machine) as guest:
            type_, payload = guest.boot(**configuration)
            assert type_ == protocol.FAILED
            assert message in message_of(payload)
            guest.control.close()
            assert guest.process.wait(30) == 0


def test_a_missing_disk_is_named(image):
    with Guest(AGENT, image, with_disk=False) as guest:
        type_, payload = guest.boot()
        assert type_ == protocol.FAILED and "“upper”" in message_of(payload)


def test_an_init_that_cannot_start_is_reported(tmp_path):
    tree = tmp_path / "tree"
    busybox_tree(str(tree))
    (tree / "sbin").mkdir()
    (tree / "sbin/init").write_text("no program")
    (tree / "sbin/init").chmod(0o755)
    make_ext4(str(tmp_path / "image"), 32, str(tree))
    with Guest(AGENT, str(tmp_path / "image")) as guest:
        type_, payload = guest.boot(init="auto")
        assert type_ == protocol.FAILED and "/sbin/init" in message_of(payload)
        assert guest.process.wait(30) == 0


def test_an_init_that_ignores_the_request_is_overruled(tmp_path):
    tree = tmp_path / "tree"
    busybox_tree(str(tree))
    (tree / "stubborn").write_text("#!/bin/sh\nwhile :; do sleep 1; done\n")
    (tree / "stubborn").chmod(0o755)
    make_ext4(str(tmp_path / "image"), 32, str(tree))
    with Guest(AGENT, str(tmp_path / "image")) as guest:
        assert guest.boot(init="/stubborn")[0] == protocol.READY
        assert guest.shut_down(timeout=60) == 0
