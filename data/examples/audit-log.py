#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Example of a listener: writes what happens to machines into a log, a line of JSON each.

    audit-log.py FILE

Nothing is lost when it is stopped for a while: it goes on behind the last number in the log with
what the service remembers, and notes in the log when that is not all. Needs no privileges, as
signals are public.
"""

import json
import os
import sys
import time

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

SERVICE, PATH, INTERFACE = "org.vmsan", "/org/vmsan/Manager", "org.vmsan.Manager"


class AuditLog:
    def __init__(self, path):
        self.last = self.read_last(path)
        self.file = open(path, "a", encoding="utf-8")
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)

    @staticmethod
    def read_last(path):
        """The highest sequence number in the log; 0 for a new one."""
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8") as file:
            return max((json.loads(line).get("sequence", 0) for line in file), default=0)

    def write(self, **entry):
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def on_signal(self, _bus, _sender, _path, _interface, _name, args):
        # The signal only wakes: what is written always comes from the service's memory, so there is
        # one way for what was heard and what was missed.
        if args.unpack()[0] > self.last:
            self.catch_up()

    def catch_up(self):
        reply = self.bus.call_sync(SERVICE, PATH, INTERFACE, "GetEvents",
                                   GLib.Variant("(t)", (self.last,)), None,
                                   Gio.DBusCallFlags.NONE, -1, None)
        events, last, missed = reply.unpack()
        if missed:
            self.write(time=time.time_ns() // 1000, event="Missed", since=self.last)
        for sequence, name, values in events:
            self.write(sequence=sequence, event=name, **values)
        self.last = last

    def run(self):
        # First the subscription, then the past: nothing falls in between.
        self.bus.signal_subscribe(SERVICE, INTERFACE, None, PATH, None,
                                  Gio.DBusSignalFlags.NONE, self.on_signal)
        self.catch_up()
        GLib.MainLoop().run()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    AuditLog(sys.argv[1]).run()
