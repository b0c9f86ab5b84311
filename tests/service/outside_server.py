# SPDX-License-Identifier: GPL-2.0-or-later
"""outside_server.py LOG: says its address to whoever connects to TCP port 80, writes it to LOG for
whoever sends something to UDP port 80, and holds connections to port 81 open, with a line now and
then."""

import selectors
import socket
import sys
import time

selector = selectors.DefaultSelector()
held = []


def listen(kind, port):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    selector.register(sock, selectors.EVENT_READ, (kind, port))


def peer_text(address):
    return (address[0].replace("::ffff:", "") + "\n").encode()


for port in (80, 81):
    listen(socket.SOCK_STREAM, port)
listen(socket.SOCK_DGRAM, 80)
print("ready", flush=True)
while True:
    for key, _ in selector.select(0.1):
        kind, port = key.data
        if kind == socket.SOCK_DGRAM:
            _, address = key.fileobj.recvfrom(2048)
            with open(sys.argv[1], "ab") as log:
                log.write(peer_text(address))
            continue
        connection, address = key.fileobj.accept()
        if port == 81:
            held.append(connection)
            continue
        connection.sendall(peer_text(address))
        connection.close()
    for connection in list(held):
        try:
            connection.send(b"tick %d\n" % time.monotonic())
        except OSError:
            held.remove(connection)
