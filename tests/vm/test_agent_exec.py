# SPDX-License-Identifier: GPL-2.0-or-later
"""Exec sessions in a real guest under QEMU, and the ports they come through."""

import os
import struct
import time

import pytest

import agent_client as protocol
from agent_client import CALLER, Session, configure_payload, fields
from agent_guest import Guest, make_busybox_image

AGENT = os.environ["VMSAN_AGENT"]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_busybox_image(str(tmp_path_factory.mktemp("image")))


@pytest.fixture(scope="module")
def shared_guest(image):
    """One guest for the tests that leave it as it was."""
    with Guest(AGENT, image) as guest:
        type_, _ = guest.boot(hostname="shared.example", env=["GREETING=hello", "PATH=/bin"])
        assert type_ == protocol.READY, guest.console()
        yield guest


@pytest.fixture
def guest(shared_guest):
    """Checks that what a test did left no session behind, and the agent answering."""
    yield shared_guest
    shared_guest.control.send_frame(protocol.PING, b"12345678")
    while True:
        type_, payload = shared_guest.control.read_frame()
        if type_ == protocol.PONG:
            break
        assert type_ == protocol.SESSION_ENDED
    assert payload == b"12345678"
    shared_guest.control.send_frame(protocol.LIST)
    assert shared_guest.control.expect(protocol.SESSIONS) == b""


def listed_ports(guest):
    guest.control.send_frame(protocol.LIST)
    payload = guest.control.expect(protocol.SESSIONS)
    return [struct.unpack("<I", data)[0] for tag, data in fields(payload)]


# ---- Exec in a real guest ---------------------------------------------------------------------


def test_a_command_sees_its_machine(guest):
    result = guest.run(["sh", "-c", "hostname; cat /etc/hostname; echo $GREETING; id -u; pwd; "
                        "cat /proc/self/oom_score_adj"])
    assert result.stdout.decode().split("\n") == [
        "shared.example", "shared.example", "hello", "0", "/", "0", ""]
    assert result.code == 0 and result.signal == 0 and result.stderr == b""
    assert b"127.0.1.1\tshared.example" in guest.run(["cat", "/etc/hosts"]).stdout
    assert guest.run(["cat", "/proc/1/oom_score_adj"]).stdout == b"-1000\n"
    assert b"127.0.0.1" in guest.run(["ip", "addr", "show", "lo", "up"]).stdout


def test_the_overlay_is_the_root_and_can_be_written(guest):
    assert guest.run(["sh", "-c", "echo data > /file && cat /file && rm /file"]).stdout == b"data\n"
    assert b"overlay / overlay rw" in guest.run(["cat", "/proc/mounts"]).stdout
    for path in ("/dev/pts/ptmx", "/dev/shm", "/run", "/tmp", "/dev/fd/0"):
        assert guest.run(["test", "-e", path]).code == 0, path


def test_input_ends_and_comes_back_whole(guest):
    data = os.urandom(300_000)
    assert guest.run(["cat"], stdin=data).stdout == data
    assert guest.run(["cat"]).stdout == b""


def test_exit_codes_are_exact(guest):
    for code in (0, 1, 2, 63, 64, 126, 127, 128, 129, 130, 137, 200, 254, 255):
        result = guest.run(["sh", "-c", "exit %d" % code])
        assert (result.code, result.signal) == (code, 0)
    for number in (1, 2, 9, 11, 15, 40):
        result = guest.run(["sh", "-c", "kill -%d $$" % number])
        assert (result.code, result.signal) == (0, number)


def test_background_children_do_not_keep_the_session(guest):
    started = time.monotonic()
    result = guest.run(["sh", "-c", "sleep 60 & echo $!"])
    assert time.monotonic() - started < 20
    pid = result.stdout.decode().strip()
    assert result.code == 0 and pid.isdigit()
    assert guest.run(["kill", pid]).code == 0


