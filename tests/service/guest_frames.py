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


def transport(protocol, source, destination, port, payload=b"x"):
    """Header and payload, with the checksum in its place."""
    v6 = ":" in destination
    number = NUMBERS[protocol][v6]
    if protocol == "tcp":
        data, at = struct.pack("!HHIIBBHHH", 5000, port, 1, 0, 5 << 4, SYN, 65535, 0, 0), 16
    elif protocol == "udp":
        data, at = struct.pack("!HHHH", 5000, port, 8 + len(payload), 0) + payload, 6
    else:
        data, at = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 5000, 0), 2
    covered = data
    if v6 or protocol != "icmp":
        covered = packed(source) + packed(destination) + struct.pack("!HH", number, len(data)) + data
    return data[:at] + struct.pack("!H", checksum(covered)) + data[at + 2:]


def ip_packet(number, source, destination, data, fragment=0):
    """number: of the protocol in data; fragment: flags and offset, of IPv4."""
    addresses = packed(source) + packed(destination)
    if ":" in destination:
        return struct.pack("!IHBB", 6 << 28, len(data), number, 64) + addresses + data
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, fragment, 64, number, 0)
    return header[:10] + struct.pack("!H", checksum(header + addresses)) + addresses + data


def ethernet(packet, source_mac=GUEST_MAC, tag=b""):
    """tag: what stands before the type of the packet, for example that of a VLAN."""
    macs = bytes.fromhex((GATEWAY_MAC + source_mac).replace(":", ""))
    return macs + tag + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet


def frame(protocol, source, destination, port, **link):
    data = transport(protocol, source, destination, port)
    return ethernet(ip_packet(NUMBERS[protocol][":" in destination], source, destination, data), **link)


# ---- Packets whose ports are not where a filter may look for them --------------------------------

HOP_BY_HOP, FRAGMENT, DESTINATION_OPTIONS = 0, 44, 60
MORE_FRAGMENTS4, MORE_FRAGMENTS6 = 0x2000, 1


def with_options(kind, source, destination, port):
    """UDP over IPv6 behind a header of options, which are padding (RFC 8200, 4.2)."""
    options = struct.pack("!BBBB4x", 17, 0, 1, 4)
    data = options + transport("udp", source, destination, port)
    return ethernet(ip_packet(kind, source, destination, data))


def last_fragment_first(source, destination, port):
    """A datagram in two; that without a port comes first."""
    data = transport("udp", source, destination, port, b"x" * 16)
    parts = ((data[:8], 0, True), (data[8:], 8, False))
    frames = []
    for part, offset, more in parts:
        if ":" in destination:
            header = struct.pack("!BBHI", 17, 0, offset | (MORE_FRAGMENTS6 if more else 0), port)
            packet = ip_packet(FRAGMENT, source, destination, header + part)
        else:
            packet = ip_packet(17, source, destination, part,
                               offset // 8 | (MORE_FRAGMENTS4 if more else 0))
        frames.append(ethernet(packet))
    return frames[::-1]
