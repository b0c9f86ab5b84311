/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The command line of one QEMU: all that decides what machine the guest gets.
 *
 * It names no host path and holds no text of a caller: disks, sockets and the console are
 * descriptors, and the few strings of the spec are checked against what they may be. */

#pragma once

#include "vmm/vmm.h"

#include <json-glib/json-glib.h>

/* Where QEMU finds these in its root. */
#define VMSAN_QEMU_KERNEL_PATH    "/kernel"
#define VMSAN_QEMU_INITRAMFS_PATH "/initramfs"

/* Ports of one virtio-serial device are 0 to 30, and port 0 is kept for a console. */
#define VMSAN_QEMU_N_STREAMS 30

/* The id of a port's device is this and the stream's number. */
#define VMSAN_QEMU_PORT_ID "port"

/* Bound of the cache of translated code, in MiB; QEMU would take up to 1 GiB. */
#define VMSAN_QEMU_TCG_CACHE_MIB 128

/* Numbers of the descriptors as QEMU inherits them. */
typedef struct
{
  int console; /* write end of a pipe */
  int image;
  int disk;
  int tap; /* only for a spec with one */
  int qmp; /* listening socket */
  int streams[VMSAN_QEMU_N_STREAMS];
} VmsanQemuFds;

/* Builds the arguments, without the program's name. @tsc_khz: the host's, for software emulation; 0
 * for KVM. INVALID_ARGUMENT for a spec that no caller should have let through. (transfer full) */
GStrv vmsan_qemu_arguments_build (const VmsanVmmSpec *spec,
                                  const VmsanQemuFds *fds,
                                  guint tsc_khz,
                                  GError **error);

/* What QMP's device_add needs to give stream @stream its port; only stream 0 has one from the
 * beginning. (transfer full) */
JsonObject *vmsan_qemu_arguments_for_port (guint stream);
