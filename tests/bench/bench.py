# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmarks share: the service under measurement, and the line that each figure gets.

Runs inside tests/with-system-bus --no-daemon --daemon .../vmsand-test; tests/bench/run does that.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
from world import PARENT, RUNTIME, STATE, World, cgroup_roots  # noqa: E402,F401

BUILD = os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "tests", "bench")
SERVICE = "org.vmsan"
MANAGER = ("/org/vmsan/Manager", "org.vmsan.Manager")
BARE = "org.vmsan.Bench"


def arguments(description):
    """--json and --quick (tiny counts, which prove nothing but that the benchmark works)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="a JSON object for each line")
    parser.add_argument("--quick", action="store_true", help="tiny counts, to try it out")
    return parser.parse_args()


class Report:
    """Prints the figures: one line each, with what it is compared to and the aim."""

    def __init__(self, as_json):
        self.as_json = as_json

    def ratio(self, name, value, floor, unit, at_most=None, at_least=None, note=""):
        """value against floor, measured in the same run."""
        self.figure(name, value / floor, "", at_most, at_least, note, value=value, floor=floor,
                    value_unit=unit)

    def figure(self, name, figure, unit, at_most=None, at_least=None, note="", **more):
        ok = ((at_most is None or figure <= at_most) and (at_least is None or figure >= at_least))
        aimed = at_most is not None or at_least is not None
        if self.as_json:
            print(json.dumps({"name": name, "figure": round(figure, 4), "unit": unit,
                              "at-most": at_most, "at-least": at_least,
                              "ok": ok if aimed else None, "note": note,
                              **{k.replace("_", "-"): v for k, v in more.items()}}), flush=True)
            return
        aim = (f"at most {at_most:g}" if at_most is not None else
               f"at least {at_least:g}" if at_least is not None else "none")
        both = (f"{more['value']:11.1f} {more['value_unit']:5} / {more['floor']:11.1f}"
                f" {more['value_unit']:5} = " if "value" in more else " " * 39)
        verdict = "" if not aimed else "  ok" if ok else "  MISSED"
        print(f"{name:34} {both}{figure:8.2f} {unit:8} aim: {aim}{verdict}"
              f"{'  (' + note + ')' if note else ''}", flush=True)


def call_text(destination, path, interface, method, args="()"):
    """A call as bus-timer wants it; args is a tuple in GVariant text."""
    return f"('{destination}', '{path}', '{interface}', '{method}', <{args}>)"


def time_calls(rounds, *calls):
    """For each call (median µs, least µs, bytes of the reply)."""
    output = subprocess.run([os.path.join(BUILD, "bus-timer"), str(rounds), *calls], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return [tuple(map(float, line.split())) for line in output.splitlines()]


def save_reply(path, call):
    subprocess.run([os.path.join(BUILD, "bus-timer"), "--save", path, call], check=True)


class BareService:
    """ready-service with saved replies, on this bus, which has to be told that it may be there."""

    POLICY = "/etc/dbus-1/system.d/org.vmsan.Bench.conf"  # /etc is this run's own

    def __init__(self, world, replies):
        with open(self.POLICY, "w") as file:
            file.write(f'<busconfig><policy context="default"><allow own="{BARE}"/>'
                       f'<allow send_destination="{BARE}"/></policy></busconfig>')
        world.root.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig",
                        destination="org.freedesktop.DBus")
        self.process = subprocess.Popen([os.path.join(BUILD, "ready-service"), BARE, *replies],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        os.unlink(self.POLICY)


def configure(**limits):
    """Adds [Limits] to the configuration of this run, for services started from now on."""
    with open(os.environ["VMSAN_TEST_CONFIG"], "a") as file:
        file.write("\n[Limits]\n" + "".join(f"{key}={value}\n" for key, value in limits.items()))


def write_records(count, image="1" * 64, kernel="2" * 64):
    """Records of stopped machines, as service/vm/vm-record.c writes them, without their disks. Only
    while no service runs. Returns the ids."""
    directory = os.path.join(STATE, "vms")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    ids = []
    for number in range(count):
        vm_id = "b" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz012345") for _ in range(11))
        record = {
            "version": 1, "id": vm_id, "name": f"bench-{number}", "owner": 0, "driver": "null",
            "vcpus": 1, "memory-mib": 256, "disk-mib": 1024, "image": image, "kernel": kernel,
            "hostname": f"bench-{number}", "init": "auto", "project": "",
            "created-us": int(time.time() * 1e6), "uid": 1879048192 + number, "reason": "",
            "timeout-ms": 0, "timeout-at-us": 0, "acceleration": "", "boot-id": "", "pid": 0,
            "start-time": 0, "boot-ms": 0, "labels": {}, "state": "stopped", "token": "0" * 64,
        }
        with open(os.path.join(directory, vm_id + ".json"), "w") as file:
            json.dump(record, file, indent=1)
        os.chmod(file.name, 0o600)
        ids.append(vm_id)
    return ids


def delete_records():
    """Only while no service runs."""
    directory = os.path.join(STATE, "vms")
    if os.path.isdir(directory):
        for name in os.listdir(directory):
            if name.endswith(".json"):
                os.unlink(os.path.join(directory, name))


def median_ms(action, rounds):
    """Median of the milliseconds that action() takes."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)
