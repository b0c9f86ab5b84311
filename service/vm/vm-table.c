/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the indexes always agree, as they are only changed together. */

#include "vm/vm-table.h"

#include "sys/error.h"

#include <string.h>
#include <sys/random.h>

#define MIN_PREFIX 4

typedef struct
{
  guint vms;
  guint vcpus;
  guint64 memory_mib;
  guint64 disk_mib;
} Usage;

struct _VmsanVmTable
{
  GTree *by_id;          /* id → VmsanVm; owns the reference */
  GHashTable *by_name;   /* name → GPtrArray of VmsanVm, of several owners */
  GHashTable *by_owner;  /* owner → Usage */
  GHashTable *used_uids; /* set */
  guint next_uid;        /* offset in the range, modulo its size */
};

static int
compare_ids (gconstpointer a, gconstpointer b, gpointer data)
{
  return strcmp (a, b);
}

VmsanVmTable *
vmsan_vm_table_new (void)
{
  VmsanVmTable *self = g_new0 (VmsanVmTable, 1);

  self->by_id = g_tree_new_full (compare_ids, NULL, g_free, g_object_unref);
  self->by_name =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  self->by_owner = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->used_uids = g_hash_table_new (NULL, NULL);
  /* Not from the start: a restart of the service would soon give out what was just in use. */
  self->next_uid = g_random_int () >> 1;
  return self;
}

void
vmsan_vm_table_free (VmsanVmTable *self)
{
  g_hash_table_unref (self->by_name);
  g_hash_table_unref (self->by_owner);
  g_hash_table_unref (self->used_uids);
  g_tree_unref (self->by_id);
  g_free (self);
}

static Usage *
usage_of (VmsanVmTable *self, uid_t owner)
{
  Usage *usage = g_hash_table_lookup (self->by_owner, GUINT_TO_POINTER (owner));

  if (usage == NULL)
    {
      usage = g_new0 (Usage, 1);
      g_hash_table_insert (self->by_owner, GUINT_TO_POINTER (owner), usage);
    }
  return usage;
}

void
vmsan_vm_table_add (VmsanVmTable *self, VmsanVm *vm)
{
  const VmsanVmRecord *record = vmsan_vm_get_record (vm);
  Usage *usage = usage_of (self, record->owner);
  GPtrArray *named = g_hash_table_lookup (self->by_name, record->name);

  if (named == NULL)
    {
      named = g_ptr_array_new ();
      g_hash_table_insert (self->by_name, g_strdup (record->name), named);
    }
  g_ptr_array_add (named, vm);
  g_tree_insert (self->by_id, g_strdup (record->id), g_object_ref (vm));
  g_hash_table_add (self->used_uids, GUINT_TO_POINTER (record->uid));
  usage->vms++;
  usage->vcpus += record->vcpus;
  usage->memory_mib += record->memory_mib;
  usage->disk_mib += record->disk_mib;
}

void
vmsan_vm_table_remove (VmsanVmTable *self, VmsanVm *vm)
{
  const VmsanVmRecord *record = vmsan_vm_get_record (vm);
  Usage *usage = usage_of (self, record->owner);
  GPtrArray *named = g_hash_table_lookup (self->by_name, record->name);

  if (vmsan_vm_table_get (self, record->id) != vm)
    return;
  usage->vms--;
  usage->vcpus -= record->vcpus;
  usage->memory_mib -= record->memory_mib;
  usage->disk_mib -= record->disk_mib;
  if (usage->vms == 0)
    g_hash_table_remove (self->by_owner, GUINT_TO_POINTER (record->owner));
  g_ptr_array_remove_fast (named, vm);
  if (named->len == 0)
    g_hash_table_remove (self->by_name, record->name);
  g_hash_table_remove (self->used_uids, GUINT_TO_POINTER (record->uid));
  g_tree_remove (self->by_id, record->id);
}

guint
vmsan_vm_table_get_size (VmsanVmTable *self)
{
  return g_tree_nnodes (self->by_id);
}

VmsanVm *
vmsan_vm_table_get (VmsanVmTable *self, const char *id)
{
  return g_tree_lookup (self->by_id, id);
}

static GTreeNode *
first_after (VmsanVmTable *self, const char *after)
{
  return after != NULL ? g_tree_upper_bound (self->by_id, after) : g_tree_node_first (self->by_id);
}

VmsanVm *
vmsan_vm_table_next (VmsanVmTable *self, const char *after)
{
  GTreeNode *node = first_after (self, after);

  return node != NULL ? g_tree_node_value (node) : NULL;
}

void
vmsan_vm_table_visit (VmsanVmTable *self,
                      const char *after,
                      gboolean (*visit) (VmsanVm *vm, gpointer user_data),
                      gpointer user_data)
{
  for (GTreeNode *node = first_after (self, after);
       node != NULL && visit (g_tree_node_value (node), user_data); node = g_tree_node_next (node))
    ;
}

/* ---- Finding ------------------------------------------------------------------------------- */

static gboolean
ambiguous (const char *name, GError **error)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_AMBIGUOUS,
               "“%s” fits more than one machine: give more of its id", name);
  return FALSE;
}

