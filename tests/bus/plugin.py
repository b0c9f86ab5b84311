# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin on a caller's connection, whose answers the test decides."""

from gi.repository import Gio, GLib

from caller import options, wait_until

# Another signature than the interface's is for answers that are none.
XML = """<node><interface name="org.vmsan.Plugin"><method name="HandleHook">
  <arg name="hook" type="s" direction="in"/><arg name="event" type="a{sv}" direction="in"/>
  <arg name="answer" type="%s" direction="out"/></method></interface></node>"""

AGREE = {}


def list_plugins(caller):
    return caller.manager("ListPlugins")[0]


def veto(reason):
    return {"veto": GLib.Variant("s", reason)}


def change(**values):
    """An answer that changes options; values as for caller.options()."""
    return {"options": GLib.Variant("a{sv}", options(**values))}


class Plugin:
    """answer(hook, event) returns an answer's dictionary, or a whole GLib.Variant; None keeps the
    question in .held, and an exception becomes an error."""

    def __init__(self, caller, answer=lambda hook, event: AGREE, path="/test/Plugin",
                 signature="a{sv}"):
        self.caller, self.answer, self.path, self.signature = caller, answer, path, signature
        self.asked = []  # (hook, event)
        self.held = []
        interface = Gio.DBusNodeInfo.new_for_xml(XML % signature).interfaces[0]
        self.object = caller.bus.register_object(path, interface, self.on_call, None, None)

    def on_call(self, _bus, _sender, _path, _interface, _method, args, invocation):
        hook, event = args.unpack()
        self.asked.append((hook, event))
        try:
            answer = self.answer(hook, event)
        except Exception as error:  # whatever the test raises
            invocation.return_dbus_error("org.example.Error.Broken", str(error))
            return
        if answer is None:
            self.held.append(invocation)
        elif isinstance(answer, GLib.Variant):
            invocation.return_value(answer)
        else:
            invocation.return_value(GLib.Variant("(a{sv})", (answer,)))

    def register(self, name, hooks, **values):
        if "priority" in values:
            values["priority"] = GLib.Variant("i", values["priority"])
        self.caller.manager("RegisterPlugin", GLib.Variant("(oa{sv})", (self.path, options(
            name=name, hooks=GLib.Variant("as", hooks), **values))))
        return self

    def unregister(self):
        self.caller.manager("UnregisterPlugin", GLib.Variant("(o)", (self.path,)))

    def wait_asked(self, count=1):
        wait_until(lambda: len(self.asked) >= count, what=f"question {count}")
        return self.asked[count - 1]

    def hooks(self):
        return [hook for hook, _ in self.asked]

    def release(self, answer=AGREE):
        for invocation in self.held:
            invocation.return_value(GLib.Variant("(a{sv})", (answer,)))
        self.held = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.caller.bus.is_closed():
            return
        self.release()
        if any(p["owner"] == self.caller.uid for p in list_plugins(self.caller)):
            try:
                self.unregister()
            except Exception as error:
                assert "NotFound" in str(error)
        self.caller.bus.unregister_object(self.object)
