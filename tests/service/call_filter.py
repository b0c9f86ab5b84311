# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters of system calls for the calling process and what it becomes, by libseccomp."""

import ctypes

ALLOW = 0x7fff0000
EQUAL = 4  # SCMP_CMP_EQ


def fail_with(number):
    return 0x00050000 | number


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


class Filter:
    def __init__(self, default):
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action, name, arguments={}):
        """For calls with these arguments (number: value). What this machine does not have is no
        matter, as for systemd."""
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        comparisons = (Comparison * max(1, len(arguments)))(
            *[Comparison(argument, EQUAL, value, 0) for argument, value in arguments.items()])
        if number >= 0:
            assert self.library.seccomp_rule_add_array(
                self.context, ctypes.c_uint32(action), number, len(arguments), comparisons) == 0, name

    def load(self):
        assert self.library.seccomp_load(self.context) == 0
