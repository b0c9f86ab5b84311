# SPDX-License-Identifier: GPL-2.0-or-later
"""The API as its XML describes it, without what the service calls itself: methods, properties, and the options that the text documents."""

import glob
import os
import re
import xml.etree.ElementTree

from gi.repository import GLib

FOLDER = os.path.join(os.environ["VMSAN_TEST_SOURCEDIR"], "introspection")


class Interface:
    def __init__(self, element, comments):
        self.name = element.get("name")
        self.comments = comments
        self.methods = {
            m.get("name"): "".join(a.get("type") for a in m.findall("arg")
                                   if a.get("direction") == "in")
            for m in element.findall("method")}
        self.properties = {p.get("name"): p.get("type") for p in element.findall("property")}

    def any_value(self, name):
        """Some value of the property's type."""
        return GLib.Variant({"s": "s", "u": "u", "t": "t", "o": "o", "as": "as", "b": "b",
                             "a{sa{sv}}": "a{sa{sv}}"}[self.properties[name]],
                            {"s": "", "u": 0, "t": 0, "o": "/", "as": [], "b": False,
                             "a{sa{sv}}": {}}[self.properties[name]])


def load():
    found = {}
    for path in sorted(glob.glob(os.path.join(FOLDER, "org.vmsan.*.xml"))):
        parser = xml.etree.ElementTree.XMLParser(
            target=xml.etree.ElementTree.TreeBuilder(insert_comments=True))
        for element in xml.etree.ElementTree.parse(path, parser).getroot().findall("interface"):
            if element.get("name") == "org.vmsan.Plugin":
                continue
            comments = [c.text for c in element.iter() if c.tag is xml.etree.ElementTree.Comment]
            found[element.get("name")] = Interface(element, comments)
    return found


INTERFACES = load()


def documented_options(interface, method):
    """{name: type} of every “"name" (type)” in the text about the method."""
    for comment in INTERFACES[interface].comments:
        if re.match(r"\s*%s:\s" % method, comment):
            return dict(re.findall(r'"([a-z-]+)" \(((?:[a-z{}]|\([a-z]+\))+)[):]', comment))
    raise KeyError(f"{interface}.{method} is not documented")
