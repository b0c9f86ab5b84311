/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no partial read or write goes unnoticed, and a replaced file is whole. */

#include "sys/fd.h"

#include "sys/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

gssize
vmsan_fd_read_all (int fd, void *buffer, gsize size, GError **error)
{
  gsize done = 0;

  while (done < size)
    {
      gssize n = read (fd, (char *) buffer + done, size - done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          vmsan_error_set_errno (error, errno, "Reading failed");
          return -1;
        }
      if (n == 0)
        break;
      done += n;
    }
  return done;
}

gboolean
vmsan_fd_write_all (int fd, const void *buffer, gsize size, GError **error)
{
  gsize done = 0;

  while (done < size)
    {
      gssize n = write (fd, (const char *) buffer + done, size - done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return vmsan_error_set_errno (error, errno, "Writing failed");
      done += n;
    }
  return TRUE;
}

char *
vmsan_fd_read_file_at (
    int dir_fd, const char *name, gsize max_bytes, gsize *out_size, GError **error)
{
  vmsan_autofd int fd = -1;
  g_autofree char *data = NULL;
  struct stat st;
  gssize size;

  /* O_NONBLOCK: a FIFO under this name must not make us wait for its writer. */
  fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat (fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening “%s” failed", name);
      return NULL;
    }
  if (!S_ISREG (st.st_mode))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "“%s” is not a regular file", name);
      return NULL;
    }
  if ((guint64) st.st_size > max_bytes)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "“%s” has %" G_GUINT64_FORMAT " bytes; at most %" G_GSIZE_FORMAT " are read",
                   name, (guint64) st.st_size, max_bytes);
      return NULL;
    }

  data = g_malloc (st.st_size + 1);
  size = vmsan_fd_read_all (fd, data, st.st_size, error);
  if (size < 0)
    {
      g_prefix_error (error, "“%s”: ", name);
      return NULL;
    }
  data[size] = '\0';
  if (out_size != NULL)
    *out_size = size;
  return g_steal_pointer (&data);
}

static gboolean
write_and_sync (
    int dir_fd, const char *name, const void *data, gsize size, mode_t mode, GError **error)
{
  vmsan_autofd int fd = -1;

  fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0)
    return vmsan_error_set_errno (error, errno, "Creating “%s” failed", name);
  if (!vmsan_fd_write_all (fd, data, size, error))
    {
      g_prefix_error (error, "“%s”: ", name);
      return FALSE;
    }
  if (fsync (fd) < 0)
    return vmsan_error_set_errno (error, errno, "Syncing “%s” failed", name);
  return TRUE;
}

gboolean
vmsan_fd_write_file_at (
    int dir_fd, const char *name, const void *data, gsize size, mode_t mode, GError **error)
{
  g_autofree char *temporary = g_strconcat (".", name, ".new", NULL);

  /* A crash may have left it; it is ours by its name. */
  if (unlinkat (dir_fd, temporary, 0) < 0 && errno != ENOENT)
    return vmsan_error_set_errno (error, errno, "Deleting left-over “%s” failed", temporary);

  if (!write_and_sync (dir_fd, temporary, data, size, mode, error))
    {
      unlinkat (dir_fd, temporary, 0);
      return FALSE;
    }
  if (renameat (dir_fd, temporary, dir_fd, name) < 0)
    {
      vmsan_error_set_errno (error, errno, "Renaming “%s” failed", temporary);
      unlinkat (dir_fd, temporary, 0);
      return FALSE;
    }
  if (fsync (dir_fd) < 0)
    return vmsan_error_set_errno (error, errno, "Syncing the directory of “%s” failed", name);
  return TRUE;
}
