# SPDX-License-Identifier: GPL-2.0-or-later
"""CreateVM against a program that makes the same kernel objects and files."""

import glob
import os
import statistics
import subprocess

from bench import (BUILD, MANAGER, PARENT, SERVICE, STATE, Report, World, arguments, call_text,
                   time_calls)

UID = 1879048191  # below the range that the service gives to machines


def same_objects(rounds, *start):
    """Least µs of the floor."""
    home = os.path.join(os.environ["VMSAN_TEST_LOGS"], "same")  # on the same file system as STATE
    os.makedirs(home, exist_ok=True)
    template = glob.glob(f"{STATE}/templates/ext4-*-1024")[0]
    output = subprocess.run([os.path.join(BUILD, "same-objects"), str(rounds), home, template,
                             *start], check=True, stdout=subprocess.PIPE, text=True).stdout
    os.rmdir(home)
    return float(output.split()[1])


def remove_all(world):
    for path in world.list_vms():
        world.vm(path, "Remove", force=True)


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    batches, rounds = (1, 2) if options.quick else (7, 15)
    runtime = "/run/vmsan-same"
    os.mkdir(runtime)
    start_arguments = [runtime, f"{PARENT}/same", str(UID),
                       os.path.join(BUILD, "..", "null-vmm", "null-monitor"),
                       "/run/vmsan-test/libexec/vmsan-agent"]
    world = World()
    world.start()
    try:
        world.add_content()
        world.vm(world.create(start=False, network="none"), "Remove")  # makes the template
        for name, start, floor_arguments in (("create", "false", []),
                                             ("create-and-start", "true", start_arguments)):
            call = call_text(SERVICE, *MANAGER, "CreateVM", "({'start': <%s>, 'network': <'none'>},)" % start)
            # The least of each batch, turn by turn: syncing takes longer whenever others use the
            # disk, and that is not what is measured.
            ours, floor = [], []
            for _ in range(batches):
                ours.append(time_calls(rounds, call)[0][1])
                remove_all(world)
                floor.append(same_objects(rounds, *floor_arguments))
            report.ratio(name, statistics.median(ours) / 1e3, statistics.median(floor) / 1e3, "ms",
                         at_most=2, note="the same objects")
    finally:
        world.close()
        os.rmdir(runtime)


main()
