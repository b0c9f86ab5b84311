# SPDX-License-Identifier: GPL-2.0-or-later
"""Every refusal of bad input: before anything is made, by its own name, naming what was wrong."""

import os
import tempfile

import pytest
from gi.repository import GLib

from caller import MANAGER, VM, BusError, options
from interface import INTERFACES, documented_options

UNKNOWN = "org.vmsan.Error.UnknownOption"
INVALID = "org.vmsan.Error.InvalidArgument"
NOT_FOUND = "org.vmsan.Error.NotFound"

# Methods that take options, and how to call one with them: (object's interface, arguments before).
WITH_OPTIONS = {
    ("org.vmsan.Manager", "CreateVM"): "a{sv}",
    ("org.vmsan.Manager", "ListVMs"): "a{sv}",
    ("org.vmsan.Manager", "AddImage"): "ha{sv}",
    ("org.vmsan.Manager", "AddKernel"): "ha{sv}",
    ("org.vmsan.Manager", "Doctor"): "a{sv}",
    ("org.vmsan.Manager", "RegisterPlugin"): "oa{sv}",
    ("org.vmsan.VM", "Start"): "a{sv}",
    ("org.vmsan.VM", "Stop"): "a{sv}",
    ("org.vmsan.VM", "SetNetworkPolicy"): "a{sv}",
    ("org.vmsan.VM", "Remove"): "a{sv}",
    ("org.vmsan.VM", "Run"): "asa{sv}",
    ("org.vmsan.VM", "Exec"): "asa{sv}",
}

LONG_NAME = "n" * 64
BAD_NAMES = ["", "_x", ".x", "-x", "a/b", "é", "a b", "a\nb", LONG_NAME, "../x", "%s%n"]
GOOD_NAMES = ["a", "A", "0", "n" * 63, "a.b_c-D9"]


def call(caller, world, interface, method, values, fds=(), argv=("true",)):
    signature = WITH_OPTIONS[(interface, method)]
    before = {"h": [0], "o": ["/x"], "as": [list(argv)]}.get(signature.replace("a{sv}", ""), [])
    args = GLib.Variant(f"({signature})", (*before, values))
    path = {"org.vmsan.Manager": MANAGER[0], "org.vmsan.VM": world.idle_vm}[interface]
    return caller.call(path, interface, method, args, fds=fds)


def refused(*arguments, **named):
    with pytest.raises(BusError) as error:
        call(*arguments, **named)
    return error.value


def wrong_value(type_string):
    """A value of a type that no option has."""
    return GLib.Variant("d", 1.5) if type_string != "d" else GLib.Variant("s", "x")


def all_options():
    for interface, method in WITH_OPTIONS:
        for name, type_string in documented_options(interface, method).items():
            yield interface, method, name, type_string
    # Run's text refers to Exec's.
    for name, type_string in documented_options("org.vmsan.VM", "Exec").items():
        yield "org.vmsan.VM", "Run", name, type_string


def test_every_method_with_options_is_tested():
    there = {(name, m) for name, i in INTERFACES.items()
             for m, signature in i.methods.items() if "a{sv}" in signature}
    assert there == set(WITH_OPTIONS)


@pytest.mark.parametrize("interface, method", WITH_OPTIONS)
def test_an_unknown_option_is_refused_by_name(world, interface, method):
    with tempfile.TemporaryFile() as file:
        fds = [file.fileno()] if WITH_OPTIONS[(interface, method)].startswith("h") else []
        error = refused(world.root, world, interface, method,
                        {"no-such-option": GLib.Variant("s", "x")}, fds=fds)
    assert error.name == UNKNOWN
    assert "no-such-option" in error.message
    assert world.is_unchanged()


@pytest.mark.parametrize("interface, method, name, type_string", all_options())
def test_an_option_of_another_type_is_refused_by_name(world, interface, method, name, type_string):
    with tempfile.TemporaryFile() as file:
        fds = [file.fileno()] if WITH_OPTIONS[(interface, method)].startswith("h") else []
        error = refused(world.root, world, interface, method, {name: wrong_value(type_string)},
                        fds=fds)
    assert error.name == INVALID
    assert name in error.message
    assert world.is_unchanged()


