/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: any bytes at all give a message whose members have their types, or an error. */

#include "vmm/qemu/qmp-message.h"

#include "sys/error.h"

/* json-glib's parser recurses at each opening bracket, so their number bounds its stack. What we
 * ask for never comes near. */
#define BRACKETS_MAX 512
/* Characters of QEMU's words that go into our messages. */
#define REASON_MAX 300

static const char *
get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) != G_TYPE_STRING)
    return NULL;
  return json_node_get_string (node);
}

static JsonObject *
get_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static gboolean
get_int (JsonObject *object, const char *name, gint64 *value)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) != G_TYPE_INT64)
    return FALSE;
  *value = json_node_get_int (node);
  return TRUE;
}

/* Short and without control characters, so that it can stand in a message. An escaped half of a
 * surrogate pair gives what is not UTF-8, and D-Bus takes nothing else. */
static char *
make_printable (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  char *clipped = g_utf8_strlen (valid, -1) > REASON_MAX ? g_utf8_substring (valid, 0, REASON_MAX)
                                                         : g_strdup (valid);

  for (char *p = clipped; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      *p = ' ';
  return clipped;
}

/* What json-glib would not bound itself; NULL when there is nothing. */
static const char *
find_fault (const char *line, gsize length)
{
  guint n_brackets = 0;

  if (!g_utf8_validate_len (line, length, NULL))
    return "a message is not UTF-8";
  for (gsize i = 0; i < length; i++)
    if ((line[i] == '[' || line[i] == '{') && ++n_brackets > BRACKETS_MAX)
      return "a message is nested too deeply";
  return NULL;
}

static const char *
read_event (VmsanQmpMessage *self, JsonObject *object)
{
  const char *name = get_string (object, "event");
  JsonObject *data = get_object (object, "data");

  if (name == NULL)
    return "an event has no name";
  self->type = VMSAN_QMP_EVENT;
  self->name = make_printable (name);
  self->data = data != NULL ? json_object_ref (data) : NULL;
  return NULL;
}

static const char *
read_answer (VmsanQmpMessage *self, JsonObject *object)
{
  JsonNode *result = json_object_get_member (object, "return");
  JsonObject *refusal = get_object (object, "error");
  const char *kind, *reason;

  if ((result == NULL) == (refusal == NULL))
    return "an answer is neither a result nor an error";
  if (!get_int (object, "id", &self->id))
    return "an answer belongs to no command";
  if (result != NULL)
    {
      self->type = VMSAN_QMP_RESULT;
      self->result = json_node_copy (result);
      return NULL;
    }
  kind = get_string (refusal, "class");
  reason = get_string (refusal, "desc");
  self->type = VMSAN_QMP_REFUSAL;
  self->name = make_printable (kind != NULL ? kind : "");
  self->reason = make_printable (reason != NULL ? reason : "no reason given");
  return NULL;
}

/* Fills @self; returns what is wrong, or NULL. */
static const char *
read_message (VmsanQmpMessage *self, const char *line, gsize length)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  const char *fault = find_fault (line, length);
  JsonNode *root;
  JsonObject *object;

  if (fault != NULL)
    return fault;
  if (!json_parser_load_from_data (parser, line, length, NULL) ||
      (root = json_parser_get_root (parser)) == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return "a message is not a JSON object";
  object = json_node_get_object (root);
  if (json_object_has_member (object, "event"))
    return read_event (self, object);
  if (get_object (object, "QMP") == NULL)
    return read_answer (self, object);
  self->type = VMSAN_QMP_GREETING;
  return NULL;
}

VmsanQmpMessage *
vmsan_qmp_message_parse (const char *line, gsize length, GError **error)
{
  g_autoptr (VmsanQmpMessage) self = g_new0 (VmsanQmpMessage, 1);
  const char *fault = read_message (self, line, length);

  if (fault == NULL)
    return g_steal_pointer (&self);
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, fault);
  return NULL;
}

char *
vmsan_qmp_message_format_command (const char *command, JsonObject *arguments, gint64 id)
{
  g_autoptr (JsonObject) object = json_object_new ();
  g_autoptr (JsonNode) root = json_node_new (JSON_NODE_OBJECT);
  g_autofree char *text = NULL;

  json_object_set_string_member (object, "execute", command);
  if (arguments != NULL)
    json_object_set_object_member (object, "arguments", json_object_ref (arguments));
  json_object_set_int_member (object, "id", id);
  json_node_set_object (root, object);
  text = json_to_string (root, FALSE);
  return g_strconcat (text, "\n", NULL);
}

void
vmsan_qmp_message_free (VmsanQmpMessage *self)
{
  if (self == NULL)
    return;
  g_free (self->name);
  g_free (self->reason);
  g_clear_pointer (&self->data, json_object_unref);
  g_clear_pointer (&self->result, json_node_unref);
  g_free (self);
}
