# SPDX-License-Identifier: GPL-2.0-or-later
"""What the subcommands for machines do, say and exit with."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

USAGE, NOT_FOUND, NOT_AUTHORIZED, BUSY = 2, 3, 4, 5

COMMANDS = ["create", "list", "show", "start", "stop", "remove", "timeout", "network", "exec",
            "events", "plugins", "doctor", "image add", "image list", "image remove", "kernel add",
            "kernel list",
            "kernel remove"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(root, command):
    out, err = root.run(*command.split(), "--help")
    assert f"vmsan-client {command}" in out and "--no-ask-password" in out and err == ""


def test_help_lists_each_command(root):
    out, _ = root.run("--help")
    for command in COMMANDS:
        assert re.search(rf"^  {command}  +\S", out, re.MULTILINE)
    assert re.fullmatch(r"vmsan-client \d+\.\d+\.\d+\n", root.run("--version")[0])


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["image"], ["kernel", "nonsense"], ["list", "extra"], ["list", "--nonsense"],
    ["list", "--mine", "--owner", "root"], ["list", "--owner", "nobody-here"], ["show"],
    ["create", "a", "b"], ["create", "a", "--image", "b"], ["create", "--memory", "lots"],
    ["create", "--timeout", "5 parsecs"], ["create", "--label", "x"], ["create", "--cpus", "-1"],
    ["start"], ["stop", "x", "--deadline", "soon"], ["timeout", "x"], ["timeout", "x", "soon"],
    ["image", "add"], ["kernel", "add"], ["kernel", "add", "--from-host", "a", "b"],
    ["events", "--count", "-1"], ["events", "--since", "-1"], ["plugins", "x"],
    ["doctor", "now"], ["doctor", "--cure"],
    ["create", "--network-policy", "open"], ["create", "--publish-port", "80"],
    ["create", "--publish-port", "8080:80/icmp"], ["create", "--bandwidth", "fast"],
    ["create", "--no-network", "--allowed-domain", "example.com"],
    ["network"], ["network", "x", "y"], ["network", "x", "--policy", "none"],
    ["network", "x", "--icmp", "--no-icmp"], ["network", "x", "--bandwidth", "-1"],
    ["network", "x", "--allow-cidr", "192.0.2.1", "--allow-cidr", ""],
])
def test_wrong_usage_is_said_before_anything_is_done(root, arguments):
    out, err = root.run(*arguments, code=USAGE)
    assert arguments == [] or (out == "" and err.startswith("vmsan-client: "))


@pytest.mark.parametrize("arguments", [["exec"], ["exec", "x"], ["exec", "x", "--"],
                                       ["exec", "--nonsense", "x", "y"],
                                       ["exec", "x", "--timeout", "soon", "y"]])
def test_wrong_usage_of_exec_is_no_exit_code_of_a_program(root, arguments):
    assert root.run(*arguments, code=125)[1].startswith("vmsan-client: ")


def test_life_of_a_machine(alice, root):
    out, err = alice.run("create", "plain", "--name", "web", "-m", "128M", "-d", "64", "-c", "2",
                         "--label", "a=1", "--label", "b=x=y", "--timeout", "1h")
    vm_id = out.strip()
    assert re.fullmatch(r"[a-z0-9]+\n", out) and err == ""

    [vm] = [v for v in alice.json("list") if v["id"] == vm_id]
    assert (vm["name"], vm["state"], vm["vcpus"], vm["memory-mib"], vm["disk-mib"]) == \
        ("web", "running", 2, 128, 64)
    [shown] = alice.json("show", "web")
    assert shown["details"]["labels"] == {"a": "1", "b": "x=y"}
    assert 0 < shown["timeout-at"] - time.time() * 1e6 <= 3600e6
    alice.run("timeout", "web", "never")
    assert alice.json("show", vm_id[:6])[0]["timeout-at"] == 0

    assert vm_id[:12] in alice.run("list")[0]
    assert alice.run("list", "-q")[0].split() == [vm_id]
    assert alice.run("list", "-q", "--state", "stopped")[0] == ""
    assert root.run("list", "-q", "--mine")[0] == ""
    assert root.run("list", "-q", "--owner", "alice")[0].split() == [vm_id]

    assert "not possible" in alice.run("remove", "web", code=BUSY)[1]
    alice.run("stop", "web")
    assert alice.json("show", "web")[0]["state"] == "stopped"
    assert "web" in alice.run("stop", "web", code=BUSY)[1]
    alice.run("start", "web")
    alice.run("stop", "--force", "web")
    alice.run("remove", "web")
    assert alice.run("show", "web", code=NOT_FOUND)[1].startswith("vmsan-client: ")


def test_create_without_start(alice):
    vm = alice.json("create", "--image", "plain", "--no-start")
    assert vm["state"] == "stopped"
    alice.run("remove", vm["id"])


def test_several_machines_and_one_that_is_not_there(alice):
    ids = [alice.run("create", "plain")[0].strip() for _ in range(3)]
    out, err = alice.run("stop", ids[0], "nowhere", ids[1], ids[2], code=NOT_FOUND)
    assert "nowhere" in err and len(err.splitlines()) == 1
    assert {v["state"] for v in alice.json("list")} == {"stopped"}
    alice.run("remove", *ids)


def test_others_are_refused_with_their_code(world, alice, root):
    vm_id = root.run("create", "plain", "--name", "roots")[0].strip()
    err = alice.run("stop", "roots", "--no-ask-password", code=NOT_AUTHORIZED)[1]
    assert err.startswith("vmsan-client: Could not stop “roots”: ") and "org.gtk" not in err \
        and "GDBus" not in err
    alice.run("exec", vm_id, "true", code=125)
    # What all may know is shown, with a word on what is missing.
    out, err = alice.run("show", "roots")
    assert vm_id in out and "pid" not in out and "Only part" in err
    assert alice.run("show", "-q", "roots")[1] == ""
    root.run("remove", "--force", vm_id)


def test_output_that_cannot_be_written_is_an_error(alice):
    with open("/dev/full", "wb") as full:
        process = alice.start("list", stdout=full)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and b"No space" in err


def test_service_that_is_not_there(world, alice):
    world.stop_service()
    try:
        err = alice.run("list", code=1)[1]
    finally:
        world.start_service()
    assert "vmsand is not running" in err


def read_lines(process, n, deadline_s=60):
    """The next @n lines of a process's output."""
    data, end = b"", time.monotonic() + deadline_s
    while data.count(b"\n") < n:
        ready = select.select([process.stdout], [], [], end - time.monotonic())[0]
        assert ready, f"only this came: {data}"
        chunk = os.read(process.stdout.fileno(), 4096)
        assert chunk, f"it ended after: {data}"
        data += chunk
    return data.decode().splitlines()