@pytest.mark.parametrize("name, values", [
    ("vcpus", [0, 33, 2**32 - 1]),
    ("memory-mib", [0, 63, 1048577, 2**32 - 1]),
    ("disk-mib", [0, 31, 4194305, 2**32 - 1]),
    ("name", BAD_NAMES),
    ("driver", ["", "vmware", "QEMU"]),
    ("hostname", ["", "-a", "a_b", "a b", "a\nb", "a" * 65, "é", "../x"]),
    ("init", ["", "sometimes", "relative/path", "/a\nb", "/" + "x" * 5000]),
    ("project", ["a\nb", "p" * 5000]),
])
def test_creation_options_are_bounded(world, name, values):
    for value in values:
        error = refused(world.alice, world, "org.vmsan.Manager", "CreateVM",
                        options(**{"image": "busybox", "start": False, name: value}))
        assert error.name == INVALID, (value, error)
        assert name in error.message.lower(), (value, error)
        assert "\n" not in error.message, (value, error)
    assert world.is_unchanged()


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names_are_taken(world, name):
    path = world.create(world.alice, name=name)
    assert world.alice.get(path, VM, "Name") == name


def test_a_name_is_taken_once_by_each_user(world, users):
    world.create(world.alice, name="twin")
    error = refused(world.alice, world, "org.vmsan.Manager", "CreateVM",
                    options(name="twin", image="busybox", start=False))
    assert error.name == "org.vmsan.Error.Exists"
    assert "twin" in error.message
    world.create(users["bob"], name="twin")


@pytest.mark.parametrize("labels", [
    {str(n): "x" for n in range(33)}, {"": "x"}, {"a\nb": "x"}, {"k": "v" * 70000},
])
def test_labels_are_bounded(world, labels):
    error = refused(world.alice, world, "org.vmsan.Manager", "CreateVM", {
        **options(image="busybox", start=False), "labels": GLib.Variant("a{ss}", labels)})
    assert error.name == INVALID
    assert "label" in error.message.lower()
    assert world.is_unchanged()


@pytest.mark.parametrize("key", ["image", "kernel"])
def test_a_missing_image_or_kernel_is_named(world, key):
    error = refused(world.alice, world, "org.vmsan.Manager", "CreateVM",
                    options(**{"image": "busybox", "start": False, key: "no-such-thing"}))
    assert error.name == NOT_FOUND
    assert "no-such-thing" in error.message and key in error.message.lower()
    assert world.is_unchanged()


def test_too_much_memory_is_refused_with_what_is_allowed(world):
    error = refused(world.alice, world, "org.vmsan.Manager", "CreateVM",
                    options(image="busybox", start=False, memory_mib=65537))
    assert error.name == "org.vmsan.Error.LimitExceeded"
    assert "65536" in error.message
    assert world.is_unchanged()


def content(data):
    file = tempfile.TemporaryFile()
    file.write(data)
    file.flush()
    return file


NO_CONTENT = {
    "nothing": b"", "one-byte": b"x", "zeros": bytes(4096), "letters": b"0123456789abcdef" * 4096,
    "script": b"#!/bin/sh\n" * 1000, "elf-cut-off": b"\x7fELF" + bytes(100),
    "squashfs-cut-off": b"hsqs" + b"\xff" * 2000,
}


@pytest.mark.parametrize("method", ["AddImage", "AddKernel"])
@pytest.mark.parametrize("data", NO_CONTENT.values(), ids=NO_CONTENT)
def test_what_is_no_image_or_kernel_is_refused(world, method, data):
    with content(data) as file:
        error = refused(world.root, world, "org.vmsan.Manager", method, {}, fds=[file.fileno()])
    assert error.name == INVALID
    assert world.is_unchanged()


@pytest.mark.parametrize("method", ["AddImage", "AddKernel"])
@pytest.mark.parametrize("path, flags", [
    ("/tmp", os.O_RDONLY), ("/dev/null", os.O_RDONLY), ("/dev/zero", os.O_RDONLY),
    ("/etc/passwd", os.O_WRONLY), ("/etc/passwd", os.O_PATH)])
def test_a_descriptor_of_another_kind_is_refused(world, method, path, flags):
    fd = os.open(path, flags)
    try:
        error = refused(world.root, world, "org.vmsan.Manager", method, {}, fds=[fd])
    finally:
        os.close(fd)
    assert error.name == INVALID
    assert world.is_unchanged()


@pytest.mark.parametrize("method", ["AddImage", "AddKernel"])
def test_a_descriptor_that_is_not_there_is_refused(world, method):
    for index in (0, 7, -1):
        with pytest.raises(BusError) as error:
            world.root.manager(method, GLib.Variant("(ha{sv})", (index, {})))
        assert error.value.name in (INVALID, "org.freedesktop.DBus.Error.InvalidArgs")
    assert world.is_unchanged()


