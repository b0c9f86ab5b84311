# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of the agent protocol, for tests: plain, blocking, with a deadline everywhere.

Written from service/agent/protocol.h and nothing else, so that it checks the agent against the
specification rather than against another implementation that shares its code."""

import os
import select
import socket
import struct
import time

HELLO_MAGIC = b"\177vmsanH1"
WELCOME_MAGIC = b"\177vmsanW1"
CONTROL, CALLER = 1, 2
OK, BAD_TOKEN, BAD_VERSION, NOT_READY, BUSY = range(5)

CONFIGURE, SHUTDOWN, PING, LIST = 1, 2, 3, 4
READY, FAILED, PONG, SESSIONS, SESSION_ENDED = 16, 17, 18, 19, 20
EXEC, STDIN, STDIN_EOF, SIGNAL, WINDOW_SIZE = 32, 33, 34, 35, 36
STARTED, EXEC_FAILED, STDIN_CREDIT, STDOUT, STDERR, STDOUT_EOF, STDERR_EOF, EXITED = range(48, 56)

ARG, ENV, CWD, USER, TIMEOUT_MS, TTY = range(1, 7)
ADDRESS, GATEWAY, RESOLVER = 32, 33, 34
(HOSTNAME, INIT, ACTION, VERSION, BOOT_MS, MESSAGE, CODE, PORT, REALTIME_NS) = range(16, 25)

NOT_FOUND, NOT_EXECUTABLE, NO_USER, NO_DIRECTORY, BAD_REQUEST, NO_RESOURCES = range(1, 7)
PAYLOAD_MAX = 64 << 10
STDIN_WINDOW = 256 << 10


class Hangup(Exception):
    """The other end closed the stream."""


def field(tag, data):
    if isinstance(data, str):
        data = data.encode()
    return struct.pack("<HHI", tag, 0, len(data)) + data


def fields(payload):
    found = []
    while payload:
        tag, zero, length = struct.unpack_from("<HHI", payload)
        assert zero == 0 and length <= len(payload) - 8
        found.append((tag, payload[8:8 + length]))
        payload = payload[8 + length:]
    return found


def u32(value):
    return struct.pack("<I", value)


class Stream:
    """A connected stream; every wait ends at a deadline."""

    def __init__(self, sock, timeout=20):
        self.sock = sock
        self.timeout = timeout
        self.buffer = b""
        sock.setblocking(False)

    def wait(self, deadline, write=False):
        left = deadline - time.monotonic()
        ready = select.select([] if write else [self.sock], [self.sock] if write else [], [],
                              max(left, 0))
        if not ready[0] and not ready[1]:
            raise TimeoutError("the guest did not %s in time" % ("read" if write else "answer"))

    def send(self, data, timeout=None):
        deadline = time.monotonic() + (timeout or self.timeout)
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view):]
            except BlockingIOError:
                self.wait(deadline, write=True)

    def receive(self, size, timeout=None):
        deadline = time.monotonic() + (timeout or self.timeout)
        while len(self.buffer) < size:
            try:
                data = self.sock.recv(1 << 18)
            except BlockingIOError:
                self.wait(deadline)
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                raise Hangup
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send_hello(self, kind, token, version=1, nonce=None):
        nonce = nonce or os.urandom(16)
        self.send(HELLO_MAGIC + nonce + token + struct.pack("<HHI", version, kind, 0))
        return nonce

    def read_welcome(self, nonce, timeout=None):
        """Skips what an earlier session left. Returns the status."""
        wanted = WELCOME_MAGIC + nonce
        skipped = self.receive(len(wanted), timeout)
        while skipped[-len(wanted):] != wanted:
            skipped += self.receive(1, timeout)
            assert len(skipped) < 4 << 20
        version, status, zero = struct.unpack("<HHI", self.receive(8, timeout))
        assert zero == 0 and version == 1
        return status

    def handshake(self, kind, token, **keys):
        timeout = keys.pop("timeout", None)
        return self.read_welcome(self.send_hello(kind, token, **keys), timeout)

    def send_frame(self, type_, payload=b""):
        self.send(struct.pack("<BxxxI", type_, len(payload)) + payload)

    def read_frame(self, timeout=None):
        type_, length = struct.unpack("<BxxxI", self.receive(8, timeout))
        assert length <= PAYLOAD_MAX
        return type_, self.receive(length, timeout)

    def expect(self, type_, timeout=None):
        got, payload = self.read_frame(timeout)
        assert got == type_, "frame %d instead of %d: %r" % (got, type_, payload[:200])
        return payload

    def close(self):
        self.sock.close()


def configure_payload(hostname="guest", init="none", env=(), cwd=None, user=None,
                      realtime_ns=None, network=()):
    payload = field(HOSTNAME, hostname) + field(INIT, init)
    payload += b"".join(field(ENV, entry) for entry in env)
    if cwd:
        payload += field(CWD, cwd)
    if user:
        payload += field(USER, user)
    if realtime_ns:
        payload += field(REALTIME_NS, struct.pack("<Q", realtime_ns))
    return payload + b"".join(field(tag, text) for tag, text in network)


def exec_payload(args, env=(), cwd=None, user=None, timeout_ms=None, tty=None):
    payload = b"".join(field(ARG, arg) for arg in args)
    payload += b"".join(field(ENV, entry) for entry in env)
    if cwd:
        payload += field(CWD, cwd)
    if user:
        payload += field(USER, user)
    if timeout_ms:
        payload += field(TIMEOUT_MS, struct.pack("<Q", timeout_ms))
    if tty:
        payload += field(TTY, struct.pack("<HH", *tty))
    return payload


class Result:
    def __init__(self):
        self.stdout = b""
        self.stderr = b""
        self.order = []  # types of the frames, repetitions left out
        self.failed = None  # (code, message)
        self.code = self.signal = None
        self.timed_out = False


class Session:
    """An exec session on a stream whose handshake is done."""

    def __init__(self, stream):
        self.stream = stream
        self.credit = 0
        self.result = Result()

    def start(self, args, **keys):
        self.stream.send_frame(EXEC, exec_payload(args, **keys))
        type_, payload = self.stream.read_frame()
        if type_ == EXEC_FAILED:
            found = dict(fields(payload))
            self.result.failed = (struct.unpack("<I", found[CODE])[0], found[MESSAGE].decode())
            return None
        assert type_ == STARTED, type_
        return struct.unpack("<I", payload)[0]

    def take_frame(self, timeout=None):
        type_, payload = self.stream.read_frame(timeout)
        result = self.result
        if not result.order or result.order[-1] != type_:
            result.order.append(type_)
        if type_ == STDOUT:
            result.stdout += payload
        elif type_ == STDERR:
            result.stderr += payload
        elif type_ == STDIN_CREDIT:
            self.credit += struct.unpack("<I", payload)[0]
        elif type_ == EXITED:
            result.code, result.signal, timed_out = struct.unpack("<III", payload)
            result.timed_out = bool(timed_out)
            return False
        else:
            assert type_ in (STDOUT_EOF, STDERR_EOF), type_
        return True

    def write(self, data):
        """Sends input as far as there is credit, taking output meanwhile."""
        while data:
            while self.credit == 0:
                if not self.take_frame():
                    return False
            part = data[:min(self.credit, PAYLOAD_MAX)]
            self.stream.send_frame(STDIN, part)
            self.credit -= len(part)
            data = data[len(part):]
        return True

    def finish(self, timeout=None):
        while self.take_frame(timeout):
            pass
        return self.result

    def run(self, args, stdin=b"", **keys):
        if self.start(args, **keys) is None:
            return self.result
        if self.write(stdin):
            self.stream.send_frame(STDIN_EOF)
            self.finish()
        return self.result
