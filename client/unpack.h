/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The content of a file that may be compressed (gzip, xz, zstd and what else libarchive knows). */

#pragma once

#include <gio/gio.h>

/* Appends the uncompressed content of @path to @fd, at most @max_bytes. Sets *@size to how much
 * that is. */
gboolean unpack_file (const char *path, int fd, guint64 max_bytes, guint64 *size, GError **error);
