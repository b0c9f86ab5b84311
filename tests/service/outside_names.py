# SPDX-License-Identifier: GPL-2.0-or-later
"""outside_names.py LOG ADDRESS ANSWER: a name server on UDP port 53 of ADDRESS that gives ANSWER for
every name, and writes each name that it was asked for to LOG."""

import socket
import struct
import sys

log, address, answer = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((address, 53))
print("ready", flush=True)
while True:
    query, client = sock.recvfrom(4096)
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    with open(log, "a") as file:
        file.write(".".join(labels).lower() + "\n")
    answers = 1 if kind == 1 else 0
    reply = query[:2] + struct.pack("!HHHHH", 0x8180, 1, answers, 0, 0) + query[12:at + 5]
    if answers:
        reply += struct.pack("!HHHIH", 0xc00c, 1, 1, 60, 4) + socket.inet_aton(answer)
    sock.sendto(reply, client)
