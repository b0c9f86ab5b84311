/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: every call gets exactly one reply, and every error leaves here under one of our names.
 */

#include "bus/bus-call.h"

#include "bus/bus-authority.h"
#include "bus/bus-callers.h"
#include "sys/error.h"
#include "vm/vm-manager.h"

#include <gio/gunixfdlist.h>

static void
call_free (VmsanBusCall *call)
{
  if (call->request_free != NULL)
    call->request_free (call->request);
  g_clear_object (&call->vm);
  g_clear_object (&call->gone);
  g_free (call->actor);
  g_free (call->object_id);
  g_free (call->project);
  g_free (call);
}

/* ---- Replies ------------------------------------------------------------------------------- */

void
vmsan_bus_call_return (VmsanBusCall *call, GVariant *reply)
{
  g_dbus_method_invocation_return_value (call->invocation, reply);
  call_free (call);
}

static void
send_in_thread (GTask *task, gpointer source, gpointer reply, GCancellable *cancellable)
{
  g_dbus_method_invocation_return_value (g_object_ref (source), reply);
}

void
vmsan_bus_reply_in_thread (GDBusMethodInvocation *invocation, GVariant *reply)
{
  g_autoptr (GTask) task = g_task_new (invocation, NULL, NULL, NULL);

  g_task_set_task_data (task, g_variant_ref_sink (reply), (GDestroyNotify) g_variant_unref);
  g_task_run_in_thread (task, send_in_thread);
  g_object_unref (invocation);
}

void
vmsan_bus_call_return_large (VmsanBusCall *call, GVariant *reply)
{
  vmsan_bus_reply_in_thread (call->invocation, reply);
  call_free (call);
}

void
vmsan_bus_call_return_fd (VmsanBusCall *call, GVariant *reply, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new_from_array (&fd, 1);

  g_dbus_method_invocation_return_value_with_unix_fd_list (call->invocation, reply, fds);
  call_free (call);
}

/* An error of another domain would reach the caller under a name made up by GDBus. */
static GError *
as_our_error (GError *error)
{
  GError *ours;

  if (error->domain == VMSAN_ERROR)
    return error;
  ours = g_error_new_literal (VMSAN_ERROR,
                              g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)
                                  ? VMSAN_ERROR_CANCELLED
                                  : VMSAN_ERROR_FAILED,
                              error->message);
  g_error_free (error);
  return ours;
}

void
vmsan_bus_call_fail (VmsanBusCall *call, GError *error)
{
  g_dbus_method_invocation_take_error (call->invocation, as_our_error (error));
  call_free (call);
}

/* ---- For parse ----------------------------------------------------------------------------- */

void
vmsan_bus_call_set_request (VmsanBusCall *call, gpointer request, GDestroyNotify free_func)
{
  call->request = request;
  call->request_free = free_func;
}

int
vmsan_bus_call_get_fd (VmsanBusCall *call, gint32 index, const char *what, GError **error)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (call->invocation);
  GUnixFDList *fds = g_dbus_message_get_unix_fd_list (message);
  g_autoptr (GError) local_error = NULL;
  int fd = -1;

  if (fds != NULL && index >= 0 && index < g_unix_fd_list_get_length (fds))
    fd = g_unix_fd_list_get (fds, index, &local_error);
  if (fd < 0)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "The call has no descriptor for “%s”%s%s", what, local_error != NULL ? ": " : "",
                 local_error != NULL ? local_error->message : "");
  return fd;
}

/* ---- The way of a call --------------------------------------------------------------------- */

/* The machine may have been removed while a person typed; another never gets its id. */
static gboolean
still_there (VmsanBusCall *call, GError **error)
{
  if (call->vm == NULL || vmsan_vm_manager_get (call->bus->manager, call->object_id) == call->vm)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "Machine %s is gone", call->object_id);
  return FALSE;
}

static void check_action (VmsanBusCall *call, const char *action);

