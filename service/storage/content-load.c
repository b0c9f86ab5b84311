/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no damaged entry is used, and none keeps vmsand or the other entries from working. */

#include "storage/content-load.h"

#include "storage/content-copy.h"
#include "storage/content-meta.h"
#include "storage/managed-tree.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>

#define ENTRIES_MAX       65536
#define DAMAGED_TRIES_MAX 1000

typedef struct
{
  VmsanManagedRoot *root;
  const char *directory;
  VmsanContentKind kind;
  const char *noun;
  GHashTable *by_id;
} Loading;

static char *
entry_name (Loading *self, const char *id, const char *file)
{
  return g_strconcat (self->directory, "/", id, file != NULL ? "/" : NULL, file, NULL);
}

static gboolean
add_size (Loading *self, const char *id, const char *file, guint64 *size, GError **error)
{
  g_autofree char *name = entry_name (self, id, file);
  vmsan_autofd int fd = vmsan_managed_root_open_at (self->root, name, O_RDONLY, 0, error);
  struct stat st;

  if (fd < 0)
    return FALSE;
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "“%s” is no file", file);
      return FALSE;
    }
  /* Earlier versions stored images that only root could read. */
  if (!(st.st_mode & S_IROTH) && !vmsan_content_share (fd, error))
    return FALSE;
  *size += st.st_size;
  return TRUE;
}

static VmsanContent *
read_entry (Loading *self, const char *id, GError **error)
{
  g_autofree char *name = entry_name (self, id, NULL);
  g_autoptr (VmsanContent) content = NULL;
  g_autofree char *json = NULL;
  vmsan_autofd int dir_fd = -1;
  guint64 size = 0;
  gsize json_size;

  if (!vmsan_content_id_is_valid (id))
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "its name is no id");
      return NULL;
    }
  dir_fd = vmsan_managed_root_open_at (self->root, name, O_RDONLY | O_DIRECTORY, 0, error);
  if (dir_fd < 0)
    return NULL;
  json =
      vmsan_fd_read_file_at (dir_fd, "meta.json", VMSAN_CONTENT_META_BYTES_MAX, &json_size, error);
  if (json == NULL)
    return NULL;
  content = vmsan_content_from_json (json, json_size, self->kind, id, error);
  if (content == NULL || !add_size (self, id, "content", &size, error))
    return NULL;
  if (self->kind == VMSAN_CONTENT_KERNEL && !add_size (self, id, "modules.cpio", &size, error))
    return NULL;
  if (vmsan_content_has_vmlinux (content) && !add_size (self, id, "vmlinux", &size, error))
    return NULL;
  if (size != content->size_bytes)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
                   "its content has %" G_GUINT64_FORMAT " bytes where %" G_GUINT64_FORMAT
                   " were stored",
                   size, content->size_bytes);
      return NULL;
    }
  return g_steal_pointer (&content);
}

static gboolean
is_damage (const GError *error)
{
  return g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
}

/* Moves an entry out of the way, for a person to look at. One that could not be read for another
 * reason, such as an I/O error, stays where it is and may be fine the next time. */
static void
set_aside (Loading *self, const char *id, const GError *cause)
{
  g_autofree char *from = entry_name (self, id, NULL);
  g_autofree char *shown = vmsan_managed_tree_printable (id);
  g_autoptr (GError) error = NULL;
  gboolean moved = FALSE;

  if (!is_damage (cause))
    {
      g_warning ("The %s “%s” cannot be read and is left out: %s", self->noun, shown,
                 cause->message);
      return;
    }
  if (vmsan_managed_root_make_dir (self->root, "damaged", 0700, &error))
    for (guint i = 0; i < DAMAGED_TRIES_MAX && !moved; i++)
      {
        g_autofree char *to = g_strdup_printf ("damaged/%s-%s.%u", self->noun, id, i);

        g_clear_error (&error);
        moved = vmsan_managed_root_rename (self->root, from, to, &error);
        if (!moved && !g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS))
          break;
      }
  if (moved)
    g_warning ("The %s “%s” is damaged and was moved to “%s/damaged”: %s", self->noun, shown,
               vmsan_managed_root_get_path (self->root), cause->message);
  else
    g_warning ("The %s “%s” is damaged and is left out: %s; moving it aside failed: %s", self->noun,
               shown, cause->message, error->message);
}

/* What starts with a dot is an entry that was being made or removed when vmsand ended. */
static void
load_entry (Loading *self, const char *name)
{
  g_autoptr (GError) error = NULL;
  VmsanContent *content;

  if (name[0] == '.')
    {
      g_autofree char *path = entry_name (self, name, NULL);

      if (!vmsan_managed_root_delete (self->root, path, &error))
        g_warning ("A left-over of an unfinished %s stays: %s", self->noun, error->message);
      return;
    }
  content = read_entry (self, name, &error);
  if (content == NULL)
    set_aside (self, name, error);
  else
    g_hash_table_insert (self->by_id, content->id, content);
}

/* Names are unique; should a hand have made two, the older entry keeps it. */
static void
drop_duplicate_names (Loading *self)
{
  g_autoptr (GPtrArray) list = vmsan_content_list_by_age (self->by_id);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < list->len; i++)
    {
      VmsanContent *content = g_ptr_array_index (list, i);

      if (content->name[0] == '\0' || g_hash_table_add (names, content->name))
        continue;
      g_warning ("Two entries are named “%s”; the %s “%s” goes without", content->name, self->noun,
                 content->id);
      content->name[0] = '\0';
    }
}

gboolean
vmsan_content_load_all (VmsanManagedRoot *root,
                        const char *directory,
                        VmsanContentKind kind,
                        const char *noun,
                        GHashTable *by_id,
                        GError **error)
{
  Loading self = { root, directory, kind, noun, by_id };
  g_auto (GStrv) names = vmsan_managed_root_list (root, directory, ENTRIES_MAX, error);

  if (names == NULL)
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    load_entry (&self, names[i]);
  drop_duplicate_names (&self);
  return TRUE;
}