/* By prefix. FALSE with @error when it fits several. */
static gboolean
find_by_prefix (VmsanVmTable *self, const char *prefix, VmsanVm **vm, GError **error)
{
  GTreeNode *node, *next;

  *vm = NULL;
  if (strlen (prefix) < MIN_PREFIX)
    return TRUE;
  node = g_tree_lower_bound (self->by_id, prefix);
  if (node == NULL || !g_str_has_prefix (g_tree_node_key (node), prefix))
    return TRUE;
  next = g_tree_node_next (node);
  if (!g_str_equal (g_tree_node_key (node), prefix) && next != NULL &&
      g_str_has_prefix (g_tree_node_key (next), prefix))
    return ambiguous (prefix, error);
  *vm = g_tree_node_value (node);
  return TRUE;
}

static VmsanVm *
find_by_name (VmsanVmTable *self, const char *name, uid_t caller, gboolean own)
{
  GPtrArray *named = g_hash_table_lookup (self->by_name, name);

  for (guint i = 0; named != NULL && i < named->len; i++)
    {
      VmsanVm *vm = g_ptr_array_index (named, i);

      if ((vmsan_vm_get_record (vm)->owner == caller) == own)
        return vm;
    }
  return NULL;
}

VmsanVm *
vmsan_vm_table_find (VmsanVmTable *self, const char *name, uid_t caller, GError **error)
{
  GPtrArray *named = g_hash_table_lookup (self->by_name, name);
  VmsanVm *vm = vmsan_vm_table_get (self, name);

  if (vm == NULL)
    vm = find_by_name (self, name, caller, TRUE);
  if (vm == NULL && !find_by_prefix (self, name, &vm, error))
    return NULL;
  if (vm == NULL && named != NULL && named->len > 1)
    {
      ambiguous (name, error);
      return NULL;
    }
  if (vm == NULL)
    vm = find_by_name (self, name, caller, FALSE);
  if (vm == NULL)
    {
      g_autofree char *shown = g_strescape (name, NULL);

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                   "There is no machine “%.80s”; ListVMs shows all", shown);
    }
  return vm;
}

/* ---- Room ---------------------------------------------------------------------------------- */

static gboolean
check_limit (const char *what,
             const char *key,
             guint64 used,
             guint64 wanted,
             guint64 allowed,
             GError **error)
{
  if (wanted <= allowed && used <= allowed - wanted)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "Too many %s: %" G_GUINT64_FORMAT " are used, %" G_GUINT64_FORMAT
               " more were asked for, %" G_GUINT64_FORMAT
               " are allowed; remove machines, or ask the administrator to raise %s",
               what, used, wanted, allowed, key);
  return FALSE;
}

gboolean
vmsan_vm_table_check_room (VmsanVmTable *self,
                           const VmsanVmRequest *request,
                           const VmsanConfig *config,
                           GError **error)
{
  static const Usage nothing;
  const Usage *used = g_hash_table_lookup (self->by_owner, GUINT_TO_POINTER (request->owner));

  if (used == NULL)
    used = &nothing;
  if (request->name != NULL && find_by_name (self, request->name, request->owner, TRUE) != NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
                   "You already have a machine “%s”: remove it or choose another name",
                   request->name);
      return FALSE;
    }
  if (!check_limit ("machines in all", "MaxVMs", vmsan_vm_table_get_size (self), 1, config->max_vms,
                    error))
    return FALSE;
  if (request->owner == 0)
    return TRUE; /* root could raise its limits as well */
  return check_limit ("machines of this user", "MaxVMsPerUser", used->vms, 1,
                      config->max_vms_per_user, error) &&
         check_limit ("vCPUs of this user", "MaxVCPUsPerUser", used->vcpus, request->vcpus,
                      config->max_vcpus_per_user, error) &&
         check_limit ("MiB of memory of this user", "MaxMemoryMiBPerUser", used->memory_mib,
                      request->memory_mib, config->max_memory_mib_per_user, error) &&
         check_limit ("MiB of disk of this user", "MaxDiskMiBPerUser", used->disk_mib,
                      request->disk_mib, config->max_disk_mib_per_user, error);
}

/* ---- New ids ------------------------------------------------------------------------------- */

char *
vmsan_vm_table_new_id (VmsanVmTable *self)
{
  static const char first[] = "abcdefghijklmnop";
  static const char rest[] = "abcdefghijklmnopqrstuvwxyz012345"; /* 32: one byte, no bias */
  guint8 random[VMSAN_VM_ID_LENGTH];
  char id[VMSAN_VM_ID_LENGTH + 1] = { 0 };

  do
    {
      /* Up to 256 bytes never fail nor come short after boot (getrandom(2)). */
      if (getrandom (random, sizeof random, 0) != sizeof random)
        g_error ("getrandom() failed");
      id[0] = first[random[0] % 16];
      for (guint i = 1; i < VMSAN_VM_ID_LENGTH; i++)
        id[i] = rest[random[i] % 32];
    }
  while (vmsan_vm_table_get (self, id) != NULL);
  return g_strdup (id);
}

uid_t
vmsan_vm_table_new_uid (VmsanVmTable *self, const VmsanConfig *config)
{
  for (guint tries = 0; tries < config->uid_count; tries++)
    {
      uid_t uid = config->first_uid + self->next_uid % config->uid_count;

      self->next_uid++;
      if (!g_hash_table_contains (self->used_uids, GUINT_TO_POINTER (uid)))
        return uid;
    }
  return 0;
}
