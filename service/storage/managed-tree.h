/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How managed-path opens and deletes below a descriptor; all others go through managed-path. */

#pragma once

#include <glib.h>
#include <sys/types.h>

/* openat2(2) that stays beneath @dir_fd: no links, no mounts. Close-on-exec. -1 with errno. */
int vmsan_managed_tree_openat (int dir_fd, const char *name, int flags, mode_t mode);

/* Deletes @name, one component in @parent_fd, with all that is in it. What can be deleted is, even
 * if something else cannot; the first failure is reported. */
gboolean vmsan_managed_tree_delete (int parent_fd, const char *name, GError **error);

/* A name from disk, fit for a message: valid UTF-8, no control characters, not long. */
char *vmsan_managed_tree_printable (const char *name);
