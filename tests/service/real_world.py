# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped vmsand with a real kernel and a small image, used by alice."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from agent_client import EXEC_FAILED, STARTED, STDIN_EOF, Session, Stream, fields
from caller import Caller, GLib, options, wait_until
from small_internet import NAME_SERVER4

STATE = os.environ["VMSAN_TEST_STATE_DIR"]
RUNTIME = os.environ["VMSAN_TEST_RUNTIME_DIR"]
PARENT = os.environ["VMSAN_TEST_CGROUP_PARENT"]
GUEST_PROBE = os.path.join(os.environ["VMSAN_TEST_BUILDDIR"], "tests/guest-probe/guest-probe")
POOL6 = "fd12:3456:789a::/64"
BOOT_DEADLINE_S = 150  # software emulation on a busy machine

# In the order in which a guest loads them; what a file system needs comes before it.
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover",
           "virtio_net", "virtio_console", "overlay", "virtio-rng", "zstd_compress", "lz4_compress",
           "squashfs", "crc32c_generic", "libcrc32c", "erofs"]
APPLETS = ["sh", "cat", "echo", "uname", "true", "false", "sleep", "ls", "id", "ps", "kill", "head", "nslookup",
           "tail", "grep", "dd", "sync", "mkdir", "rm", "wc", "printf", "test", "date", "hostname",
           "yes", "nc", "ip", "ping", "tftp", "timeout", "httpd", "stty", "env", "pwd", "stat", "touch", "df", "mount", "free", "seq", "md5sum"]


class HandedSession(Session):
    """A session whose request the service has sent already."""

    def __init__(self, stream):
        super().__init__(stream)
        type_, payload = stream.read_frame()
        assert type_ != EXEC_FAILED, fields(payload)
        assert type_ == STARTED, type_

    def send_stdin(self, data):
        """All the input there is."""
        self.write(data)
        self.stream.send_frame(STDIN_EOF)


