# SPDX-License-Identifier: GPL-2.0-or-later
"""Published ports of real guests: by real packets over TCP and UDP, from the host and from outside;
and who gets a port that two want."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from caller import BusError, Caller, GLib, options, wait_until
from guest_network import WAIT_S, host_state, set_policy, strings, tcp
from real_world import RUNTIME
from small_internet import HOST4, NAMESPACE, OTHER4, SmallInternet, ip

ECHO = os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "tests/service/guest-echo")
LOOPBACK = "127.0.0.1"
OUTSIDE = ["ip", "netns", "exec", NAMESPACE]
PORT = 7  # in the guest

# Says what comes back, line by line, of what it sends twice a second until it is ended.
CLIENT = """
import socket, sys, time
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
sock = socket.socket(socket.AF_INET, kind)
sock.settimeout(float(sys.argv[4]))
sock.connect((sys.argv[2], int(sys.argv[3])))
for n in range(int(sys.argv[5])):
    try:
        sock.send(b"%d" % n)
        print(sock.recv(64).decode(), flush=True)
    except ConnectionRefusedError:
        if kind == socket.SOCK_STREAM:
            raise
        time.sleep(0.2)
    except TimeoutError:
        if kind == socket.SOCK_STREAM:
            raise
    time.sleep(0.2)
"""

# Says the same to all, over TCP before it is asked.
ELSEWHERE = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
sock = socket.socket(socket.AF_INET, kind)
sock.bind((sys.argv[2], 8443))
if kind == socket.SOCK_STREAM:
    sock.listen()
print("ready", flush=True)
while True:
    if kind == socket.SOCK_DGRAM:
        sock.sendto(b"outside", sock.recvfrom(64)[1])
    else:
        connection = sock.accept()[0]
        connection.sendall(b"outside")
        connection.close()
"""


@pytest.fixture(scope="module")
def internet(world):
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture(scope="module")
def echo_image(world):
    tree = world.busybox_tree("echo-server")
    shutil.copy(ECHO, f"{tree}/bin/guest-echo")
    world.add_tree(tree, "echo-server")


@pytest.fixture(scope="module")
def server(world, internet, echo_image):
    before = host_state()
    path = world.create(name="server", image="echo-server", network_policy="deny-all")
    session = serve(world, path)
    yield path
    session.stream.close()
    world.call(path, "Remove", force=True)
    assert host_state() == before


def serve(world, path):
    session = world.start_exec(path, "guest-echo", str(PORT))
    while b"ready" not in session.result.stdout:
        assert session.take_frame(20)
    return session


