#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Example of a plugin: refuses machines without a project, and labels those that have one.

    require-project.py

It must run as somebody who has org.vmsan.register-plugin, such as root. While it does not run,
nothing is refused: a rule that must always hold belongs into polkit, which sees the project too.
"""

import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

SERVICE, MANAGER = "org.vmsan", "/org/vmsan/Manager"
PATH = "/org/example/RequireProject"
XML = """<node><interface name="org.vmsan.Plugin"><method name="HandleHook">
  <arg name="hook" type="s" direction="in"/><arg name="event" type="a{sv}" direction="in"/>
  <arg name="answer" type="a{sv}" direction="out"/></method></interface></node>"""


def handle_hook(_hook, event):
    """The answer: empty to agree, "veto" with a reason, or "options" that are changed."""
    project = event["project"]
    if not project:
        return {"veto": GLib.Variant("s", "every machine needs a project: create it with --project")}
    labels = {**event["labels"], "cost-centre": project}
    return {"options": GLib.Variant("a{sv}", {"labels": GLib.Variant("a{ss}", labels)})}


def on_call(_bus, _sender, _path, _interface, _method, args, invocation):
    invocation.return_value(GLib.Variant("(a{sv})", (handle_hook(*args.unpack()),)))


def register(bus):
    options = {
        "name": GLib.Variant("s", "require-project"),
        "hooks": GLib.Variant("as", ["BeforeCreate"]),
        "deadline-ms": GLib.Variant("u", 2000),
        "fail-open": GLib.Variant("b", False),
    }
    bus.call_sync(SERVICE, MANAGER, "org.vmsan.Manager", "RegisterPlugin",
                  GLib.Variant("(oa{sv})", (PATH, options)), None,
                  Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, GLib.MAXINT, None)


def main():
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
    interface = Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0]
    # First the object, then its registration: the first question may come at once.
    bus.register_object(PATH, interface, on_call, None, None)
    loop = GLib.MainLoop()

    def on_appeared(_bus, _name, _owner):
        # Also when the service was started again, as it remembers no plugins.
        try:
            register(bus)
        except GLib.Error as error:
            print(f"require-project: {error.message}", file=sys.stderr)
            loop.quit()

    Gio.bus_watch_name_on_connection(bus, SERVICE, Gio.BusNameWatcherFlags.AUTO_START,
                                     on_appeared, None)
    loop.run()
    return 1


if __name__ == "__main__":
    sys.exit(main())