def wait_listening(process):
    assert b"Waiting for events" in process.stderr.readline()


def test_events_in_order(alice):
    with alice.start("events", "--json", "--count", "10") as events:
        wait_listening(events)
        vm_id = alice.run("create", "plain")[0].strip()
        alice.run("stop", vm_id)
        lines = [json.loads(line) for line in read_lines(events, 10)]
        assert events.wait(60) == 0
    alice.run("remove", vm_id)
    assert [e["event"] for e in lines] == [
        "BeforeCreate", "BeforeStart", "NetworkAfterSetup", "StateChanged", "AfterStart",
        "AfterCreate", "BeforeStop", "StateChanged", "NetworkAfterTeardown", "StateChanged"]
    assert {e["id"] for e in lines} == {vm_id} and {e["actor"] for e in lines} == {"uid:4001"}
    sequences = [e["sequence"] for e in lines]
    assert sequences == list(range(sequences[0], sequences[0] + 10))


def test_events_of_one_machine_and_name(alice):
    first, second = (alice.run("create", "plain", "--name", n)[0].strip() for n in ("e1", "e2"))
    with alice.start("events", "e2", "--name", "AfterStop", "-n", "1") as events:
        wait_listening(events)
        alice.run("stop", "e1", "e2")
        [line] = read_lines(events, 1)
        assert events.wait(60) == 0
    assert "AfterStop" in line and second in line and first not in line
    alice.run("remove", first, second)


