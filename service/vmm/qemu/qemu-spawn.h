/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Starting one QEMU in its confinement. */

#pragma once

#include "vmm/vmm.h"

/* In the runtime directory; for the first two see sys/console-log.h. */
#define VMSAN_QEMU_STATUS_FILE "status"
#define VMSAN_QEMU_QMP_SOCKET  "qmp.sock"

/**
 * VmsanQemuPrograms: paths on the host; borrowed
 * @kvm_device: NULL for software emulation
 */
typedef struct
{
  const char *qemu;
  const char *supervisor;
  const char *kvm_device;
} VmsanQemuPrograms;

/* Makes the sockets and files of the machine, and starts its supervisor with QEMU. Blocks for some
 * milliseconds: worker thread. On failure no process is left. (transfer full) */
VmsanProcess *
vmsan_qemu_spawn (const VmsanQemuPrograms *programs, const VmsanVmmSpec *spec, GError **error);
