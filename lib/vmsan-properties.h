/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The D-Bus properties of one object, by name. A property that is not there, or has an unexpected
 * type, reads as empty or 0: a newer or damaged service must not take a program down. */

#pragma once

#include <gio/gio.h>

/* @dict: a{sv} */
GHashTable *vmsan_properties_new (GVariant *dict);

/* Sets or replaces one. TRUE when the value is another than before. */
gboolean vmsan_properties_set (GHashTable *properties, const char *name, GVariant *value);

/* All as a{sv}, not floating. */
GVariant *vmsan_properties_to_variant (GHashTable *properties);

const char *vmsan_properties_get_string (GHashTable *properties, const char *name);
guint32 vmsan_properties_get_u32 (GHashTable *properties, const char *name);
guint64 vmsan_properties_get_u64 (GHashTable *properties, const char *name);
char **vmsan_properties_dup_strv (GHashTable *properties, const char *name);
GVariant *
vmsan_properties_ref_variant (GHashTable *properties, const char *name, const GVariantType *type);
