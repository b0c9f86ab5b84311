/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/error.h"

#include <errno.h>

gboolean
vmsan_error_refuse (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_propagate_error (error,
                     g_error_new_valist (VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, format, args));
  va_end (args);
  return FALSE;
}

gboolean
vmsan_error_set_errno (GError **error, int saved_errno, const char *format, ...)
{
  g_autofree char *what = NULL;
  VmsanError code = VMSAN_ERROR_FAILED;
  va_list args;

  if (saved_errno == ENOSPC || saved_errno == EDQUOT)
    code = VMSAN_ERROR_NO_SPACE;
  else if (saved_errno == ENOENT)
    code = VMSAN_ERROR_NOT_FOUND;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);

  g_set_error (error, VMSAN_ERROR, code, "%s: %s", what, g_strerror (saved_errno));
  return FALSE;
}
