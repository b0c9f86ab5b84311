# SPDX-License-Identifier: GPL-2.0-or-later
"""Real machines through the real service, on a private bus with real polkit.

Runs inside tests/with-system-bus --no-daemon. One service and one machine serve most tests of the
file; a test that breaks its machine makes one of its own.
"""

import os
import sys

import pytest

here = os.path.dirname(__file__)
for directory in ("../bus", "../vm", "."):
    sys.path.insert(0, os.path.join(here, directory))
from real_world import RealWorld  # noqa: E402
from small_internet import SmallInternet  # noqa: E402
from tap import add_options, configure  # noqa: E402

pytest_addoption = add_options
pytest_configure = configure


@pytest.fixture(scope="session")
def world():
    world = RealWorld()
    world.start()
    world.add_kernel()
    world.add_busybox()
    yield world
    world.remove_all()
    world.close()
    world.assert_nothing_left()


@pytest.fixture(scope="session")
def internet(world):
    internet = SmallInternet()
    yield internet
    internet.close()


@pytest.fixture(scope="session")
def shared_vm(world):
    return world.create(name="shared")


@pytest.fixture
def vm(world, shared_vm):
    """A running machine of alice's; started again when the last test stopped it."""
    if world.state(shared_vm) == "stopped":
        world.call(shared_vm, "Start")
    assert world.state(shared_vm) == "running"
    return shared_vm
