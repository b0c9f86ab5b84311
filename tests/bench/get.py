# SPDX-License-Identifier: GPL-2.0-or-later
"""A property against Peer.Ping: what reading costs beyond reaching the service at all."""

from bench import (MANAGER, SERVICE, Report, World, arguments, call_text, delete_records,
                   time_calls, write_records)

PROPERTIES = "org.freedesktop.DBus.Properties"


def main():
    options = arguments(__doc__)
    report = Report(options.json)
    rounds = 20 if options.quick else 5000
    vm_id = write_records(3)[0]
    world = World()
    world.start()
    try:
        path = f"/org/vmsan/vms/{vm_id}"
        ping = call_text(SERVICE, MANAGER[0], "org.freedesktop.DBus.Peer", "Ping")
        for name, call in (
                ("vm-get-state", call_text(SERVICE, path, PROPERTIES, "Get",
                                           "('org.vmsan.VM', 'State')")),
                ("vm-get-all", call_text(SERVICE, path, PROPERTIES, "GetAll", "('org.vmsan.VM',)")),
                ("manager-get-version", call_text(SERVICE, MANAGER[0], PROPERTIES, "Get",
                                                  "('org.vmsan.Manager', 'Version')"))):
            got, pinged = time_calls(rounds, call, ping)
            report.ratio(name, got[0], pinged[0], "µs",
                         at_most=1.2 if name != "vm-get-all" else None, note="Peer.Ping")
    finally:
        world.close()
        delete_records()


main()
