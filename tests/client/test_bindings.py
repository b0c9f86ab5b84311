# SPDX-License-Identifier: GPL-2.0-or-later
"""libvmsan from Python, through its introspection data: blocking and asynchronous use, properties,
signals and errors, as any language binding sees them."""

import os
import subprocess

import pytest

SCRIPT = os.path.join(os.path.dirname(__file__), "bindings_script.py")


@pytest.mark.parametrize("what", ["life", "exec", "asynchronous", "doctor", "errors", "hooks",
                                  "restart"])
def test_bindings(world, what):
    build = os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "lib")
    environment = dict(os.environ, GI_TYPELIB_PATH=build, LD_LIBRARY_PATH=build, LC_ALL="C.UTF-8",
                       G_DEBUG="fatal-criticals")
    process = subprocess.Popen(["/usr/bin/python3", "-B", SCRIPT, what], env=environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    if what == "restart":
        assert process.stdout.readline() == "ready\n"
        world.stop_service()
        world.start_service()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
