/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where records are kept. Two implementations: files (the service) and memory (tests, embedding).
 *
 * What comes from a store is a copy, and a record is stored only when save returned success. All
 * calls block; call them from a worker thread, except load_all at the start. Calls for one machine
 * must not overlap; calls for different ones may. */

#pragma once

#include "storage/managed-path.h"
#include "vm/vm-record.h"

#define VMSAN_TYPE_VM_STORE (vmsan_vm_store_get_type ())
G_DECLARE_INTERFACE (VmsanVmStore, vmsan_vm_store, VMSAN, VM_STORE, GObject)

struct _VmsanVmStoreInterface
{
  GTypeInterface parent_interface;

  GPtrArray *(*load_all) (VmsanVmStore *self, GStrv *damaged, GError **error);
  gboolean (*save) (VmsanVmStore *self, const VmsanVmRecord *record, GError **error);
  gboolean (*remove) (VmsanVmStore *self, const char *id, GError **error);
};

/* All records, ordered by id. One that cannot be read is moved aside where the store can do that,
 * and described in @damaged (transfer full); the others are still returned. (transfer full)
 * (element-type VmsanVmRecord) */
GPtrArray *vmsan_vm_store_load_all (VmsanVmStore *self, GStrv *damaged, GError **error);

gboolean vmsan_vm_store_save (VmsanVmStore *self, const VmsanVmRecord *record, GError **error);

/* Removing one that is not there is fine. */
gboolean vmsan_vm_store_remove (VmsanVmStore *self, const char *id, GError **error);

/* Files "vms/ID.json" below @root, damaged ones moved to "damaged/". */
VmsanVmStore *vmsan_vm_store_file_new (VmsanManagedRoot *root, GError **error);

VmsanVmStore *vmsan_vm_store_memory_new (void);
