/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a value may have any length and any bytes, a message not. */

#include "net/net-refusal.h"

#include "sys/error.h"

#include <string.h>

#define MAX_SHOWN 64

gboolean
vmsan_net_refuse (GError **error, const char *text, const char *rule)
{
  g_autofree char *valid = g_utf8_make_valid (text, strnlen (text, MAX_SHOWN * 6));
  g_autofree char *shown = NULL;

  if (g_utf8_strlen (valid, -1) > MAX_SHOWN)
    {
      g_autofree char *head = g_utf8_substring (valid, 0, MAX_SHOWN);

      shown = g_strconcat (head, "…", NULL);
    }
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "“%s” %s",
               shown != NULL ? shown : valid, rule);
  return FALSE;
}
