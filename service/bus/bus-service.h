/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The service on the bus: exports everything, and turns what happens into signals. */

#pragma once

#include "bus/bus-authority.h"
#include "bus/bus-callers.h"
#include "doctor/doctor.h"
#include "vm/vm-manager.h"

#include <gio/gio.h>

typedef struct _VmsanBusObjects VmsanBusObjects;
typedef struct _VmsanBusHooks VmsanBusHooks;
typedef struct _VmsanBusFirewalld VmsanBusFirewalld;
typedef struct _VmsanBusPlugins VmsanBusPlugins;

/* What the files of bus/ share. */
typedef struct
{
  GDBusConnection *connection;
  VmsanVmManager *manager;
  VmsanBusAuthority *authority;
  VmsanBusCallers *callers;
  VmsanBusObjects *objects;
  VmsanBusHooks *hooks;
  VmsanBusFirewalld *firewalld;
  VmsanDoctor *doctor;
  VmsanBusPlugins *plugins;
} VmsanBus;

/* Exports on @connection; own the name afterwards, so that nobody sees half of it. */
VmsanBus *vmsan_bus_new (GDBusConnection *connection, VmsanVmManager *manager, GError **error);
void vmsan_bus_free (VmsanBus *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanBus, vmsan_bus_free)