def start_client(prefix, protocol, address, port, deadline_s=WAIT_S, n=1):
    return subprocess.Popen([*prefix, sys.executable, "-B", "-c", CLIENT, protocol, address,
                             str(port), str(deadline_s), str(n)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def answers(prefix, protocol, address, port):
    with start_client(prefix, protocol, address, port) as client:
        return client.communicate()[0] == "0\n"


def end(client):
    client.kill()
    client.wait()
    client.stdout.close()


def said_so_far(client):
    os.set_blocking(client.stdout.fileno(), False)
    try:
        return os.read(client.stdout.fileno(), 65536)
    except BlockingIOError:
        return b""


def publish(world, path, *ports, caller=None):
    set_policy(world, path, caller, published_ports=strings(*ports))


def both(port):
    return port, f"{port}/udp"


def assert_reached(prefix, address, port, expected):
    for protocol in ("tcp", "udp"):
        assert answers(prefix, protocol, address, port) == expected, (protocol, address, port)


# ---- By packets --------------------------------------------------------------------------------

def test_ports_come_and_go_while_the_machine_runs(world, server):
    publish(world, server, *both(f"8080:{PORT}"), *both(f"{HOST4}:8081:{PORT}"))
    assert_reached([], LOOPBACK, 8080, True)
    assert_reached([], HOST4, 8081, True)
    assert_reached(OUTSIDE, HOST4, 8081, True)
    assert_reached(OUTSIDE, HOST4, 8080, False)
    publish(world, server, *both(f"0.0.0.0:8082:{PORT}"))
    assert_reached([], LOOPBACK, 8080, False)
    assert_reached(OUTSIDE, HOST4, 8081, False)
    assert_reached([], LOOPBACK, 8082, True)
    assert_reached([], HOST4, 8082, True)
    assert_reached(OUTSIDE, HOST4, 8082, True)
    publish(world, server)
    assert_reached([], LOOPBACK, 8082, False)
    assert_reached(OUTSIDE, HOST4, 8082, False)


def test_only_what_is_published_has_loopback_addresses_routed(world, server):
    link = [name for name in host_state()[0] if name.startswith("vmsan")][0]

    def routed():
        with open(f"/proc/sys/net/ipv4/conf/{link}/route_localnet") as file:
            return file.read()

    publish(world, server, f"8080:{PORT}")
    assert routed() == "1\n"
    publish(world, server, f"{HOST4}:8080:{PORT}")
    assert routed() == "0\n"


@pytest.fixture
def elsewhere(internet):
    """OTHER4, with a server at port 8443 that says "outside"."""
    servers = [subprocess.Popen([*OUTSIDE, sys.executable, "-B", "-c", ELSEWHERE, protocol, OTHER4],
                                stdout=subprocess.PIPE) for protocol in ("tcp", "udp")]
    for server in servers:
        assert server.stdout.readline() == b"ready\n"
    yield OTHER4
    for server in servers:
        end(server)


def said(protocol, address):
    with start_client([], protocol, address, 8443) as client:
        return client.communicate()[0]


def test_an_address_that_is_not_the_hosts_keeps_its_connections(world, server, second, elsewhere):
    """It may become the host's; until then whoever has it gets what is sent there."""
    publish(world, server, *both(f"{elsewhere}:8443:{PORT}"))
    for protocol in ("tcp", "udp"):
        assert said(protocol, elsewhere) == "outside\n"
    assert tcp(world, second, elsewhere, 8443) == "outside"
    ip("addr", "add", f"{elsewhere}/32", "dev", "wan0")
    try:
        assert_reached([], elsewhere, 8443, True)
    finally:
        ip("addr", "del", f"{elsewhere}/32", "dev", "wan0")
    assert said("tcp", elsewhere) == "outside\n"


def test_a_program_of_the_host_keeps_the_connections_that_it_has(world, server):
    """It listens no more, so the port is free; what it has accepted before goes on."""
    publish(world, server)

    def speak(connection):
        with connection:
            while connection.recv(64):
                connection.sendall(b"host")

    with listener(socket.AF_INET, socket.SOCK_STREAM, HOST4, 8084) as listening:
        client = start_client(OUTSIDE, "tcp", HOST4, 8084, 10, n=1000)
        listening.settimeout(20)
        connection = listening.accept()[0]
        connection.settimeout(None)
    thread = threading.Thread(target=speak, args=(connection,))
    thread.start()
    try:
        assert client.stdout.readline() == "host\n"
        publish(world, server, f"{HOST4}:8084:{PORT}")
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            assert client.stdout.readline() == "host\n"
        assert answers(OUTSIDE, "tcp", HOST4, 8084)
    finally:
        end(client)
        thread.join(20)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_connections_are_cut_with_their_port_and_no_others(world, server, protocol):
    """Both ports are the same one in the guest."""
    publish(world, server, f"{HOST4}:8080:{PORT}/{protocol}", f"{HOST4}:8081:{PORT}/{protocol}")
    cut, kept = [start_client(OUTSIDE, protocol, HOST4, port, n=1000) for port in (8080, 8081)]
    try:
        assert cut.stdout.readline() == kept.stdout.readline() == "0\n"
        publish(world, server, f"{HOST4}:8081:{PORT}/{protocol}")
        said_so_far(cut)
        deadline = time.monotonic() + 1 + WAIT_S
        while time.monotonic() < deadline:
            number = int(kept.stdout.readline())
        assert number > 0
        assert said_so_far(cut) == b""
    finally:
        end(cut)
        end(kept)


def test_what_was_sent_before_a_port_was_published_does_not_keep_it_closed(world, server):
    """The kernel remembers where datagrams went, for as long as they go on."""
    for address, at in ((HOST4, HOST4), (HOST4, "0.0.0.0")):
        publish(world, server)
        client = start_client(OUTSIDE, "udp", address, 8083, 0.5, n=1000)
        try:
            assert not answers(OUTSIDE, "udp", address, 8083)
            publish(world, server, f"{at}:8083:{PORT}/udp")
            assert client.stdout.readline() != ""
        finally:
            end(client)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ports_and_connections_outlive_the_service(world, server, protocol):
    publish(world, server, f"8080:{PORT}/{protocol}", f"{HOST4}:8081:{PORT}/{protocol}")
    client = start_client(OUTSIDE, protocol, HOST4, 8081, 10, n=1000)
    try:
        assert client.stdout.readline() == "0\n"
        world.end(signal.SIGKILL)
        assert answers([], protocol, LOOPBACK, 8080)
        world.start()
        assert answers([], protocol, LOOPBACK, 8080)
        assert answers(OUTSIDE, protocol, HOST4, 8081)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert client.stdout.readline() != ""
    finally:
        end(client)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ports_are_back_after_a_flush_of_the_rules(world, server, protocol):
    publish(world, server, f"8080:{PORT}/{protocol}", f"{HOST4}:8081:{PORT}/{protocol}")
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    wait_until(lambda: answers([], protocol, LOOPBACK, 8080), 20, "the port on loopback")
    assert answers(OUTSIDE, protocol, HOST4, 8081)


# ---- Who gets it -------------------------------------------------------------------------------

def refused(call):
    with pytest.raises(BusError) as caught:
        call()
    assert caught.value.name == "org.vmsan.Error.Exists", caught.value
    return caught.value.message


@pytest.fixture(scope="module")
def bob():
    bob = Caller(4002, "bob")
    yield bob
    bob.close()


@pytest.fixture
def second(world, server):
    path = world.create(name="second")
    yield path
    world.call(path, "Remove", force=True)


def test_a_port_of_another_machine_is_refused_before_anything_is_made(world, server, bob):
    publish(world, server, f"8080:{PORT}")
    world.root.listen()
    state, seen = host_state(), len(world.root.signals)
    for ports in (["8080:80"], ["0.0.0.0:8080:80"], ["9000:80", "8080:80"]):
        message = refused(lambda: world.create(name="late", published_ports=strings(*ports)))
        assert "8080" in message and "“server”" in message
    # Others' ports are nobody's business, but that they are taken can be seen by trying.
    message = refused(lambda: world.create(bob, name="late", published_ports=strings("8080:80")))
    assert "another machine" in message and "server" not in message
    assert "“server”" in refused(lambda: world.create(world.root, published_ports=strings("8080:80")))
    assert host_state() == state
    assert not [name for name, *_ in world.root.signals[seen:] if name.startswith("Before")]
    # Another protocol or address is another port.
    path = world.create(start=False, published_ports=strings("8080:80/udp", f"{HOST4}:8080:80"))
    world.call(path, "Start")
    world.call(path, "Remove", force=True)


def test_a_change_cannot_take_a_port_of_another_machine(world, server, second):
    publish(world, server, f"8080:{PORT}")
    before = world.details(second)
    assert "“server”" in refused(lambda: publish(world, second, "0.0.0.0:8080:80"))
    assert world.details(second) == before
    publish(world, server, f"8081:{PORT}")
    publish(world, second, "8080:80")
    # Its own ports are not in its way.
    publish(world, second, "8080:80", "8082:80")
    publish(world, second, "0.0.0.0:8080:80")
    refused(lambda: publish(world, server, f"8080:{PORT}"))
    assert answers([], "tcp", LOOPBACK, 8081)


def test_a_machine_that_is_stopped_has_no_port(world, server, second):
    publish(world, server, f"8081:{PORT}")
    publish(world, second, "8080:80")
    world.call(second, "Stop", force=True)
    publish(world, server, f"8080:{PORT}")
    assert answers([], "tcp", LOOPBACK, 8080)
    message = refused(lambda: world.call(second, "Start"))
    assert "8080" in message and "“server”" in message
    assert world.state(second) == "stopped"
    # It may be changed to what it has already, as that takes nothing.
    publish(world, second, "8080:80", "8082:80")
    publish(world, server, f"8081:{PORT}")
    world.call(second, "Start")
    assert world.state(second) == "running"


def test_a_port_is_free_again_when_its_machine_dies_or_goes(world, server, second):
    publish(world, server)
    publish(world, second, "8080:80")
    os.kill(world.details(second)["pid"], signal.SIGKILL)
    wait_until(lambda: world.state(second) == "stopped", 60, "the end of the machine")
    third = world.create(published_ports=strings("8080:80"))
    world.call(third, "Remove", force=True)
    world.call(second, "Start")


def test_of_two_creations_at_once_one_gets_the_port(world, server):
    publish(world, server)
    values = {"image": "busybox", "memory_mib": 128, "disk_mib": 64,
              "published_ports": strings("8090:80")}
    pending = [world.alice.start("/org/vmsan/Manager", "org.vmsan.Manager", "CreateVM",
                                 GLib.Variant("(a{sv})", (options(**values),)), deadline_s=150)
               for _ in range(4)]
    made, errors = [], []
    for call in pending:
        try:
            made.append(call.result(150)[0])
        except BusError as error:
            errors.append(error.name)
    assert (len(made), errors) == (1, ["org.vmsan.Error.Exists"] * 3)
    world.call(made[0], "Remove", force=True)


# ---- Programs of the host ----------------------------------------------------------------------

def listener(family, kind, address, port=8095):
    sock = socket.socket(family, kind)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def test_a_port_of_a_program_of_the_host_is_refused(world, server):
    publish(world, server, f"8080:{PORT}")
    stopped = world.create(start=False, name="waits", published_ports=strings("8095:80"))
    state = host_state()
    try:
        with listener(socket.AF_INET6, socket.SOCK_STREAM, "::"):
            message = refused(lambda: world.create(published_ports=strings("8095:80")))
            assert "a program of this host" in message and "8095" in message
            refused(lambda: publish(world, server, "8095:80"))
            refused(lambda: world.call(stopped, "Start"))
            assert world.state(stopped) == "stopped"
            assert host_state() == state
            publish(world, server, f"8095:{PORT}/udp")
            assert answers([], "udp", LOOPBACK, 8095)
        with listener(socket.AF_INET, socket.SOCK_DGRAM, LOOPBACK, 8096):
            refused(lambda: publish(world, server, "0.0.0.0:8096:80/udp"))
            publish(world, server, f"{HOST4}:8096:80/udp")
        # One peer is all that it talks with, but its answers would be the machine's to give.
        with listener(socket.AF_INET, socket.SOCK_DGRAM, HOST4, 8098) as connected:
            connected.connect((OTHER4, 9))
            refused(lambda: publish(world, server, f"{HOST4}:8098:80/udp"))
        world.call(stopped, "Start")
        # What is published already is not in the way of a change, whatever has come there since.
        with listener(socket.AF_INET, socket.SOCK_STREAM, HOST4):
            publish(world, stopped, "8095:80", "8097:80")
    finally:
        world.call(stopped, "Remove", force=True)


def test_ports_below_1024_are_for_root_to_publish(world, server):
    for change in (lambda: world.create(published_ports=strings("199:80")),
                   lambda: publish(world, server, "199:80")):
        with pytest.raises(BusError) as caught:
            change()
        assert caught.value.name == "org.vmsan.Error.InvalidArgument"
        assert "only root" in caught.value.message
    publish(world, server, f"199:{PORT}", caller=world.root)
    assert answers([], "tcp", LOOPBACK, 199)
    # What root has given can be kept, and given up.
    publish(world, server, f"199:{PORT}", f"8080:{PORT}")
    publish(world, server, f"8080:{PORT}")
    assert not answers([], "tcp", LOOPBACK, 199)


# ---- When the last goes ------------------------------------------------------------------------

def test_what_was_for_the_last_machine_is_forgotten_with_it(world, server):
    """The kernel translates again as soon as there is another machine."""
    publish(world, server, f"{HOST4}:8085:{PORT}/udp")
    client = start_client(OUTSIDE, "udp", HOST4, 8085, 0.5, n=1000)
    try:
        assert client.stdout.readline() != ""
        world.call(server, "Stop", force=True)
        other = world.create(network_policy="deny-all")
        try:
            with listener(socket.AF_INET, socket.SOCK_DGRAM, HOST4, 8085) as sock:
                sock.settimeout(10)
                assert sock.recv(64)
        finally:
            world.call(other, "Remove", force=True)
    finally:
        end(client)
        world.call(server, "Start")
        serve(world, server).stream.close()


def test_a_host_that_cannot_be_set_back_stops_machines_and_keeps_its_table(world, server):
    """It still forwards, and only the table keeps it from doing so for everybody."""
    settings = f"{RUNTIME}/uplink-settings"
    with open(settings, "r+") as file:
        before = file.read()
        file.write("\nno-setting")
    try:
        world.call(server, "Stop", force=True)
        assert world.state(server) == "stopped"
        assert "table inet vmsan" in host_state()[2]
    finally:
        with open(settings, "w") as file:
            file.write(before)
    world.call(server, "Start")
    world.call(server, "Stop", force=True)
    assert "table inet vmsan" not in host_state()[2]
    world.call(server, "Start")
    serve(world, server).stream.close()
