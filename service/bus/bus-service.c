/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "bus/bus-service.h"

#include "bus/bus-firewalld.h"
#include "bus/bus-hooks.h"
#include "bus/bus-objects.h"
#include "bus/bus-plugins.h"

VmsanBus *
vmsan_bus_new (GDBusConnection *connection, VmsanVmManager *manager, GError **error)
{
  g_autoptr (VmsanBus) self = g_new0 (VmsanBus, 1);

  self->connection = g_object_ref (connection);
  self->manager = g_object_ref (manager);
  self->authority = vmsan_bus_authority_new ();
  self->callers = vmsan_bus_callers_new (connection);
  self->hooks = vmsan_bus_hooks_new (self);
  self->firewalld = vmsan_bus_firewalld_new (self);
  self->doctor = vmsan_doctor_new (manager);
  self->plugins = vmsan_bus_plugins_new (self);
  self->objects = vmsan_bus_objects_new (self, error);
  return self->objects != NULL ? g_steal_pointer (&self) : NULL;
}

void
vmsan_bus_free (VmsanBus *self)
{
  g_clear_pointer (&self->objects, vmsan_bus_objects_free);
  g_clear_pointer (&self->plugins, vmsan_bus_plugins_free);
  g_clear_object (&self->doctor);
  g_clear_pointer (&self->firewalld, vmsan_bus_firewalld_free);
  g_clear_pointer (&self->hooks, vmsan_bus_hooks_free);
  g_clear_object (&self->callers);
  g_clear_object (&self->authority);
  g_clear_object (&self->manager);
  g_clear_object (&self->connection);
  g_free (self);
}
