# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of the tests with real guests as TAP, for meson."""

import os
import shutil
import sys

import pytest

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../bus")]
from tap import TapReporter, add_options  # noqa: E402

pytest_addoption = add_options


def pytest_configure(config):
    if config.getoption("--tap"):
        config.pluginmanager.register(TapReporter(), "vmsan-tap")


@pytest.fixture(scope="session", autouse=True)
def leave_nothing(tmp_path_factory):
    """Images are large, and pytest keeps those of the last three runs."""
    yield
    shutil.rmtree(tmp_path_factory.getbasetemp())
