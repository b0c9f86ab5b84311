/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Properties of exported objects: one table for each interface. */

#pragma once

#include "storage/content-store.h"
#include "vm/vm-manager.h"

#include <gio/gio.h>

/* (transfer floating), or NULL for a name that the interface does not have. */
GVariant *vmsan_bus_vm_get_property (VmsanVm *vm, const char *name);
GVariant *
vmsan_bus_content_get_property (VmsanContentKind kind, VmsanContent *content, const char *name);
GVariant *vmsan_bus_manager_get_property (VmsanVmManager *manager, const char *name);

/* All of an object as a{sv}, (transfer floating). */
GVariant *vmsan_bus_vm_get_properties (VmsanVm *vm);
GVariant *vmsan_bus_content_get_properties (VmsanContentKind kind, VmsanContent *content);
GVariant *vmsan_bus_manager_get_properties (VmsanVmManager *manager);

/* Those of a machine that can change, as a{sv}, (transfer floating). */
GVariant *vmsan_bus_vm_get_changing_properties (VmsanVm *vm);

/* Object paths, (transfer full). */
char *vmsan_bus_vm_path (const char *id);
char *vmsan_bus_content_path (VmsanContentKind kind, const char *id);
