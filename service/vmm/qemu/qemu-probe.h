/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether QEMU can run machines here, and how fast. */

#pragma once

#include "vmm/vmm.h"

typedef struct _VmsanQemuProbe VmsanQemuProbe;

/* @program: path of qemu-system-x86_64; @kvm_device: "/dev/kvm". (transfer full) */
VmsanQemuProbe *vmsan_qemu_probe_new (const char *program, const char *kvm_device);

/* What is known, finding it out first when the program or the device has changed since the last
 * time. Runs the program, and a guest with KVM. Blocks: worker thread; any may call it.
 * (transfer full) */
VmsanVmmProbe *vmsan_qemu_probe_run (VmsanQemuProbe *self);

/* The version in what "--version" prints, or NULL. (transfer full) */
char *vmsan_qemu_probe_parse_version (const char *output);

void vmsan_qemu_probe_free (VmsanQemuProbe *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanQemuProbe, vmsan_qemu_probe_free)
