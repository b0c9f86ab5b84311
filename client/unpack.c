/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: all of it, or an error. */

#include "config.h"

#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib/gi18n.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024)

static gboolean
fail (struct archive *archive, const char *path, GError **error)
{
  const char *why = archive_error_string (archive);

  g_set_error (error, G_IO_ERROR,
               archive_errno (archive) == ENOENT ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_FAILED,
               _ ("Could not read “%s”: %s"), path, why != NULL ? why : _ ("unknown error"));
  return FALSE;
}

static gboolean
write_all (int fd, const char *data, gsize size, GError **error)
{
  while (size > 0)
    {
      gssize n = write (fd, data, size);

      if (n < 0 && errno != EINTR)
        {
          g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                       _ ("Could not write uncompressed content: %s"), g_strerror (errno));
          return FALSE;
        }
      data += MAX (n, 0);
      size -= (gsize) MAX (n, 0);
    }
  return TRUE;
}

static gboolean
copy (struct archive *archive,
      const char *path,
      int fd,
      guint64 max_bytes,
      guint64 *size,
      GError **error)
{
  g_autofree char *block = g_malloc (BLOCK_SIZE);
  gssize n;

  *size = 0;
  while ((n = archive_read_data (archive, block, BLOCK_SIZE)) > 0)
    {
      if ((guint64) n > max_bytes - *size)
        {
          g_autofree char *left = g_format_size_full (max_bytes, G_FORMAT_SIZE_IEC_UNITS);

          g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                       _ ("“%s” is too large: only %s of room for modules is left"), path, left);
          return FALSE;
        }
      if (!write_all (fd, block, (gsize) n, error))
        return FALSE;
      *size += (guint64) n;
    }
  return n == 0 || fail (archive, path, error);
}

gboolean
unpack_file (const char *path, int fd, guint64 max_bytes, guint64 *size, GError **error)
{
  struct archive *archive = archive_read_new ();
  struct archive_entry *entry;
  gboolean ok;

  /* "raw" is one member with the whole content; "empty" is a file of no bytes. */
  archive_read_support_filter_all (archive);
  archive_read_support_format_raw (archive);
  archive_read_support_format_empty (archive);
  *size = 0;
  if (archive_read_open_filename (archive, path, BLOCK_SIZE) != ARCHIVE_OK)
    ok = fail (archive, path, error);
  else
    {
      int status = archive_read_next_header (archive, &entry);

      if (status == ARCHIVE_EOF)
        ok = TRUE;
      else
        ok = status == ARCHIVE_OK ? copy (archive, path, fd, max_bytes, size, error)
                                  : fail (archive, path, error);
    }
  archive_read_free (archive);
  return ok;
}
