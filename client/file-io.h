/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What several files do with descriptors. */

#pragma once

#include <gio/gio.h>

/* Sets @error to what could not be done, with why by errno behind it; returns FALSE. */
gboolean file_io_fail (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Writes all of @data. FALSE: see errno. */
gboolean file_io_write (int fd, const void *data, gsize size);

/* Reads until @size bytes or the end; returns how many, or -1: see errno. */
gssize file_io_read (int fd, void *buffer, gsize size);
