/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Copies what a caller gave into a file of ours, hashing what is stored.
 *
 * The caller can change its file at any moment, so a hash of the source would say nothing. */

#pragma once

#include <gio/gio.h>
#include <nettle/sha2.h>

/* Copies @size bytes from @source_offset of a regular file to @target_offset of @target_fd and
 * feeds them to @hash (nullable). Holes stay holes and zeros become holes: the target must be new.
 * Whole files are reflinked where the file system can. The source's offset is not touched. A source
 * that ends early is FAILED. Blocks: worker thread. */
gboolean vmsan_content_copy (int source_fd,
                             guint64 source_offset,
                             guint64 size,
                             int target_fd,
                             guint64 target_offset,
                             struct sha256_ctx *hash,
                             GCancellable *cancellable,
                             GError **error);

/* Feeds the first @size bytes of a file to @hash. */
gboolean vmsan_content_hash (
    int fd, guint64 size, struct sha256_ctx *hash, GCancellable *cancellable, GError **error);

/* Ends the hash; in hexadecimal. (transfer full) */
char *vmsan_content_hash_end (struct sha256_ctx *hash);

/* Lets every uid read a stored file, whatever the umask: a monitor may open it by name with a uid
 * of its own. The directories above it are root's alone. */
gboolean vmsan_content_share (int fd, GError **error);
