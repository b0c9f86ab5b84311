# SPDX-License-Identifier: GPL-2.0-or-later
"""Random arguments to every method: errors by name, never a crash, never a half-made machine.

The seed is printed and can be given as VMSAN_TEST_SEED. VMSAN_TEST_ROUNDS makes it longer.
"""

import os
import random
import tempfile

import pytest
from gi.repository import GLib

from caller import VM, BusError, options
from interface import INTERFACES, documented_options

SEED = int(os.environ.get("VMSAN_TEST_SEED", random.SystemRandom().randrange(2**32)))
ROUNDS = int(os.environ.get("VMSAN_TEST_ROUNDS", 150))

TEXTS = ["", "a", "busybox", "host", "hers", "/", "..", "../../etc/passwd", "%s%n%x", "é", "\n",
         "\x01", "x" * 300, "x" * 70000, "-1", "0", "true", "/bin/sh", "=", "A=B", "auto", "none",
         "running", "stopped", "root", "0:0", "4294967296", "'", '"', "$(id)", "\u202e", "\ufffd"]
NUMBERS = [0, 1, 2, 31, 32, 63, 64, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]
LARGE = NUMBERS + [2**63 - 1, 2**63, 2**64 - 1]
SIGNATURES = ["s", "u", "t", "b", "i", "d", "y", "o", "as", "ay", "a{ss}", "a{sv}", "v", "(su)",
              "a(st)", "h", "aas", "x", "g"]


def random_value(dice, signature, depth=0):
    """Some Python value for GLib.Variant of this signature."""
    head = signature[0]
    if signature == "a{sv}":
        return {dice.choice(TEXTS[:12]): random_variant(dice, depth + 1)
                for _ in range(dice.randrange(3))}
    if signature == "a{ss}":
        return {dice.choice(TEXTS): dice.choice(TEXTS) for _ in range(dice.choice([0, 1, 2, 40]))}
    if head == "a":
        many = dice.choice([0, 1, 2, 5, 70]) if depth < 2 else 1
        return [random_value(dice, signature[1:], depth + 1) for _ in range(many)]
    if head == "(":
        return tuple(random_value(dice, one, depth + 1) for one in signature[1:-1])
    return {"s": lambda: dice.choice(TEXTS), "u": lambda: dice.choice(NUMBERS),
            "t": lambda: dice.choice(LARGE), "b": lambda: dice.random() < 0.5,
            "i": lambda: dice.choice(NUMBERS[:10]), "x": lambda: -dice.choice(NUMBERS),
            "d": lambda: dice.random(), "y": lambda: dice.randrange(256),
            "o": lambda: dice.choice(["/", "/org/vmsan", "/org/vmsan/vms/x"]),
            "v": lambda: random_variant(dice, depth + 1), "h": lambda: dice.randrange(3),
            "g": lambda: "a{sv}"}[head]()


def random_variant(dice, depth=0):
    signature = dice.choice(SIGNATURES if depth < 3 else SIGNATURES[:4])
    return GLib.Variant(signature, random_value(dice, signature, depth))


def random_options(dice, known):
    """Known and unknown keys, with values of the right type more often than not."""
    made = {}
    for key in dice.sample(sorted(known) + ["unknown"], dice.randrange(min(5, len(known) + 1) + 1)):
        signature = known.get(key, "s")
        if dice.random() < 0.3:
            made[key] = random_variant(dice)
        else:
            made[key] = GLib.Variant(signature, random_value(dice, signature))
    # Machines are made, but not booted: that is what the other suites do.
    if "start" in known:
        made["start"] = GLib.Variant("b", False)
    return made


def random_arguments(dice, interface, method, signature):
    known = documented_options(interface, method)
    if method == "Run":
        known.update(documented_options(interface, "Exec"))
    values = []
    for one in split(signature):
        values.append(random_options(dice, known) if one == "a{sv}" else random_value(dice, one))
    return GLib.Variant(f"({signature})", tuple(values)) if values else None


def split(signature):
    rest, parts = signature, []
    while rest:
        length = next(n for n in range(1, len(rest) + 1)
                      if GLib.variant_type_string_is_valid(rest[:n]))
        parts.append(rest[:length])
        rest = rest[length:]
    return parts


def some_files(dice):
    """Up to three descriptors with something in them that is nothing useful."""
    files = []
    for _ in range(dice.randrange(4)):
        files.append(tempfile.TemporaryFile())
        files[-1].write(dice.choice([b"", b"x", dice.randbytes(5000), b"\x7fELF" * 100]))
        files[-1].flush()
    return files


@pytest.mark.parametrize("user", ["root", "alice", "dave"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_any_arguments_are_survived(world, users, interface, user):
    dice = random.Random(f"{SEED}{interface}{user}")
    print("seed", SEED)
    for _ in range(ROUNDS):
        method, signature = dice.choice(sorted(INTERFACES[interface].methods.items()))
        # Without arguments there is nothing to be wrong with a removal.
        path = world.idle_vm if interface == VM else world.path_of(interface)
        if method == "Remove":
            path = path.rsplit("/", 1)[0] + "/" + dice.choice(["x", "none", "0" * 12, "_"])
        files = some_files(dice)
        try:
            users[user].call(path, interface, method,
                             random_arguments(dice, interface, method, signature),
                             fds=[file.fileno() for file in files])
        except BusError as error:
            assert error.name.startswith(("org.vmsan.Error.", "org.freedesktop.DBus.Error.Unknown")), \
                error
        finally:
            for file in files:
                file.close()
    for path, state in world.everything().items():
        assert state in ("", "stopped", "running"), path
    # Start without options is right, too.
    if users["root"].get(world.idle_vm, VM, "State") == "running":
        users["root"].call(world.idle_vm, VM, "Stop",
                           GLib.Variant("(a{sv})", (options(force=True),)))