class RealWorld:
    def __init__(self, prefix=()):
        """prefix: a program that becomes the service, with its arguments."""
        self.prefix = list(prefix)
        self.directory = tempfile.mkdtemp(prefix="vmsan-service-", dir="/run")
        self.config = os.path.join(self.directory, "vmsand.conf")
        self.log = open(os.path.join(os.environ["VMSAN_TEST_LOGS"], "vmsand.log"), "ab")
        self.root = Caller(0, "root")
        self.alice = Caller(4001, "alice")
        self.process = None

    # ---- The service -----------------------------------------------------------------------

    def start(self, more="", resolver=NAME_SERVER4):
        with open(os.environ["VMSAN_TEST_CONFIG"]) as file:
            config = file.read()
        with open(self.config, "w") as file:
            file.write(f"{config}\n[Defaults]\nStartDeadlineMs=120000\nMemoryMiB=128\n"
                       f"[Network]\nIPv6Pool={POOL6}\nResolver={resolver}\n{more}")
        self.process = subprocess.Popen([*self.prefix, os.environ["VMSAN_TEST_DAEMON"], "--config",
                                         self.config],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        subprocess.run(["gdbus", "wait", "--system", "--timeout", "60", "org.vmsan"], check=True)

    def end(self, signal_number):
        self.assert_threads_at_home()
        self.process.send_signal(signal_number)
        status = self.process.wait(60)
        assert status == (0 if signal_number == signal.SIGTERM else -signal_number), status
        self.process = None

    def assert_threads_at_home(self):
        """A thread of the service that is left in a machine's network does others' work there. Those
        that prepare networks are inside one for some moments."""
        home = os.readlink(f"/proc/{self.process.pid}/ns/net")

        def is_at_home(place):
            try:
                return os.readlink(place) == home
            except FileNotFoundError:
                return True  # it has ended meanwhile

        away = glob.glob(f"/proc/{self.process.pid}/task/*/ns/net")

        def are_at_home():
            away[:] = [place for place in away if not is_at_home(place)]
            return not away

        wait_until(are_at_home, 10, f"the end of threads in other networks: {away}")

    def close(self):
        if self.process is not None:
            self.end(signal.SIGTERM)
        self.root.close()
        self.alice.close()
        self.log.close()

    def copy_firecracker(self):
        """The stand-ins for Firecracker and its jailer, where self.firecracker_config has them."""
        build = os.environ["VMSAN_BUILDDIR"]
        directory = os.path.join(self.directory, "firecracker")
        os.mkdir(directory)
        for name in ("firecracker", "jailer"):
            shutil.copy(f"{build}/tests/vmm/fake-{name}/fake-{name}", f"{directory}/{name}")
        self.firecracker_config = f"[Firecracker]\nDirectories={directory}\nKVMDevice=\n"
        return directory

    # ---- Kernels and images ----------------------------------------------------------------

    def add_kernel(self):
        kernel = sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"))[-1]
        version = kernel[len("/boot/vmlinuz-"):]
        found = {}
        for parent, _, names in os.walk(f"/lib/modules/{version}"):
            for name in names:
                found[name] = os.path.join(parent, name)
        listed, blob = [], os.path.join(self.directory, "modules")
        with open(blob, "wb") as file:
            for name in MODULES:
                path = found.get(name + ".ko")
                if path is not None:
                    with open(path, "rb") as module:
                        data = module.read()
                    file.write(data)
                    listed.append((name, len(data)))
        with open(kernel, "rb") as kernel_file, open(blob, "rb") as modules_file:
            values = {"modules": GLib.Variant("h", 1), "version": GLib.Variant("s", version),
                      "module-list": GLib.Variant("a(st)", listed)}
            self.root.manager("AddKernel", GLib.Variant("(ha{sv})", (0, values)),
                              fds=[kernel_file.fileno(), modules_file.fileno()])

    def busybox_tree(self, name="busybox", applets=APPLETS):
        tree = os.path.join(self.directory, name)
        os.makedirs(f"{tree}/bin")
        shutil.copy("/bin/busybox", f"{tree}/bin/busybox")
        shutil.copy(GUEST_PROBE, f"{tree}/bin/guest-probe")
        for applet in applets:
            os.symlink("busybox", f"{tree}/bin/{applet}")
        return tree

    def add_image(self, path, name, caller=None):
        with open(path, "rb") as file:
            return (caller or self.root).manager(
                "AddImage", GLib.Variant("(ha{sv})", (0, options(name=name))),
                fds=[file.fileno()])[0]

    def add_busybox(self):
        self.add_tree(self.busybox_tree(), "busybox")

    def add_tree(self, tree, name):
        image = f"{tree}.ext4"
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, "16M"], check=True,
                       stdout=subprocess.DEVNULL)
        self.add_image(image, name)

    # ---- Machines --------------------------------------------------------------------------

    def create(self, caller=None, **values):
        values = {"image": "busybox", "memory_mib": 128, "disk_mib": 64, **values}
        return (caller or self.alice).manager("CreateVM",
                                              GLib.Variant("(a{sv})", (options(**values),)),
                                              deadline_s=BOOT_DEADLINE_S)[0]

    def call(self, path, method, caller=None, **values):
        return (caller or self.alice).call(path, "org.vmsan.VM", method,
                                           GLib.Variant("(a{sv})", (options(**values),)),
                                           deadline_s=BOOT_DEADLINE_S)

    def state(self, path):
        return self.alice.get(path, "org.vmsan.VM", "State")

    def details(self, path, caller=None):
        return (caller or self.alice).call(path, "org.vmsan.VM", "GetDetails")[0]

    def run(self, path, *argv, caller=None, **values):
        return (caller or self.alice).call(
            path, "org.vmsan.VM", "Run", GLib.Variant("(asa{sv})", (argv, options(**values))))

    def start_exec(self, path, *argv, caller=None, **values):
        """An exec session: the stream that the service hands over."""
        caller = caller or self.alice
        pending = caller.start(path, "org.vmsan.VM", "Exec",
                               GLib.Variant("(asa{sv})", (argv, options(**values))))
        pending.result()
        return HandedSession(Stream(socket.socket(fileno=pending.fds[0]), timeout=60))

    def remove_all(self):
        for path in self.root.manager("ListVMs", GLib.Variant("(a{sv})", ({},)))[0]:
            self.call(path, "Remove", caller=self.root, force=True)

    def assert_nothing_left(self):
        assert [n for n in os.listdir(RUNTIME)] == []
        assert os.listdir(f"{STATE}/vms") == []
        for top in glob.glob("/sys/fs/cgroup/*") + ["/sys/fs/cgroup"]:
            assert glob.glob(f"{top}{PARENT}/*/") == []
