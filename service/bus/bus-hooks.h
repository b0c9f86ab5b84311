/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Hooks as signals of org.vmsan.Manager, each with the next sequence number. */

#pragma once

#include "bus/bus-events.h"
#include "bus/bus-service.h"

VmsanBusHooks *vmsan_bus_hooks_new (VmsanBus *bus);
void vmsan_bus_hooks_free (VmsanBusHooks *self);

/* Signals that were sent. (transfer none) */
VmsanBusEvents *vmsan_bus_hooks_get_events (VmsanBusHooks *self);

/* As signals and plugins have it: "BeforeCreate". */
const char *vmsan_bus_hook_name (VmsanHook hook);
