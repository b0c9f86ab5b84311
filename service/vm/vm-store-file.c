/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a record on disk is the old one or the new one, whole; a damaged one never keeps the
 * service from starting. */

#include "vm/vm-store.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>

#define DIRECTORY         "vms"
#define DAMAGED_DIRECTORY "damaged"
#define MAX_ENTRIES       (4 * 16384) /* of the directory: records, machines' directories, left-overs */

#define VMSAN_TYPE_VM_STORE_FILE (vmsan_vm_store_file_get_type ())
G_DECLARE_FINAL_TYPE (VmsanVmStoreFile, vmsan_vm_store_file, VMSAN, VM_STORE_FILE, GObject)

struct _VmsanVmStoreFile
{
  GObject parent;
  VmsanManagedRoot *root;
  int directory_fd;
};

static void vm_store_iface_init (VmsanVmStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (VmsanVmStoreFile,
                               vmsan_vm_store_file,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (VMSAN_TYPE_VM_STORE, vm_store_iface_init))

static VmsanVmRecord *
load_one (VmsanVmStoreFile *self, const char *file_name, const char *id, GError **error)
{
  g_autofree char *data = NULL;
  gsize size = 0;

  data = vmsan_fd_read_file_at (self->directory_fd, file_name, VMSAN_VM_RECORD_MAX_BYTES, &size,
                                error);
  if (data == NULL)
    return NULL;
  return vmsan_vm_record_parse (data, size, id, error);
}

/* Keeps the damaged file for a person to look at, under a name that is free. A name that a managed
 * path cannot have stays where it is; it is no machine's. */
static char *
set_aside (VmsanVmStoreFile *self, const char *file_name, const char *problem)
{
  g_autofree char *from = g_build_filename (DIRECTORY, file_name, NULL);
  g_autofree char *to =
      g_strdup_printf (DAMAGED_DIRECTORY "/%s.%" G_GINT64_FORMAT, file_name, g_get_real_time ());
  g_autofree char *shown = g_utf8_make_valid (from, -1);
  g_autoptr (GError) error = NULL;

  if (!vmsan_managed_root_rename (self->root, from, to, &error))
    return g_strdup_printf ("%s: %s; moving it aside failed too: %s", shown, problem,
                            error->message);
  return g_strdup_printf ("%s: %s; it was moved to %s/%s", shown, problem,
                          vmsan_managed_root_get_path (self->root), to);
}

/* A save that a crash interrupted: nothing says that this machine will ever be saved again. */
static void
delete_temporary (VmsanVmStoreFile *self, const char *file_name)
{
  g_autofree char *path = g_build_filename (DIRECTORY, file_name, NULL);
  g_autoptr (GError) error = NULL;

  if (!vmsan_managed_root_delete (self->root, path, &error))
    g_warning ("%s", error->message);
}

static GPtrArray *
load_all (VmsanVmStore *store, GStrv *damaged, GError **error)
{
  VmsanVmStoreFile *self = VMSAN_VM_STORE_FILE (store);
  g_autoptr (GPtrArray) all =
      g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_vm_record_free);
  g_autoptr (GStrvBuilder) problems = g_strv_builder_new ();
  g_auto (GStrv) names = vmsan_managed_root_list (self->root, DIRECTORY, MAX_ENTRIES, error);

  if (names == NULL)
    return NULL;
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *id = NULL;
      g_autoptr (GError) local_error = NULL;
      VmsanVmRecord *record;

      if (names[i][0] == '.' && g_str_has_suffix (names[i], ".json.new"))
        delete_temporary (self, names[i]);
      if (!g_str_has_suffix (names[i], ".json") || names[i][0] == '.')
        continue;
      id = g_strndup (names[i], strlen (names[i]) - strlen (".json"));
      record = load_one (self, names[i], id, &local_error);
      if (record != NULL)
        {
          g_ptr_array_add (all, record);
          continue;
        }

      g_autofree char *problem = set_aside (self, names[i], local_error->message);
      g_strv_builder_add (problems, problem);
    }
  *damaged = g_strv_builder_end (problems);
  return g_steal_pointer (&all);
}

static gboolean
save (VmsanVmStore *store, const VmsanVmRecord *record, GError **error)
{
  VmsanVmStoreFile *self = VMSAN_VM_STORE_FILE (store);
  g_autofree char *file_name = g_strconcat (record->id, ".json", NULL);
  gsize size = 0;
  g_autofree char *data = vmsan_vm_record_to_json (record, &size);

  if (!vmsan_fd_write_file_at (self->directory_fd, file_name, data, size, 0600, error))
    {
      g_prefix_error (error, "Saving the record of machine %s: ", record->id);
      return FALSE;
    }
  return TRUE;
}

static gboolean
remove_record (VmsanVmStore *store, const char *id, GError **error)
{
  VmsanVmStoreFile *self = VMSAN_VM_STORE_FILE (store);
  g_autofree char *name = g_strdup_printf (DIRECTORY "/%s.json", id);

  if (!vmsan_managed_root_delete (self->root, name, error))
    {
      g_prefix_error (error, "Removing the record of machine %s: ", id);
      return FALSE;
    }
  if (fsync (self->directory_fd) < 0)
    return vmsan_error_set_errno (error, errno, "Removing the record of machine %s: syncing", id);
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
vmsan_vm_store_file_finalize (GObject *object)
{
  VmsanVmStoreFile *self = VMSAN_VM_STORE_FILE (object);

  vmsan_fd_close (&self->directory_fd);
  g_clear_pointer (&self->root, vmsan_managed_root_unref);
  G_OBJECT_CLASS (vmsan_vm_store_file_parent_class)->finalize (object);
}

static void
vmsan_vm_store_file_class_init (VmsanVmStoreFileClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_vm_store_file_finalize;
}

static void
vmsan_vm_store_file_init (VmsanVmStoreFile *self)
{
  self->directory_fd = -1;
}

VmsanVmStore *
vmsan_vm_store_file_new (VmsanManagedRoot *root, GError **error)
{
  g_autoptr (VmsanVmStoreFile) self = g_object_new (VMSAN_TYPE_VM_STORE_FILE, NULL);

  self->root = vmsan_managed_root_ref (root);
  if (!vmsan_managed_root_make_dir (root, DIRECTORY, 0700, error) ||
      !vmsan_managed_root_make_dir (root, DAMAGED_DIRECTORY, 0700, error))
    return NULL;
  self->directory_fd =
      vmsan_managed_root_open_at (root, DIRECTORY, O_RDONLY | O_DIRECTORY, 0, error);
  if (self->directory_fd < 0)
    return NULL;
  return VMSAN_VM_STORE (g_steal_pointer (&self));
}
