/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a checksum that is not there is an error, never one that fits. */

#include "config.h"

#include "checksum.h"

#include "file-io.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024)

static gboolean
starts_with_checksum (const char *text)
{
  return strspn (text, "0123456789abcdefABCDEF") == CHECKSUM_LENGTH;
}

char *
checksum_parse (const char *hex, GError **error)
{
  if (starts_with_checksum (hex) && hex[CHECKSUM_LENGTH] == '\0')
    return g_ascii_strdown (hex, -1);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not a SHA-256 checksum: give its %d hexadecimal digits"), hex,
               CHECKSUM_LENGTH);
  return NULL;
}

/* "HEX  NAME", or with '*' for the second space where the file was read as binary. */
static gboolean
line_is_of (const char *line, const char *name)
{
  const char *rest = line + CHECKSUM_LENGTH;

  return starts_with_checksum (line) && rest[0] == ' ' && (rest[1] == ' ' || rest[1] == '*') &&
         strcmp (rest + 2, name) == 0;
}

char *
checksum_find (const char *list, const char *name, const char *from, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (list, "\n", -1);

  for (gsize i = 0; lines[i] != NULL; i++)
    if (line_is_of (lines[i], name))
      return g_ascii_strdown (lines[i], CHECKSUM_LENGTH);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
               _ ("“%s” has no line “CHECKSUM  %s”: give the checksum with --sha256, or the file "
                  "with this line with --checksum-from"),
               from, name);
  return NULL;
}

static char *
compute (int fd, const char *name, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guchar *block = g_malloc (BLOCK_SIZE);
  goffset at = 0;

  for (;;)
    {
      gssize n = pread (fd, block, BLOCK_SIZE, at);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          file_io_fail (error, _ ("Could not read “%s”"), name);
          return NULL;
        }
      if (n == 0)
        return g_strdup (g_checksum_get_string (checksum));
      g_checksum_update (checksum, block, n);
      at += n;
    }
}

gboolean
checksum_verify (int fd, const char *name, const char *wanted, GError **error)
{
  g_autofree char *found = compute (fd, name, error);

  if (found == NULL)
    return FALSE;
  if (strcmp (found, wanted) == 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
               _ ("“%s” has the SHA-256 checksum %s and should have %s: it is damaged or was "
                  "tampered with, and nothing of it was used"),
               name, found, wanted);
  return FALSE;
}
