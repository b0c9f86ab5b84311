/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Dictionaries of options (a{sv}): refused by name when something in them is not known. */

#pragma once

#include <glib.h>

typedef struct
{
  const char *key;
  const char *type; /* D-Bus signature */
} VmsanOption;

/* UNKNOWN_OPTION or INVALID_ARGUMENT, naming the key and what is allowed. A key twice is refused
 * too. Ends with a row of NULL. */
gboolean vmsan_options_check (GVariant *options, const VmsanOption *known, GError **error);

/* The same where what is known is in several tables, ended by NULL. */
gboolean
vmsan_options_check_all (GVariant *options, const VmsanOption *const *tables, GError **error);

/* Values of a dictionary that was checked; @fallback when the key is not there. */
guint32 vmsan_options_get_uint (GVariant *options, const char *key, guint32 fallback);
guint64 vmsan_options_get_uint64 (GVariant *options, const char *key, guint64 fallback);
gboolean vmsan_options_get_boolean (GVariant *options, const char *key, gboolean fallback);

/* Valid as long as @options. */
const char *vmsan_options_get_text (GVariant *options, const char *key, const char *fallback);
