/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An empty ext4 file system for each size of disk, made once by mke2fs. */

#pragma once

#include "storage/managed-path.h"

/* Opens the template of @size_mib, making it when it is missing. The ones that were not used for
 * longest are deleted. Returns a descriptor or -1. Blocks. Any thread. */
int vmsan_disk_template_open (VmsanManagedRoot *root,
                              guint size_mib,
                              GCancellable *cancellable,
                              GError **error);
