/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A snapshot on disk: a directory with the machine's state, its memory, and what both are of.
 *
 * A monitor writes into a directory that belongs to its machine's user. What is there is sealed
 * before it counts: the files become root's and are synced, the description is written, and the
 * directory gets its name last, so that a snapshot is there whole or not at all. Nothing writes to
 * it afterwards: machines that go on from it map its memory. */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#define VMSAN_SNAPSHOT_STATE  "state"
#define VMSAN_SNAPSHOT_MEMORY "memory"

/**
 * VmsanSnapshotMeta: what a snapshot is of
 * @driver, @version: of the monitor that made it
 * @format: number of the format of the state file, 0 if not known
 * @kernel_id: of the kernel that runs in it
 * @protocol: version of the agent's protocol
 */
typedef struct
{
  char *driver;
  char *version;
  guint format;
  char *kernel_id;
  guint protocol;
  guint vcpus;
  guint memory_mib;
} VmsanSnapshotMeta;

void vmsan_snapshot_meta_clear (VmsanSnapshotMeta *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VmsanSnapshotMeta, vmsan_snapshot_meta_clear)

/* Makes the two files in @staging_fd, which belong to @uid, a snapshot with the name @name in
 * @parent_fd, which is on the same file system. @staging_name: of @staging_fd in @parent_fd; it is
 * gone afterwards. EXISTS. On failure the name is not there. Blocks: worker thread. */
gboolean vmsan_snapshot_seal (int parent_fd,
                              const char *staging_name,
                              const char *name,
                              uid_t uid,
                              const VmsanSnapshotMeta *meta,
                              GError **error);

/* Opens the two files of snapshot @name in @parent_fd, read-only, and reads what they are of.
 * DAMAGED when one is not as it was sealed. */
gboolean vmsan_snapshot_open (int parent_fd,
                              const char *name,
                              int *state_fd,
                              int *memory_fd,
                              VmsanSnapshotMeta *meta,
                              GError **error);
