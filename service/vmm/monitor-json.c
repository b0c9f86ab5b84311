/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: any bytes at all give an object or a fault, in bounded stack. */

#include "vmm/monitor-json.h"

/* json-glib's parser recurses at each opening bracket, so their number bounds its stack. What we
 * ask for never comes near. */
#define BRACKETS_MAX 512
/* Characters of a monitor's words that go into our messages. */
#define PRINTABLE_MAX 300

const char *
vmsan_monitor_json_parse (const char *text, gsize length, JsonObject **object)
{
  g_autoptr (JsonParser) parser = NULL;
  guint n_brackets = 0;
  JsonNode *root;

  if (length == 0)
    return "empty";
  if (!g_utf8_validate_len (text, length, NULL))
    return "not UTF-8";
  for (gsize i = 0; i < length; i++)
    if ((text[i] == '[' || text[i] == '{') && ++n_brackets > BRACKETS_MAX)
      return "nested too deeply";
  parser = json_parser_new_immutable ();
  if (!json_parser_load_from_data (parser, text, length, NULL) ||
      (root = json_parser_get_root (parser)) == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return "not a JSON object";
  *object = json_object_ref (json_node_get_object (root));
  return NULL;
}

const char *
vmsan_monitor_json_get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) != G_TYPE_STRING)
    return NULL;
  return json_node_get_string (node);
}

JsonObject *
vmsan_monitor_json_get_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

gboolean
vmsan_monitor_json_get_int (JsonObject *object, const char *name, gint64 *value)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) != G_TYPE_INT64)
    return FALSE;
  *value = json_node_get_int (node);
  return TRUE;
}

/* An escaped half of a surrogate pair gives what is not UTF-8, and D-Bus takes nothing else. */
char *
vmsan_monitor_json_make_printable (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  char *clipped = g_utf8_strlen (valid, -1) > PRINTABLE_MAX
                      ? g_utf8_substring (valid, 0, PRINTABLE_MAX)
                      : g_strdup (valid);

  for (char *p = clipped; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      *p = ' ';
  return clipped;
}
