# SPDX-License-Identifier: GPL-2.0-or-later
"""A password asked for on the client's own terminal, through the real polkit and PAM."""

import os
import pty
import pwd
import select
import signal
import termios
import time

import pytest

DEADLINE_S = 60
NOT_AUTHORIZED = 4


class Terminal:
    """A program of alice's on a terminal of its own."""

    def __init__(self, *argv):
        entry = pwd.getpwnam("alice")
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.initgroups("alice", entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.environ.update(LC_ALL="C.UTF-8", TERM="xterm")
            for name in ("DISPLAY", "WAYLAND_DISPLAY"):
                os.environ.pop(name, None)
            os.execvp(argv[0], argv)

    def read(self, seconds):
        """FALSE at the end of the output."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.text += data
        return data != b""

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait_for_prompt(self):
        """What is typed before echo is off is thrown away, and nothing else tells of it."""
        end = time.monotonic() + DEADLINE_S
        while b"Password: " not in self.text or self.echoes():
            assert time.monotonic() < end and self.read(0.02), self.text

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def finish(self):
        """Exit code, or minus the signal that ended it."""
        end = time.monotonic() + DEADLINE_S
        while self.read(max(end - time.monotonic(), 0)):
            assert time.monotonic() < end, self.text
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def adding(world):
    with open(os.path.join(world.directory, "notes"), "w") as file:
        file.write("no kernel")
    return lambda *options: Terminal("vmsan-client", "kernel", "add", file.name, *options)


def test_right_password_gets_through(adding):
    terminal = adding()
    terminal.wait_for_prompt()
    terminal.type("s3cret")
    # Authorized, it is refused for what it is: no kernel.
    assert terminal.finish() == 1
    assert b"AUTHENTICATION COMPLETE" in terminal.text
    assert b"Could not add the kernel" in terminal.text


def test_wrong_password_does_not(adding):
    terminal = adding()
    terminal.wait_for_prompt()
    terminal.type("wrong")
    assert terminal.finish() == NOT_AUTHORIZED
    assert b"AUTHENTICATION FAILED" in terminal.text


def test_nobody_is_asked_when_that_is_not_wanted(adding):
    terminal = adding("--no-ask-password")
    assert terminal.finish() == NOT_AUTHORIZED
    assert b"Password: " not in terminal.text


def test_ctrl_c_at_the_prompt_leaves_the_terminal_as_it_was(adding):
    terminal = adding()
    terminal.wait_for_prompt()
    # Our end keeps the terminal there after the program has gone.
    slave = os.open(f"/proc/{terminal.pid}/fd/0", os.O_RDWR | os.O_NOCTTY)
    os.kill(terminal.pid, signal.SIGINT)
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGINT
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    os.close(slave)
    os.close(terminal.fd)
