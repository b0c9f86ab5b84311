/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: all of it, or an error; a signal is neither. */

#include "config.h"

#include "file-io.h"

#include <errno.h>
#include <unistd.h>

gboolean
file_io_fail (GError **error, const char *format, ...)
{
  int number = errno;
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (number), "%s: %s", what,
               g_strerror (number));
  return FALSE;
}

gboolean
file_io_write (int fd, const void *data, gsize size)
{
  const char *p = data;

  while (size > 0)
    {
      gssize n = write (fd, p, size);

      if (n < 0 && errno != EINTR)
        return FALSE;
      p += MAX (n, 0);
      size -= (gsize) MAX (n, 0);
    }
  return TRUE;
}

gssize
file_io_read (int fd, void *buffer, gsize size)
{
  gsize at = 0;

  while (at < size)
    {
      gssize n = read (fd, (char *) buffer + at, size - at);

      if (n < 0 && errno != EINTR)
        return -1;
      if (n == 0)
        break;
      at += (gsize) MAX (n, 0);
    }
  return (gssize) at;
}
