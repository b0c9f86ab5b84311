# SPDX-License-Identifier: GPL-2.0-or-later
"""Resident memory of the service, and whether it sleeps when nobody wants anything."""

import os
import time

from bench import (MANAGER, SERVICE, Report, World, arguments, call_text, configure,
                   delete_records, time_calls, write_records)

LISTINGS = ((SERVICE, *MANAGER, "ListVMs", "({'limit': <uint32 4096>},)"),
            (SERVICE, "/org/vmsan", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith(key + ":")).split()[1])


def wake_ups(pid):
    """Of all threads: each time one went to sleep, it had been woken before."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return total


def settled_wake_ups(pid, seconds):
    """Wake-ups in so many seconds, counted from when the thread pools have given up their idle
    threads: GLib keeps them for half a minute at most."""
    deadline = time.monotonic() + 40
    count = wake_ups(pid)
    while time.monotonic() < deadline:
        time.sleep(seconds)  # this is the measurement, not a wait for an event
        before, count = count, wake_ups(pid)
        if count == before:
            return 0
    return count - before


def resident_kib(count):
    """After start, and after both listings were asked for; with the pid's world still running."""
    write_records(count)
    world = World()
    world.start()
    fresh = status(world.process.pid, "VmRSS")
    time_calls(3, *(call_text(*one) for one in LISTINGS))
    return world, fresh, status(world.process.pid, "VmRSS")


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    many = 50 if options.quick else 1000
    seconds = 0.5 if options.quick else 5
    configure(MaxVMs=16384)

    world, fresh, used = resident_kib(0)
    try:
        report.figure("resident-with-0", used / 1024, "MiB", at_most=12,
                      note=f"{fresh / 1024:.2f} MiB before the first listing")
        report.figure("wake-ups-when-idle", settled_wake_ups(world.process.pid, seconds), "",
                      at_most=0, note=f"in {seconds} s, all threads")
    finally:
        world.close()
        delete_records()
    world, fresh_many, used_many = resident_kib(many)
    try:
        report.figure(f"resident-per-machine-of-{many}", (used_many - used) / many, "KiB",
                      at_most=12, note=f"{(fresh_many - fresh) / many:.2f} KiB before listing")
    finally:
        world.close()
        delete_records()


main()
