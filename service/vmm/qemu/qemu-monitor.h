/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One QEMU with its machine. */

#pragma once

#include "vmm/vmm.h"

#define VMSAN_TYPE_QEMU_MONITOR (vmsan_qemu_monitor_get_type ())
G_DECLARE_FINAL_TYPE (VmsanQemuMonitor, vmsan_qemu_monitor, VMSAN, QEMU_MONITOR, VmsanMonitor)

/* For a QEMU that was just started. @acceleration: "kvm" or "emulation". (transfer full) */
VmsanMonitor *
vmsan_qemu_monitor_new (const char *runtime_dir, VmsanProcess *process, const char *acceleration);

/* For one of an earlier run of the service. Connects to it now rather than at the first verb, so
 * that it is heard why it ends. (transfer full) */
VmsanMonitor *
vmsan_qemu_monitor_adopt (const char *runtime_dir, VmsanProcess *process, const char *acceleration);
