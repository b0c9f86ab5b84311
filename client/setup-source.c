/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: of a file that others may write to, what is checked and what is used is the same copy.
 */

#include "config.h"

#include "setup-source.h"

#include "file-io.h"
#include "web-url.h"

#include <fcntl.h>
#include <glib/gi18n.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE    (64 * 1024)
#define TEXT_SIZE_MAX (64 * 1024)

char *
setup_source_get_name (const char *from, GError **error)
{
  g_autoptr (GUri) url = NULL;

  if (!web_url_is_url (from))
    return g_path_get_basename (from);
  url = web_url_parse (from, error);
  return url != NULL ? web_url_get_name (url) : NULL;
}

char *
setup_source_get_beside (const char *from, const char *suffix, GError **error)
{
  g_autoptr (GUri) url = NULL;

  if (!web_url_is_url (from))
    return g_strconcat (from, suffix, NULL);
  url = web_url_parse (from, error);
  return url != NULL ? web_url_get_beside (url, suffix) : NULL;
}

/* Not blocking, as it may be a pipe that nobody writes to. */
static int
open_file (const char *path, goffset max, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat info;

  if (fd < 0 || fstat (fd, &info) != 0)
    file_io_fail (error, _ ("Could not open “%s”"), path);
  else if (!S_ISREG (info.st_mode))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, _ ("“%s” is no regular file"),
                 path);
  else if (info.st_size > max)
    {
      g_autofree char *limit = g_format_size_full (max, G_FORMAT_SIZE_IEC_UNITS);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, _ ("“%s” is larger than %s"), path,
                   limit);
    }
  else
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

char *
setup_source_read_text (const char *from, guint silence_s, GError **error)
{
  g_autofree char *text = NULL;
  gssize size;
  int fd;

  if (web_url_is_url (from))
    return download_text (from, TEXT_SIZE_MAX, silence_s, error);
  fd = open_file (from, TEXT_SIZE_MAX, error);
  if (fd < 0)
    return NULL;
  text = g_malloc (TEXT_SIZE_MAX + 1);
  size = file_io_read (fd, text, TEXT_SIZE_MAX);
  if (size < 0)
    file_io_fail (error, _ ("Could not read “%s”"), from);
  close (fd);
  if (size < 0)
    return NULL;
  text[size] = '\0';
  return g_steal_pointer (&text);
}

/* What is beyond the limit, when the file grows meanwhile, is left out; its checksum is wrong then.
 */
static gboolean
copy (const char *path, int from, int to, GError **error)
{
  g_autofree char *block = g_malloc (BLOCK_SIZE);
  goffset room = DOWNLOAD_BYTES_MAX;
  gssize n;

  while ((n = file_io_read (from, block, (gsize) MIN (room, BLOCK_SIZE))) > 0)
    {
      if (!file_io_write (to, block, (gsize) n))
        return file_io_fail (error, _ ("Could not copy “%s”"), path);
      room -= n;
    }
  return n == 0 || file_io_fail (error, _ ("Could not read “%s”"), path);
}

int
setup_source_fetch (const Download *download, int directory, GError **error)
{
  const char *path = download->url;
  int from, to;

  if (web_url_is_url (path))
    return download_file (download, directory, error);
  from = open_file (path, DOWNLOAD_BYTES_MAX, error);
  if (from < 0)
    return -1;
  to = download_make_file (directory, error);
  if (to >= 0 && !copy (path, from, to, error))
    {
      close (to);
      to = -1;
    }
  close (from);
  return to;
}
