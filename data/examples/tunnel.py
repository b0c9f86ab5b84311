#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Example of a plugin and listener in one: published ports that something else leads to machines.

    tunnel.py

Before a machine with published ports boots, "skip-dnat" is set, so that the service does not open
these ports on the host. When it runs, this says where they are to be led, and when it stops, that
they are not any more: in place of the printing, tell a tunnel, load balancer or reverse proxy. The
address in the event is the one under which this host reaches the machine.

It must run as somebody who has org.vmsan.register-plugin, such as root. It fails open: without a
tunnel, machines boot with their ports on the host as usual.
"""

import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

SERVICE, MANAGER, INTERFACE = "org.vmsan", "/org/vmsan/Manager", "org.vmsan.Manager"
PATH = "/org/example/Tunnel"
XML = """<node><interface name="org.vmsan.Plugin"><method name="HandleHook">
  <arg name="hook" type="s" direction="in"/><arg name="event" type="a{sv}" direction="in"/>
  <arg name="answer" type="a{sv}" direction="out"/></method></interface></node>"""


def parse_port(text, address):
    """("ADDRESS:PORT/PROTOCOL", "ADDRESS:GUEST-PORT") of "ADDRESS:PORT:GUEST-PORT/PROTOCOL"."""
    ports, protocol = text.rsplit("/", 1)
    outside, guest_port = ports.rsplit(":", 1)
    return f"{outside}/{protocol}", f"{address}:{guest_port}"


class Tunnel:
    def __init__(self):
        self.routes = {}  # machine → [(from, to)], of those that boot or run
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
        interface = Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0]
        self.bus.register_object(PATH, interface, self.on_call, None, None)
        self.bus.signal_subscribe(SERVICE, INTERFACE, None, MANAGER, None,
                                  Gio.DBusSignalFlags.NONE, self.on_signal)

    def on_call(self, _bus, _sender, _path, _interface, _method, args, invocation):
        _hook, event = args.unpack()
        network = event["network"]
        answer = {}
        if network["published-ports"]:
            self.routes[event["id"]] = [parse_port(port, network["address"])
                                        for port in network["published-ports"]]
            answer["options"] = GLib.Variant("a{sv}", {"skip-dnat": GLib.Variant("b", True)})
        invocation.return_value(GLib.Variant("(a{sv})", (answer,)))

    def on_signal(self, _bus, _sender, _path, _interface, name, args):
        machine = args.unpack()[1]
        if name == "AfterStart":
            for outside, inside in self.routes.get(machine, []):
                print(f"{machine}: lead {outside} to {inside}", flush=True)
        elif name == "AfterStop":
            for outside, _inside in self.routes.pop(machine, []):
                print(f"{machine}: lead {outside} nowhere", flush=True)

    def register(self, *_):
        """Each time the service comes onto the bus, as it remembers no plugins."""
        options = {
            "name": GLib.Variant("s", "tunnel"),
            "hooks": GLib.Variant("as", ["BeforeStart"]),
            "fail-open": GLib.Variant("b", True),
        }
        try:
            self.bus.call_sync(SERVICE, MANAGER, INTERFACE, "RegisterPlugin",
                               GLib.Variant("(oa{sv})", (PATH, options)), None,
                               Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, GLib.MAXINT, None)
        except GLib.Error as error:
            sys.exit(f"tunnel: {error.message}")

    def run(self):
        Gio.bus_watch_name_on_connection(self.bus, SERVICE, Gio.BusNameWatcherFlags.AUTO_START,
                                         self.register, None)
        GLib.MainLoop().run()


if __name__ == "__main__":
    Tunnel().run()
