/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: signals leave in the order in which things happened, numbered without a gap. */

#include "bus/bus-hooks.h"

#include "bus/interfaces.h"
#include "sys/error.h"

struct _VmsanBusHooks
{
  VmsanBus *bus;
  VmsanBusEvents *events;
};

static const char *const hook_names[] = {
  [VMSAN_HOOK_NONE] = NULL,
  [VMSAN_HOOK_BEFORE_CREATE] = "BeforeCreate",
  [VMSAN_HOOK_AFTER_CREATE] = "AfterCreate",
  [VMSAN_HOOK_BEFORE_START] = "BeforeStart",
  [VMSAN_HOOK_AFTER_START] = "AfterStart",
  [VMSAN_HOOK_BEFORE_STOP] = "BeforeStop",
  [VMSAN_HOOK_AFTER_STOP] = "AfterStop",
  [VMSAN_HOOK_BEFORE_REMOVE] = "BeforeRemove",
  [VMSAN_HOOK_AFTER_REMOVE] = "AfterRemove",
  [VMSAN_HOOK_NETWORK_AFTER_SETUP] = "NetworkAfterSetup",
  [VMSAN_HOOK_NETWORK_AFTER_TEARDOWN] = "NetworkAfterTeardown",
  [VMSAN_HOOK_NETWORK_POLICY_CHANGED] = "NetworkPolicyChanged",
  [VMSAN_HOOK_STATE_CHANGED] = "StateChanged",
  [VMSAN_HOOK_ERROR] = "Error",
  [VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE] = "BeforeNetworkPolicyChange",
};

G_STATIC_ASSERT (G_N_ELEMENTS (hook_names) == VMSAN_HOOK_LAST + 1);

const char *
vmsan_bus_hook_name (VmsanHook hook)
{
  return hook_names[hook];
}

static GVariant *
error_parameters (guint64 sequence, const VmsanHookEvent *event)
{
  const char *name = "org.vmsan.Error.Failed";

  if (event->error->domain == VMSAN_ERROR)
    name = vmsan_error_dbus_name (event->error->code);
  return g_variant_new ("(tsussss)", sequence, event->id, (guint32) event->owner, event->phase,
                        name, event->error->message, event->actor);
}

static GVariant *
parameters_of (guint64 sequence, const VmsanHookEvent *event)
{
  switch (event->hook)
    {
    case VMSAN_HOOK_ERROR:
      return error_parameters (sequence, event);
    case VMSAN_HOOK_NETWORK_POLICY_CHANGED:
      return g_variant_new ("(tsussss)", sequence, event->id, (guint32) event->owner,
                            event->old_policy, event->new_policy, event->reason, event->actor);
    case VMSAN_HOOK_STATE_CHANGED:
      return g_variant_new ("(tsussss)", sequence, event->id, (guint32) event->owner,
                            event->old_state, event->new_state, event->reason, event->actor);
    default:
      return g_variant_new ("(tsuss)", sequence, event->id, (guint32) event->owner, event->reason,
                            event->actor);
    }
}

static void
on_hook (VmsanVmManager *manager, const VmsanHookEvent *event, VmsanBusHooks *self)
{
  const GDBusSignalInfo *signal =
      g_dbus_interface_info_lookup_signal ((GDBusInterfaceInfo *) &org_vmsan_manager_interface,
                                           hook_names[event->hook]);
  g_autoptr (GVariant) parameters =
      g_variant_ref_sink (parameters_of (vmsan_bus_events_get_next (self->events), event));

  vmsan_bus_events_add (self->events, signal, parameters);
  g_dbus_connection_emit_signal (self->bus->connection, NULL, "/org/vmsan/Manager",
                                 "org.vmsan.Manager", signal->name, parameters, NULL);
}

VmsanBusHooks *
vmsan_bus_hooks_new (VmsanBus *bus)
{
  VmsanBusHooks *self = g_new0 (VmsanBusHooks, 1);

  self->bus = bus;
  self->events = vmsan_bus_events_new ();
  g_signal_connect (bus->manager, "hook", G_CALLBACK (on_hook), self);
  return self;
}

void
vmsan_bus_hooks_free (VmsanBusHooks *self)
{
  g_signal_handlers_disconnect_by_data (self->bus->manager, self);
  vmsan_bus_events_free (self->events);
  g_free (self);
}

VmsanBusEvents *
vmsan_bus_hooks_get_events (VmsanBusHooks *self)
{
  return self->events;
}