def test_a_timeout_ends_all_that_was_started(guest):
    result = guest.run(["sh", "-c", "setsid sleep 611 & sh -c 'sleep 612' & echo on; sleep 613"],
                       timeout_ms=1000)
    assert result.timed_out and result.signal == 9 and result.stdout == b"on\n"
    assert guest.run(["sh", "-c", "ps | grep 'sleep 61[123]'"]).stdout == b""


def test_a_host_that_goes_away_ends_what_it_started(guest):
    session = guest.open_session(2)
    assert session.start(["sh", "-c", "trap '' HUP; setsid sleep 621 & echo on; sleep 622"])
    while session.result.stdout != b"on\n":
        session.take_frame()
    assert listed_ports(guest) == [2]
    session.stream.close()
    guest.await_free(2)
    assert guest.run(["sh", "-c", "ps | grep 'sleep 62[12]'"]).stdout == b""


def test_hangup_is_a_signal_that_a_program_can_handle(guest):
    session = guest.open_session(2)
    assert session.start(["sh", "-c", "trap 'echo hung up > /run/trace; exit' HUP; echo on; "
                          "while :; do sleep 0.1; done"])
    while session.result.stdout != b"on\n":
        session.take_frame()
    session.stream.close()
    guest.await_free(2)
    assert guest.run(["cat", "/run/trace"]).stdout == b"hung up\n"
    assert guest.run(["rm", "/run/trace"]).code == 0


def test_users_are_those_of_the_image(guest):
    result = guest.run(["sh", "-c", "id; echo $HOME $USER $LOGNAME $SHELL; umask"], user="ada")
    assert result.stdout.decode().split("\n") == [
        "uid=1000(ada) gid=1000(ada) groups=44(video),50(staff),1000(ada)",
        "/home/ada ada ada /bin/ash", "0022", ""]
    assert guest.run(["id", "-u"], user="4242").stdout == b"4242\n"
    assert guest.run(["id", "-g"], user="ada:games").stdout == b"60\n"
    assert guest.run(["true"], user="nobody-here").failed[0] == protocol.NO_USER


def test_a_terminal_is_one(guest):
    session = guest.open_session()
    pid = session.start(["sh", "-c", "tty; stty size; test -t 2 && echo err; read line; "
                         "stty size; echo got $line; kill -INT $$"], tty=(33, 101))
    assert pid
    while b"err\r\n" not in session.result.stdout:
        session.take_frame()
    session.stream.send_frame(protocol.WINDOW_SIZE, struct.pack("<HH", 44, 99))
    session.write(b"words\n")
    result = session.finish()
    assert result.stdout.replace(b"\r", b"").split(b"\n") == [
        b"/dev/pts/0", b"33 101", b"err", b"words", b"44 99", b"got words", b""]
    assert result.signal == 2
    session.stream.close()
    guest.await_free(1)


def test_a_terminal_loses_no_output_at_the_end(guest):
    result = guest.run(["seq", "20000"], tty=(24, 80))
    assert result.stdout.replace(b"\r", b"").split() == [b"%d" % i for i in range(1, 20001)]


# ---- Ports, tokens, left-overs ----------------------------------------------------------------


def test_a_wrong_token_and_garbage_get_nothing(guest):
    stream = guest.connect(2)
    assert stream.handshake(CALLER, os.urandom(32)) == protocol.BAD_TOKEN
    # The port waits for the next hello, with or without a new connection.
    stream.send(b"\177vms" + os.urandom(10_000) + b"\177vmsanH1")
    assert stream.handshake(CALLER, guest.token) == protocol.OK
    assert Session(stream).run(["echo", "fine"]).stdout == b"fine\n"
    stream.close()
    guest.await_free(2)


def test_an_aborted_session_leaves_nothing_to_the_next(guest):
    # Output that nobody read, input in the middle of a frame, half a hello.
    session = guest.open_session(3)
    assert session.start(["yes"])
    session.take_frame()
    session.stream.send(struct.pack("<BxxxI", protocol.STDIN, 1000) + b"part")
    session.stream.close()
    guest.await_free(3)
    stream = guest.connect(3)
    stream.send(protocol.HELLO_MAGIC + os.urandom(20))
    stream.close()
    stream = guest.connect(3)
    assert stream.handshake(CALLER, guest.token) == protocol.OK
    assert Session(stream).run(["echo", "clean"]).stdout == b"clean\n"
    stream.close()
    guest.await_free(3)


