/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The plugins that are registered; together they are who reviews what is about to happen. */

#pragma once

#include "bus/bus-plugin.h"
#include "bus/bus-service.h"

VmsanBusPlugins *vmsan_bus_plugins_new (VmsanBus *bus);
void vmsan_bus_plugins_free (VmsanBusPlugins *self);

/* Until @gone is cancelled, as its process leaves the bus. EXISTS, LIMIT_EXCEEDED. */
gboolean vmsan_bus_plugins_add (VmsanBusPlugins *self,
                                VmsanBusPlugin *plugin,
                                GCancellable *gone,
                                GError **error);

/* NOT_FOUND where the caller @bus_name has none at @path. */
gboolean vmsan_bus_plugins_remove (VmsanBusPlugins *self,
                                   const char *bus_name,
                                   const char *path,
                                   GError **error);

/* In the order in which they are asked. (transfer floating) aa{sv} */
GVariant *vmsan_bus_plugins_list (VmsanBusPlugins *self);
