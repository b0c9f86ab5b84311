# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program up to a certain one of its system calls that change files, and kills it there or
lets that call fail. ptrace(2) and seccomp(2), on x86-64."""

import ctypes
import errno
import os
import signal
import struct
import subprocess

TRACEME, POKEUSER, CONT, SETOPTIONS, GET_SYSCALL_INFO = 0, 6, 7, 0x4200, 0x420e
TRACESECCOMP, STOPPED_BY_SECCOMP = 0x80, signal.SIGTRAP | 7 << 8
RAX, ORIG_RAX = 10 * 8, 15 * 8  # in struct user_regs_struct
SET_NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF
ALLOW, TRACE = 0x7fff0000, 0x7ff00000
OPENAT, WRITE = 257, 1
CHANGING = {WRITE: "write", 73: "flock", 74: "fsync", 77: "ftruncate", 83: "mkdir", 84: "rmdir",
            91: "fchmod", 93: "fchown", 258: "mkdirat", OPENAT: "openat", 263: "unlinkat",
            264: "renameat", 266: "symlinkat", 316: "renameat2"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class Info(ctypes.Structure):
    """struct ptrace_syscall_info of a call that seccomp stopped."""
    _fields_ = [("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("where", ctypes.c_uint64 * 2),
                ("number", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6),
                ("more", ctypes.c_uint64 * 2)]


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ptrace(request, pid, address=None, data=None):
    check(libc.ptrace(request, pid, address, data))


def stop_at_changes():
    """In the child: whoever traces it gets to see the calls that change files."""
    numbers = sorted(CHANGING)
    code = struct.pack("<HBBI", LOAD_WORD, 0, 0, 0)  # the call's number, from seccomp_data
    for i, number in enumerate(numbers):
        code += struct.pack("<HBBI", JUMP_IF_EQUAL, len(numbers) - i, 0, number)
    code += struct.pack("<HBBI", RETURN, 0, 0, ALLOW) + struct.pack("<HBBI", RETURN, 0, 0, TRACE)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("<H6xQ", len(code) // 8, ctypes.addressof(buffer))
    filter = ctypes.create_string_buffer(program)
    check(libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    check(libc.prctl(SET_SECCOMP, MODE_FILTER, ctypes.addressof(filter), 0, 0))
    ptrace(TRACEME, 0)


def is_change(info):
    if info.number == OPENAT:
        return info.arguments[2] & os.O_CREAT
    if info.number == WRITE:
        return info.arguments[0] > 2
    return True


class Run:
    """@at: which of the calls that change files, from 1 on; when there are not so many, it runs to
    its end. @fail: the call fails with EIO instead of being the program's end."""

    def __init__(self, command, environment, at, fail=False):
        self.call = None  # the name of the one at which it was killed, or that failed
        # LeakSanitizer wants to be the one that traces.
        environment = dict(environment, ASAN_OPTIONS="detect_leaks=0")
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=stop_at_changes) as process:
            self.pid = process.pid
            status = os.waitpid(self.pid, 0)[1]
            ptrace(SETOPTIONS, self.pid, None, TRACESECCOMP)
            while os.WIFSTOPPED(status):
                if status >> 8 == STOPPED_BY_SECCOMP and self.at_change():
                    at -= 1
                status = self.go_on(status, at, fail)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.exit_code = process.returncode

    def at_change(self):
        info = Info()
        ptrace(GET_SYSCALL_INFO, self.pid, ctypes.sizeof(info), ctypes.addressof(info))
        self.number = info.number
        return is_change(info)

    def go_on(self, status, at, fail):
        deliver = os.WSTOPSIG(status)
        if at == 0 and self.call is None:
            self.call = CHANGING[self.number]
            if not fail:
                os.kill(self.pid, signal.SIGKILL)
                return os.waitpid(self.pid, 0)[1]
            # A call of this number is skipped, and it returns what stands there already.
            ptrace(POKEUSER, self.pid, ORIG_RAX, ctypes.c_uint64(-1).value)
            ptrace(POKEUSER, self.pid, RAX, ctypes.c_uint64(-errno.EIO).value)
        ptrace(CONT, self.pid, None, 0 if deliver == signal.SIGTRAP else deliver)
        return os.waitpid(self.pid, 0)[1]
