/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who calls: the uid behind a unique bus name, and the moment it leaves the bus. */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#define VMSAN_TYPE_BUS_CALLERS (vmsan_bus_callers_get_type ())
G_DECLARE_FINAL_TYPE (VmsanBusCallers, vmsan_bus_callers, VMSAN, BUS_CALLERS, GObject)

typedef struct
{
  uid_t uid;
  GCancellable *gone; /* cancelled when the caller leaves the bus */
} VmsanBusCaller;

void vmsan_bus_caller_free (VmsanBusCaller *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanBusCaller, vmsan_bus_caller_free)

VmsanBusCallers *vmsan_bus_callers_new (GDBusConnection *connection);

/* Asks the bus once for each unique name; NOT_AUTHORIZED when it does not know. (transfer full) */
void vmsan_bus_callers_identify_async (VmsanBusCallers *self,
                                       const char *unique_name,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
VmsanBusCaller *
vmsan_bus_callers_identify_finish (VmsanBusCallers *self, GAsyncResult *result, GError **error);
