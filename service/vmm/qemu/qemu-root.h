/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a QEMU process sees of the file system: its program, libraries and firmware, all read-only,
 * and the files of one machine. */

#pragma once

#include "sys/process.h"

#define VMSAN_QEMU_N_BINDS_MAX 16

typedef struct
{
  VmsanBind binds[VMSAN_QEMU_N_BINDS_MAX];
  guint n_binds;
} VmsanQemuRoot;

/* Fills @self with what every QEMU needs. @program is borrowed. */
void vmsan_qemu_root_init (VmsanQemuRoot *self, const char *program);

/* Adds a file of the machine; @target is borrowed. */
void vmsan_qemu_root_add_file (VmsanQemuRoot *self, int source_fd, const char *target);

/* Adds a device node; @device is borrowed. */
void vmsan_qemu_root_add_device (VmsanQemuRoot *self, const char *device);
