/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Firecracker in its jailer, and the jailer in a confinement of ours.
 *
 * The jailer makes its jail in a tmpfs, in mount, PID, IPC and UTS namespaces that are made for it:
 * nobody else sees the jail, a fresh one is made for each start, and it ends with the machine, so
 * that nothing of it can be left on the host, however the machine or the service ends. Kernel,
 * disks and initramfs are bound into it, whatever they weigh; the owner of none is changed but of
 * the private disk. Network namespace, control groups and resource limits are joined and set before
 * the jailer starts, with the same code as for other monitors, and limits are read back; so the
 * jailer is not asked for them.
 *
 * Its /run, where the sockets are, is a tmpfs of its own, small, so that what is made there fills
 * nothing of the host's; we reach it through the supervisor's root. It belongs to the machine's
 * user, who may put anything there: see fc-socket.h. */

#pragma once

#include "vmm/vmm.h"

/* Inside the jail. */
#define VMSAN_FC_KERNEL_PATH    "/kernel"
#define VMSAN_FC_INITRAMFS_PATH "/initramfs"
#define VMSAN_FC_IMAGE_PATH     "/image"
#define VMSAN_FC_DISK_PATH      "/disk"

/* Where it writes snapshots, and has the one that it goes on from. */
#define VMSAN_FC_SNAPSHOT_PATH "/snapshot/"
#define VMSAN_FC_RESTORE_PATH  "/restore/"

/* In /run of the jail. */
#define VMSAN_FC_API_SOCKET   "api.sock"
#define VMSAN_FC_VSOCK_SOCKET "vsock.sock"

/* In the runtime directory. */
#define VMSAN_FC_STATUS_FILE "firecracker.status"

/**
 * VmsanFcPrograms: paths on the host; borrowed
 */
typedef struct
{
  const char *firecracker;
  const char *jailer;
  const char *supervisor;
} VmsanFcPrograms;

/* The supervisor's arguments, the jailer's, and Firecracker's, whose filters of system calls are
 * its own, and strict, unless they are left out; pure. (transfer full) */
GStrv vmsan_fc_jail_arguments (const VmsanVmmSpec *spec);

/* Makes the jail and starts Firecracker in it, which then waits for requests; its socket is there
 * some milliseconds later. Blocks: worker thread. UNAVAILABLE when a program is missing. On failure
 * no process is left. (transfer full) */
VmsanProcess *
vmsan_fc_jail_spawn (const VmsanFcPrograms *programs, const VmsanVmmSpec *spec, GError **error);

/* /run of the jail of machine @id, whose supervisor is @process: from its start, when it is still
 * root's, until it ends. Never waits. Returns a descriptor; -1 on error. */
int vmsan_fc_jail_open_run (VmsanProcess *process, const char *id, GError **error);
