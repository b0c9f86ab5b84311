# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of pytest as TAP, for meson: what every conftest.py of these tests uses."""

import os
import sys

import pytest


def add_options(parser):
    parser.addoption("--tap", action="store_true", help="print results as TAP, for meson")


def configure(config):
    if "VMSAN_TEST_DAEMON" not in os.environ:
        raise pytest.UsageError("run this inside tests/with-system-bus")
    # Without the terminal plugin nobody defines it, and assertions ask for it.
    if not hasattr(config.option, "verbose"):
        config.option.verbose = 0
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
