/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an entry is whole or not there, on disk and in memory, and memory follows the disk. */

#include "storage/content-store.h"

#include "storage/content-load.h"
#include "storage/content-meta.h"
#include "storage/content-store-private.h"
#include "storage/initramfs-cache.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ID_PREFIX_MIN 4

struct _VmsanContentStore
{
  GObject parent_instance;

  VmsanManagedRoot *root;
  VmsanContentKind kind;
  GThreadPool *deleter; /* of removed entries: freeing gigabytes takes a while */

  GMutex lock;             /* what is below, and the entries' directory */
  GHashTable *by_id;       /* id (in the entry) → VmsanContent */
  GHashTable *unannounced; /* ids of entries whose "added" is still to come */

  GMutex initramfs_lock; /* one of its own, for packing takes a while */
  VmsanInitramfsCache *initramfs;
};

G_DEFINE_FINAL_TYPE (VmsanContentStore, vmsan_content_store, G_TYPE_OBJECT)

enum
{
  SIGNAL_ADDED,
  SIGNAL_REMOVED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

static const char *const directories[] = {
  [VMSAN_CONTENT_IMAGE] = "images",
  [VMSAN_CONTENT_KERNEL] = "kernels",
};

static const char *const nouns[] = {
  [VMSAN_CONTENT_IMAGE] = "image",
  [VMSAN_CONTENT_KERNEL] = "kernel",
};

/* ---- Small helpers ------------------------------------------------------------------------- */

static char *
entry_name (VmsanContentStore *self, const char *id, const char *file)
{
  return g_strconcat (directories[self->kind], "/", id, file != NULL ? "/" : NULL, file, NULL);
}

static char *
hidden_name (VmsanContentStore *self, const char *purpose)
{
  return g_strdup_printf ("%s/.%s-%08x%08x", directories[self->kind], purpose, g_random_int (),
                          g_random_int ());
}

static VmsanContent *
find_by_name_locked (VmsanContentStore *self, const char *name)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      VmsanContent *content = value;

      if (content->name[0] != '\0' && g_str_equal (content->name, name))
        return content;
    }
  return NULL;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static void
delete_removed (gpointer data, gpointer user_data)
{
  g_autofree char *name = data;
  VmsanManagedRoot *root = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_managed_root_delete (root, name, &error))
    g_warning ("Freeing the space of a removed entry failed; the next start of vmsan tries again: "
               "%s",
               error->message);
}

VmsanContentStore *
vmsan_content_store_open (VmsanManagedRoot *root, VmsanContentKind kind, GError **error)
{
  g_autoptr (VmsanContentStore) self = g_object_new (VMSAN_TYPE_CONTENT_STORE, NULL);

  self->root = vmsan_managed_root_ref (root);
  self->kind = kind;
  self->deleter = g_thread_pool_new (delete_removed, root, 1, FALSE, NULL);
  self->initramfs = vmsan_initramfs_cache_new (root);
  if (!vmsan_managed_root_make_dir (root, directories[kind], 0700, error))
    return NULL;
  if (!vmsan_content_load_all (root, directories[kind], kind, nouns[kind], self->by_id, error))
    return NULL;
  return g_steal_pointer (&self);
}

VmsanContentKind
vmsan_content_store_get_kind (VmsanContentStore *self)
{
  return self->kind;
}

/* ---- For content-add.c --------------------------------------------------------------------- */

VmsanManagedRoot *
vmsan_content_store_get_root (VmsanContentStore *self)
{
  return self->root;
}

const char *
vmsan_content_store_get_noun (VmsanContentStore *self)
{
  return nouns[self->kind];
}

char *
vmsan_content_store_begin (VmsanContentStore *self, GError **error)
{
  g_autofree char *name = hidden_name (self, "new");

  if (!vmsan_managed_root_make_dir (self->root, name, 0700, error))
    return NULL;
  return g_steal_pointer (&name);
}

static gboolean
check_name_locked (VmsanContentStore *self,
                   const char *name,
                   const VmsanContent *except,
                   GError **error)
{
  VmsanContent *other = name[0] == '\0' ? NULL : find_by_name_locked (self, name);

  if (other == NULL || other == except)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
               "The name “%s” belongs to another %s, “%.12s”; choose another name or remove that "
               "%s first",
               name, nouns[self->kind], other->id, nouns[self->kind]);
  return FALSE;
}