@pytest.mark.parametrize("method", ["Run", "Exec"])
@pytest.mark.parametrize("argv, values, word", [
    ([], {}, "argument"),
    ([""], {}, "argument"),
    (["a"] * 2000, {}, "argument"),
    (["a" * 70000], {}, "argument"),
    (["true"], {"env": GLib.Variant("as", ["NOEQUALS"])}, "environment"),
    (["true"], {"env": GLib.Variant("as", ["=x"])}, "environment"),
    (["true"], {"cwd": GLib.Variant("s", "relative")}, "cwd"),
    (["true"], {"cwd": GLib.Variant("s", "")}, "cwd"),
])
def test_a_program_that_cannot_be_run_is_refused_by_name(world, method, argv, values, word):
    args = GLib.Variant("(asa{sv})", (argv, values))
    with pytest.raises(BusError) as error:
        world.alice.call(world.vm, VM, method, args)
    assert error.value.name == INVALID, error.value
    assert word in error.value.message.lower()


def test_too_much_input_for_run_is_refused(world):
    args = GLib.Variant("(asa{sv})", (["cat"], {"stdin": GLib.Variant("ay", bytes(65537))}))
    with pytest.raises(BusError) as error:
        world.alice.call(world.vm, VM, "Run", args)
    assert error.value.name in (INVALID, "org.vmsan.Error.LimitExceeded")
    assert "stdin" in error.value.message


@pytest.mark.parametrize("method", ["Run", "Exec"])
def test_a_stopped_machine_runs_nothing(world, method):
    error = refused(world.alice, world, "org.vmsan.VM", method, {})
    assert error.name == "org.vmsan.Error.WrongState"


@pytest.mark.parametrize("method", ["GetVM", "GetImage", "GetKernel"])
@pytest.mark.parametrize("name", ["", "no-such-thing", "../../etc", "x" * 10000, "/", "é"])
def test_what_is_not_there_is_not_found(world, method, name):
    with pytest.raises(BusError) as error:
        world.alice.manager(method, GLib.Variant("(s)", (name,)))
    assert error.value.name in (NOT_FOUND, INVALID)
    assert len(error.value.message) < 1000


@pytest.mark.parametrize("path", ["/org/vmsan/vms/none", "/org/vmsan/images/none", "/org/vmsan/x"])
def test_an_object_that_is_not_there_is_no_object(world, path):
    with pytest.raises(BusError) as error:
        world.root.call(path, VM, "Remove", GLib.Variant("(a{sv})", ({},)))
    assert error.value.name in ("org.freedesktop.DBus.Error.UnknownMethod",
                                "org.freedesktop.DBus.Error.UnknownObject",
                                "org.freedesktop.DBus.Error.UnknownInterface")


@pytest.mark.parametrize("name, value", [
    ("limit", GLib.Variant("u", 0)), ("limit", GLib.Variant("u", 4097)),
    ("state", GLib.Variant("s", "happy"))])
def test_a_filter_that_makes_no_sense_is_refused(world, name, value):
    error = refused(world.alice, world, "org.vmsan.Manager", "ListVMs", {name: value})
    assert error.name == INVALID
    assert name in error.message


def test_pages_hold_every_machine_once(world):
    made = {world.create(world.alice) for _ in range(5)} | {world.vm, world.idle_vm}
    seen, after = [], ""
    while True:
        values = options(limit=2, **({"after": after} if after else {}))
        page, after = world.alice.manager("ListVMs", GLib.Variant("(a{sv})", (values,)))
        assert len(page) <= 2
        seen += list(page)
        if not after:
            break
    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize("interface", INTERFACES)
def test_arguments_of_another_signature_are_refused(world, interface):
    for method, signature in INTERFACES[interface].methods.items():
        for wrong in ("(d)", "(sss)", "(a{sv}a{sv}a{sv})"):
            values = {"(d)": (1.5,), "(sss)": ("a", "b", "c"), "(a{sv}a{sv}a{sv})": ({}, {}, {})}
            with pytest.raises(BusError) as error:
                world.root.call(world.path_of(interface), interface, method,
                                GLib.Variant(wrong, values[wrong]))
            assert error.value.name in ("org.freedesktop.DBus.Error.InvalidArgs",
                                        "org.freedesktop.DBus.Error.InvalidSignature"), method
    assert world.is_unchanged()
