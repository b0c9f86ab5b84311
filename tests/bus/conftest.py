# SPDX-License-Identifier: GPL-2.0-or-later
"""The world of the bus tests: callers of any user, and results as TAP.

Runs inside tests/with-system-bus as root. A caller is a connection that the bus takes for one of
that user's: it authenticates by the effective uid that the socket had when it connected.
"""

import os
import pwd
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from caller import Caller, Person  # noqa: E402
from tap import add_options, configure  # noqa: E402


pytest_addoption = add_options
pytest_configure = configure


@pytest.fixture(scope="session")
def users():
    """One caller for each user of with-system-bus, by name."""
    names = ["root", "alice", "bob", "carol", "dave", "erin", "frank"]
    callers = {name: Caller(pwd.getpwnam(name).pw_uid, name) for name in names}
    yield callers
    for caller in callers.values():
        caller.close()


@pytest.fixture
def connect():
    """Makes callers that are closed after the test: connect("alice")."""
    made = []

    def make(name):
        made.append(Caller(pwd.getpwnam(name).pw_uid, name))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


@pytest.fixture
def person():
    """Starts processes of a user that are ended after the test: person("frank")."""
    made = []

    def make(name):
        made.append(Person(name))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def world_of_module(users):
    from world import World

    world = World(users)
    yield world
    world.close()


@pytest.fixture
def world(world_of_module):
    """The base with nothing beside it, before and after each test."""
    yield world_of_module
    assert world_of_module.clean(), "the base was changed"
