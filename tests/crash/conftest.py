# SPDX-License-Identifier: GPL-2.0-or-later
"""One service for all tests of a file; each test must leave the machine as it was."""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bus"))
sys.path.insert(0, os.path.dirname(__file__))
from caller import Caller  # noqa: E402
from tap import add_options, configure  # noqa: E402
from world import World  # noqa: E402

pytest_addoption = add_options
pytest_configure = configure


def add_uplink():
    """A way to the world, of which the service changes settings; it leads nowhere."""
    for arguments in ("link add wan0 type veth peer name wan1",
                      "link set wan0 addrgenmode none", "link set wan1 addrgenmode none",
                      "addr add 203.0.113.1/24 dev wan0", "link set wan0 up", "link set wan1 up",
                      "-6 addr add 2001:db8::1/64 dev wan0 nodad",
                      "route add default via 203.0.113.2", "-6 route add default via 2001:db8::2"):
        subprocess.run(["ip", *arguments.split()], check=True)


@pytest.fixture(scope="session")
def shared_world():
    add_uplink()
    world = World()
    world.start()
    world.add_content()
    # The first disk makes the template of its size.
    world.vm(world.create(), "Remove", force=True)
    yield world
    world.close()


@pytest.fixture
def world(shared_world):
    if shared_world.process is None or shared_world.process.poll() is not None:
        shared_world.start()
    shared_world.order_null()
    before = shared_world.snapshot()
    yield shared_world
    if os.path.exists(shared_world.orders):
        os.unlink(shared_world.orders)
    if shared_world.process is None:
        shared_world.start()
    for path in shared_world.list_vms():
        shared_world.vm(path, "Remove", force=True)
    shared_world.assert_back_to(before)


@pytest.fixture
def listener(world):
    """Hears the hook signals of this test."""
    caller = Caller(0, "root")
    caller.listen()
    yield caller
    caller.close()
