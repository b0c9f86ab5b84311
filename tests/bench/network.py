# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks of machines: made, taken down and changed against the same kernel objects by hand, and
what goes through them against a bare pair of links. On a host in namespaces of the programs' own."""

import os
import subprocess

from bench import BUILD, Report, arguments


def measure(program, *numbers):
    output = subprocess.run([os.path.join(BUILD, program), *map(str, numbers)], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return list(map(float, output.split()))


def measure_single(report, rounds):
    prepared, without, bare_up, down, bare_down = measure("network-timer", "single", rounds)
    report.figure("network-share-of-create", prepared, "ms", at_most=2, note="a network that waits")
    report.figure("network-share-without-pool", without, "ms", note="one that is made for it")
    report.ratio("network-set-up-and-tear-down", without + down, bare_up + bare_down, "ms",
                 at_most=1.5, note="the same objects by hand")
    report.ratio("network-tear-down", down, bare_down, "ms", note="the same")


def measure_policy(report, rounds):
    short, = measure("network-timer", "policy", rounds, 10)
    long, = measure("network-timer", "policy", rounds, 1000)
    report.figure("policy-change-10-cidrs", short, "ms", at_most=10)
    report.figure("policy-change-1000-cidrs", long, "ms", at_most=10)
    report.ratio("policy-change-100-times-as-long", long, short, "ms", at_most=100,
                 note="1,000 CIDRs against 10")


def measure_scale(report, counts, rounds):
    costs = {count: measure("network-timer", "beside", count, rounds) for count in counts}
    for count in counts[1:]:
        for number, what in enumerate(("set-up", "tear-down")):
            report.ratio(f"network-{what}-beside-{count}", costs[count][number],
                         costs[counts[0]][number], "ms", at_most=1.5, note="beside one")


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    quick = options.quick
    measure_single(report, 2 if quick else 25)
    count = 8 if quick else 200
    up, down = measure("network-timer", "many", count)
    report.figure(f"networks-{count}-at-once", count / up * 1e3, "per s", at_least=50,
                  note=f"taken down at once: {count / down * 1e3:.0f} per s")
    measure_policy(report, 2 if quick else 15)
    measure_scale(report, (1, 4) if quick else (1, 100, 1000), 2 if quick else 15)
    through, bare = measure("network-stream", 1 if quick else 7, 1)
    report.ratio("network-throughput", through, bare, "MiB/s", at_least=0.8,
                 note="a bare pair of links")


main()
