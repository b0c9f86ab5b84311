# SPDX-License-Identifier: GPL-2.0-or-later
"""A vmsand that a test can kill and start again, and everything it leaves on the machine.

Runs inside tests/with-system-bus --no-daemon --daemon .../vmsand-test.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bus"))
from caller import Caller, GLib, options, wait_until  # noqa: E402

STATE = os.environ["VMSAN_TEST_STATE_DIR"]
RUNTIME = os.environ["VMSAN_TEST_RUNTIME_DIR"]
PARENT = os.environ["VMSAN_TEST_CGROUP_PARENT"]
LOGS = os.environ["VMSAN_TEST_LOGS"]
ROOT = "/org/vmsan"
N_PREPARED = 4  # networks that wait for machines, as configured by default


def cgroup_roots():
    """Mount points of all hierarchies."""
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            if right.split()[0] in ("cgroup", "cgroup2"):
                yield left.split()[4]


def difference(before, after):
    if isinstance(before, set):
        return sorted(map(str, before ^ after))
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def files_below(top, leave_out=()):
    found = set()
    for directory, names, files in os.walk(top):
        names[:] = [n for n in names if os.path.join(directory, n) not in leave_out]
        found |= {os.path.join(directory, name) for name in names + files}
    return found


# What names an object of the kernel by its number, which the next one gets too.
NUMBERS = re.compile(r"\bhandle \d+|^\s*\d+: ", re.MULTILINE)


def waiting_links():
    _, ready, making, _ = networks()
    return {f"vmsan{name.split('-')[1]}" for name in ready | making}


def network_state():
    """Links, addresses, routes, rules and settings of this run's host, without those of networks that
    wait for machines, which may come at any time: a link has its name only while the namespace has."""
    waiting = waiting_links()

    def run(*command):
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        waiting.update(waiting_links())
        lines = [line for line in text.splitlines() if not waiting & set(re.split(r"[\s@]+", line))]
        return NUMBERS.sub("", "\n".join(lines))

    state = {"links": run("ip", "-o", "addr"), "routes": run("ip", "route", "show", "table", "all"),
             "routes6": run("ip", "-6", "route", "show", "table", "all"),
             "rules": run("nft", "list", "ruleset"), "settings": {}}
    links = {name for _, name in socket.if_nameindex()}
    for link in [*links - waiting_links() - waiting, "all", "default"]:
        for family in ("ipv4", "ipv6"):
            for name in ("forwarding", "force_forwarding", "accept_ra"):
                path = f"/proc/sys/net/{family}/conf/{link}/{name}"
                if os.path.exists(path):
                    with open(path) as file:
                        state["settings"][path] = file.read()
    return state


def networks():
    """Names of the namespaces of machines, of those that wait for machines and of those that are
    being made for that, and slots of links. Links are looked for first: until it is deleted, a
    network has its name for longer than its link."""
    links = subprocess.run(["ip", "-j", "link", "show", "type", "veth"], check=True,
                           capture_output=True, text=True).stdout
    slots = {link["ifname"][5:] for link in json.loads(links or "[]")
             if link["ifname"].startswith("vmsan")}
    names = {n[6:] for n in os.listdir("/run/netns") if n.startswith("vmsan-")} \
        if os.path.isdir("/run/netns") else set()
    ready = {n for n in names if n.startswith("prepared-")}
    making = {n for n in names if n.startswith("making-")}
    return names - ready - making, ready, making, slots


class World:
    """The service and what is on the machine because of it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="vmsan-crash-", dir="/run")
        self.orders = os.path.join(self.directory, "steps")
        self.null_orders = os.path.join(self.directory, "null")
        self.log = open(os.path.join(LOGS, "vmsand.log"), "ab")
        self.process = None
        self.root = Caller(0, "root")
        self.order_null()

    # ---- The service -----------------------------------------------------------------------

    def start(self, deadline_s=30, more=None):
        """@more: configuration, in addition to this run's."""
        arguments = []
        if more is not None:
            arguments = ["--config", os.path.join(self.directory, "vmsand.conf")]
            with open(os.environ["VMSAN_TEST_CONFIG"]) as file, open(arguments[1], "w") as copy:
                copy.write(f"{file.read()}\n{more}\n")
        environment = dict(os.environ, VMSAN_STEP_ORDERS=self.orders,
                           VMSAN_NULL_ORDERS=self.null_orders)
        self.process = subprocess.Popen([os.environ["VMSAN_TEST_DAEMON"], *arguments], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        subprocess.run(["gdbus", "wait", "--system", "--timeout", str(deadline_s), "org.vmsan"],
                       check=True)

    def wait_dead(self):
        """For the end that a test ordered: it must be SIGKILL, not a crash of its own."""
        status = self.process.wait(timeout=30)
        assert status == -signal.SIGKILL, f"vmsand ended with {status}"
        self.process = None

    def kill(self):
        self.process.kill()
        self.wait_dead()

    def terminate(self):
        self.process.terminate()
        status = self.process.wait(timeout=60)
        self.process = None
        assert status == 0, f"vmsand ended with {status} after SIGTERM"

    def close(self):
        if self.process is not None:
            self.terminate()
        self.root.close()
        self.log.close()

    # ---- Orders ----------------------------------------------------------------------------

    def order(self, verb, step, moment, action):
        with open(self.orders + ".new", "w") as file:
            file.write(f"{verb} {step} {moment} {action}\n")
        os.rename(self.orders + ".new", self.orders)

    def was_carried_out(self):
        return not os.path.exists(self.orders)

    def order_null(self, **values):
        """What the driver without machines is to do from now on; with an agent that answers, unless
        told otherwise (agent=None)."""
        values = {"agent": "/run/vmsan-test/libexec/vmsan-agent", **values}
        lines = ["[null]"] + [f"{key.replace('_', '-')}={value}"
                              for key, value in values.items() if value is not None]
        with open(self.null_orders + ".new", "w") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(self.null_orders + ".new", self.null_orders)

    # ---- What it is told -------------------------------------------------------------------

    def add_content(self):
        """An image and a kernel, to make machines from. The driver without machines boots neither,
        but the service checks both."""
        image = os.path.join(self.directory, "image")
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
        kernels = sorted(n for n in os.listdir("/boot") if n.startswith("vmlinuz-"))
        for method, path in (("AddImage", image), ("AddKernel", f"/boot/{kernels[-1]}")):
            with open(path, "rb") as file:
                self.root.manager(method, GLib.Variant("(ha{sv})", (0, {})), fds=[file.fileno()])

    def create(self, caller=None, **values):
        reply = (caller or self.root).manager(
            "CreateVM", GLib.Variant("(a{sv})", (options(**values),)))
        return reply[0]

    def vm(self, path, method, **values):
        return self.root.call(path, "org.vmsan.VM", method,
                              GLib.Variant("(a{sv})", (options(**values),)))

    def state(self, path):
        return self.root.get(path, "org.vmsan.VM", "State")

    def list_vms(self):
        return self.root.manager("ListVMs", GLib.Variant("(a{sv})", ({},)))[0]

    def run(self, path, *argv):
        """As the machine's own uid: its agent is a process of the host here, with no right to
        become another."""
        uid = self.root.call(path, "org.vmsan.VM", "GetDetails")[0]["uid"]
        return self.root.call(path, "org.vmsan.VM", "Run",
                              GLib.Variant("(asa{sv})", (argv, options(user=str(uid)))))

    # ---- What it leaves --------------------------------------------------------------------

    def snapshot(self):
        """Everything on the machine that could be left behind."""
        groups = set()
        for top in cgroup_roots():
            groups |= {g for g in files_below(top + PARENT) if os.path.isdir(g)}
        processes = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                name = os.readlink(f"/proc/{pid}/exe").split("/")[-1].split(" ")[0]
            except OSError:
                continue
            if name in ("null-monitor", "vmsan-supervisor", "vmsan-agent", "mke2fs",
                        "vmsan-image-builder", "vmsan-kernel-unpacker"):
                processes.add((pid, name))
        with open("/proc/self/mountinfo") as table:
            mounts = {line.split()[4] for line in table}
        mounts = {m for m in mounts
                  if not m.startswith(("/run/netns/vmsan-prepared-", "/run/netns/vmsan-making-"))}
        machines, ready, making, slots = networks()
        return {
            "namespaces": machines,
            "links": slots - {name.split("-")[1] for name in ready | making},
            "cgroups": groups,
            "processes": processes,
            "mounts": mounts,
            # Templates are a cache of the service, not a machine's.
            "state": files_below(STATE, {f"{STATE}/templates"}),
            "runtime": files_below(RUNTIME),
            "network": network_state(),
        }

    def assert_back_to(self, before):
        """Waits for dead processes to be reaped, then compares."""
        try:
            self.look_until(lambda: self.snapshot() == before, "the state before", 5)
        except AssertionError:
            after = self.snapshot()
            left = {key: difference(before[key], after[key]) for key in before
                    if after[key] != before[key]}
            raise AssertionError(f"left behind or lost: {left}") from None

    @staticmethod
    def look_until(condition, what, deadline_s=30):
        """For what nobody tells of: looks again and again."""
        source = GLib.timeout_source_new(20)
        source.set_callback(lambda *_: True)
        source.attach(GLib.MainContext.default())
        try:
            wait_until(condition, deadline_s, what)
        finally:
            source.destroy()

    def wait_for_pool(self, size=N_PREPARED):
        """Until as many networks wait for machines as should, and none is being made."""
        def is_full():
            _, ready, making, _ = networks()
            return len(ready) == size and not making

        self.look_until(is_full, f"{size} networks that wait")

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
