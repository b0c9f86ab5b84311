/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Private disks: sparse ext4 file systems that are ready to mount.
 *
 * mke2fs runs once per size, confined and unprivileged; what it made is kept as a template, and a
 * disk is a copy of the template's few written extents (or a reflink). So a disk costs the same
 * whether it has 100 MiB or 1 TiB, and no process. */

#pragma once

#include "storage/managed-path.h"

/* Makes the disk NAME, relative to @root, of @size_mib. Templates are kept in "templates" (the 16
 * used last). Fails before writing when the file system has too little room for the disk's
 * metadata. On failure nothing is left. Blocks: worker thread. */
gboolean vmsan_disk_create (VmsanManagedRoot *root,
                            const char *name,
                            guint size_mib,
                            GCancellable *cancellable,
                            GError **error);
