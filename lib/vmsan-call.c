/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a call is made with the client's connection and flags, and its error has been cleaned.
 */

#include "config.h"

#include "vmsan-call.h"

#include "vmsan-error-private.h"

typedef struct
{
  GTask *task;
  VmsanReplyFunc done;
} Pending;

static void
call_done (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autofree Pending *pending = user_data;
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply = NULL;
  GError *error = NULL;

  reply = g_dbus_connection_call_with_unix_fd_list_finish (G_DBUS_CONNECTION (object), &fds, result,
                                                           &error);
  if (reply != NULL)
    {
      pending->done (pending->task, reply, fds);
      return;
    }
  vmsan_error_clean (error);
  g_task_return_error (pending->task, error);
  g_object_unref (pending->task);
}

void
vmsan_call_begin (VmsanClient *client, const VmsanCall *call, GTask *task, VmsanReplyFunc done)
{
  Pending *pending = g_new0 (Pending, 1);
  GDBusCallFlags flags = vmsan_client_get_interactive (client)
                             ? G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION
                             : G_DBUS_CALL_FLAGS_NONE;

  /* Errors of the service are recognized only once their domain is registered. */
  vmsan_error_quark ();

  pending->task = task;
  pending->done = done;
  g_dbus_connection_call_with_unix_fd_list (vmsan_client_get_connection (client), VMSAN_BUS_NAME,
                                            call->path, call->interface, call->method,
                                            call->parameters, call->reply_type, flags, G_MAXINT,
                                            call->fds, g_task_get_cancellable (task), call_done,
                                            pending);
}

void
vmsan_call_return_true (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

void
vmsan_call_get_all (
    VmsanClient *client, const char *path, const char *interface, GTask *task, VmsanReplyFunc done)
{
  const VmsanCall call = {
    .path = path,
    .interface = "org.freedesktop.DBus.Properties",
    .method = "GetAll",
    .parameters = g_variant_new ("(s)", interface),
    .reply_type = G_VARIANT_TYPE ("(a{sv})"),
  };

  vmsan_call_begin (client, &call, task, done);
}

GVariant *
vmsan_call_options (GVariant *options)
{
  return options != NULL ? options : g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0);
}

void
vmsan_sync_begin (VmsanSync *sync)
{
  sync->result = NULL;
  sync->context = g_main_context_new ();
  g_main_context_push_thread_default (sync->context);
}

void
vmsan_sync_done (GObject *object, GAsyncResult *result, gpointer sync)
{
  ((VmsanSync *) sync)->result = g_object_ref (result);
}

GAsyncResult *
vmsan_sync_end (VmsanSync *sync)
{
  while (sync->result == NULL)
    g_main_context_iteration (sync->context, TRUE);
  g_main_context_pop_thread_default (sync->context);
  return sync->result;
}

void
vmsan_sync_clear (VmsanSync *sync)
{
  g_clear_object (&sync->result);
  g_clear_pointer (&sync->context, g_main_context_unref);
}
