/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Methods of org.vmsan.VM. */

#include "bus/bus-methods.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/options.h"

#define MAX_STOP_DEADLINE_MS 600000

static const VmsanOption no_options[] = { { NULL, NULL } };

gboolean
vmsan_bus_parse_no_options (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);

  return vmsan_options_check (options, no_options, error);
}

/* ---- Start --------------------------------------------------------------------------------- */

static void
on_started (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;

  if (vmsan_vm_start_finish (VMSAN_VM (source), result, &error))
    vmsan_bus_call_return (user_data, NULL);
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_start (VmsanBusCall *call)
{
  /* Not cancelled when the caller leaves: the machine is known, and can be stopped. */
  vmsan_vm_start_async (call->vm, call->actor, NULL, on_started, call);
}

/* ---- Stop ---------------------------------------------------------------------------------- */

static const VmsanOption stop_options[] = {
  { "force", "b" },
  { "deadline-ms", "u" },
  { NULL, NULL },
};

gboolean
vmsan_bus_parse_stop (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);
  const VmsanConfig *config = vmsan_vm_manager_get_config (call->bus->manager);
  guint *deadline_ms;

  if (!vmsan_options_check (options, stop_options, error))
    return FALSE;
  deadline_ms = g_new0 (guint, 1);
  vmsan_bus_call_set_request (call, deadline_ms, g_free);
  *deadline_ms = vmsan_options_get_uint (options, "deadline-ms", config->stop_deadline_ms);
  if (*deadline_ms > MAX_STOP_DEADLINE_MS)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “deadline-ms” is %u but must be at most %d", *deadline_ms,
                   MAX_STOP_DEADLINE_MS);
      return FALSE;
    }
  if (vmsan_options_get_boolean (options, "force", FALSE))
    *deadline_ms = 0;
  return TRUE;
}

static void
on_stopped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;
  const char *how = vmsan_vm_stop_finish (VMSAN_VM (source), result, &error);

  if (how != NULL)
    vmsan_bus_call_return (user_data, g_variant_new ("(s)", how));
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_stop (VmsanBusCall *call)
{
  const guint *deadline_ms = call->request;

  vmsan_vm_stop_async (call->vm, *deadline_ms, call->actor, NULL, on_stopped, call);
}

/* ---- Remove -------------------------------------------------------------------------------- */

static const VmsanOption remove_options[] = { { "force", "b" }, { NULL, NULL } };

gboolean
vmsan_bus_parse_remove (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);

  if (!vmsan_options_check (options, remove_options, error))
    return FALSE;
  vmsan_bus_call_set_request (call,
                              GINT_TO_POINTER (vmsan_options_get_boolean (options, "force", FALSE)),
                              NULL);
  return TRUE;
}

static void
on_removed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;

  if (vmsan_vm_remove_finish (VMSAN_VM (source), result, &error))
    vmsan_bus_call_return (user_data, NULL);
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_remove (VmsanBusCall *call)
{
  vmsan_vm_remove_async (call->vm, GPOINTER_TO_INT (call->request), call->actor, on_removed, call);
}

/* ---- SetTimeout ---------------------------------------------------------------------------- */

gboolean
vmsan_bus_parse_set_timeout (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  guint64 *timeout_ms = g_new0 (guint64, 1);

  g_variant_get (parameters, "(t)", timeout_ms);
  vmsan_bus_call_set_request (call, timeout_ms, g_free);
  return vmsan_timeout_check (*timeout_ms, error);
}

static void
on_timeout_set (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;

  if (vmsan_vm_set_timeout_finish (VMSAN_VM (source), result, &error))
    vmsan_bus_call_return (user_data, NULL);
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_set_timeout (VmsanBusCall *call)
{
  const guint64 *timeout_ms = call->request;

  vmsan_vm_set_timeout_async (call->vm, *timeout_ms, call->actor, on_timeout_set, call);
}

/* ---- SetNetworkPolicy ---------------------------------------------------------------------- */

gboolean
vmsan_bus_parse_set_network_policy (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);

  if (!vmsan_options_check (options, vmsan_net_policy_live_options, error))
    return FALSE;
  vmsan_bus_call_set_request (call, g_steal_pointer (&options), (GDestroyNotify) g_variant_unref);
  return TRUE;
}

