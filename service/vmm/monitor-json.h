/* SPDX-License-Identifier: GPL-2.0-or-later */

/* JSON from a monitor. Its guest may have taken it over, so nothing about it is taken for granted:
 * a member is given out only when it has the type that was asked for. */

#pragma once

#include <json-glib/json-glib.h>

/* Parses an object (transfer full). Returns what is wrong with the text, as the end of "it is …",
 * or NULL when all is well. The caller bounds the length. */
const char *vmsan_monitor_json_parse (const char *text, gsize length, JsonObject **object);

/* NULL or FALSE when there is no such member or it has another type. (transfer none) */
const char *vmsan_monitor_json_get_string (JsonObject *object, const char *name);
JsonObject *vmsan_monitor_json_get_object (JsonObject *object, const char *name);
gboolean vmsan_monitor_json_get_int (JsonObject *object, const char *name, gint64 *value);

/* Short, UTF-8 and without control characters, so that it can stand in a message. (transfer full)
 */
char *vmsan_monitor_json_make_printable (const char *text);
