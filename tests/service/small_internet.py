# SPDX-License-Identifier: GPL-2.0-or-later
"""A world outside of this run's "host", which is a network namespace of its own: an uplink, a server
beyond it, and whatever else a machine should reach or not."""

import os
import subprocess
import sys

# Of both families alike, with a digit at the end of the name.
HOST4, OUTSIDE4 = "203.0.113.1", "203.0.113.2"
HOST6, OUTSIDE6 = "2001:db8::1", "2001:db8::2"
OTHER4, OTHER6 = "198.51.100.7", "2001:db8:1::7"  # also outside, in another prefix; IPv4 with names
NAME_SERVER4, NAME_SERVER6 = "198.51.100.53", "2001:db8:1::53"
NAMED4, NAMED6 = "1.2.3.4", "2600::4"  # what all names lead to: no answer is for examples
METADATA4, METADATA6 = "169.254.169.254", "fd00:ec2::254"  # a cloud's
DOH4, DOH6 = "1.1.1.1", "2606:4700:4700::1111"  # of a public resolver that speaks HTTPS
NAMESPACE = "outside"
NAME_LOG = "/run/small-internet-names"
UDP_LOG = "/run/small-internet-udp"
SERVER = os.path.join(os.path.dirname(__file__), "outside_server.py")
NAME_SERVER = os.path.join(os.path.dirname(__file__), "outside_names.py")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class SmallInternet:
    def __init__(self):
        ip("netns", "add", NAMESPACE)
        ip("link", "add", "wan0", "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        ip("addr", "add", f"{HOST4}/24", "dev", "wan0")
        ip("-6", "addr", "add", f"{HOST6}/64", "dev", "wan0", "nodad")
        ip("link", "set", "wan0", "up")
        inside = ("-n", NAMESPACE)
        ip(*inside, "link", "set", "lo", "up")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "addr", "add", f"{OUTSIDE4}/24", "dev", "eth0")
        ip(*inside, "-6", "addr", "add", f"{OUTSIDE6}/64", "dev", "eth0", "nodad")
        for address in (OTHER4, NAME_SERVER4, NAMED4, METADATA4, DOH4):
            ip(*inside, "addr", "add", f"{address}/32", "dev", "lo")
        for address in (OTHER6, NAME_SERVER6, NAMED6, METADATA6, DOH6):
            ip(*inside, "-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
        ip("route", "add", "default", "via", OUTSIDE4)
        ip("-6", "route", "add", "default", "via", OUTSIDE6)
        # So that only the firewall keeps a machine from it.
        ip("route", "add", METADATA4, "via", OUTSIDE4)
        inside = ["ip", "netns", "exec", NAMESPACE]
        self.servers = [self.serve(inside, SERVER, UDP_LOG), self.serve([], SERVER, UDP_LOG),
                        self.serve(inside, NAME_SERVER, NAME_LOG,
                                   f"{NAME_SERVER4},{NAME_SERVER6},{OTHER4}", f"{NAMED4},{NAMED6}")]

    def serve(self, prefix, *program):
        process = subprocess.Popen([*prefix, sys.executable, "-B", *program],
                                   stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        return process

    def run_outside(self, *command, **options):
        return subprocess.run(["ip", "netns", "exec", NAMESPACE, *command], capture_output=True,
                              text=True, timeout=20, **options)

    def close(self):
        for process in self.servers:
            process.kill()
            process.wait()
            process.stdout.close()
        ip("link", "del", "wan0")
        ip("netns", "del", NAMESPACE)
        for log in (UDP_LOG, NAME_LOG):
            if os.path.exists(log):
                os.unlink(log)
