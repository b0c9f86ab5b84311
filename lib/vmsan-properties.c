/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a getter never fails and never returns a string that is NULL. */

#include "config.h"

#include "vmsan-properties.h"

GHashTable *
vmsan_properties_new (GVariant *dict)
{
  GHashTable *properties =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  GVariantIter iter;
  const char *name;
  GVariant *value;

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value))
    g_hash_table_insert (properties, g_strdup (name), value);
  return properties;
}

gboolean
vmsan_properties_set (GHashTable *properties, const char *name, GVariant *value)
{
  GVariant *old = g_hash_table_lookup (properties, name);

  if (old != NULL && g_variant_equal (old, value))
    return FALSE;
  g_hash_table_insert (properties, g_strdup (name), g_variant_ref_sink (value));
  return TRUE;
}

GVariant *
vmsan_properties_to_variant (GHashTable *properties)
{
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer name, value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_hash_table_iter_init (&iter, properties);
  while (g_hash_table_iter_next (&iter, &name, &value))
    g_variant_builder_add (&builder, "{sv}", (const char *) name, (GVariant *) value);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

static GVariant *
lookup (GHashTable *properties, const char *name, const GVariantType *type)
{
  GVariant *value = g_hash_table_lookup (properties, name);

  return value != NULL && g_variant_is_of_type (value, type) ? value : NULL;
}

const char *
vmsan_properties_get_string (GHashTable *properties, const char *name)
{
  GVariant *value = lookup (properties, name, G_VARIANT_TYPE_STRING);

  if (value == NULL)
    value = lookup (properties, name, G_VARIANT_TYPE_OBJECT_PATH);
  return value != NULL ? g_variant_get_string (value, NULL) : "";
}

guint32
vmsan_properties_get_u32 (GHashTable *properties, const char *name)
{
  GVariant *value = lookup (properties, name, G_VARIANT_TYPE_UINT32);

  return value != NULL ? g_variant_get_uint32 (value) : 0;
}

guint64
vmsan_properties_get_u64 (GHashTable *properties, const char *name)
{
  GVariant *value = lookup (properties, name, G_VARIANT_TYPE_UINT64);

  return value != NULL ? g_variant_get_uint64 (value) : 0;
}

char **
vmsan_properties_dup_strv (GHashTable *properties, const char *name)
{
  GVariant *value = lookup (properties, name, G_VARIANT_TYPE_STRING_ARRAY);

  return value != NULL ? g_variant_dup_strv (value, NULL) : g_new0 (char *, 1);
}

GVariant *
vmsan_properties_ref_variant (GHashTable *properties, const char *name, const GVariantType *type)
{
  GVariant *value = lookup (properties, name, type);

  return value != NULL ? g_variant_ref (value) : NULL;
}
