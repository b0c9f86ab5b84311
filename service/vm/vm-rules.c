/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one rule for each value, whoever gave it. */

#include "vm/vm-rules.h"

#include "sys/error.h"

#include <string.h>

#define MAX_LABELS      32
#define MAX_LABEL_BYTES 255

gboolean
vmsan_vm_id_is_valid (const char *id)
{
  gsize length = strlen (id);

  return length == VMSAN_VM_ID_LENGTH && g_ascii_islower (id[0]) &&
         strspn (id, "abcdefghijklmnopqrstuvwxyz0123456789") == length;
}

gboolean
vmsan_name_check (const char *name, const char *what, GError **error)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  gsize length = strlen (name);

  if (length >= 1 && length <= 63 && g_ascii_isalnum (name[0]) && strspn (name, allowed) == length)
    return TRUE;

  g_autofree char *shown = g_strescape (name, NULL);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "%s “%.80s” is not acceptable: use 1 to 63 letters, digits, “.”, “_” and “-”, the "
               "first a letter or digit",
               what, shown);
  return FALSE;
}

/* RFC 1123: labels of letters, digits and hyphens, no hyphen at either end. */
gboolean
vmsan_hostname_check (const char *hostname, GError **error)
{
  gsize length = strlen (hostname);
  gboolean ok = length >= 1 && length <= 63;

  for (gsize i = 0; ok && i < length; i++)
    {
      gboolean edge = i == 0 || i + 1 == length || hostname[i - 1] == '.' || hostname[i + 1] == '.';

      ok = g_ascii_isalnum (hostname[i]) || ((hostname[i] == '-' || hostname[i] == '.') && !edge);
    }
  if (!ok)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "Option “hostname” must be 1 to 63 letters, digits, “-” and “.”, with a letter or "
                 "digit beside each “.” and at both ends");
  return ok;
}

gboolean
vmsan_init_check (const char *init, GError **error)
{
  gsize length = strlen (init);
  gboolean ok = g_str_equal (init, "auto") || g_str_equal (init, "none") ||
                (init[0] == '/' && length > 1 && length <= 255);

  for (gsize i = 0; ok && i < length; i++)
    ok = g_ascii_isgraph (init[i]);
  if (!ok)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "Option “init” must be “auto”, “none” or the absolute path of a program, without "
                 "spaces and at most 255 bytes");
  return ok;
}

gboolean
vmsan_labels_check (GVariant *labels, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GVariantIter iter;
  const char *key, *value;

  if (g_variant_n_children (labels) > MAX_LABELS)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “labels” has more than %d labels", MAX_LABELS);
      return FALSE;
    }
  g_variant_iter_init (&iter, labels);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    if (!vmsan_name_check (key, "Label", error))
      return FALSE;
    else if (!g_hash_table_add (seen, (gpointer) key))
      {
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "Label “%s” is given twice",
                     key);
        return FALSE;
      }
    else if (strlen (value) > MAX_LABEL_BYTES)
      {
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                     "Label “%s” is longer than %d bytes", key, MAX_LABEL_BYTES);
        return FALSE;
      }
  return TRUE;
}
