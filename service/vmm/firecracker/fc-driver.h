/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Firecracker, in its jailer. */

#pragma once

#include "vmm/vmm.h"

#define VMSAN_TYPE_FC_DRIVER (vmsan_fc_driver_get_type ())
G_DECLARE_FINAL_TYPE (VmsanFcDriver, vmsan_fc_driver, VMSAN, FC_DRIVER, VmsanVmm)

/* @directories: where Firecracker and its jailer are looked for, separated by ":". @kvm_device: ""
 * to take it for granted that KVM works. @libexec_directory: where vmsan-supervisor is. (transfer
 * full) */
VmsanVmm *vmsan_fc_driver_new (const char *directories,
                               const char *kvm_device,
                               const char *libexec_directory);
