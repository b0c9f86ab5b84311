/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: bytes of two different files never get into one; what is kept is only used again for
 * the same URL, while the server says that it is the same file. */

#include "config.h"

#include "download.h"

#include "file-io.h"
#include "http-get.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE   (64 * 1024)
#define ATTEMPTS_MAX 5

/* In the private directory: what arrived, and "URL\nETAG\n" of where it is from. */
#define CONTENT         "download"
#define ORIGIN          "download-origin"
#define ORIGIN_SIZE_MAX 8192

typedef struct
{
  const Download *download;
  int directory;
  int fd;
  goffset size;       /* that arrived */
  char *etag;         /* of what arrived; NULL: the rest cannot be asked for */
  gboolean broke_off; /* while the body arrived */
} Partial;

static void
partial_clear (Partial *partial)
{
  if (partial->fd >= 0)
    close (partial->fd);
  g_free (partial->etag);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Partial, partial_clear)

static gboolean
cannot_write (GError **error)
{
  return file_io_fail (error, _ ("Could not write the archive"));
}

/* ---- what is kept -------------------------------------------------------------------------- */

/* Forgets what arrived. */
static gboolean
partial_reset (Partial *partial, GError **error)
{
  g_clear_pointer (&partial->etag, g_free);
  partial->size = 0;
  if ((unlinkat (partial->directory, ORIGIN, 0) != 0 && errno != ENOENT) ||
      ftruncate (partial->fd, 0) != 0 || lseek (partial->fd, 0, SEEK_SET) != 0)
    return cannot_write (error);
  return TRUE;
}

