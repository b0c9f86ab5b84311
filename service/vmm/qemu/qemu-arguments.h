/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The command line of one QEMU: all that decides what machine the guest gets.
 *
 * It names no host path and holds no text of a caller: disks, sockets and the console are
 * descriptors, and the few strings of the spec are checked against what they may be. */

#pragma once

#include "vmm/vmm.h"

/* Where QEMU finds these in its root. */
#define VMSAN_QEMU_KERNEL_PATH    "/kernel"
#define VMSAN_QEMU_INITRAMFS_PATH "/initramfs"

/* Ports of one virtio-serial device are 0 to 30, and port 0 is kept for a console. */
#define VMSAN_QEMU_N_STREAMS 30

/* Bound of the cache of translated code, in MiB; QEMU would take up to 1 GiB. */
#define VMSAN_QEMU_TCG_CACHE_MIB 128

/* Numbers of the descriptors as QEMU inherits them. */
typedef struct
{
  int console; /* write end of a pipe */
  int image;
  int disk;
  int qmp; /* listening socket */
  int streams[VMSAN_QEMU_N_STREAMS];
} VmsanQemuFds;

/* Builds the arguments, without the program's name. INVALID_ARGUMENT for a spec that no caller
 * should have let through. (transfer full) */
GStrv vmsan_qemu_arguments_build (const VmsanVmmSpec *spec,
                                  const VmsanQemuFds *fds,
                                  gboolean use_kvm,
                                  GError **error);
