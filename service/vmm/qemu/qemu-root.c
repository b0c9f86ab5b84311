/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing of /etc but the linker's cache, nothing of /home, /run, /tmp, /sys or /proc. */

#include "vmm/qemu/qemu-root.h"

/* Distributions differ; what is not there is left out. The firmware of the microvm machine type is
 * in one of the last three. */
static const char *const directories[] = {
  "/lib",
  "/lib64",
  "/usr/lib",
  "/usr/lib64",
  "/usr/share/qemu",
  "/usr/share/seabios",
  "/usr/share/qboot",
};

static void
add (VmsanQemuRoot *self, VmsanBind bind)
{
  g_return_if_fail (self->n_binds < VMSAN_QEMU_N_BINDS_MAX);
  self->binds[self->n_binds++] = bind;
}

void
vmsan_qemu_root_init (VmsanQemuRoot *self, const char *program)
{
  self->n_binds = 0;
  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    add (self, (VmsanBind){ .source = directories[i],
                            .source_fd = -1,
                            .target = directories[i],
                            .optional = TRUE });
  add (self, (VmsanBind){ .source = program, .source_fd = -1, .target = program });
  add (self, (VmsanBind){ .source = "/etc/ld.so.cache",
                          .source_fd = -1,
                          .target = "/etc/ld.so.cache",
                          .optional = TRUE });
  vmsan_qemu_root_add_device (self, "/dev/null");
  vmsan_qemu_root_add_device (self, "/dev/urandom");
}

void
vmsan_qemu_root_add_file (VmsanQemuRoot *self, int source_fd, const char *target)
{
  add (self, (VmsanBind){ .source_fd = source_fd, .target = target });
}

/* Writable means the node's name; whether the device may be written is up to its mode. */
void
vmsan_qemu_root_add_device (VmsanQemuRoot *self, const char *device)
{
  add (self, (VmsanBind){ .source = device, .source_fd = -1, .target = device, .device = TRUE });
}
