# SPDX-License-Identifier: GPL-2.0-or-later
"""Ethernet frames as a guest that lies would send them, valid in all but what the test chose."""

import socket
import struct

GUEST_MAC, GATEWAY_MAC = "02:76:6d:73:00:02", "02:76:6d:73:00:01"
NUMBERS = {"icmp": (1, 58), "tcp": (6, 6), "udp": (17, 17)}
SYN = 2


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def transport(protocol, source, destination, port):
    """Header and payload, with the checksum in its place."""
    v6 = ":" in destination
    number = NUMBERS[protocol][v6]
    if protocol == "tcp":
        data, at = struct.pack("!HHIIBBHHH", 5000, port, 1, 0, 5 << 4, SYN, 65535, 0, 0), 16
    elif protocol == "udp":
        data, at = struct.pack("!HHHH", 5000, port, 9, 0) + b"x", 6
    else:
        data, at = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 5000, 0), 2
    covered = data
    if v6 or protocol != "icmp":
        covered = packed(source) + packed(destination) + struct.pack("!HH", number, len(data)) + data
    return data[:at] + struct.pack("!H", checksum(covered)) + data[at + 2:]


def ip_packet(protocol, source, destination, port):
    data = transport(protocol, source, destination, port)
    number = NUMBERS[protocol][":" in destination]
    if ":" in destination:
        header = struct.pack("!IHBB", 6 << 28, len(data), number, 64)
        return header + packed(source) + packed(destination) + data
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, number, 0)
    addresses = packed(source) + packed(destination)
    return header[:10] + struct.pack("!H", checksum(header + addresses)) + addresses + data


def frame(protocol, source, destination, port, source_mac=GUEST_MAC, tag=b""):
    """tag: what stands before the type of the packet, for example that of a VLAN."""
    macs = bytes.fromhex((GATEWAY_MAC + source_mac).replace(":", ""))
    kind = b"\x86\xdd" if ":" in destination else b"\x08\x00"
    return macs + tag + kind + ip_packet(protocol, source, destination, port)
