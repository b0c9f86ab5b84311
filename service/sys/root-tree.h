/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The file system that a confined child will see, built before the child is there.
 *
 * The root is a tmpfs and each bind a clone of a mount; all are detached (see fsmount(2) and
 * open_tree(2)), so nothing of it ever shows in this process's own mount namespace, and nothing
 * has to be undone: closing the descriptors removes it. The child only attaches them. */

#pragma once

#include "sys/process.h"
#include "sys/process-child.h"

#include <gio/gio.h>

typedef struct
{
  int root_fd;
  VmsanChildMount *mounts; /* targets are borrowed from the binds */
  guint n_mounts;
} VmsanRootTree;

/* Each bind is private, nosuid, and nodev and read-only unless it says otherwise; mounts below its
 * source are left out. The root itself is read-only and noexec. A target inside an earlier bind
 * must exist there already, unless that is a new tmpfs: nothing is ever made on the host. */
gboolean vmsan_root_tree_build (
    const VmsanBind *binds, guint n_binds, gboolean with_proc, VmsanRootTree *tree, GError **error);

void vmsan_root_tree_clear (VmsanRootTree *tree);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VmsanRootTree, vmsan_root_tree_clear)
