/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest's initramfs: the agent as /init, mount points, /dev/console and /dev/null, and a
 * kernel's modules as /modules/NN-NAME.ko, NN being their place in the load order.
 *
 * The modules are packed when a kernel is added, as the end of an archive; its beginning, with the
 * agent, is put in front when a machine first boots that kernel with that agent. */

#pragma once

#include "storage/content-store.h"

#include <nettle/sha2.h>

#define VMSAN_MODULES_MAX       64
#define VMSAN_MODULES_BYTES_MAX (G_GUINT64_CONSTANT (64) << 20)

/* Refuses bad names, sizes and counts before anything is stored. */
gboolean
vmsan_initramfs_check_modules (const VmsanModule *modules, guint n_modules, GError **error);

/* Packs the modules that lie behind each other in @modules_fd into the new file @target_fd,
 * feeding name, size and content of each to @hash. */
gboolean vmsan_initramfs_pack_modules (int target_fd,
                                       int modules_fd,
                                       const VmsanModule *modules,
                                       guint n_modules,
                                       struct sha256_ctx *hash,
                                       GCancellable *cancellable,
                                       GError **error);

/* Packs @agent_fd and the packed modules into the new file @target_fd. */
gboolean vmsan_initramfs_pack (int target_fd, int agent_fd, int packed_modules_fd, GError **error);
