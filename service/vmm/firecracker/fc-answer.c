/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: any status and bytes at all give an object or one error that can be shown. */

#include "vmm/firecracker/fc-answer.h"

#include "sys/error.h"
#include "vmm/monitor-json.h"

#include <string.h>

static void G_GNUC_PRINTF (3, 4)
    set_broken (GError **error, const char *what, const char *format, ...)
{
  g_autofree char *fault = NULL;
  va_list args;

  va_start (args, format);
  fault = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
               "Firecracker's answer to %s breaks its API: %s", what, fault);
}

/* The words are in "fault_message"; what its HTTP server refuses by itself has "error". */
static void
set_refusal (GError **error, const char *what, guint status, const char *body, gsize length)
{
  g_autoptr (JsonObject) object = NULL;
  g_autofree char *reason = NULL;
  const char *words = NULL;

  if (vmsan_monitor_json_parse (body, length, &object) == NULL)
    words = vmsan_monitor_json_get_string (object, "fault_message");
  if (object != NULL && words == NULL)
    words = vmsan_monitor_json_get_string (object, "error");
  reason = vmsan_monitor_json_make_printable (words != NULL ? words : "it gave no reason");
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "Firecracker refused %s (%u): %s", what,
               status, reason);
}

JsonObject *
vmsan_fc_answer_parse (
    const char *what, guint status, const char *body, gsize length, GError **error)
{
  g_autoptr (JsonObject) object = NULL;
  const char *fault;

  if (status >= 400 && status <= 599)
    {
      set_refusal (error, what, status, body, length);
      return NULL;
    }
  if (status == 204 && length == 0)
    return json_object_new ();
  if (status != 200)
    {
      set_broken (error, what, "status %u with %zu bytes", status, length);
      return NULL;
    }
  fault = vmsan_monitor_json_parse (body, length, &object);
  if (fault == NULL)
    return g_steal_pointer (&object);
  set_broken (error, what, "it is %s", fault);
  return NULL;
}

gboolean
vmsan_fc_answer_read_version (JsonObject *answer, VmsanFcVersion *version, GError **error)
{
  const char *text = vmsan_monitor_json_get_string (answer, "firecracker_version");
  g_autoptr (GError) reason = NULL;

  if (text == NULL)
    {
      set_broken (error, "GET /version", "there is no version in it");
      return FALSE;
    }
  if (vmsan_fc_version_parse (text, version, &reason))
    return TRUE;
  if (g_error_matches (reason, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED))
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    set_broken (error, "GET /version", "there is no version in it");
  return FALSE;
}

gboolean
vmsan_fc_answer_read_state (JsonObject *answer, VmsanFcState *state, GError **error)
{
  static const char *const names[] = { "Not started", "Running", "Paused" };
  const char *text = vmsan_monitor_json_get_string (answer, "state");

  for (guint i = 0; text != NULL && i < G_N_ELEMENTS (names); i++)
    if (strcmp (text, names[i]) == 0)
      {
        *state = i;
        return TRUE;
      }
  set_broken (error, "GET /", "there is no state in it");
  return FALSE;
}
