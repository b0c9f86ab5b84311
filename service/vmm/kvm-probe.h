/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether KVM can run a guest here: found out by running one.
 *
 * A device node that opens proves little: nested and paravirtual hosts have one that stops before
 * a kernel is up. The throw-away guest is a few instructions; it runs in a child process, because
 * a broken KVM may never come back from the call. */

#pragma once

#include <glib.h>
#include <sys/types.h>

/**
 * VmsanKvmState:
 * @VMSAN_KVM_USABLE: the guest ran to its end
 * @VMSAN_KVM_ABSENT: no such device
 * @VMSAN_KVM_UNREADABLE: the service may not open it
 * @VMSAN_KVM_UNUSABLE: it is there and cannot run a kernel
 */
typedef enum
{
  VMSAN_KVM_USABLE,
  VMSAN_KVM_ABSENT,
  VMSAN_KVM_UNREADABLE,
  VMSAN_KVM_UNUSABLE,
} VmsanKvmState;

/* The guest of the probe, also for a test that runs it elsewhere: its code, where it is loaded and
 * entered in real mode, its page tables and where they are, the port to which it reports, and what
 * it has reported in the end. */
#define VMSAN_KVM_GUEST_CODE_ADDRESS   0x1000
#define VMSAN_KVM_GUEST_TABLES_ADDRESS 0x10000
#define VMSAN_KVM_GUEST_TABLES_SIZE    0x3000
#define VMSAN_KVM_GUEST_REPORT_PORT    0x10
#define VMSAN_KVM_GUEST_REPORT         "123456"
const void *vmsan_kvm_guest_get_code (gsize *size);
void vmsan_kvm_guest_fill_tables (void *tables);

/* @device: "/dev/kvm". @reason gets why not and what to do, or NULL when it is usable. Blocks for
 * milliseconds, at most about @deadline_ms: worker thread. */
VmsanKvmState vmsan_kvm_probe (const char *device, guint deadline_ms, char **reason);

/* The group whose members may use the device, 0 when everybody may. FALSE, with the reason, when
 * only root may: a process that holds a guest never is, and never joins root's group. */
gboolean vmsan_kvm_find_group (const char *device, gid_t *group, char **reason);
