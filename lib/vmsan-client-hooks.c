/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what the service tells of hooks beside its signals: events that were missed, and the
 * plugins that are asked. */

#include "config.h"

#include "vmsan-client.h"

#include "vmsan-call.h"

static void
return_reply (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_task_return_pointer (task, g_variant_ref (reply), (GDestroyNotify) g_variant_unref);
  g_object_unref (task);
}

/* Takes @parameters. */
static void
call_manager (VmsanClient *client,
              const char *method,
              GVariant *parameters,
              const char *reply_type,
              GTask *task)
{
  const VmsanCall call = {
    .path = VMSAN_OBJECT_MANAGER,
    .interface = VMSAN_INTERFACE_MANAGER,
    .method = method,
    .parameters = parameters,
    .reply_type = G_VARIANT_TYPE (reply_type),
  };

  vmsan_call_begin (client, &call, task, return_reply);
}

/* ---- Events -------------------------------------------------------------------------------- */

/**
 * vmsan_client_get_events:
 * @client: a client
 * @since: sequence number of the last event that is known; 0 for none
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Asks for what [signal@Client::hook] reported since then; the service remembers the last thousand.
 */
void
vmsan_client_get_events (VmsanClient *client,
                         guint64 since,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  call_manager (client, "GetEvents", g_variant_new ("(t)", since), "(a(tsa{sv})tb)",
                g_task_new (client, cancellable, callback, user_data));
}

/**
 * vmsan_client_get_events_finish:
 * @client: a client
 * @result: what the callback got
 * @next: (out) (optional): sequence number to ask with the next time
 * @missed: (out) (optional): whether some were forgotten, or the service was started again
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): `a(tsa{sv})`: sequence number, name and arguments of each,
 *   oldest first; or %NULL with @error set
 */
GVariant *
vmsan_client_get_events_finish (
    VmsanClient *client, GAsyncResult *result, guint64 *next, gboolean *missed, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  g_return_val_if_fail (g_task_is_valid (result, client), NULL);
  reply = g_task_propagate_pointer (G_TASK (result), error);
  if (reply == NULL)
    return NULL;
  if (next != NULL)
    g_variant_get_child (reply, 1, "t", next);
  if (missed != NULL)
    g_variant_get_child (reply, 2, "b", missed);
  return g_variant_get_child_value (reply, 0);
}

/**
 * vmsan_client_get_events_sync:
 * @client: a client
 * @since: sequence number of the last event that is known; 0 for none
 * @next: (out) (optional): sequence number to ask with the next time
 * @missed: (out) (optional): whether some were forgotten, or the service was started again
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Asks for what was reported since then, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): `a(tsa{sv})`: sequence number, name and arguments of each,
 *   oldest first; or %NULL with @error set
 */
GVariant *
vmsan_client_get_events_sync (VmsanClient *client,
                              guint64 since,
                              guint64 *next,
                              gboolean *missed,
                              GCancellable *cancellable,
                              GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_get_events (client, since, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_get_events_finish (client, vmsan_sync_end (&sync), next, missed, error);
}

/* ---- Plugins ------------------------------------------------------------------------------- */

/**
 * vmsan_client_list_plugins:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Lists the plugins that the service asks before something happens to a machine.
 */
void
vmsan_client_list_plugins (VmsanClient *client,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  call_manager (client, "ListPlugins", NULL, "(aa{sv})",
                g_task_new (client, cancellable, callback, user_data));
}

/**
 * vmsan_client_list_plugins_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): `aa{sv}`, in the order in which they are asked, with "name"
 *   (`s`), "owner" (`u`), "hooks" (`as`), "priority" (`i`), "deadline-ms" (`u`), "fail-open" (`b`),
 *   "questions" and "failures" (`t`); or %NULL with @error set
 */
GVariant *
vmsan_client_list_plugins_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  g_return_val_if_fail (g_task_is_valid (result, client), NULL);
  reply = g_task_propagate_pointer (G_TASK (result), error);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/**
 * vmsan_client_list_plugins_sync:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Lists the plugins that the service asks, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): `aa{sv}`; see [method@Client.list_plugins_finish]
 */
GVariant *
vmsan_client_list_plugins_sync (VmsanClient *client, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_list_plugins (client, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_list_plugins_finish (client, vmsan_sync_end (&sync), error);
}
