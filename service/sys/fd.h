/* SPDX-License-Identifier: GPL-2.0-or-later */

/* File descriptors that close themselves, and whole reads and writes. */

#pragma once

#include <errno.h>
#include <glib.h>
#include <glib-unix.h>
#include <unistd.h>

/* g_autofd and g_clear_fd came with GLib 2.76; our floor is 2.74. */
static inline void
vmsan_fd_close (int *fd)
{
  /* Linux has released the number even when close() says EINTR: never try again. */
  int saved_errno = errno;

  if (*fd >= 0)
    close (*fd);
  *fd = -1;
  errno = saved_errno;
}

/* vmsan_autofd int fd = -1; closes at the end of the scope. Hand over with g_steal_fd (&fd). */
#define vmsan_autofd __attribute__ ((cleanup (vmsan_fd_close)))

/* Reads until @size bytes or end of file. Returns the bytes read, or -1 with @error set. */
gssize vmsan_fd_read_all (int fd, void *buffer, gsize size, GError **error);

/* Writes everything or fails. */
gboolean vmsan_fd_write_all (int fd, const void *buffer, gsize size, GError **error);

/* Reads a small file relative to @dir_fd, refusing links, anything but a regular file, and more
 * than @max_bytes. NUL-terminated; @out_size may be NULL. */
char *vmsan_fd_read_file_at (
    int dir_fd, const char *name, gsize max_bytes, gsize *out_size, GError **error);

/* Writes @name in @dir_fd so that a crash leaves the old or the new content, never a mixture:
 * temporary file, fsync, rename, fsync of the directory. */
gboolean vmsan_fd_write_file_at (
    int dir_fd, const char *name, const void *data, gsize size, mode_t mode, GError **error);
