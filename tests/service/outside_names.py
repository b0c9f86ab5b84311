# SPDX-License-Identifier: GPL-2.0-or-later
"""outside_names.py LOG ADDRESSES ANSWERS: a name server on UDP port 53 of each address, for which
every name has these answers, one of a family; it writes each name that it was asked for to LOG.
Lists have commas."""

import selectors
import socket
import struct
import sys

A, AAAA = 1, 28


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


log, addresses, answers = sys.argv[1:]
by_type = {AAAA if ":" in found else A: socket.inet_pton(family_of(found), found)
           for found in answers.split(",")}
selector = selectors.DefaultSelector()
for address in addresses.split(","):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    # Another server has the port at all other addresses.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, 53))
    selector.register(sock, selectors.EVENT_READ)


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    with open(log, "a") as file:
        file.write(".".join(labels).lower() + "\n")
    found = by_type.get(kind)
    reply = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(found), 0, 0) + query[12:at + 5]
    if found:
        reply += struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(found)) + found
    return reply


print("ready", flush=True)
while True:
    for key, _ in selector.select():
        query, client = key.fileobj.recvfrom(4096)
        key.fileobj.sendto(answer(query), client)
