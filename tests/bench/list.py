# SPDX-License-Identifier: GPL-2.0-or-later
"""Listing machines against a bare service that sends the same bytes, ready-made."""

import os
import tempfile
import time

from bench import (BARE, MANAGER, SERVICE, BareService, Report, World, arguments, call_text,
                   configure, delete_records, save_reply, time_calls, write_records)

PAGE = 4096
BUS_LIMIT_MIB = 32
OBJECT_MANAGER = ("/org/vmsan", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")


def calls_of(count):
    """Name and call of each listing; ListVMs in the pages that it comes in at most."""
    list_call = call_text(SERVICE, *MANAGER, "ListVMs", "({'limit': <uint32 %d>},)" % PAGE)
    return [(f"list-vms-{min(count, PAGE)}-of-{count}", list_call),
            (f"managed-objects-{count}", call_text(SERVICE, *OBJECT_MANAGER))]


def measure(world, report, count, rounds, directory):
    per_vm = {}
    named = calls_of(count)
    files = [os.path.join(directory, str(i)) for i in range(len(named))]
    for path, (_, call) in zip(files, named):
        save_reply(path, call)
    bare = BareService(world, files)
    try:
        for i, (name, call) in enumerate(named):
            got, ready = time_calls(rounds, call, call_text(BARE, f"/{i}", BARE, "Get"))
            report.ratio(name, got[0], ready[0], "µs", at_most=1.3,
                         note=f"{got[2] / 2**20:.2f} MiB ready-made")
            per_vm[name.split("-")[0]] = got[0] / min(count, PAGE if i == 0 else count)
            if i == 1 and count == 10000:
                report.figure("managed-objects-10000-size", got[2] / 2**20, "MiB",
                              at_most=BUS_LIMIT_MIB / 2)
    finally:
        bare.close()
    return per_vm


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    configure(MaxVMs=16384)
    per_vm = {}
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        for count in (10, 20) if options.quick else (10, 100, 1000, 10000):
            write_records(count)
            world = World()
            try:
                start = time.monotonic()
                world.start()
                report.figure(f"start-with-{count}", time.monotonic() - start, "s",
                              at_most=1.5 if count == 10000 else None)
                rounds = 3 if options.quick else max(10, 10000 // count)
                per_vm[count] = measure(world, report, count, rounds, directory)
            finally:
                world.close()
                delete_records()
    counts = sorted(per_vm)
    for name in per_vm[counts[0]]:
        report.ratio(f"{name}-per-machine-growth", per_vm[counts[-1]][name],
                     per_vm[counts[-2]][name], "µs", at_most=1.3,
                     note=f"at {counts[-1]} against at {counts[-2]}: linear")


main()