static void
on_policy_set (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;

  if (vmsan_vm_set_network_policy_finish (VMSAN_VM (source), result, &error))
    vmsan_bus_call_return (user_data, NULL);
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_set_network_policy (VmsanBusCall *call)
{
  VmsanNetManager *networks = vmsan_vm_manager_get_networks (call->bus->manager);
  const VmsanNetPolicy *old = vmsan_vm_get_record (call->vm)->network;
  GError *error = NULL;
  g_autoptr (VmsanNetPolicy) policy =
      vmsan_net_policy_parse (call->request, old, vmsan_net_manager_get_pools (networks), &error);

  if (policy == NULL || !vmsan_net_policy_check_caller (policy, old, call->uid, &error))
    vmsan_bus_call_fail (call, error);
  else
    vmsan_vm_set_network_policy_async (call->vm, policy, call->actor, on_policy_set, call);
}

/* ---- Exec and Run -------------------------------------------------------------------------- */

static const VmsanOption exec_options[] = {
  { "env", "as" }, { "cwd", "s" }, { "user", "s" }, { "timeout-ms", "t" }, { NULL, NULL },
};

static const VmsanOption run_options[] = {
  { "env", "as" },       { "cwd", "s" },    { "user", "s" },
  { "timeout-ms", "t" }, { "stdin", "ay" }, { NULL, NULL },
};

static gboolean
parse_program (VmsanBusCall *call, GVariant *parameters, const VmsanOption *known, GError **error)
{
  g_autofree const char **argv = NULL;
  g_autoptr (GVariant) options = NULL;
  g_autofree const char **env = NULL;
  g_autoptr (GVariant) stdin_value = NULL;
  g_autoptr (GBytes) stdin_data = NULL;
  VmsanExecRequest *request;

  g_variant_get (parameters, "(^a&s@a{sv})", &argv, &options);
  if (!vmsan_options_check (options, known, error))
    return FALSE;
  g_variant_lookup (options, "env", "^a&s", &env);
  stdin_value = g_variant_lookup_value (options, "stdin", G_VARIANT_TYPE_BYTESTRING);
  if (stdin_value != NULL)
    stdin_data = g_variant_get_data_as_bytes (stdin_value);
  request = vmsan_exec_request_new (argv, env, vmsan_options_get_text (options, "cwd", NULL),
                                    vmsan_options_get_text (options, "user", NULL),
                                    vmsan_options_get_uint64 (options, "timeout-ms", 0), stdin_data,
                                    error);
  if (request == NULL)
    return FALSE;
  vmsan_bus_call_set_request (call, request, (GDestroyNotify) vmsan_exec_request_free);
  return TRUE;
}

gboolean
vmsan_bus_parse_exec (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  return parse_program (call, parameters, exec_options, error);
}

gboolean
vmsan_bus_parse_run (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  return parse_program (call, parameters, run_options, error);
}

static void
on_exec (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;
  int fd = vmsan_vm_exec_finish (VMSAN_VM (source), result, &error);

  if (fd >= 0)
    vmsan_bus_call_return_fd (user_data, g_variant_new ("(h)", 0), fd);
  else
    vmsan_bus_call_fail (user_data, error);
}

void
vmsan_bus_exec (VmsanBusCall *call)
{
  vmsan_vm_exec_async (call->vm, call->request, call->gone, on_exec, call);
}

/* D-Bus strings are UTF-8 without NUL; what is not becomes U+FFFD. */
static char *
as_text (GByteArray *bytes)
{
  return bytes->len > 0 ? g_utf8_make_valid ((const char *) bytes->data, bytes->len)
                        : g_strdup ("");
}

static void
on_run (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;
  g_autoptr (VmsanRunResult) run = vmsan_vm_run_finish (VMSAN_VM (source), result, &error);
  g_autofree char *output = NULL;
  g_autofree char *errors = NULL;

  if (run == NULL)
    {
      vmsan_bus_call_fail (user_data, error);
      return;
    }
  output = as_text (run->output);
  errors = as_text (run->errors);
  vmsan_bus_call_return (user_data, g_variant_new ("(iiss)", run->exit_code, run->signal_number,
                                                   output, errors));
}

void
vmsan_bus_run (VmsanBusCall *call)
{
  vmsan_vm_run_async (call->vm, call->request, call->gone, on_run, call);
}

/* ---- GetDetails ---------------------------------------------------------------------------- */

void
vmsan_bus_get_details (VmsanBusCall *call)
{
  vmsan_bus_call_return (call, g_variant_new ("(@a{sv})", vmsan_vm_get_details (call->vm)));
}
