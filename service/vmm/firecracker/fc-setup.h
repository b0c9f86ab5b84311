/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a machine is to Firecracker: the requests that make it, in their order. */

#pragma once

#include "vmm/firecracker/fc-request.h"
#include "vmm/vmm.h"

/* The guest's address on the vsock; each machine has a vsock of its own. */
#define VMSAN_FC_GUEST_CID 3

/* Of VmsanFcRequest, (transfer full); pure but for looking at the two disks. All of them come
 * before the action that starts the machine; one that goes on from a snapshot is there, paused,
 * after them. */
GPtrArray *
vmsan_fc_setup_build (const VmsanVmmSpec *spec, const VmsanFcVersion *version, GError **error);

/* By which the guest knows a disk: Firecracker makes it of the file's numbers. (transfer full) */
char *vmsan_fc_setup_get_serial (int fd, GError **error);
