/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: only the owner of firewalld's name is listened to, and its signal makes the service
 * look, nothing more. firewalld is never started for it. */

#include "bus/bus-firewalld.h"

#define FIREWALLD_NAME "org.fedoraproject.FirewallD1"
#define FIREWALLD_PATH "/org/fedoraproject/FirewallD1"

struct _VmsanBusFirewalld
{
  GDBusConnection *connection;
  VmsanNetManager *networks;
  guint subscription;
};

static void
on_reloaded (GDBusConnection *connection,
             const char *sender,
             const char *path,
             const char *interface,
             const char *signal,
             GVariant *parameters,
             gpointer user_data)
{
  VmsanBusFirewalld *self = user_data;

  g_message ("firewalld has reloaded; looking at the host's rules for machines");
  vmsan_net_manager_look (self->networks);
}

VmsanBusFirewalld *
vmsan_bus_firewalld_new (VmsanBus *bus)
{
  VmsanBusFirewalld *self = g_new0 (VmsanBusFirewalld, 1);

  self->connection = g_object_ref (bus->connection);
  self->networks = g_object_ref (vmsan_vm_manager_get_networks (bus->manager));
  self->subscription =
      g_dbus_connection_signal_subscribe (self->connection, FIREWALLD_NAME, FIREWALLD_NAME,
                                          "Reloaded", FIREWALLD_PATH, NULL,
                                          G_DBUS_SIGNAL_FLAGS_NONE, on_reloaded, self, NULL);
  return self;
}

void
vmsan_bus_firewalld_free (VmsanBusFirewalld *self)
{
  g_dbus_connection_signal_unsubscribe (self->connection, self->subscription);
  g_object_unref (self->networks);
  g_object_unref (self->connection);
  g_free (self);
}
