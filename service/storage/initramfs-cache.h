/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Packed initramfs files, one in each kernel's directory, named after the agent's content:
 * "initramfs-SHA256". The agent is read again only when its inode, size or times changed. */

#pragma once

#include "storage/managed-path.h"

typedef struct _VmsanInitramfsCache VmsanInitramfsCache;

/* Holds a reference to @root. */
VmsanInitramfsCache *vmsan_initramfs_cache_new (VmsanManagedRoot *root);

/* Opens the initramfs of the kernel whose entry is @directory, packing it first when the agent
 * changed. Returns a descriptor or -1. One thread at a time. */
int vmsan_initramfs_cache_open (VmsanInitramfsCache *self,
                                const char *directory,
                                const char *agent_path,
                                GError **error);

void vmsan_initramfs_cache_free (VmsanInitramfsCache *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanInitramfsCache, vmsan_initramfs_cache_free)
