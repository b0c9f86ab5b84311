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


def pytest_addoption(parser):
    parser.addoption("--tap", action="store_true", help="print results as TAP, for meson")


def pytest_configure(config):
    if "VMSAN_TEST_DAEMON" not in os.environ:
        raise pytest.UsageError("run this inside tests/with-system-bus")
    if config.getoption("--tap"):
        config.pluginmanager.register(TapReporter(), "vmsan-tap")


class TapReporter:
    """One TAP line for each test, with the failure as comment, as soon as it is known."""

    def __init__(self):
        self.number = 0
        self.reports = []

    def pytest_collectreport(self, report):
        if report.failed:
            print(f"Bail out! {report.nodeid}\n# " + report.longreprtext.replace("\n", "\n# "))

    def pytest_collection_finish(self, session):
        print(f"1..{len(session.items)}", flush=True)

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)
        if report.when != "teardown":
            return
        reports, self.reports = self.reports, []
        self.number += 1
        failed = [r for r in reports if r.failed]
        skipped = [r for r in reports if r.skipped]
        name = report.nodeid.split("::", 1)[-1].replace("#", "")
        line = f"{'not ok' if failed else 'ok'} {self.number} {name}"
        if skipped and not failed:
            line += f" # SKIP {skipped[0].longrepr[-1]}"
        print(line)
        for bad in failed:
            text = bad.longreprtext + "".join(f"\n{t}\n{c}" for t, c in bad.sections)
            print("# " + text.replace("\n", "\n# "))
        sys.stdout.flush()


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
