/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One message of QEMU's machine protocol: checked and typed, or refused. */

#pragma once

#include <json-glib/json-glib.h>

/**
 * VmsanQmpMessageType:
 * @VMSAN_QMP_GREETING: the first message of a connection
 * @VMSAN_QMP_EVENT: something happened; @name, and @data or NULL
 * @VMSAN_QMP_RESULT: command @id returned @result
 * @VMSAN_QMP_REFUSAL: command @id was refused; @name is the kind of error or empty, @reason QEMU's
 *   words, made safe to show
 */
typedef enum
{
  VMSAN_QMP_GREETING,
  VMSAN_QMP_EVENT,
  VMSAN_QMP_RESULT,
  VMSAN_QMP_REFUSAL,
} VmsanQmpMessageType;

typedef struct
{
  VmsanQmpMessageType type;
  gint64 id;
  char *name;
  char *reason;
  JsonObject *data;
  JsonNode *result;
} VmsanQmpMessage;

/* Reads one line, without its end. VMM_FAILED with what is wrong with it. */
VmsanQmpMessage *vmsan_qmp_message_parse (const char *line, gsize length, GError **error);

/* The line, with its end, of a command; @arguments is nullable. (transfer full) */
char *vmsan_qmp_message_format_command (const char *command, JsonObject *arguments, gint64 id);

void vmsan_qmp_message_free (VmsanQmpMessage *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanQmpMessage, vmsan_qmp_message_free)
