# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest sends, what comes back to it, and what arrives elsewhere."""

import ctypes
import os
import socket
import struct
import subprocess
import threading
from typing import NamedTuple

from real_world import GUEST_PROBE

ETH_P_ALL, PACKET_OUTGOING = 3, 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
CLONE_NEWNET = 0x40000000
PROTOCOLS = {1: "icmp", 58: "icmp", 6: "tcp", 17: "udp"}


# ---- Probes ------------------------------------------------------------------------------------

class Probe(NamedTuple):
    protocol: str  # tcp, udp or icmp
    address: str
    port: int = 0
    answers: bool = True  # whether to wait for an answer
    payload: bytes = b"x"

    def line(self):
        sign = "+" if self.answers else "-"
        return f"{sign} {self.protocol} {self.address} {self.port} {self.payload.hex()}\n"


class Outcome(NamedTuple):
    kind: str  # answered, refused, silent or error
    data: bytes = b""

    @property
    def text(self):
        return self.data.decode("ascii", "replace").strip() if self.kind == "answered" else ""


def parse_outcome(line):
    kind, _, rest = line.partition(" ")
    return Outcome(kind, bytes.fromhex(rest) if kind == "answered" else b"")


def probe_command(program, deadline_s, silence_s):
    return [program, "probes", str(int(deadline_s * 1000)), str(int(silence_s * 1000))]


def run_in_guest(world, path, *argv, stdin):
    session = world.start_exec(path, *argv)
    try:
        session.send_stdin(stdin)
        result = session.finish()
    finally:
        session.stream.close()
    assert result.code == 0, result.stderr.decode()
    return result.stdout.decode().splitlines()


def probe_from_guest(world, path, probes, deadline_s=20, silence_s=0.2):
    """All at once. Ends when all that answer have done so, and then silence_s later."""
    text = "".join(probe.line() for probe in probes).encode()
    lines = run_in_guest(world, path, *probe_command("guest-probe", deadline_s, silence_s), stdin=text)
    return [parse_outcome(line) for line in lines]


def probe_from_here(prefix, probes, deadline_s=20, silence_s=0.2):
    """The same by the same program, but from a namespace of this run: prefix is how to get there."""
    run = subprocess.run([*prefix, *probe_command(GUEST_PROBE, deadline_s, silence_s)], text=True,
                         input="".join(probe.line() for probe in probes), stdout=subprocess.PIPE,
                         check=True)
    return [parse_outcome(line) for line in run.stdout.splitlines()]


def question(name, kind=1):
    """A question to a name server: 1 for an IPv4 address, 28 for IPv6."""
    labels = b"".join(struct.pack("B", len(label)) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x7677, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


# ---- Captures ----------------------------------------------------------------------------------

class Packet(NamedTuple):
    time: float  # of arrival, as time.time()
    source_mac: str
    source: str
    destination: str
    protocol: str  # tcp, udp, icmp, reply (to an echo), or a number
    source_port: int
    port: int
    payload: bytes  # of UDP

    @property
    def way(self):
        return self.protocol, self.destination, self.port


def parse_transport(protocol, data):
    """(name, source port, port, payload)"""
    if len(data) < 8:
        return protocol, 0, 0, b""
    if protocol in ("tcp", "udp"):
        return (protocol, *struct.unpack("!HH", data[:4]), data[8:] if protocol == "udp" else b"")
    if data[0] in (0, 129):
        return "reply", 0, 0, b""
    # Neighbour discovery and errors are not what a probe is.
    return ("icmp" if data[0] in (8, 128) else f"icmp type {data[0]}"), 0, 0, b""


def skip_extensions(number, ip, header):
    """The transport protocol of IPv6, and where it begins (RFC 8200, 4)."""
    while number in (0, 43, 44, 60):
        length = 8 if number == 44 else 8 + 8 * ip[header + 1]
        number, header = ip[header], header + length
    return number, header


def parse_packet(time, frame):
    """None for what is not IP."""
    kind, = struct.unpack("!H", frame[12:14])
    ip = frame[14:]
    if kind == 0x0800:
        header, number = (ip[0] & 15) * 4, ip[9]
        source, destination = (socket.inet_ntop(socket.AF_INET, ip[at:at + 4]) for at in (12, 16))
    elif kind == 0x86dd:
        number, header = skip_extensions(ip[6], ip, 40)
        source, destination = (socket.inet_ntop(socket.AF_INET6, ip[at:at + 16]) for at in (8, 24))
    else:
        return None
    protocol, source_port, port, payload = parse_transport(PROTOCOLS.get(number, str(number)),
                                                           ip[header:])
    return Packet(time, frame[6:12].hex(":"), source, destination, protocol, source_port, port, payload)


def call_in_namespace(namespace, function):
    """What function returns, called by a thread in there; a socket stays in its namespace."""
    result = []

    def enter_and_call():
        with open(f"/run/netns/{namespace}") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) == 0:
                result.append(function())

    thread = threading.Thread(target=enter_and_call)
    thread.start()
    thread.join()
    return result[0]


class Capture:
    """Every packet that comes in by a link, or goes out by it; of a namespace, or of the host."""

    def __init__(self, link, namespace=None, outgoing=False):
        def make():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.bind((link, ETH_P_ALL))
            sock.setblocking(False)
            return sock

        self.outgoing = outgoing
        self.socket = call_in_namespace(namespace, make) if namespace else make()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take(self):
        """What has come since the last time; fails if there is something that was not kept."""
        packets = []
        while True:
            try:
                frame, control, _, address = self.socket.recvmsg(2048, 64)
            except BlockingIOError:
                break
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            packet = parse_packet(seconds + nanoseconds / 1e9, frame)
            if packet and (address[2] == PACKET_OUTGOING) == self.outgoing:
                packets.append(packet)
        _, lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert lost == 0, f"{lost} packets were not captured"
        return packets

    def take_ways(self):
        """Where packets to somewhere went, leaving out answers, errors and neighbour discovery."""
        return {packet.way for packet in self.take() if packet.protocol in ("tcp", "udp", "icmp")}
