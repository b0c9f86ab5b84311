/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The driver "qemu": QEMU's machine type microvm, with KVM where it works and software emulation
 * elsewhere. */

#pragma once

#include "vmm/vmm.h"

#define VMSAN_TYPE_QEMU_DRIVER (vmsan_qemu_driver_get_type ())
G_DECLARE_FINAL_TYPE (VmsanQemuDriver, vmsan_qemu_driver, VMSAN, QEMU_DRIVER, VmsanVmm)

/* @binary: name of a program in /usr/bin, or an absolute path. @libexec_directory: where
 * vmsan-supervisor is. (transfer full) */
VmsanVmm *vmsan_qemu_driver_new (const char *binary, const char *libexec_directory);
