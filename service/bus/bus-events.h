/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The memory of events: the last thousand hook signals, for listeners that missed some. */

#pragma once

#include <gio/gio.h>

typedef struct _VmsanBusEvents VmsanBusEvents;

VmsanBusEvents *vmsan_bus_events_new (void);
void vmsan_bus_events_free (VmsanBusEvents *self);

/* The number of the next event; it is the next one's until vmsan_bus_events_add(). */
guint64 vmsan_bus_events_get_next (VmsanBusEvents *self);

/* Remembers the signal of that number. @parameters: its arguments (transfer none), the number first
 */
void
vmsan_bus_events_add (VmsanBusEvents *self, const GDBusSignalInfo *signal, GVariant *parameters);

/* What came after the event @since, as the reply of GetEvents. (transfer floating) */
GVariant *vmsan_bus_events_list (VmsanBusEvents *self, guint64 since);
