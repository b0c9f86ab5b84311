# SPDX-License-Identifier: GPL-2.0-or-later
"""A network of its own for one guest: a namespace with a tap, and hosts behind a router.

A thread is in the namespace and does all the work there; the machine's own network is not touched.
The namespace has no name: it goes with the thread and the descriptors."""

import concurrent.futures
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000
DEADLINE_S = 20

# The link, and addresses that only the default route leads to.
GATEWAYS = {socket.AF_INET: "192.0.0.1", socket.AF_INET6: "fd76:6d73:616e::1"}
GUESTS = {socket.AF_INET: "192.0.0.2", socket.AF_INET6: "fd76:6d73:616e::2"}
FAR = {socket.AF_INET: "203.0.113.1", socket.AF_INET6: "2001:db8:1::1"}
FAMILIES = (socket.AF_INET, socket.AF_INET6)
ADVERTISED = "2001:db8:bad::"


def unshare_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")


class Network:
    def __enter__(self):
        self.thread = concurrent.futures.ThreadPoolExecutor(1, initializer=unshare_network)
        try:
            self.tap = self.run(self.make)
        except BaseException:
            self.thread.shutdown()
            raise
        return self

    def __exit__(self, *_):
        os.close(self.tap)
        self.thread.shutdown()

    def run(self, function, *arguments):
        """In the namespace."""
        return self.thread.submit(function, *arguments).result(60)

    def make(self):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
            # Otherwise its link-local address may not be used for a second.
            with open("/proc/sys/net/ipv6/conf/tap0/accept_dad", "w") as file:
                file.write("0")
            for command in ("link set lo up", "link set tap0 up",
                            "addr add 192.0.0.1/29 dev tap0",
                            "addr add fd76:6d73:616e::1/64 dev tap0 nodad",
                            "addr add 203.0.113.1/32 dev lo",
                            "addr add 2001:db8:1::1/128 dev lo nodad"):
                subprocess.run(["ip", *command.split()], check=True)
        except BaseException:
            os.close(tap)
            raise
        return tap

    def listen(self, family, address):
        """A socket that listens there, on a port of the kernel's choice."""
        def work():
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.settimeout(DEADLINE_S)
            listener.bind((address, 0))
            listener.listen(1)
            return listener
        return self.run(work)

    def is_refused(self, family, address, port):
        """Whether a host answers there, with a reset: the way there and back is open."""
        def work():
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.settimeout(DEADLINE_S)
                try:
                    sock.connect((address, port))
                except ConnectionRefusedError:
                    return True
                return False
        return self.run(work)

    def advertise_router(self):
        """RFC 4861, sections 4.2 and 4.6.2: a router, and a prefix to make addresses from."""
        def work():
            message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
            message += struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, 7200, 7200, 0,
                                   socket.inet_pton(socket.AF_INET6, ADVERTISED))
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
                sock.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex("tap0")))
        self.run(work)
