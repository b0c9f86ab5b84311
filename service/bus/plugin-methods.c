/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Methods of org.vmsan.Manager about plugins and events. */

#include "bus/bus-hooks.h"
#include "bus/bus-methods.h"
#include "bus/bus-plugins.h"

/* ---- RegisterPlugin ------------------------------------------------------------------------ */

gboolean
vmsan_bus_parse_register_plugin (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = NULL;
  VmsanBusPlugin *plugin;
  const char *path;

  g_variant_get (parameters, "(&o@a{sv})", &path, &options);
  plugin = vmsan_bus_plugin_new (g_dbus_method_invocation_get_sender (call->invocation), path,
                                 call->uid, options, error);
  if (plugin == NULL)
    return FALSE;
  vmsan_bus_call_set_request (call, plugin, (GDestroyNotify) vmsan_bus_plugin_unref);
  return TRUE;
}

void
vmsan_bus_register_plugin (VmsanBusCall *call)
{
  GError *error = NULL;

  if (vmsan_bus_plugins_add (call->bus->plugins, call->request, call->gone, &error))
    vmsan_bus_call_return (call, NULL);
  else
    vmsan_bus_call_fail (call, error);
}

/* ---- UnregisterPlugin ---------------------------------------------------------------------- */

gboolean
vmsan_bus_parse_unregister_plugin (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  char *path;

  g_variant_get (parameters, "(o)", &path);
  vmsan_bus_call_set_request (call, path, g_free);
  return TRUE;
}

void
vmsan_bus_unregister_plugin (VmsanBusCall *call)
{
  GError *error = NULL;

  if (vmsan_bus_plugins_remove (call->bus->plugins,
                                g_dbus_method_invocation_get_sender (call->invocation),
                                call->request, &error))
    vmsan_bus_call_return (call, NULL);
  else
    vmsan_bus_call_fail (call, error);
}

/* ---- ListPlugins --------------------------------------------------------------------------- */

void
vmsan_bus_list_plugins (VmsanBusCall *call)
{
  vmsan_bus_call_return (call,
                         g_variant_new ("(@aa{sv})", vmsan_bus_plugins_list (call->bus->plugins)));
}

/* ---- GetEvents ----------------------------------------------------------------------------- */

gboolean
vmsan_bus_parse_get_events (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  guint64 *since = g_new0 (guint64, 1);

  g_variant_get (parameters, "(t)", since);
  vmsan_bus_call_set_request (call, since, g_free);
  return TRUE;
}

void
vmsan_bus_get_events (VmsanBusCall *call)
{
  const guint64 *since = call->request;

  vmsan_bus_call_return_large (call,
                               vmsan_bus_events_list (vmsan_bus_hooks_get_events (call->bus->hooks),
                                                      *since));
}
