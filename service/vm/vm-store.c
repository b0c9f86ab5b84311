/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-store.h"

G_DEFINE_INTERFACE (VmsanVmStore, vmsan_vm_store, G_TYPE_OBJECT)

static void
vmsan_vm_store_default_init (VmsanVmStoreInterface *iface)
{
}

GPtrArray *
vmsan_vm_store_load_all (VmsanVmStore *self, GStrv *damaged, GError **error)
{
  return VMSAN_VM_STORE_GET_IFACE (self)->load_all (self, damaged, error);
}

gboolean
vmsan_vm_store_save (VmsanVmStore *self, const VmsanVmRecord *record, GError **error)
{
  return VMSAN_VM_STORE_GET_IFACE (self)->save (self, record, error);
}

gboolean
vmsan_vm_store_remove (VmsanVmStore *self, const char *id, GError **error)
{
  return VMSAN_VM_STORE_GET_IFACE (self)->remove (self, id, error);
}
