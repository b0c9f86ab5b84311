# SPDX-License-Identifier: GPL-2.0-or-later
"""outside_server.py LOG: says its address to whoever connects to a TCP port below or sends something
to a UDP port below, and writes it to LOG for the latter. Holds connections to TCP port 81 open, with
a line now and then, and takes datagrams to UDP port 9 without a word."""

import selectors
import socket
import sys
import time

PORTS = (53, 80, 443, 853)
DISCARD, HOLD = 9, 81

selector = selectors.DefaultSelector()
held = []


def listen(kind, port):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    # An answer comes from where the question went.
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    selector.register(sock, selectors.EVENT_READ, (kind, port))


def peer_text(address):
    return (address[0].replace("::ffff:", "") + "\n").encode()


def answer_datagram(sock, port):
    _, control, _, address = sock.recvmsg(2048, 256)
    if port == DISCARD:
        return
    with open(sys.argv[1], "ab") as log:
        log.write(peer_text(address))
    try:
        # Which of its addresses, on any of its links.
        sock.sendmsg([peer_text(address)],
                     [(level, kind, data[:16] + bytes(4)) for level, kind, data in control], 0, address)
    except OSError:
        pass  # it cannot be answered: an address that nobody has, for one


for port in PORTS:
    listen(socket.SOCK_STREAM, port)
    listen(socket.SOCK_DGRAM, port)
listen(socket.SOCK_STREAM, HOLD)
listen(socket.SOCK_DGRAM, DISCARD)
print("ready", flush=True)
while True:
    for key, _ in selector.select(0.1):
        kind, port = key.data
        if kind == socket.SOCK_DGRAM:
            answer_datagram(key.fileobj, port)
            continue
        connection, address = key.fileobj.accept()
        if port == HOLD:
            held.append(connection)
            continue
        connection.sendall(peer_text(address))
        connection.close()
    for connection in list(held):
        try:
            connection.send(b"tick %d\n" % time.monotonic())
        except OSError:
            held.remove(connection)
