/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Writes the one archive format that Linux unpacks as an initramfs: cpio "newc"
 * (Documentation/driver-api/early-userspace/buffer-format.rst). */

#pragma once

#include <glib.h>
#include <sys/types.h>

/* Zero-initialize it but for @fd, a new file. */
typedef struct
{
  int fd;
  guint64 offset; /* where the next entry goes */
  guint n_entries;
} VmsanCpio;

/* Writes an entry's header. @content_offset (nullable) is where its @size bytes are to be written;
 * the next entry goes behind them. @device is for device nodes, from makedev(3). */
gboolean vmsan_cpio_add (VmsanCpio *self,
                         const char *name,
                         mode_t mode,
                         guint64 size,
                         dev_t device,
                         guint64 *content_offset,
                         GError **error);

/* Writes the trailer. */
gboolean vmsan_cpio_end (VmsanCpio *self, GError **error);