/* The entity tag of what arrived, if that is from this URL. */
static char *
read_origin (const Partial *partial)
{
  char text[ORIGIN_SIZE_MAX + 1];
  int fd = openat (partial->directory, ORIGIN, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  g_auto (GStrv) lines = NULL;
  gssize n;

  if (fd < 0)
    return NULL;
  n = read (fd, text, ORIGIN_SIZE_MAX);
  close (fd);
  if (n <= 0)
    return NULL;
  text[n] = '\0';
  lines = g_strsplit (text, "\n", -1);
  /* The line break at the end says that all of it was written. */
  if (g_strv_length (lines) != 3 || strcmp (lines[0], partial->download->url) != 0)
    return NULL;
  return g_strdup (lines[1]);
}

/* Before the first byte of the content, so that there never is content of unknown origin. */
static gboolean
write_origin (const Partial *partial, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%s\n%s\n", partial->download->url, partial->etag);
  int fd = openat (partial->directory, ORIGIN,
                   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  gboolean ok;

  if (fd < 0)
    return cannot_write (error);
  ok = file_io_write (fd, text, strlen (text)) || cannot_write (error);
  close (fd);
  return ok;
}

static gboolean
partial_open (Partial *partial, GError **error)
{
  partial->fd =
      openat (partial->directory, CONTENT, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (partial->fd < 0)
    return cannot_write (error);
  partial->etag = read_origin (partial);
  partial->size = lseek (partial->fd, 0, SEEK_END);
  if (partial->etag == NULL || partial->size <= 0 || partial->size > DOWNLOAD_BYTES_MAX)
    return partial_reset (partial, error);
  return TRUE;
}

/* Leaves what can be continued, and else nothing. */
static void
partial_keep (const Partial *partial)
{
  if (partial->etag != NULL && partial->size > 0)
    return;
  unlinkat (partial->directory, CONTENT, 0);
  unlinkat (partial->directory, ORIGIN, 0);
}

/* ---- fetching ------------------------------------------------------------------------------ */

/* Whether the answer is the rest of what arrived. */
static gboolean
is_rest (const Partial *partial, HttpGet *get)
{
  SoupMessageHeaders *headers = soup_message_get_response_headers (get->message);
  const char *etag = http_get_etag (get);
  goffset start, end, total;

  return soup_message_get_status (get->message) == SOUP_STATUS_PARTIAL_CONTENT &&
         soup_message_headers_get_content_range (headers, &start, &end, &total) &&
         start == partial->size && (total < 0 || end + 1 == total) &&
         (etag == NULL || strcmp (etag, partial->etag) == 0);
}

/* Asks for the rest, or for all of it when that is not to be had. */
static HttpGet *
ask (Partial *partial, GError **error)
{
  const Download *download = partial->download;
  const HttpPart whole = { 0 };

  if (partial->size > 0)
    {
      HttpPart rest = { partial->size, partial->etag };
      g_autoptr (HttpGet) get = http_get_new (download->url, &rest, download->silence_s, error);

      if (get == NULL || is_rest (partial, get))
        return g_steal_pointer (&get);
      if (!partial_reset (partial, error))
        return NULL;
      if (soup_message_get_status (get->message) == SOUP_STATUS_OK)
        return g_steal_pointer (&get);
    }
  return http_get_new (download->url, &whole, download->silence_s, error);
}

static gboolean
too_large (Partial *partial, GError **error)
{
  g_autofree char *max = g_format_size_full (DOWNLOAD_BYTES_MAX, G_FORMAT_SIZE_IEC_UNITS);

  if (partial_reset (partial, error))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 _ ("“%s” is larger than %s, which no release is"), partial->download->url, max);
  return FALSE;
}

static gboolean
receive (Partial *partial, HttpGet *get, goffset total, GError **error)
{
  const Download *download = partial->download;
  g_autofree char *block = g_malloc (BLOCK_SIZE);

  for (;;)
    {
      gssize n = http_get_read (get, block, BLOCK_SIZE, error);

      if (n < 0)
        {
          partial->broke_off = TRUE;
          g_prefix_error (error, _ ("The download of “%s” broke off: "), download->url);
          return FALSE;
        }
      if (n == 0)
        return TRUE;
      if (n > DOWNLOAD_BYTES_MAX - partial->size)
        return too_large (partial, error);
      if (!file_io_write (partial->fd, block, (gsize) n))
        return cannot_write (error);
      partial->size += n;
      download->report (partial->size, total, download->user_data);
    }
}

static gboolean
attempt (Partial *partial, GError **error)
{
  g_autoptr (HttpGet) get = ask (partial, error);
  const char *etag;
  goffset length;

  partial->broke_off = FALSE;
  if (get == NULL)
    return FALSE;
  length = http_get_length (get);
  if (length > DOWNLOAD_BYTES_MAX - partial->size)
    return too_large (partial, error);
  etag = http_get_etag (get);
  if (partial->size == 0 && etag != NULL)
    {
      g_free (partial->etag);
      partial->etag = g_strdup (etag);
      if (!write_origin (partial, error))
        return FALSE;
    }
  partial->download->begin (partial->size, partial->download->user_data);
  return receive (partial, get, length >= 0 ? partial->size + length : -1, error);
}

/* Goes on as long as each attempt brings something. */
static gboolean
fetch (Partial *partial, GError **error)
{
  for (guint i = 1;; i++)
    {
      g_autoptr (GError) local = NULL;
      goffset before = partial->size;

      if (attempt (partial, &local))
        return TRUE;
      if (!partial->broke_off || partial->etag == NULL || partial->size <= before ||
          i == ATTEMPTS_MAX)
        {
          g_propagate_error (error, g_steal_pointer (&local));
          return FALSE;
        }
    }
}

int
download_file (const Download *download, int directory, GError **error)
{
  g_auto (Partial) partial = { .download = download, .directory = directory, .fd = -1 };

  if (!partial_open (&partial, error))
    return -1;
  if (!fetch (&partial, error))
    {
      partial_keep (&partial);
      return -1;
    }
  unlinkat (directory, CONTENT, 0);
  unlinkat (directory, ORIGIN, 0);
  return g_steal_fd (&partial.fd);
}

/* Under the name of a download for the moment that it needs one: when that is our last, whatever is
 * done next knows that a download of no origin is to be removed. */
int
download_make_file (int directory, GError **error)
{
  int fd;

  unlinkat (directory, ORIGIN, 0);
  unlinkat (directory, CONTENT, 0);
  fd = openat (directory, CONTENT, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0 && unlinkat (directory, CONTENT, 0) == 0)
    return fd;
  cannot_write (error);
  if (fd >= 0)
    close (fd);
  return -1;
}

char *
download_text (const char *url, gsize max, guint silence_s, GError **error)
{
  const HttpPart whole = { 0 };
  g_autoptr (HttpGet) get = http_get_new (url, &whole, silence_s, error);
  g_autofree char *text = g_malloc (max + 1);
  gsize size = 0;

  while (get != NULL)
    {
      gssize n = http_get_read (get, text + size, max + 1 - size, error);

      if (n < 0)
        {
          g_prefix_error (error, _ ("The download of “%s” broke off: "), url);
          return NULL;
        }
      size += (gsize) n;
      if (size > max)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                       _ ("“%s” is larger than any list of checksums"), url);
          return NULL;
        }
      if (n == 0)
        {
          text[size] = '\0';
          return g_steal_pointer (&text);
        }
    }
  return NULL;
}
