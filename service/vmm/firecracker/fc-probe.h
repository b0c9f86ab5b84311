/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether Firecracker and its jailer are here, in one version that is known, and KVM works. */

#pragma once

#include "vmm/firecracker/fc-version.h"
#include "vmm/vmm.h"

typedef struct _VmsanFcProbe VmsanFcProbe;

/* @directories: where to look, in this order; both programs must be in the same. @kvm_device: "" to
 * take it for granted that KVM works. */
VmsanFcProbe *vmsan_fc_probe_new (const char *const *directories, const char *kvm_device);
void vmsan_fc_probe_free (VmsanFcProbe *self);

/* Looks again only when something has changed. @directory: (out) (transfer full), where they are,
 * NULL when they are not. Blocks: worker thread. Any thread. */
VmsanVmmProbe *vmsan_fc_probe_run (VmsanFcProbe *self, char **directory);

/* The version in what a program prints for --version: its first line is "NAME vVERSION". */
gboolean vmsan_fc_probe_parse_version (
    const char *output, const char *name, VmsanFcVersion *version, char **text, GError **error);
