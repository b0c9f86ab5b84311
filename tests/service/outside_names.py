# SPDX-License-Identifier: GPL-2.0-or-later
"""outside_names.py LOG ADDRESS4 ADDRESS6 ANSWER4 ANSWER6: a name server on UDP port 53 of both
addresses, for which every name has both answers; it writes each name that it was asked for to LOG."""

import selectors
import socket
import struct
import sys

log, *addresses = sys.argv[1:4]
# By type of question: A and AAAA.
answers = {1: socket.inet_aton(sys.argv[4]), 28: socket.inet_pton(socket.AF_INET6, sys.argv[5])}
selector = selectors.DefaultSelector()
for family, address in zip((socket.AF_INET, socket.AF_INET6), addresses):
    sock = socket.socket(family, socket.SOCK_DGRAM)
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
    found = answers.get(kind)
    reply = query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(found), 0, 0) + query[12:at + 5]
    if found:
        reply += struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(found)) + found
    return reply


print("ready", flush=True)
while True:
    for key, _ in selector.select():
        query, client = key.fileobj.recvfrom(4096)
        key.fileobj.sendto(answer(query), client)
