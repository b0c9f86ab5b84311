# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbered datagrams from a guest to several addresses in turn, without a pause."""

import select
import struct
import time

DISCARD_PORT = 9
INTERVAL_US = 500  # between rounds; a guest in emulation takes longer
DEADLINE_S = 60


class Stream:
    def __init__(self, world, path, addresses, capture):
        self.addresses = addresses
        self.capture = capture
        self.arrivals = []  # (number, address, time), as they came
        self.session = world.start_exec(path, "guest-probe", "stream", str(INTERVAL_US))
        lines = "".join(f"{address} {DISCARD_PORT}\n" for address in addresses)
        self.session.write(f"{lines}\n".encode())
        self.lines_read = 0

    def read_line(self, word):
        result = self.session.result
        while result.stdout.count(b"\n") <= self.lines_read:
            assert self.session.take_frame(DEADLINE_S), result.stderr
        line = result.stdout.decode().split("\n")[self.lines_read].split()
        self.lines_read += 1
        assert line[0] == word, line
        return [int(number) for number in line[1:]]

    def ask_next(self):
        """The number that is sent next: all from it on are sent later than this is called."""
        self.session.write(b"\n")
        return self.read_line("next")[0]

    def take(self):
        for packet in self.capture.take():
            if packet.protocol == "udp" and packet.port == DISCARD_PORT:
                number, = struct.unpack("!I", packet.payload[:4])
                assert self.addresses[number % len(self.addresses)] == packet.destination
                self.arrivals.append((number, packet.destination, packet.time))

    def wait_for_number(self, number):
        """Until a later datagram has arrived: what was sent before it has come or never will."""
        end = time.monotonic() + DEADLINE_S
        self.take()
        while not self.arrivals or self.arrivals[-1][0] < number:
            assert time.monotonic() < end, f"nothing came that was sent after number {number}"
            select.select([self.capture.socket], [], [], 1)
            self.take()

    def finish(self):
        """How many were sent; all were taken by the guest's kernel."""
        self.session.send_stdin(b"")
        sent, failed = self.read_line("end")
        self.session.stream.close()
        assert failed == 0
        return sent