static void
on_authorized (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanBusCall *call = user_data;
  GError *error = NULL;

  if (!vmsan_bus_authority_check_finish (VMSAN_BUS_AUTHORITY (source), result, &error) ||
      g_cancellable_set_error_if_cancelled (call->gone, &error) || !still_there (call, &error))
    vmsan_bus_call_fail (call, error);
  else if (call->also != NULL)
    check_action (call, g_steal_pointer (&call->also));
  else
    call->method->perform (call);
}

static GVariant *
make_details (VmsanBusCall *call)
{
  GVariantBuilder details;
  uid_t owner = call->vm != NULL ? vmsan_vm_get_record (call->vm)->owner : call->uid;
  g_autofree char *owner_text = g_strdup_printf ("%u", owner);

  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{ss}"));
  g_variant_builder_add (&details, "{ss}", "verb", call->method->name);
  g_variant_builder_add (&details, "{ss}", "owner", owner_text);
  if (call->vm != NULL)
    g_variant_builder_add (&details, "{ss}", "vm-id", call->object_id);
  if (call->project != NULL && call->project[0] != '\0')
    g_variant_builder_add (&details, "{ss}", "project", call->project);
  return g_variant_builder_end (&details);
}

static void
check_action (VmsanBusCall *call, const char *action)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (call->invocation);
  gboolean interactive =
      g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;

  vmsan_bus_authority_check_async (call->bus->authority,
                                   g_dbus_method_invocation_get_sender (call->invocation),
                                   call->uid, action, make_details (call), interactive, call->gone,
                                   on_authorized, call);
}

static void
authorize (VmsanBusCall *call)
{
  const char *action = call->method->action;

  if (call->method->access == VMSAN_ACCESS_PUBLIC)
    {
      call->method->perform (call);
      return;
    }
  if ((call->method->access == VMSAN_ACCESS_OWNER &&
       vmsan_vm_get_record (call->vm)->owner != call->uid) ||
      (call->method->access == VMSAN_ACCESS_EFFECT && call->changes))
    action = call->method->other_action;
  check_action (call, action);
}

static gboolean
find_object (VmsanBusCall *call, GError **error)
{
  const char *path = g_dbus_method_invocation_get_object_path (call->invocation);

  call->object_id = g_path_get_basename (path);
  if (!g_str_equal (call->method->interface, "org.vmsan.VM"))
    return TRUE;
  call->vm = vmsan_vm_manager_get (call->bus->manager, call->object_id);
  if (call->vm == NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "There is no machine at %s", path);
      return FALSE;
    }
  g_object_ref (call->vm);
  call->project = g_strdup (vmsan_vm_get_record (call->vm)->project);
  return TRUE;
}

static void
on_identified (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanBusCall *call = user_data;
  g_autoptr (VmsanBusCaller) caller = NULL;
  GError *error = NULL;

  caller = vmsan_bus_callers_identify_finish (VMSAN_BUS_CALLERS (source), result, &error);
  if (caller != NULL)
    {
      call->uid = caller->uid;
      call->actor = g_strdup_printf ("uid:%u", caller->uid);
      call->gone = g_object_ref (caller->gone);
    }
  if (caller == NULL || !find_object (call, &error) ||
      (call->method->parse != NULL &&
       !call->method->parse (call, g_dbus_method_invocation_get_parameters (call->invocation),
                             &error)))
    vmsan_bus_call_fail (call, error);
  else
    authorize (call);
}

void
vmsan_bus_call_dispatch (VmsanBus *bus,
                         const VmsanBusMethod *method,
                         GDBusMethodInvocation *invocation)
{
  VmsanBusCall *call = g_new0 (VmsanBusCall, 1);

  call->bus = bus;
  call->method = method;
  call->invocation = invocation;
  vmsan_bus_callers_identify_async (bus->callers, g_dbus_method_invocation_get_sender (invocation),
                                    on_identified, call);
}
