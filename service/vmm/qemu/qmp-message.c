/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: any bytes at all give a message whose members have their types, or an error. */

#include "vmm/qemu/qmp-message.h"

#include "sys/error.h"
#include "vmm/monitor-json.h"

static const char *
read_event (VmsanQmpMessage *self, JsonObject *object)
{
  const char *name = vmsan_monitor_json_get_string (object, "event");
  JsonObject *data = vmsan_monitor_json_get_object (object, "data");

  if (name == NULL)
    return "an event has no name";
  self->type = VMSAN_QMP_EVENT;
  self->name = vmsan_monitor_json_make_printable (name);
  self->data = data != NULL ? json_object_ref (data) : NULL;
  return NULL;
}

static const char *
read_answer (VmsanQmpMessage *self, JsonObject *object)
{
  JsonNode *result = json_object_get_member (object, "return");
  JsonObject *refusal = vmsan_monitor_json_get_object (object, "error");
  const char *kind, *reason;

  if ((result == NULL) == (refusal == NULL))
    return "an answer is neither a result nor an error";
  if (!vmsan_monitor_json_get_int (object, "id", &self->id))
    return "an answer belongs to no command";
  if (result != NULL)
    {
      self->type = VMSAN_QMP_RESULT;
      self->result = json_node_copy (result);
      return NULL;
    }
  kind = vmsan_monitor_json_get_string (refusal, "class");
  reason = vmsan_monitor_json_get_string (refusal, "desc");
  self->type = VMSAN_QMP_REFUSAL;
  self->name = vmsan_monitor_json_make_printable (kind != NULL ? kind : "");
  self->reason = vmsan_monitor_json_make_printable (reason != NULL ? reason : "no reason given");
  return NULL;
}

/* Fills @self; returns what is wrong, or NULL. */
static const char *
read_message (VmsanQmpMessage *self, JsonObject *object)
{
  if (json_object_has_member (object, "event"))
    return read_event (self, object);
  if (vmsan_monitor_json_get_object (object, "QMP") == NULL)
    return read_answer (self, object);
  self->type = VMSAN_QMP_GREETING;
  return NULL;
}

VmsanQmpMessage *
vmsan_qmp_message_parse (const char *line, gsize length, GError **error)
{
  g_autoptr (VmsanQmpMessage) self = g_new0 (VmsanQmpMessage, 1);
  g_autoptr (JsonObject) object = NULL;
  const char *fault = vmsan_monitor_json_parse (line, length, &object);

  if (fault != NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "a message is %s", fault);
      return NULL;
    }
  fault = read_message (self, object);
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
