# SPDX-License-Identifier: GPL-2.0-or-later
"""exec of /bin/true and much output of a program, against the bare channel.

The agent is the real one, serving on this host through the driver without machines; its channel is
a Unix socket, and so is the bare one. Nothing is as fast as that, so these figures have no aim:
they show the agent's own cost. boot.py measures against the channel that machines have.
"""

import json
import os
import shutil
import statistics
import subprocess

from bench import BUILD, RUNTIME, STATE, Report, World, arguments

TIMER = os.path.join(BUILD, "exec-timer")
GUEST_LOAD = "/etc/guest-load"
MIB = 1 << 20


def timer(*words):
    """(median µs, least µs, bytes)"""
    output = subprocess.run([TIMER, *map(str, words)], check=True, stdout=subprocess.PIPE,
                            text=True).stdout
    return tuple(map(float, output.split()))


def bare(directory, rounds, size):
    """The same socket type with "guest-load serve" at the other end."""
    path = os.path.join(directory, "bare")
    server = subprocess.Popen([os.path.join(BUILD, "guest-load"), "serve", path])
    try:
        return timer("bare", path, rounds, size)
    finally:
        server.kill()
        server.wait()
        os.unlink(path)


def measure(world, report, rounds, size):
    path = world.create(network="none")
    vm_id = path.split("/")[-1]
    user = str(world.root.call(path, "org.vmsan.VM", "GetDetails")[0]["uid"])
    # /etc is this run's own, and the agent on this host sees it.
    shutil.copy(os.path.join(BUILD, "guest-load"), GUEST_LOAD)
    os.chmod(GUEST_LOAD, 0o755)
    with open(os.path.join(STATE, "vms", vm_id + ".json")) as file:
        token = json.load(file)["token"]
    agent = ["agent", os.path.join(RUNTIME, vm_id, "agent.sock"), token, user]

    trip = bare(world.directory, rounds * 10, 0)[0]
    forked = float(world.run(path, GUEST_LOAD, "fork", str(rounds), "/bin/true")[2])
    session = timer(*agent, rounds, "/bin/true")[0]
    whole = timer("vm", path, user, rounds, "/bin/true")[0]
    report.figure("fork-in-guest", forked, "µs")
    report.ratio("exec-true-session", session - forked, trip, "µs",
                 note="less the guest's fork; bare round trip")
    report.ratio("exec-true-call", whole - forked, trip, "µs",
                 note="with the D-Bus call, polkit's answer and the hand-over")

    # Turn by turn, as the machine's other work comes and goes.
    outputs, bares = [], []
    for _ in range(3):
        bares.append(size / bare(world.directory, 1, size)[0])
        taken, _, got = timer("vm", path, user, 1, GUEST_LOAD, "flood", size)
        assert got == size, f"{got} of {size} bytes came"
        outputs.append(size / taken)
    report.ratio(f"exec-output-{size // MIB}-mib", statistics.median(outputs) * 1e6 / MIB,
                 statistics.median(bares) * 1e6 / MIB, "MiB/s", note="bare channel")


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    world = World()
    world.start()
    try:
        world.add_content()
        measure(world, report, 5 if options.quick else 300, (1 if options.quick else 256) * MIB)
        for path in world.list_vms():
            world.vm(path, "Remove", force=True)
    finally:
        world.close()


if __name__ == "__main__":
    main()
