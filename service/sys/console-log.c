/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no more is read than was asked for, whatever the monitor's side made of the files. */

#include "sys/console-log.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* The supervisor cuts the file once for each half of its bound that it writes; being cut between
 * the two calls this often in a row means a flood, of which any piece is as good as another. */
#define MAX_TRIES 5

/* Reads the tail as of now. FALSE without @error: the file was cut meanwhile. */
static gboolean
try_read (int fd, char *buffer, gsize max_bytes, gsize *size, GError **error)
{
  struct stat before, after;
  gsize want;
  gssize got;

  if (fstat (fd, &before) < 0)
    return vmsan_error_set_errno (error, errno, "Examining the log failed");
  want = MIN ((guint64) before.st_size, max_bytes);
  if (lseek (fd, before.st_size - want, SEEK_SET) < 0)
    return vmsan_error_set_errno (error, errno, "Reading the log failed");
  got = vmsan_fd_read_all (fd, buffer, want, error);
  if (got < 0)
    return FALSE;
  if (fstat (fd, &after) < 0)
    return vmsan_error_set_errno (error, errno, "Examining the log failed");
  *size = got;
  return (gsize) got == want && after.st_size >= before.st_size;
}

char *
vmsan_console_log_read_tail (
    int dir_fd, const char *name, gsize max_bytes, gsize *out_size, GError **error)
{
  g_autofree char *buffer = NULL;
  vmsan_autofd int fd = -1;
  struct stat st;
  gsize size = 0;

  /* O_NONBLOCK: no waiting for the writer of a FIFO. */
  fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat (fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening the log “%s” failed", name);
      return NULL;
    }
  if (!S_ISREG (st.st_mode))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "The log “%s” is not a regular file",
                   name);
      return NULL;
    }

  buffer = g_malloc (max_bytes + 1);
  for (int i = 0; i < MAX_TRIES; i++)
    {
      g_autoptr (GError) local_error = NULL;

      if (try_read (fd, buffer, max_bytes, &size, &local_error))
        break;
      if (local_error != NULL)
        {
          g_propagate_prefixed_error (error, g_steal_pointer (&local_error), "“%s”: ", name);
          return NULL;
        }
    }
  buffer[size] = '\0';
  if (out_size != NULL)
    *out_size = size;
  return g_steal_pointer (&buffer);
}

/* "WORD N\n" with N in a range. */
static gboolean
parse_line (const char *line, const char *word, guint64 minimum, guint64 maximum, guint64 *number)
{
  g_autofree char *digits = NULL;

  if (!g_str_has_prefix (line, word) || !g_str_has_suffix (line, "\n"))
    return FALSE;
  digits = g_strndup (line + strlen (word), strlen (line) - strlen (word) - 1);
  return g_ascii_string_to_unsigned (digits, 10, minimum, maximum, number, NULL);
}

gboolean
vmsan_console_log_read_status (int dir_fd, const char *name, int *wait_status, GError **error)
{
  g_autofree char *line = vmsan_fd_read_file_at (dir_fd, name, 64, NULL, error);
  guint64 number;

  if (line == NULL)
    return FALSE;
  if (line[0] == '\0')
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "“%s” has no status yet", name);
      return FALSE;
    }
  if (parse_line (line, "exit ", 0, 255, &number))
    *wait_status = number << 8;
  else if (parse_line (line, "signal ", 1, NSIG - 1, &number))
    *wait_status = number;
  else
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "“%s” does not hold a status", name);
      return FALSE;
    }
  return TRUE;
}
