/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The objects on the bus: the manager, and three collections (machines, images, kernels), each
 * exported as one subtree rather than an object for each member, which keeps a machine at about a
 * kilobyte and GetManagedObjects at a copy of what is cached. */

#pragma once

#include "bus/bus-service.h"

VmsanBusObjects *vmsan_bus_objects_new (VmsanBus *bus, GError **error);
void vmsan_bus_objects_free (VmsanBusObjects *self);

/* A machine as an entry of each listing, kept until its properties change. */
typedef struct
{
  GVariant *listed;  /* {oa{sv}}, of ListVMs */
  GVariant *managed; /* {oa{sa{sv}}}, of GetManagedObjects */
} VmsanBusEntries;

/* (transfer none) */
const VmsanBusEntries *vmsan_bus_objects_get_vm_entries (VmsanBusObjects *self, VmsanVm *vm);
