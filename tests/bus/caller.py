# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection to the system bus as a certain user, with calls that block with a deadline."""

import json
import os
import subprocess
import time

import gi

gi.require_version("Gio", "2.0")
gi.require_version("GLib", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

SERVICE = "org.vmsan"
MANAGER = ("/org/vmsan/Manager", "org.vmsan.Manager")
VM = "org.vmsan.VM"
DEADLINE_S = 60


class BusError(Exception):
    """An error reply: its D-Bus name, and its message without GDBus's prefix."""

    def __init__(self, error):
        self.name = Gio.DBusError.get_remote_error(error) or f"local.{error.domain}.{error.code}"
        self.message = error.message.split(": ", 1)[-1] if ": " in error.message else error.message
        super().__init__(f"{self.name}: {self.message}")


class Pending:
    """A call under way; result() waits for it."""

    def __init__(self):
        self.done = False
        self.value = None
        self.fds = []
        self.error = None

    def result(self, deadline_s=DEADLINE_S):
        wait_until(lambda: self.done, deadline_s, "the reply")
        if self.error:
            raise self.error
        return self.value


def wait_until(condition, deadline_s=DEADLINE_S, what="the event"):
    """Lets the main context work until the condition holds, which is looked at after each event
    and, for those that depend on the time or on the bus, ten times a second."""
    context = GLib.MainContext.default()
    end = time.monotonic() + deadline_s
    source = GLib.timeout_source_new(100)
    source.set_callback(lambda *_: True)
    source.attach(context)
    try:
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come within {deadline_s} s")
            context.iteration(True)
    finally:
        source.destroy()


class Caller:
    def __init__(self, uid, name=""):
        self.uid = uid
        self.user = name
        os.seteuid(uid)
        try:
            self.bus = Gio.DBusConnection.new_for_address_sync(
                os.environ["DBUS_SYSTEM_BUS_ADDRESS"],
                Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        finally:
            os.seteuid(0)
        self.bus.set_exit_on_close(False)
        self.signals = []
        self.subscriptions = []

    def __repr__(self):
        return f"<{self.user}>"

    @property
    def unique_name(self):
        return self.bus.get_unique_name()

    def close(self):
        if not self.bus.is_closed():
            self.bus.close_sync(None)

    def start(self, path, interface, method, args=None, fds=(), interactive=False,
              deadline_s=DEADLINE_S, destination=SERVICE):
        """Starts a call; args is a GLib.Variant tuple or None. Returns a Pending."""
        pending = Pending()
        flags = Gio.DBusCallFlags.NO_AUTO_START
        if interactive:
            flags |= Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION
        fd_list = Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds]) if fds else None

        def finished(bus, result):
            try:
                value, out = bus.call_with_unix_fd_list_finish(result)
                pending.value = value.unpack()
                pending.fds = list(out.steal_fds()) if out else []
            except GLib.Error as error:
                pending.error = BusError(error)
            pending.done = True

        self.bus.call_with_unix_fd_list(destination, path, interface, method, args, None, flags,
                                        int(deadline_s * 1000), fd_list, None, finished)
        return pending

    def call(self, *args, **options):
        """Calls and waits: the reply's values as a tuple, or BusError."""
        return self.start(*args, **options).result(options.get("deadline_s", DEADLINE_S) + 5)

    def manager(self, method, args=None, **options):
        return self.call(*MANAGER, method, args, **options)

    def get(self, path, interface, name):
        return self.call(path, "org.freedesktop.DBus.Properties", "Get",
                         GLib.Variant("(ss)", (interface, name)))[0]

    def listen(self, interface="org.vmsan.Manager"):
        """From now on, signals go to self.signals as (name, path, arguments)."""
        def received(_bus, _sender, path, _interface, name, args):
            self.signals.append((name, path, args.unpack()))

        self.subscriptions.append(self.bus.signal_subscribe(
            SERVICE, interface, None, None, None, Gio.DBusSignalFlags.NONE, received))
        # The bus has the match rule once a later call of the same connection is answered.
        self.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
                  destination="org.freedesktop.DBus")

    def wait_signal(self, name, deadline_s=DEADLINE_S, since=0):
        """The arguments of the first signal NAME, counted from signal number since."""
        def found():
            return [s for s in self.signals[since:] if s[0] == name]

        wait_until(found, deadline_s, f"signal {name}")
        return found()[0][2]


def options(**values):
    """a{sv} from keyword arguments: Python name memory_mib becomes the key memory-mib; a value
    is a GLib.Variant, or a str, bool or int (u)."""
    made = {}
    for key, value in values.items():
        if isinstance(value, bool):
            value = GLib.Variant("b", value)
        elif isinstance(value, str):
            value = GLib.Variant("s", value)
        elif isinstance(value, int):
            value = GLib.Variant("u", value)
        made[key.replace("_", "-")] = value
    return made


class Person:
    """A process of its own for a user, tests/bus/person.py: for passwords, and to be killed."""

    def __init__(self, name):
        script = os.path.join(os.path.dirname(__file__), "person.py")
        self.process = subprocess.Popen(
            ["setpriv", "--reuid", name, "--regid", name, "--init-groups", "/usr/bin/python3", "-B",
             script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd="/")
        self.events = []
        self.buffer = b""
        self.ended = False
        os.set_blocking(self.process.stdout.fileno(), False)
        self.watch = GLib.io_add_watch(
            self.process.stdout.fileno(), GLib.PRIORITY_DEFAULT,
            GLib.IOCondition.IN | GLib.IOCondition.HUP, self.on_output)
        ready = self.wait("ready")
        self.pid, self.unique_name = ready["pid"], ready["name"]

    def on_output(self, fd, _condition):
        data = os.read(fd, 65536)
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        self.ended = not data
        return bool(data)

    def do(self, verb, **values):
        self.process.stdin.write(json.dumps({"do": verb, **values}).encode() + b"\n")

    def call(self, path, interface, method, args="()", interactive=True):
        self.do("call", path=path, interface=interface, method=method, args=args,
                interactive=interactive)

    def register(self, pid=None):
        """Makes it the agent that is asked for passwords when process pid (itself) needs one."""
        self.do("register", pid=pid or self.pid)
        self.wait("registered")

    def seen(self, event):
        """Whether it has said so by now; nothing is taken away."""
        return any(e["event"] == event for e in self.events)

    def wait(self, event, deadline_s=DEADLINE_S):
        """The oldest such event that was not waited for yet."""
        wait_until(lambda: self.ended or self.seen(event), deadline_s, f"“{event}” of {self.events}")
        for number, one in enumerate(self.events):
            if one["event"] == event:
                return self.events.pop(number)
        raise AssertionError(f"the process ended without “{event}”, but {self.events}")

    def close(self):
        self.process.kill()
        self.process.wait()
        if not self.ended:
            GLib.source_remove(self.watch)
        self.process.stdin.close()
        self.process.stdout.close()
