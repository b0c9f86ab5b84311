# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs in a machine: bytes, ends, exit codes and signals, as if they ran here."""

import hashlib
import os
import signal
import subprocess
import time

import pytest

DEADLINE_S = 60


def test_streams_stay_apart(alice, vm):
    out, err = alice.run(*vm[1], "sh", "-c", "echo out; echo err >&2; exit 3", code=3)
    assert (out, err) == ("out\n", "err\n")


@pytest.mark.parametrize("code", [0, 1, 2, 100, 124, 125, 126, 127, 128, 200, 255])
def test_exit_codes_pass(alice, vm, code):
    alice.run(*vm[1], "sh", "-c", f"exit {code}", code=code)


@pytest.mark.parametrize("number", [1, 9, 11, 15])
def test_signals_that_end_the_program(alice, vm, number):
    alice.run(*vm[1], "sh", "-c", f"kill -{number} $$", code=128 + number)


def test_programs_that_cannot_run(alice, vm):
    assert "nonesuch" in alice.run(*vm[1], "nonesuch", code=127)[1]
    assert "/etc" in alice.run(*vm[1], "/etc", code=126)[1]
    assert "/nowhere" in alice.run(*vm[1], "-w", "/nowhere", "true", code=125)[1]
    alice.run("exec", "-u", "nobody-here", vm[0], "true", code=125)
    alice.run("exec", "nowhere", "true", code=125)


def test_options_around_the_machine(alice, vm):
    out, _ = alice.run(*vm[1], "-e", "A=1", "--env=B=x y", "-w", "/etc", "--", "sh", "-c",
                       'echo "$A,$B,$PWD,$1" -- "$2"', "-", "-e", "--json")
    assert out == "1,x y,/etc,-e -- --json\n"


def test_case_18_input_that_ends_and_input_that_is_not_there(alice, vm):
    assert alice.run(*vm[1], "cat", input=b"x")[0] == "x"
    assert alice.run(*vm[1], "cat")[0] == ""
    process = alice.start(*vm[1], "cat", stdin=None, close_fds=True,
                          preexec_fn=lambda: os.close(0))
    assert process.communicate(timeout=DEADLINE_S) == (b"", b"") and process.returncode == 0


def test_case_19_children_in_the_background_do_not_hold_it(alice, vm):
    before = time.monotonic()
    assert alice.run(*vm[1], "sh", "-c", "sleep 50 & echo hi")[0] == "hi\n"
    assert time.monotonic() - before < 20


def test_every_byte_passes_both_ways(alice, vm):
    data = bytes(range(256)) * 4096 + os.urandom(3 << 20)
    process = alice.start(*vm[1], "cat", stdin=subprocess.PIPE)
    out, err = process.communicate(data, timeout=DEADLINE_S)
    assert err == b"" and hashlib.sha256(out).digest() == hashlib.sha256(data).digest()


def test_input_from_a_file(alice, vm, world):
    path = os.path.join(world.directory, "input")
    with open(path, "wb") as file:
        file.write(b"line\n" * 100000)
    with open(path, "rb") as file:
        process = alice.start(*vm[1], "wc", "-l", stdin=file)
        assert process.communicate(timeout=DEADLINE_S)[0].strip() == b"100000"


def test_input_that_nobody_reads_is_no_error(alice, vm):
    process = alice.start(*vm[1], "true", stdin=subprocess.PIPE)
    out, err = process.communicate(b"x" * (4 << 20), timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_an_open_terminal_or_pipe_does_not_hold_the_end(alice, vm):
    process = alice.start(*vm[1], "true", stdin=subprocess.PIPE)
    try:
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.communicate()


def test_output_that_nobody_wants(alice, vm):
    process = alice.start(*vm[1], "sh", "-c", "while :; do echo y; done")
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 128 + signal.SIGPIPE
    process.stderr.close()


def test_large_output_to_a_slow_reader(alice, vm):
    process = alice.start(*vm[1], "head", "-c", "8000000", "/dev/urandom")
    total = 0
    while chunk := process.stdout.read(100000):
        total += len(chunk)
        assert rss_kib(process.pid) < 60000
    assert total == 8000000 and process.wait(DEADLINE_S) == 0
    process.stderr.close()


def rss_kib(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return int(next((line for line in status if line.startswith("VmRSS")),
                            "VmRSS: 0").split()[1])
    except OSError:
        return 0


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_signals_pass(alice, vm, name):
    script = f"trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    process = alice.start(*vm[1], "sh", "-c", script)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, "SIG" + name))
    assert process.communicate(timeout=DEADLINE_S)[0] == b"got\n"
    assert process.returncode == 7


def test_the_third_signal_hangs_up(alice, vm):
    script = "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done"
    process = alice.start(*vm[1], "sh", "-c", script)
    assert process.stdout.readline() == b"ready\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"no\n"
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 125 and err.startswith(b"vmsan-client: ")


def test_time_limit(alice, vm):
    before = time.monotonic()
    alice.run(*vm[1], "--timeout", "300ms", "sleep", "50", code=124)
    assert time.monotonic() - before < 20


def test_case_21_machine_that_dies_is_no_exit_code(alice, root, vm):
    process = alice.start(*vm[1], "sh", "-c", "echo ready; sleep 50")
    assert process.stdout.readline() == b"ready\n"
    root.run("stop", "--force", vm[0])
    err = process.communicate(timeout=DEADLINE_S)[1].decode()
    assert process.returncode == 125 and "connection to the guest ended" in err
