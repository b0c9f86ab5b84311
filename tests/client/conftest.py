# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line against a real service with the driver without machines: its agent is the real
one, serving on the host. Runs inside tests/with-system-bus as root."""

import json
import os
import pwd
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "bus"))
from tap import add_options, configure  # noqa: E402

pytest_addoption = add_options
pytest_configure = configure

DEADLINE_S = 60


class Client:
    """vmsan-client as a certain user, never with a terminal or our standard input."""

    def __init__(self, user):
        entry = pwd.getpwnam(user)
        self.user = user
        self.become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}",
                       "--init-groups"] if user != "root" else []
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC")

    def start(self, *arguments, **settings):
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                    "stderr": subprocess.PIPE, **settings}
        return subprocess.Popen([*self.become, "vmsan-client", *arguments], env=self.environment,
                                **settings)

    def run(self, *arguments, input=None, code=0):
        """Standard output and standard error as text; the exit code must be as said."""
        settings = {"stdin": subprocess.PIPE} if input is not None else {}
        with self.start(*arguments, **settings) as process:
            out, err = process.communicate(input, timeout=DEADLINE_S)
        text = out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape")
        assert process.returncode == code, f"{arguments} exited with {process.returncode}: {text}"
        return text

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "--json")[0])


class World:
    """The service, an image and a kernel."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="vmsan-client-", dir="/run")
        os.chmod(self.directory, 0o755)
        self.orders = os.path.join(self.directory, "orders")
        self.order(agent="/run/vmsan-test/libexec/vmsan-agent")
        self.log = open(os.path.join(os.environ["VMSAN_TEST_LOGS"], "vmsand.log"), "ab")
        self.start_service()
        self.root = Client("root")
        self.alice = Client("alice")
        self.image = self.make_image()
        self.root.run("image", "add", self.image, "--name", "plain")
        self.root.run("kernel", "add", "--from-host", "--name", "host")

    def order(self, **values):
        with open(self.orders + ".new", "w") as file:
            file.write("[null]\n" + "".join(f"{k.replace('_', '-')}={v}\n"
                                            for k, v in values.items()))
        os.rename(self.orders + ".new", self.orders)

    def start_service(self):
        self.service = subprocess.Popen(
            [os.environ["VMSAN_TEST_DAEMON"]], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=dict(os.environ, VMSAN_NULL_ORDERS=self.orders))
        subprocess.run(["gdbus", "wait", "--system", "--timeout", "30", "org.vmsan"], check=True)

    def stop_service(self):
        self.service.terminate()
        assert self.service.wait(timeout=DEADLINE_S) == 0

    def make_image(self):
        path = os.path.join(self.directory, "image")
        with open(path, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", path], check=True)
        return path

    def close(self):
        for vm in self.root.json("list"):
            self.root.run("remove", "--force", vm["id"])
        self.stop_service()
        self.log.close()


@pytest.fixture(scope="session")
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def root(world):
    return world.root


@pytest.fixture
def alice(world):
    return world.alice


@pytest.fixture
def vm(world):
    """A running machine of alice's: its id, and exec arguments for its uid, which is all that its
    agent can be here."""
    vm_id = world.alice.run("create", "plain")[0].strip()
    uid = world.alice.json("show", vm_id)[0]["details"]["uid"]
    yield vm_id, ["exec", "-u", str(uid), vm_id]
    world.root.run("remove", "--force", vm_id)