gboolean
vmsan_content_store_check_name (VmsanContentStore *self,
                                const char *name,
                                guint64 size_bytes,
                                GError **error)
{
  g_autoptr (GMutexLocker) locker = NULL;
  VmsanContent *other;

  if (name[0] == '\0')
    return TRUE;
  if (!vmsan_content_name_is_valid (name))
    {
      g_autofree char *shown = g_utf8_make_valid (name, strnlen (name, 128));

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "“%s” cannot be the name of a %s: 1 to 63 of a-z, A-Z, 0-9, “.”, “_” and “-”, "
                   "the first a letter or digit",
                   g_strdelimit (shown, "\n\r\t", '?'), nouns[self->kind]);
      return FALSE;
    }
  locker = g_mutex_locker_new (&self->lock);
  other = find_by_name_locked (self, name);
  /* The same content under its name may be added again; what has another size is not the same. */
  if (other != NULL && (size_bytes == 0 || size_bytes == other->size_bytes))
    return TRUE;
  return check_name_locked (self, name, NULL, error);
}

VmsanContent *
vmsan_content_store_commit (VmsanContentStore *self,
                            const char *temporary,
                            VmsanContent *content,
                            gboolean *is_new,
                            GError **error)
{
  g_autofree char *json = vmsan_content_to_json (content, self->kind);
  g_autofree char *name = entry_name (self, content->id, NULL);
  g_autoptr (GMutexLocker) locker = NULL;
  vmsan_autofd int dir_fd = -1;
  VmsanContent *existing;

  *is_new = FALSE;
  dir_fd = vmsan_managed_root_open_at (self->root, temporary, O_RDONLY | O_DIRECTORY, 0, error);
  /* This syncs the directory as well, with the entries of the other files. */
  if (dir_fd < 0 || !vmsan_fd_write_file_at (dir_fd, "meta.json", json, strlen (json), 0400, error))
    return NULL;

  locker = g_mutex_locker_new (&self->lock);
  existing = g_hash_table_lookup (self->by_id, content->id);
  if (existing != NULL)
    return vmsan_content_ref (existing);
  if (!check_name_locked (self, content->name, NULL, error) ||
      !vmsan_managed_root_rename (self->root, temporary, name, error))
    return NULL;
  g_hash_table_insert (self->by_id, content->id, vmsan_content_ref (content));
  g_hash_table_add (self->unannounced, g_strdup (content->id));
  *is_new = TRUE;
  return vmsan_content_ref (content);
}

/* ---- Finding ------------------------------------------------------------------------------- */

static gboolean
is_id_prefix (const char *text)
{
  gsize length = strspn (text, "0123456789abcdef");

  return length >= ID_PREFIX_MIN && text[length] == '\0';
}

/* The only one whose id begins with @prefix; NULL without @error when none does. */
static VmsanContent *
find_by_prefix_locked (VmsanContentStore *self, const char *prefix, GError **error)
{
  VmsanContent *found = NULL;
  GHashTableIter iter;
  gpointer value;

  if (!is_id_prefix (prefix))
    return NULL;
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      VmsanContent *content = value;

      if (!g_str_has_prefix (content->id, prefix))
        continue;
      if (found != NULL)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_AMBIGUOUS,
                       "“%s” is the beginning of the ids of several %ss; give more of it", prefix,
                       nouns[self->kind]);
          return NULL;
        }
      found = content;
    }
  return found;
}

VmsanContent *
vmsan_content_store_find_default (VmsanContentStore *self, uid_t user, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GPtrArray) list = vmsan_content_list_by_age (self->by_id);
  const char *noun = nouns[self->kind];
  VmsanContent *newest = NULL;
  guint n = 0;

  for (guint i = 0; i < list->len; i++)
    {
      VmsanContent *content = g_ptr_array_index (list, i);

      if (content->added_by != 0 && content->added_by != user)
        continue;
      newest = content;
      n++;
    }
  if (n == 0 && list->len == 0)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                 "There is no %s yet; add one (vmsan-client %s add)", noun, noun);
  else if (n == 0)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                 "There is no %s of root's or your own; name the one that you want "
                 "(“vmsan-client %s list” shows what there is)",
                 noun, noun);
  else if (n > 1 && self->kind == VMSAN_CONTENT_IMAGE)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_AMBIGUOUS,
                 "There are %u images; say which one by name or id", n);
  else
    return vmsan_content_ref (newest);
  return NULL;
}

VmsanContent *
vmsan_content_store_find (VmsanContentStore *self, const char *name, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autoptr (GError) local_error = NULL;
  g_autofree char *shown = NULL;
  VmsanContent *found;

  found = g_hash_table_lookup (self->by_id, name);
  if (found == NULL)
    found = find_by_name_locked (self, name);
  if (found == NULL)
    found = find_by_prefix_locked (self, name, &local_error);
  if (found != NULL)
    return vmsan_content_ref (found);
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return NULL;
    }
  shown = g_utf8_make_valid (name, strnlen (name, 128));
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
               "There is no %s “%s”; “vmsan-client %s list” shows what there is", nouns[self->kind],
               shown, nouns[self->kind]);
  return NULL;
}

GPtrArray *
vmsan_content_store_list (VmsanContentStore *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return vmsan_content_list_by_age (self->by_id);
}