def test_events_that_were_missed_are_printed_first(alice):
    first = alice.run("create", "plain", "--no-start")[0].strip()
    lines = [json.loads(line) for line in alice.run(
        "events", first, "--since", "0", "--count", "3", "--json")[0].splitlines()]
    assert [e["event"] for e in lines] == ["BeforeCreate", "StateChanged", "AfterCreate"]
    assert abs(lines[0]["time"] / 1e6 - time.time()) < 600
    # What came later, and then what happens.
    with alice.start("events", "--since", str(lines[1]["sequence"]), "--count", "3",
                     "--json") as events:
        wait_listening(events)
        past = read_lines(events, 1)
        alice.run("remove", first)
        past += read_lines(events, 2)
        assert events.wait(60) == 0
    numbers = [json.loads(line)["sequence"] for line in past]
    assert numbers == list(range(lines[2]["sequence"], lines[2]["sequence"] + 3))
    assert json.loads(past[0]) == lines[2]
    out, err = alice.run("events", "--since", "1", "--count", "1")
    assert "missing" in err and len(out.splitlines()) == 1


@pytest.fixture
def plugin(root):
    """One of the examples, registered."""
    script = os.path.join(os.environ["VMSAN_TEST_SOURCEDIR"], "data/examples/require-project.py")
    with subprocess.Popen([script]) as process:
        end = time.monotonic() + 60
        while "require-project" not in root.run("plugins", "--quiet")[0].split():
            assert process.poll() is None and time.monotonic() < end
        yield "require-project"
        process.kill()


def test_plugins_are_listed_and_their_words_told(alice, plugin):
    err = alice.run("create", "plain", "--no-start", code=1)[1]
    assert "“require-project”" in err and "every machine needs a project" in err
    vm_id = alice.run("create", "plain", "--no-start", "--project", "paint")[0].strip()
    lines = alice.run("plugins")[0].splitlines()
    assert lines[0].split("  ")[0] == "NAME"
    assert re.split(r"  +", lines[1]) == [plugin, "root", "0", "2000 ms", "refuses", "2", "0",
                                          "BeforeCreate"]
    assert alice.json("plugins") == [{
        "name": plugin, "owner": 0, "hooks": ["BeforeCreate"], "priority": 0, "deadline-ms": 2000,
        "fail-open": False, "questions": 2, "failures": 0}]
    alice.run("remove", vm_id)


def test_events_end_well_on_ctrl_c(alice):
    with alice.start("events") as events:
        wait_listening(events)
        events.send_signal(signal.SIGINT)
        assert events.wait(60) == 0


def on_terminal(client, rows, columns, *arguments, environment={}):
    """What a command prints when its standard output is a terminal of that size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    old = client.environment
    client.environment = {k: v for k, v in {**old, "TERM": "xterm", **environment}.items()
                          if k != "COLUMNS"}
    try:
        process = client.start(*arguments, stdout=slave)
    finally:
        client.environment = old
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 4096):
            text += chunk
    except OSError:
        pass
    os.close(master)
    assert process.wait(60) == 0
    return text.decode()


def test_terminal_gets_colour_and_a_table_that_fits(alice, vm):
    text = on_terminal(alice, 24, 60, "list")
    assert "\033[32mrunning\033[0m" in text
    lines = re.sub(r"\033\[[0-9;]*m", "", text).split("\r\n")
    assert max(len(line) for line in lines) <= 60
    assert "\033" not in on_terminal(alice, 24, 60, "list", environment={"NO_COLOR": "1"})
    assert "\033" not in alice.run("list")[0]
