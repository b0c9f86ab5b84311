# SPDX-License-Identifier: GPL-2.0-or-later
"""Real machines with QEMU: a boot through the service against the same command by hand, and exec
through the service against a bare virtio-serial port of the same QEMU."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time

from bench import BUILD, Report, World, arguments
from exec import MIB, timer
from hand_guest import BARE_PORT, Command, HandGuest


def add_content():
    """This host's kernel, and busybox with the load."""
    with tempfile.TemporaryDirectory() as root:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root"):
            os.mkdir(os.path.join(root, name))
        shutil.copy("/bin/busybox", os.path.join(root, "bin"))
        shutil.copy(os.path.join(BUILD, "guest-load"), os.path.join(root, "bin"))
        for name in ("sh", "true"):
            os.symlink("busybox", os.path.join(root, "bin", name))
        with open(os.path.join(root, "etc", "passwd"), "w") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\n")
        os.chmod(root, 0o755)
        client = shutil.which("vmsan-client")
        subprocess.run([client, "kernel", "add", "--from-host"], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([client, "image", "add", root], check=True, stdout=subprocess.DEVNULL)


def measure_boot(world, report, path, command, rounds):
    ours, by_hand = [], []
    for _ in range(rounds):
        start = time.monotonic()
        world.vm(path, "Start")
        ours.append(time.monotonic() - start)
        world.vm(path, "Stop", force=True)
        guest = HandGuest(command)
        by_hand.append(guest.ready_s)
        guest.close()
    report.ratio("boot-to-ready", statistics.median(ours) * 1e3, statistics.median(by_hand) * 1e3,
                 "ms", at_most=1.1, note="the same QEMU by hand")


def measure_bare(guest, rounds, size):
    """Median µs of a round trip, µs for much, of a session of true, and of a fork in the guest."""
    server = guest.session(1)
    server.start(["/bin/guest-load", "serve", BARE_PORT])
    trip = timer("bare", guest.path("bare"), rounds, 0)[0]
    much = timer("bare", guest.path("bare"), 1, size)[0]
    session = statistics.median(guest.run(2, "/bin/true")[0] for _ in range(rounds)) * 1e6
    forked = float(guest.run(2, "/bin/guest-load", "fork", str(rounds), "/bin/true")[1])
    return trip, much, session, forked


def measure_channel(world, report, path, command, rounds, size):
    guest = HandGuest(command, with_ports=True)
    try:
        trip, much, session, forked = measure_bare(guest, rounds, size)
    finally:
        guest.close()
    world.vm(path, "Start")
    whole = timer("vm", path, "root", rounds, "/bin/true")[0]
    output, _, got = timer("vm", path, "root", 1, "/bin/guest-load", "flood", size)
    assert got == size, f"{got} of {size} bytes came"
    world.vm(path, "Stop", force=True)

    report.figure("guest-fork", forked, "µs", note="and exec and wait, in the guest")
    report.ratio("guest-exec-session", session - forked, trip, "µs", at_most=3,
                 note="less the guest's fork; a round trip of a bare port")
    report.ratio("guest-exec-call", whole - forked, trip, "µs",
                 note="with the D-Bus call, polkit's answer and the hand-over")
    report.ratio(f"guest-output-{size // MIB}-mib", size / MIB / output * 1e6,
                 size / MIB / much * 1e6, "MiB/s", at_least=0.7, note="a bare port")


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    world = World()
    world.start()
    try:
        add_content()
        path = world.create(network="none")
        command = Command(world.root.call(path, "org.vmsan.VM", "GetDetails")[0]["pid"])
        world.vm(path, "Stop", force=True)
        try:
            measure_boot(world, report, path, command, 1 if options.quick else 7)
            measure_channel(world, report, path, command, 3 if options.quick else 100,
                            (1 if options.quick else 256) * MIB)
        finally:
            command.close()
        world.vm(path, "Remove", force=True)
    finally:
        world.close()


if __name__ == "__main__":
    main()