/* ---- Using --------------------------------------------------------------------------------- */

/* With the lock held. NOT_FOUND when there is no such entry. */
static VmsanContent *
get_locked (VmsanContentStore *self, const char *id, GError **error)
{
  VmsanContent *content = g_hash_table_lookup (self->by_id, id);

  if (content == NULL)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "There is no %s with the id “%s”",
                 nouns[self->kind], id);
  return content;
}

int
vmsan_content_store_open_content (VmsanContentStore *self, const char *id, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autofree char *name = NULL;

  if (get_locked (self, id, error) == NULL)
    return -1;
  name = entry_name (self, id, "content");
  return vmsan_managed_root_open_at (self->root, name, O_RDONLY, 0, error);
}

int
vmsan_content_store_open_elf (VmsanContentStore *self, const char *id, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  VmsanContent *content = get_locked (self, id, error);
  g_autofree char *name = NULL;

  if (content == NULL || !vmsan_content_check_elf (content, error))
    return -1;
  name = entry_name (self, id, vmsan_content_has_vmlinux (content) ? "vmlinux" : "content");
  return vmsan_managed_root_open_at (self->root, name, O_RDONLY, 0, error);
}

int
vmsan_content_store_open_initramfs (VmsanContentStore *self,
                                    const char *kernel_id,
                                    const char *agent_path,
                                    GError **error)
{
  g_autoptr (GMutexLocker) locker = NULL;
  g_autofree char *directory = NULL;

  g_mutex_lock (&self->lock);
  if (get_locked (self, kernel_id, error) != NULL)
    directory = entry_name (self, kernel_id, NULL);
  g_mutex_unlock (&self->lock);
  if (directory == NULL)
    return -1;
  locker = g_mutex_locker_new (&self->initramfs_lock);
  return vmsan_initramfs_cache_open (self->initramfs, directory, agent_path, error);
}

gboolean
vmsan_content_store_remove (VmsanContentStore *self, const char *id, GError **error)
{
  g_autoptr (VmsanContent) content = NULL;
  g_autofree char *hidden = hidden_name (self, "gone");
  g_autofree char *name = NULL;

  g_mutex_lock (&self->lock);
  content = get_locked (self, id, error);
  if (content != NULL)
    {
      vmsan_content_ref (content);
      name = entry_name (self, id, NULL);
      if (vmsan_managed_root_rename (self->root, name, hidden, error))
        g_hash_table_remove (self->by_id, id);
      else
        g_clear_pointer (&content, vmsan_content_unref);
    }
  g_mutex_unlock (&self->lock);
  if (content == NULL)
    return FALSE;

  g_thread_pool_push (self->deleter, g_steal_pointer (&hidden), NULL);
  /* Nobody hears of its end who did not hear of its beginning. */
  vmsan_content_store_announce (self, content);
  g_signal_emit (self, signals[SIGNAL_REMOVED], 0, content);
  return TRUE;
}

void
vmsan_content_store_announce (VmsanContentStore *self, VmsanContent *content)
{
  gboolean is_new;

  g_mutex_lock (&self->lock);
  is_new = g_hash_table_remove (self->unannounced, content->id);
  g_mutex_unlock (&self->lock);
  if (is_new)
    g_signal_emit (self, signals[SIGNAL_ADDED], 0, content);
}

/* ---- The object ---------------------------------------------------------------------------- */

static void
vmsan_content_store_finalize (GObject *object)
{
  VmsanContentStore *self = VMSAN_CONTENT_STORE (object);

  /* Waits for deletions that are under way. */
  if (self->deleter != NULL)
    g_thread_pool_free (self->deleter, FALSE, TRUE);
  g_clear_pointer (&self->initramfs, vmsan_initramfs_cache_free);
  g_clear_pointer (&self->unannounced, g_hash_table_unref);
  g_clear_pointer (&self->by_id, g_hash_table_unref);
  g_clear_pointer (&self->root, vmsan_managed_root_unref);
  g_mutex_clear (&self->initramfs_lock);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (vmsan_content_store_parent_class)->finalize (object);
}

static guint
new_signal (const char *name)
{
  return g_signal_new (name, VMSAN_TYPE_CONTENT_STORE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                       G_TYPE_NONE, 1, VMSAN_TYPE_CONTENT);
}

static void
vmsan_content_store_class_init (VmsanContentStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_content_store_finalize;
  signals[SIGNAL_ADDED] = new_signal ("added");
  signals[SIGNAL_REMOVED] = new_signal ("removed");
}

static void
vmsan_content_store_init (VmsanContentStore *self)
{
  g_mutex_init (&self->lock);
  g_mutex_init (&self->initramfs_lock);
  self->unannounced = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->by_id =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) vmsan_content_unref);
}
