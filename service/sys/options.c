/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an option that is not understood is never ignored. */

#include "sys/options.h"

#include "sys/error.h"

static const VmsanOption *
find_option (const VmsanOption *const *tables, const char *key)
{
  for (; *tables != NULL; tables++)
    for (const VmsanOption *known = *tables; known->key != NULL; known++)
      if (g_str_equal (known->key, key))
        return known;
  return NULL;
}

static void
set_unknown (GError **error, const VmsanOption *const *tables, const char *key)
{
  g_autoptr (GString) keys = g_string_new (NULL);
  g_autofree char *shown = g_strescape (key, NULL);

  for (; *tables != NULL; tables++)
    for (const VmsanOption *known = *tables; known->key != NULL; known++)
      g_string_append_printf (keys, "%s%s", keys->len > 0 ? ", " : "", known->key);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNKNOWN_OPTION,
               "Option “%.80s” is not known; there are: %s", shown,
               keys->len > 0 ? keys->str : "none");
}

gboolean
vmsan_options_check_all (GVariant *options, const VmsanOption *const *tables, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value))
    {
      g_autoptr (GVariant) owned = value;
      const VmsanOption *option = find_option (tables, key);

      if (option == NULL)
        {
          set_unknown (error, tables, key);
          return FALSE;
        }
      if (!g_str_equal (g_variant_get_type_string (value), option->type))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "Option “%s” has type “%.40s” but must have type “%s”", key,
                       g_variant_get_type_string (value), option->type);
          return FALSE;
        }
      if (!g_hash_table_add (seen, (gpointer) option->key))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "Option “%s” is given twice", key);
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
vmsan_options_check (GVariant *options, const VmsanOption *known, GError **error)
{
  const VmsanOption *const tables[] = { known, NULL };

  return vmsan_options_check_all (options, tables, error);
}

guint32
vmsan_options_get_uint (GVariant *options, const char *key, guint32 fallback)
{
  g_variant_lookup (options, key, "u", &fallback);
  return fallback;
}

guint64
vmsan_options_get_uint64 (GVariant *options, const char *key, guint64 fallback)
{
  g_variant_lookup (options, key, "t", &fallback);
  return fallback;
}

gboolean
vmsan_options_get_boolean (GVariant *options, const char *key, gboolean fallback)
{
  g_variant_lookup (options, key, "b", &fallback);
  return fallback;
}

const char *
vmsan_options_get_text (GVariant *options, const char *key, const char *fallback)
{
  g_variant_lookup (options, key, "&s", &fallback);
  return fallback;
}
