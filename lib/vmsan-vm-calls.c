/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: each method of org.vmsan.VM as an asynchronous and as a blocking function. */

#include "config.h"

#include "vmsan-vm-private.h"

#include "vmsan-call.h"
#include "vmsan-error.h"

#include <glib/gi18n-lib.h>

/* Takes @parameters. */
static void
call_vm (VmsanVM *vm,
         const char *method,
         GVariant *parameters,
         const char *reply_type,
         GTask *task,
         VmsanReplyFunc done)
{
  const VmsanCall call = {
    .path = vm->path,
    .interface = VMSAN_INTERFACE_VM,
    .method = method,
    .parameters = parameters,
    .reply_type = G_VARIANT_TYPE (reply_type),
  };

  vmsan_call_begin (vm->client, &call, task, done);
}

static void
return_string (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  char *text;

  g_variant_get (reply, "(s)", &text);
  g_task_return_pointer (task, text, g_free);
  g_object_unref (task);
}

static void
return_reply (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_task_return_pointer (task, g_variant_ref (reply), (GDestroyNotify) g_variant_unref);
  g_object_unref (task);
}

/**
 * vmsan_vm_start:
 * @vm: a machine
 * @options: (nullable): `a{sv}`, as for the D-Bus method; none yet
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when programs can be run in it, or it did not boot
 * @user_data: for @callback
 *
 * Boots a stopped machine.
 */
void
vmsan_vm_start (VmsanVM *vm,
                GVariant *options,
                GCancellable *cancellable,
                GAsyncReadyCallback callback,
                gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "Start", g_variant_new ("(@a{sv})", vmsan_call_options (options)), "()",
           g_task_new (vm, cancellable, callback, user_data), vmsan_call_return_true);
}

/**
 * vmsan_vm_start_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when it runs
 */
gboolean
vmsan_vm_start_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_vm_start_sync:
 * @vm: a machine
 * @options: (nullable): see [method@VM.start]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Boots a stopped machine, and waits until programs can be run in it.
 *
 * Returns: %TRUE when it runs
 */
