# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of the tests with real guests as TAP, for meson."""

import os
import sys

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../bus")]
from tap import TapReporter, add_options  # noqa: E402

pytest_addoption = add_options


def pytest_configure(config):
    if config.getoption("--tap"):
        config.pluginmanager.register(TapReporter(), "vmsan-tap")
