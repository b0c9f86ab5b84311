#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of one user that calls the service, or that is asked for passwords, as it is told.

Reads commands, one JSON object a line, and writes events, one JSON object a line:

  {"do": "register", "pid": N}            be the authentication agent of process N   → registered
  {"do": "call", "path", "interface", "method", "args": TEXT, "interactive": BOOL}   → reply
  {"do": "answer", "password": P}         answer the oldest question                 → answered
  {"do": "dismiss"}                       close the oldest question without an answer

Events beside those: "ready" with pid and bus name at the start; "asked" with action, message and
details for each question; "withdrawn" when polkit takes a question back. Ends with its input.
"""

import json
import os
import sys

import gi

gi.require_version("Gio", "2.0")
gi.require_version("Polkit", "1.0")
gi.require_version("PolkitAgent", "1.0")
from gi.repository import Gio, GLib, Polkit, PolkitAgent  # noqa: E402

AGENT_PATH = "/org/vmsan/tests/Agent"
AGENT_XML = """<node><interface name="org.freedesktop.PolicyKit1.AuthenticationAgent">
  <method name="BeginAuthentication">
    <arg name="action" type="s"/><arg name="message" type="s"/><arg name="icon" type="s"/>
    <arg name="details" type="a{ss}"/><arg name="cookie" type="s"/>
    <arg name="identities" type="a(sa{sv})"/>
  </method>
  <method name="CancelAuthentication"><arg name="cookie" type="s"/></method>
</interface></node>"""


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


class Person:
    def __init__(self):
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
        self.questions = []  # (invocation, cookie, identity), oldest first
        self.session = None

    def register(self, pid):
        interface = Gio.DBusNodeInfo.new_for_xml(AGENT_XML).interfaces[0]
        self.bus.register_object(AGENT_PATH, interface, self.on_agent_call, None, None)
        subject = Polkit.UnixProcess.new_for_owner(pid, 0, os.getuid())
        Polkit.Authority.get_sync(None).register_authentication_agent_sync(
            subject, "C", AGENT_PATH, None)
        say("registered")

    def on_agent_call(self, _bus, _sender, _path, _interface, method, args, invocation):
        values = args.unpack()
        if method == "BeginAuthentication":
            action, message, _icon, details, cookie, identities = values
            # The first is the one whom the tests' rules name.
            identity = Polkit.UnixUser.new(identities[0][1]["uid"])
            self.questions.append((invocation, cookie, identity))
            say("asked", action=action, message=message, details=details)
        else:
            for question in [q for q in self.questions if q[1] == values[0]]:
                self.questions.remove(question)
                question[0].return_dbus_error("org.freedesktop.PolicyKit1.Error.Cancelled", "")
            invocation.return_value(None)
            say("withdrawn")

    def answer(self, password):
        invocation, cookie, identity = self.questions.pop(0)
        self.session = PolkitAgent.Session.new(identity, cookie)
        self.session.connect("request", lambda session, _text, _echo: session.response(password))

        def completed(_session, gained):
            invocation.return_value(None)
            say("answered", gained=gained)

        self.session.connect("completed", completed)
        self.session.initiate()

    def dismiss(self):
        invocation, _cookie, _identity = self.questions.pop(0)
        invocation.return_dbus_error("org.freedesktop.PolicyKit1.Error.Cancelled", "closed")

    def call(self, path, interface, method, args, interactive):
        flags = Gio.DBusCallFlags.NO_AUTO_START
        if interactive:
            flags |= Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION

        def finished(bus, result):
            try:
                say("reply", value=bus.call_finish(result).print_(True), error=None, message="")
            except GLib.Error as error:
                say("reply", value=None, error=Gio.DBusError.get_remote_error(error),
                    message=error.message)

        self.bus.call("org.vmsan", path, interface, method, GLib.Variant.parse(None, args), None,
                      flags, GLib.MAXINT, None, finished)

    def do(self, command):
        verb = command.pop("do")
        getattr(self, verb)(**command)


def main():
    person = Person()
    loop = GLib.MainLoop()

    def on_input(channel, _condition):
        line = channel.readline()
        if not line:
            loop.quit()
            return False
        person.do(json.loads(line))
        return True

    # Lines, not blocks: what the channel reads ahead would wait for the next command.
    channel = os.fdopen(0, "rb", buffering=0)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP,
                      lambda _fd, condition: on_input(channel, condition))
    say("ready", pid=os.getpid(), name=person.bus.get_unique_name())
    loop.run()


if __name__ == "__main__":
    sys.exit(main())
