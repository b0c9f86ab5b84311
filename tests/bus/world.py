# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines, images and kernels for tests: a base that stays, and scratch objects that do not.

The base: image "busybox", kernel "host" with its modules, alice's machine "hers", which runs, and
her machine "idle", which does not.
"""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile
import uuid

from gi.repository import GLib

from caller import MANAGER, VM, options

MODULES = ["virtio_mmio", "virtio_blk", "virtio_net", "virtio_console", "overlay", "squashfs", "ext4"]
NOTHING = GLib.Variant("(a{sv})", ({},))


def host_kernel():
    """The newest kernel in /boot: (path, version)."""
    def key(path):
        return [int(n) for n in re.findall(r"\d+", path)]

    path = sorted(glob.glob("/boot/vmlinuz-*"), key=key)[-1]
    return path, os.path.basename(path)[len("vmlinuz-"):]


def host_modules(version):
    """[(name, path)] of MODULES and what they need, in load order."""
    found = {}
    for module in MODULES:
        lines = subprocess.run(["modprobe", "--show-depends", "-S", version, module],
                               capture_output=True, text=True, check=True).stdout.split("\n")
        for line in lines:
            if line.startswith("insmod "):
                path = line.split()[1]
                found[os.path.basename(path)[:-len(".ko")]] = path
    return list(found.items())


def make_squashfs(folder):
    """An open file with the folder's content."""
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "image")
        subprocess.run(["mksquashfs", folder, path, "-quiet", "-no-progress", "-all-root"],
                       check=True, stdout=subprocess.DEVNULL)
        return open(path, "rb")


def make_busybox(folder):
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root"]:
        os.mkdir(os.path.join(folder, name))
    busybox = os.path.join(folder, "bin/busybox")
    shutil.copy(shutil.which("busybox"), busybox)
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout.split():
        if name != "busybox":
            os.symlink("busybox", os.path.join(folder, "bin", name))
    with open(os.path.join(folder, "etc/passwd"), "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\n")


class World:
    def __init__(self, users):
        self.root, self.alice = users["root"], users["alice"]
        self.scratch = []
        self.image = self.add_busybox()
        self.kernel = self.add_host_kernel()
        self.idle_vm = self.make_vm(self.alice, name="idle", start=False)
        self.vm = self.make_vm(self.alice, name="hers", project="secret-project",
                               labels=GLib.Variant("a{ss}", {"purpose": "secret-label"}))
        # Programs run as the machine's own uid: with the driver without machines its agent is a
        # process of the host, with no right to become another.
        self.run_as = str(self.root.call(self.vm, VM, "GetDetails")[0]["uid"])
        self.base = self.everything()

    # ---- base

    def add_busybox(self):
        with tempfile.TemporaryDirectory() as folder:
            make_busybox(folder)
            with make_squashfs(folder) as file:
                return self.root.manager("AddImage", GLib.Variant(
                    "(ha{sv})", (0, options(name="busybox"))), fds=[file.fileno()])[0]

    def add_host_kernel(self):
        kernel, version = host_kernel()
        modules = host_modules(version)
        with open(kernel, "rb") as file, tempfile.TemporaryFile() as all_modules:
            for _, path in modules:
                with open(path, "rb") as module:
                    shutil.copyfileobj(module, all_modules)
            all_modules.flush()
            sizes = [(name, os.path.getsize(path)) for name, path in modules]
            return self.root.manager("AddKernel", GLib.Variant("(ha{sv})", (0, options(
                name="host", version=version, modules=GLib.Variant("h", 1),
                module_list=GLib.Variant("a(st)", sizes)))),
                fds=[file.fileno(), all_modules.fileno()])[0]

    def make_vm(self, caller, **values):
        values = {"image": "busybox", "kernel": "host", **values}
        return caller.manager("CreateVM", GLib.Variant("(a{sv})", (options(**values),)))[0]

    def path_of(self, interface):
        return {"org.vmsan.VM": self.vm, "org.vmsan.Image": self.image,
                "org.vmsan.Kernel": self.kernel, "org.vmsan.Manager": MANAGER[0]}[interface]

    # ---- scratch

    def create(self, caller, **values):
        path = self.make_vm(caller, **{"start": False, "disk_mib": 32, **values})
        self.scratch.append(path)
        return path

    @contextlib.contextmanager
    def new_image(self):
        """An image that is not there yet. Whatever is made of it is scratch."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "unique"), "w") as file:
                file.write(str(uuid.uuid4()))
            with make_squashfs(folder) as file:
                yield file

    @contextlib.contextmanager
    def new_kernel(self):
        """A kernel that is not there yet: what follows its last section does not matter."""
        with tempfile.TemporaryFile() as file:
            with open(host_kernel()[0], "rb") as kernel:
                shutil.copyfileobj(kernel, file)
            file.write(uuid.uuid4().bytes)
            file.flush()
            yield file

    def add_image(self):
        with self.new_image() as file:
            path = self.root.manager("AddImage", GLib.Variant("(ha{sv})", (0, {})),
                                     fds=[file.fileno()])[0]
        self.scratch.append(path)
        return path

    def add_kernel(self):
        with self.new_kernel() as file:
            path = self.root.manager("AddKernel", GLib.Variant("(ha{sv})", (0, {})),
                                     fds=[file.fileno()])[0]
        self.scratch.append(path)
        return path

    def run_args(self, *argv, **values):
        """The arguments of Run and Exec."""
        return GLib.Variant("(asa{sv})", (argv, options(user=self.run_as, **values)))

    # ---- checks

    def everything(self):
        """The paths of all machines, images and kernels, and the machines' states."""
        vms = self.root.manager("ListVMs", NOTHING)[0]
        paths = {path: vm["State"] for path, vm in vms.items()}
        for method in ("ListImages", "ListKernels"):
            paths.update({path: "" for path in self.root.manager(method)[0]})
        return paths

    def is_there(self, path):
        return path in self.everything()

    def is_unchanged(self):
        """Nothing is there but the base and the scratch objects that were asked for."""
        now = self.everything()
        return (set(now) == set(self.base) | set(self.scratch)
                and all(now[path] == state for path, state in self.base.items()))

    def clean(self):
        """Removes all that is not of the base; FALSE when the base is not as it was."""
        for path in set(self.everything()) - set(self.base):
            if "/vms/" in path:
                self.root.call(path, VM, "Remove",
                               GLib.Variant("(a{sv})", (options(force=True),)))
        for path in set(self.everything()) - set(self.base):
            kind = "Image" if "/images/" in path else "Kernel"
            self.root.call(path, "org.vmsan." + kind, "Remove")
        self.scratch = []
        return self.everything() == self.base

    def close(self):
        for path in (self.vm, self.idle_vm):
            self.root.call(path, VM, "Remove", GLib.Variant("(a{sv})", (options(force=True),)))
