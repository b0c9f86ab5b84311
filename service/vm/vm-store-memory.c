/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: behaves as the files do, and forgets everything with its object. */

#include "vm/vm-store.h"

#include <string.h>

#define VMSAN_TYPE_VM_STORE_MEMORY (vmsan_vm_store_memory_get_type ())
G_DECLARE_FINAL_TYPE (VmsanVmStoreMemory, vmsan_vm_store_memory, VMSAN, VM_STORE_MEMORY, GObject)

struct _VmsanVmStoreMemory
{
  GObject parent;
  GMutex lock; /* of records: calls come from several threads */
  GHashTable *records;
};

static void vm_store_iface_init (VmsanVmStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (VmsanVmStoreMemory,
                               vmsan_vm_store_memory,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (VMSAN_TYPE_VM_STORE, vm_store_iface_init))

static int
compare_ids (gconstpointer a, gconstpointer b)
{
  const VmsanVmRecord *const *left = a, *const *right = b;

  return strcmp ((*left)->id, (*right)->id);
}

static GPtrArray *
load_all (VmsanVmStore *store, GStrv *damaged, GError **error)
{
  VmsanVmStoreMemory *self = VMSAN_VM_STORE_MEMORY (store);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  GPtrArray *all = g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_vm_record_free);
  GHashTableIter iter;
  gpointer record;

  g_hash_table_iter_init (&iter, self->records);
  while (g_hash_table_iter_next (&iter, NULL, &record))
    g_ptr_array_add (all, vmsan_vm_record_copy (record));
  g_ptr_array_sort (all, compare_ids);
  *damaged = g_new0 (char *, 1);
  return all;
}

static gboolean
save (VmsanVmStore *store, const VmsanVmRecord *record, GError **error)
{
  VmsanVmStoreMemory *self = VMSAN_VM_STORE_MEMORY (store);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_hash_table_replace (self->records, g_strdup (record->id), vmsan_vm_record_copy (record));
  return TRUE;
}

static gboolean
remove_record (VmsanVmStore *store, const char *id, GError **error)
{
  VmsanVmStoreMemory *self = VMSAN_VM_STORE_MEMORY (store);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_hash_table_remove (self->records, id);
  return TRUE;
}

static void
vm_store_iface_init (VmsanVmStoreInterface *iface)
{
  iface->load_all = load_all;
  iface->save = save;
  iface->remove = remove_record;
}

static void
vmsan_vm_store_memory_finalize (GObject *object)
{
  VmsanVmStoreMemory *self = VMSAN_VM_STORE_MEMORY (object);

  g_hash_table_unref (self->records);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (vmsan_vm_store_memory_parent_class)->finalize (object);
}

static void
vmsan_vm_store_memory_class_init (VmsanVmStoreMemoryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_vm_store_memory_finalize;
}

static void
vmsan_vm_store_memory_init (VmsanVmStoreMemory *self)
{
  g_mutex_init (&self->lock);
  self->records = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                         (GDestroyNotify) vmsan_vm_record_free);
}

VmsanVmStore *
vmsan_vm_store_memory_new (void)
{
  return g_object_new (VMSAN_TYPE_VM_STORE_MEMORY, NULL);
}