def test_a_reconnection_that_the_guest_does_not_notice_begins_with_the_hello(guest):
    session = guest.open_session(3)
    stream = session.stream
    assert session.run(["true"]).code == 0
    assert stream.handshake(CALLER, guest.token) == protocol.OK
    assert Session(stream).start(["sleep", "631"])
    assert stream.handshake(CALLER, guest.token, timeout=30) == protocol.OK
    assert Session(stream).run(["sh", "-c", "ps | grep 'sleep 63[1]'"]).stdout == b""
    stream.close()
    guest.await_free(3)


def test_malformed_frames_end_the_session_and_not_the_agent(guest):
    for garbage in (struct.pack("<BxxxI", 99, 0), struct.pack("<BxxxI", 33, 65537),
                    b"\x20\1\0\0\0\0\0\0", struct.pack("<BxxxI", 32, 3) + b"abc"):
        session = guest.open_session(2)
        session.stream.send(garbage)
        assert session.stream.read_frame()[0] == protocol.EXEC_FAILED
        session.stream.close()
        guest.await_free(2)
    session = guest.open_session(2)
    assert session.start(["sleep", "641"])
    session.stream.send(os.urandom(64).replace(b"\177", b"x"))
    assert session.finish().signal == 9
    session.stream.close()
    guest.await_free(2)


def test_control_comes_again_after_a_restart_of_the_host(guest):
    session = guest.open_session(2)
    assert session.start(["cat"])
    guest.control.send_frame(protocol.PING, b"half a frame"[:8])
    guest.control.send(b"\3\0\0")
    guest.control.close()
    guest.open_control()
    assert listed_ports(guest) == [2]
    # What was configured stays; asking again gets the same answer.
    guest.control.send_frame(protocol.CONFIGURE, configure_payload(hostname="other"))
    guest.control.expect(protocol.READY)
    session.write(b"still here")
    session.stream.send_frame(protocol.STDIN_EOF)
    assert session.finish().stdout == b"still here"
    assert guest.run(["hostname"], port=3).stdout == b"shared.example\n"
    session.stream.close()
    guest.await_free(2)


def test_output_that_is_not_read_stops_the_program_only(guest):
    session = guest.open_session(2)
    assert session.start(["yes", "0123456789"])
    # Nothing is read from port 2 meanwhile; the others are served.
    for _ in range(3):
        assert guest.run(["echo", "served"], port=3).stdout == b"served\n"
    while len(session.result.stdout) < 3 << 20:
        session.take_frame()
    session.stream.close()
    guest.await_free(2)


def test_much_output_of_both_streams_comes_whole(guest):
    result = guest.run(["sh", "-c", "yes 0123456789 | head -c 5000001 & "
                        "yes abcdefghi | head -c 3000007 >&2; wait; echo end; echo end >&2"])
    assert result.stdout == (b"0123456789\n" * 500000)[:5000001] + b"end\n"
    assert result.stderr == (b"abcdefghi\n" * 300001)[:3000007] + b"end\n"
    assert result.code == 0


def test_a_memory_hog_dies_and_the_agent_answers(guest):
    result = guest.run(["sh", "-c", "tail /dev/zero"])
    assert result.signal == 9 or result.code == 137
    assert guest.run(["echo", "alive"]).stdout == b"alive\n"


def test_a_fork_bomb_is_ended_by_its_timeout(guest):
    result = guest.run(["sh", "-c", "ulimit -u 200; f() { f | f & }; f; sleep 60"], user="ada",
                       timeout_ms=1500)
    assert result.timed_out
    assert guest.run(["echo", "alive"]).stdout == b"alive\n"
