# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives as Firecracker's makers publish them, and such as nobody should; and a web server for
them that misbehaves as it is told."""

import gzip
import hashlib
import http.server
import io
import os
import socket
import struct
import tarfile
import threading

ARCHITECTURE = os.uname().machine
MACHINES = {"x86_64": 62, "aarch64": 183}
PT_LOAD, PT_INTERP = 1, 3
# exit(N): a program that says which one it is.
EXIT = {"x86_64": lambda n: b"\xbf" + struct.pack("<I", n) + b"\xb8\x3c\0\0\0\x0f\x05",
        "aarch64": lambda n: struct.pack("<III", 0xd2800000 | n << 5, 0xd2800ba8, 0xd4000001)}


def program(exit_code=0, size=4096, machine=None, elf_class=2, kind=2, headers=(PT_LOAD,),
            header_offset=64):
    """A static program that exits with this code, filled up with what does not compress."""
    machine = MACHINES[ARCHITECTURE] if machine is None else machine
    entry = 64 + 56 * len(headers)
    code = EXIT[ARCHITECTURE](exit_code)
    size = max(size, entry + len(code))
    base = 0x400000
    data = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    data += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, base + entry, header_offset, 0, 0, 64,
                        56, len(headers), 0, 0, 0)
    for header in headers:
        data += struct.pack("<IIQQQQQQ", header, 5, 0, base, base, size, size, 4096)
    return data + code + os.urandom(size - entry - len(code))


def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(data), kind, link, 0o755
    return info, data


def pack(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), 1)


def name_of(version):
    return f"firecracker-v{version}-{ARCHITECTURE}.tgz"


def inside(program_name, version):
    return f"release-v{version}-{ARCHITECTURE}/{program_name}-v{version}-{ARCHITECTURE}"


def members_of(version, firecracker=None, jailer=None):
    """All that a release has, if shorter. The programs exit with the minor version and 100 more."""
    minor = int(version.split(".")[1])
    top = f"release-v{version}-{ARCHITECTURE}"
    return [
        member(f"{top}/LICENSE", b"a license\n"),
        member(inside("firecracker", version) + ".debug", b"debug information"),
        member(inside("firecracker", version), firecracker or program(minor)),
        member(inside("seccompiler-bin", version), b"another program"),
        member(inside("jailer", version), jailer or program(100 + minor)),
    ]


def release(version, **programs):
    return pack(members_of(version, **programs))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves self.answers: functions by path, each with the request handler as argument. What was
    asked for is in self.requests, and how many bytes of bodies were sent in self.sent."""

    daemon_threads = True

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests, self.sent = {}, [], 0
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def url(self, path):
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def forget(self):
        self.requests, self.sent = [], 0

    def publish(self, version, data, answer=None):
        """A release with its checksum beside it; its URL."""
        path = f"/{name_of(version)}"
        self.answers[path] = answer or whole(data)
        self.answers[path + ".sha256.txt"] = whole(
            f"{sha256(data)}  {name_of(version)}\n".encode(), etag=None)
        return self.url(path)

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.reply(404, b"there is nothing")
        else:
            answer(self)

    def do_CONNECT(self):
        self.server.requests.append(("CONNECT " + self.path, dict(self.headers)))
        self.reply(502, b"")

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.server.sent += len(data)

    def reply(self, status, data, **headers):
        self.head(status, Content_Length=len(data), **headers)
        self.body(data)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def part(self, etag):
        """Where what is asked for begins, by Range and If-Range."""
        if "Range" in self.headers and self.headers["If-Range"] == etag:
            return int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        return 0

    def log_message(self, *args):
        pass


def whole(data, etag='"first"'):
    """A server that does everything right."""
    return breaking(data, [], etag)


def breaking(data, cuts, etag='"first"', end=Handler.hang_up):
    """The same, but the first answers end after so many bytes each."""
    cuts = list(cuts)

    def answer(handler):
        start = handler.part(etag) if etag else 0
        cut = cuts.pop(0) if cuts else None
        length = len(data) - start
        if start:
            handler.head(206, Content_Length=length, ETag=etag,
                         Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.head(200, Content_Length=length, ETag=etag, Accept_Ranges="bytes")
        handler.body(data[start:] if cut is None else data[start:start + cut])
        if cut is not None:
            end(handler)
    return answer


def redirect(to, status=302):
    return lambda handler: handler.reply(status, b"elsewhere", Location=to)