gboolean
vmsan_vm_start_sync (VmsanVM *vm, GVariant *options, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_start (vm, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_start_finish (vm, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_vm_stop:
 * @vm: a machine
 * @options: (nullable): `a{sv}`: "force" (`b`), "deadline-ms" (`u`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when it has stopped
 * @user_data: for @callback
 *
 * Asks the guest to shut down, and kills it when its time is up.
 */
void
vmsan_vm_stop (VmsanVM *vm,
               GVariant *options,
               GCancellable *cancellable,
               GAsyncReadyCallback callback,
               gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "Stop", g_variant_new ("(@a{sv})", vmsan_call_options (options)), "(s)",
           g_task_new (vm, cancellable, callback, user_data), return_string);
}

/**
 * vmsan_vm_stop_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): "graceful" when the guest shut down by itself, "forced" when
 *   it had to be killed; %NULL with @error set otherwise
 */
char *
vmsan_vm_stop_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * vmsan_vm_stop_sync:
 * @vm: a machine
 * @options: (nullable): see [method@VM.stop]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Stops a machine, and waits for that.
 *
 * Returns: (transfer full) (nullable): see [method@VM.stop_finish]
 */
char *
vmsan_vm_stop_sync (VmsanVM *vm, GVariant *options, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_stop (vm, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_stop_finish (vm, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_vm_remove:
 * @vm: a machine
 * @options: (nullable): `a{sv}`: "force" (`b`): in any state, whatever is damaged of it
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when it is gone
 * @user_data: for @callback
 *
 * Removes a machine with its private disk.
 */
void
vmsan_vm_remove (VmsanVM *vm,
                 GVariant *options,
                 GCancellable *cancellable,
                 GAsyncReadyCallback callback,
                 gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "Remove", g_variant_new ("(@a{sv})", vmsan_call_options (options)), "()",
           g_task_new (vm, cancellable, callback, user_data), vmsan_call_return_true);
}

/**
 * vmsan_vm_remove_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_vm_remove_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_vm_remove_sync:
 * @vm: a machine
 * @options: (nullable): see [method@VM.remove]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Removes a machine with its private disk, and waits for that.
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_vm_remove_sync (VmsanVM *vm, GVariant *options, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_remove (vm, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_remove_finish (vm, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_vm_set_timeout:
 * @vm: a machine
 * @timeout_ms: milliseconds from now; 0 removes the time limit
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Changes when a running machine is stopped.
 */
void
vmsan_vm_set_timeout (VmsanVM *vm,
                      guint64 timeout_ms,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "SetTimeout", g_variant_new ("(t)", timeout_ms), "()",
           g_task_new (vm, cancellable, callback, user_data), vmsan_call_return_true);
}

/**
 * vmsan_vm_set_timeout_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when the time limit was changed
 */
gboolean
vmsan_vm_set_timeout_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_vm_set_timeout_sync:
 * @vm: a machine
 * @timeout_ms: milliseconds from now; 0 removes the time limit
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Changes when a running machine is stopped, and waits for the answer.
 *
 * Returns: %TRUE when the time limit was changed
 */
gboolean
vmsan_vm_set_timeout_sync (VmsanVM *vm,
                           guint64 timeout_ms,
                           GCancellable *cancellable,
                           GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_set_timeout (vm, timeout_ms, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_set_timeout_finish (vm, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_vm_set_network_policy:
 * @vm: a machine
 * @options: (nullable): `a{sv}`: "network-policy" (`s`), "allowed-cidrs" (`as`), "denied-cidrs"
 *   (`as`), "allowed-domains" (`as`), "allow-icmp" (`b`), "bandwidth-mbit" (`u`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when the change is in force, or nothing was changed
 * @user_data: for @callback
 *
 * Changes what a machine may reach, at once where it runs. What is not in @options stays as it is.
 */
void
vmsan_vm_set_network_policy (VmsanVM *vm,
                             GVariant *options,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "SetNetworkPolicy", g_variant_new ("(@a{sv})", vmsan_call_options (options)), "()",
           g_task_new (vm, cancellable, callback, user_data), vmsan_call_return_true);
}

/**
 * vmsan_vm_set_network_policy_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when the change is in force
 */
gboolean
vmsan_vm_set_network_policy_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_vm_set_network_policy_sync:
 * @vm: a machine
 * @options: (nullable): see [method@VM.set_network_policy]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Changes what a machine may reach, and waits until that is in force.
 *
 * Returns: %TRUE when the change is in force
 */
gboolean
vmsan_vm_set_network_policy_sync (VmsanVM *vm,
                                  GVariant *options,
                                  GCancellable *cancellable,
                                  GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_set_network_policy (vm, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_set_network_policy_finish (vm, vmsan_sync_end (&sync), error);
}

/* ---- Exec ---------------------------------------------------------------------------------- */

static void
return_fd (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  GError *error = NULL;
  gint32 index;
  int fd = -1;

  g_variant_get (reply, "(h)", &index);
  if (fds == NULL || index < 0 || index >= g_unix_fd_list_get_length (fds))
    error = g_error_new_literal (VMSAN_ERROR, VMSAN_ERROR_FAILED,
                                 _ ("The service did not send the connection to the guest"));
  else
    fd = g_unix_fd_list_get (fds, index, &error);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_int (task, fd);
  g_object_unref (task);
}

/* The task's result is a descriptor, also when it was cancelled meanwhile: it has to be closed. */
static void
open_stream (VmsanVM *vm, const char *const *argv, GVariant *options, GTask *task)
{
  g_task_set_check_cancellable (task, FALSE);
  call_vm (vm, "Exec", g_variant_new ("(^as@a{sv})", argv, vmsan_call_options (options)), "(h)",
           task, return_fd);
}

static void
exec_started (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanProcess *process = VMSAN_PROCESS (object);
  GError *error = NULL;

  if (vmsan_process_wait_started_finish (process, result, &error))
    g_task_return_pointer (task, g_object_ref (process), g_object_unref);
  else
    g_task_return_error (task, error);
}

static void
exec_opened (GObject *object, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  g_autoptr (VmsanProcess) process = NULL;
  GError *error = NULL;
  int fd = (int) g_task_propagate_int (G_TASK (result), &error);

  if (error != NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  process = vmsan_process_new_for_fd (fd);
  vmsan_process_wait_started (process, g_task_get_cancellable (task), exec_started, task);
}

/**
 * vmsan_vm_exec:
 * @vm: a machine
 * @argv: (array zero-terminated=1): program and arguments
 * @options: (nullable): `a{sv}`: "env" (`as`), "cwd" (`s`), "user" (`s`), "timeout-ms" (`t`)
 * @cancellable: (nullable): to give up; a program that has started is hung up
 * @callback: (scope async): called when the program has started, or could not
 * @user_data: for @callback
 *
 * Runs a program in the guest.
 */
void
vmsan_vm_exec (VmsanVM *vm,
               const char *const *argv,
               GVariant *options,
               GCancellable *cancellable,
               GAsyncReadyCallback callback,
               gpointer user_data)
{
  GTask *task;

  g_return_if_fail (VMSAN_IS_VM (vm));
  g_return_if_fail (argv != NULL && argv[0] != NULL);

  task = g_task_new (vm, cancellable, callback, user_data);
  open_stream (vm, argv, options, g_task_new (vm, cancellable, exec_opened, task));
}

/**
 * vmsan_vm_exec_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the running program, or %NULL with @error set: in
 *   #VmsanProcessError when the guest could not start it, in #VmsanError when the service refused
 */
VmsanProcess *
vmsan_vm_exec_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * vmsan_vm_exec_sync:
 * @vm: a machine
 * @argv: (array zero-terminated=1): program and arguments
 * @options: (nullable): see [method@VM.exec]
 * @cancellable: (nullable): to give up; a program that has started is hung up
 * @error: return location for an error
 *
 * Runs a program in the guest, and waits until it has started.
 *
 * Returns: (transfer full) (nullable): the running program; see [method@VM.exec_finish]
 */
VmsanProcess *
vmsan_vm_exec_sync (VmsanVM *vm,
                    const char *const *argv,
                    GVariant *options,
                    GCancellable *cancellable,
                    GError **error)
{
  g_auto (VmsanSync) sync = { 0 };
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (GError) local = NULL;
  int fd;

  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  g_return_val_if_fail (argv != NULL && argv[0] != NULL, NULL);

  vmsan_sync_begin (&sync);
  open_stream (vm, argv, options, g_task_new (vm, cancellable, vmsan_sync_done, &sync));
  fd = (int) g_task_propagate_int (G_TASK (vmsan_sync_end (&sync)), &local);
  if (local != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }

  /* Made only now: a process belongs to the caller's main context, not to the sync's. */
  process = vmsan_process_new_for_fd (fd);
  if (!vmsan_process_wait_started_sync (process, cancellable, error))
    return NULL;
  return g_steal_pointer (&process);
}

/**
 * vmsan_vm_run:
 * @vm: a machine
 * @argv: (array zero-terminated=1): program and arguments
 * @options: (nullable): `a{sv}`, as for [method@VM.exec], and "stdin" (`ay`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when the program has ended
 * @user_data: for @callback
 *
 * Runs a program with small output in the guest, and waits for it. [method@VM.exec] has no limits.
 */
void
vmsan_vm_run (VmsanVM *vm,
              const char *const *argv,
              GVariant *options,
              GCancellable *cancellable,
              GAsyncReadyCallback callback,
              gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  g_return_if_fail (argv != NULL && argv[0] != NULL);
  call_vm (vm, "Run", g_variant_new ("(^as@a{sv})", argv, vmsan_call_options (options)), "(iiss)",
           g_task_new (vm, cancellable, callback, user_data), return_reply);
}

/**
 * vmsan_vm_run_finish:
 * @vm: a machine
 * @result: what the callback got
 * @exit_code: (out) (optional): what it exited with, or 128 + signal number
 * @signal_number: (out) (optional): the signal that ended it, or 0
 * @output: (out) (optional) (transfer full): its output
 * @error_output: (out) (optional) (transfer full): its error output
 * @error: return location for an error
 *
 * Returns: %TRUE when the program was run, however it ended
 */
gboolean
vmsan_vm_run_finish (VmsanVM *vm,
                     GAsyncResult *result,
                     int *exit_code,
                     int *signal_number,
                     char **output,
                     char **error_output,
                     GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  g_return_val_if_fail (g_task_is_valid (result, vm), FALSE);
  reply = g_task_propagate_pointer (G_TASK (result), error);
  if (reply == NULL)
    return FALSE;
  g_variant_get_child (reply, 0, "i", exit_code);
  g_variant_get_child (reply, 1, "i", signal_number);
  g_variant_get_child (reply, 2, "s", output);
  g_variant_get_child (reply, 3, "s", error_output);
  return TRUE;
}

/**
 * vmsan_vm_run_sync:
 * @vm: a machine
 * @argv: (array zero-terminated=1): program and arguments
 * @options: (nullable): see [method@VM.run]
 * @cancellable: (nullable): to stop waiting for the answer
 * @exit_code: (out) (optional): what it exited with, or 128 + signal number
 * @signal_number: (out) (optional): the signal that ended it, or 0
 * @output: (out) (optional) (transfer full): its output
 * @error_output: (out) (optional) (transfer full): its error output
 * @error: return location for an error
 *
 * Runs a program with small output in the guest, and waits for it.
 *
 * Returns: %TRUE when the program was run, however it ended
 */
gboolean
vmsan_vm_run_sync (VmsanVM *vm,
                   const char *const *argv,
                   GVariant *options,
                   GCancellable *cancellable,
                   int *exit_code,
                   int *signal_number,
                   char **output,
                   char **error_output,
                   GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_run (vm, argv, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_run_finish (vm, vmsan_sync_end (&sync), exit_code, signal_number, output,
                              error_output, error);
}

/**
 * vmsan_vm_get_details:
 * @vm: a machine
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Asks for what only its owner and administrators may see.
 */
void
vmsan_vm_get_details (VmsanVM *vm,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VM (vm));
  call_vm (vm, "GetDetails", NULL, "(a{sv})", g_task_new (vm, cancellable, callback, user_data),
           return_reply);
}

/**
 * vmsan_vm_get_details_finish:
 * @vm: a machine
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): `a{sv}`, or %NULL with @error set
 */
GVariant *
vmsan_vm_get_details_finish (VmsanVM *vm, GAsyncResult *result, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  g_return_val_if_fail (g_task_is_valid (result, vm), NULL);
  reply = g_task_propagate_pointer (G_TASK (result), error);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/**
 * vmsan_vm_get_details_sync:
 * @vm: a machine
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Asks for what only its owner and administrators may see, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): `a{sv}`, or %NULL with @error set
 */
GVariant *
vmsan_vm_get_details_sync (VmsanVM *vm, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_vm_get_details (vm, cancellable, vmsan_sync_done, &sync);
  return vmsan_vm_get_details_finish (vm, vmsan_sync_end (&sync), error);
}
