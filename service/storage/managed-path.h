/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A directory that vmsand owns, and the only way to make or delete anything in it.
 *
 * The root is opened once. Names below it are resolved with openat2(2) and RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV, so nothing that a record, guest or other process puts
 * there leads out of it. A name from a record is data: one that would leave the root is refused
 * with DAMAGED. */

#pragma once

#include <gio/gio.h>
#include <sys/stat.h>

typedef struct _VmsanManagedRoot VmsanManagedRoot;

/* Opens @path, an absolute path without links from configuration, making the last component with
 * @mode when missing. Refused when it, or a parent, can be written by anybody but root (or, in
 * tests, us); a parent may be sticky, as /tmp is. (transfer full) */
VmsanManagedRoot *vmsan_managed_root_open (const char *path, mode_t mode, GError **error);

const char *vmsan_managed_root_get_path (VmsanManagedRoot *self); /* for messages and sockets */
int vmsan_managed_root_get_fd (VmsanManagedRoot *self);           /* borrowed */

/* Opens @name ("vms/abc/disk") below the root; @flags as for open(2), close-on-exec always. Only
 * files and directories, unless O_PATH is asked for. Returns a descriptor or -1. */
int vmsan_managed_root_open_at (
    VmsanManagedRoot *self, const char *name, int flags, mode_t mode, GError **error);

/* Makes a directory with its parents; one that exists is fine. */
gboolean
vmsan_managed_root_make_dir (VmsanManagedRoot *self, const char *name, mode_t mode, GError **error);

/* Moves within the root and syncs the directories; replaces files, never directories (EXISTS). */
gboolean vmsan_managed_root_rename (VmsanManagedRoot *self,
                                    const char *from,
                                    const char *to,
                                    GError **error);

/* Deletes a file or a whole tree, never following a link nor crossing a mount. One that is not
 * there is fine. Blocks: worker thread for trees. */
gboolean vmsan_managed_root_delete (VmsanManagedRoot *self, const char *name, GError **error);

/* Names in a directory, or in the root itself (NULL), sorted, without . and .. ; more than @max is
 * LIMIT_EXCEEDED. They are as on disk: not always UTF-8. */
GStrv vmsan_managed_root_list (VmsanManagedRoot *self, const char *name, gsize max, GError **error);

/* Refuses a file system that cannot hold what vmsan puts there: full (under @min_free_bytes or no
 * inodes), read-only; with @needs_exec noexec, with @needs_dev nodev. Names the mount point and
 * the option. */
gboolean vmsan_managed_root_check_mount (VmsanManagedRoot *self,
                                         guint64 min_free_bytes,
                                         gboolean needs_exec,
                                         gboolean needs_dev,
                                         GError **error);

VmsanManagedRoot *vmsan_managed_root_ref (VmsanManagedRoot *self);
void vmsan_managed_root_unref (VmsanManagedRoot *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanManagedRoot, vmsan_managed_root_unref)
