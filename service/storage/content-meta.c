/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is read back is what was written, or an error. */

#include "storage/content-meta.h"

#include "storage/initramfs.h"
#include "sys/error.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define META_VERSION    2
#define NAME_MAX_LENGTH 63
#define ID_LENGTH       64

#define VERSION_MAX 64 /* struct utsname */

/* Version 1 had no "no-elf", for nothing was unpacked. */
#define NO_ELF_SINCE 2
#define NO_ELF_OLD   "It was added by a vmsan that did not unpack kernels; remove it and add it again"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

G_DEFINE_BOXED_TYPE (VmsanContent, vmsan_content, vmsan_content_ref, vmsan_content_unref)

/* Which formats a kind has. */
static const char *const formats[][4] = {
  [VMSAN_CONTENT_IMAGE] = { "ext4", "squashfs", "erofs", NULL },
  [VMSAN_CONTENT_KERNEL] = { "bzimage", "elf", NULL },
};

static const char *const kind_names[] = {
  [VMSAN_CONTENT_IMAGE] = "image",
  [VMSAN_CONTENT_KERNEL] = "kernel",
};

/* ---- The structure ------------------------------------------------------------------------- */

static void
clear (gpointer data)
{
  VmsanContent *self = data;

  g_free (self->id);
  g_free (self->name);
  g_free (self->format);
  g_free (self->version);
  g_strfreev (self->modules);
  g_free (self->no_elf);
}

VmsanContent *
vmsan_content_ref (VmsanContent *self)
{
  return g_atomic_rc_box_acquire (self);
}

void
vmsan_content_unref (VmsanContent *self)
{
  g_atomic_rc_box_release_full (self, clear);
}

/* Cut between two characters. */
static char *
shorten (const char *text)
{
  const char *end = text + strlen (text);

  while (end - text > VMSAN_CONTENT_TEXT_MAX)
    end = g_utf8_find_prev_char (text, end);
  return g_strndup (text, end - text);
}

VmsanContent *
vmsan_content_new (const char *id,
                   const char *name,
                   const char *format,
                   const char *version,
                   const char *const *modules,
                   const char *no_elf,
                   guint64 size_bytes,
                   uid_t added_by)
{
  static const char *const none[] = { NULL };
  VmsanContent *self = g_atomic_rc_box_new0 (VmsanContent);

  self->id = g_strdup (id);
  self->name = g_strdup (name != NULL ? name : "");
  self->format = g_strdup (format);
  self->version = g_strdup (version != NULL ? version : "");
  self->modules = g_strdupv ((GStrv) (modules != NULL ? modules : none));
  self->no_elf = shorten (no_elf != NULL ? no_elf : "");
  self->size_bytes = size_bytes;
  self->added_us = g_get_real_time ();
  self->added_by = added_by;
  return self;
}

gboolean
vmsan_content_check_elf (VmsanContent *self, GError **error)
{
  if (self->no_elf[0] == '\0')
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
               "There is no ELF file of the kernel “%.12s”: %s", self->id, self->no_elf);
  return FALSE;
}

gboolean
vmsan_content_has_vmlinux (const VmsanContent *self)
{
  return g_str_equal (self->format, "bzimage") && self->no_elf[0] == '\0';
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const VmsanContent *first = *(const VmsanContent *const *) a;
  const VmsanContent *second = *(const VmsanContent *const *) b;

  if (first->added_us != second->added_us)
    return first->added_us < second->added_us ? -1 : 1;
  return strcmp (first->id, second->id);
}

GPtrArray *
vmsan_content_list_by_age (GHashTable *by_id)
{
  GPtrArray *list =
      g_ptr_array_new_full (g_hash_table_size (by_id), (GDestroyNotify) vmsan_content_unref);
  GHashTableIter iter;
  gpointer content;

  g_hash_table_iter_init (&iter, by_id);
  while (g_hash_table_iter_next (&iter, NULL, &content))
    g_ptr_array_add (list, vmsan_content_ref (content));
  g_ptr_array_sort (list, compare_age);
  return list;
}

gboolean
vmsan_content_name_is_valid (const char *name)
{
  gsize length = strspn (name, ALNUM "._-");

  return length > 0 && length <= NAME_MAX_LENGTH && name[length] == '\0' &&
         g_ascii_isalnum (name[0]);
}

gboolean
vmsan_content_id_is_valid (const char *id)
{
  return strspn (id, "0123456789abcdef") == ID_LENGTH && id[ID_LENGTH] == '\0';
}

gboolean
vmsan_content_check_version (const char *version, GError **error)
{
  gsize length = version == NULL ? 0 : strspn (version, ALNUM "._+~-");

  if (version == NULL || (length <= VERSION_MAX && version[length] == '\0'))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "The kernel's version must be what “uname -r” says: at most %d of a-z, A-Z, 0-9, "
               "“.”, “_”, “+”, “~” and “-”",
               VERSION_MAX);
  return FALSE;
}

/* ---- Writing ------------------------------------------------------------------------------- */

char *
vmsan_content_to_json (VmsanContent *self, VmsanContentKind kind)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "version");
  json_builder_add_int_value (builder, META_VERSION);
  json_builder_set_member_name (builder, "kind");
  json_builder_add_string_value (builder, kind_names[kind]);
  json_builder_set_member_name (builder, "id");
  json_builder_add_string_value (builder, self->id);
  json_builder_set_member_name (builder, "name");
  json_builder_add_string_value (builder, self->name);
  json_builder_set_member_name (builder, "format");
  json_builder_add_string_value (builder, self->format);
  json_builder_set_member_name (builder, "kernel-version");
  json_builder_add_string_value (builder, self->version);
  json_builder_set_member_name (builder, "modules");
  json_builder_begin_array (builder);
  for (guint i = 0; self->modules[i] != NULL; i++)
    json_builder_add_string_value (builder, self->modules[i]);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "no-elf");
  json_builder_add_string_value (builder, self->no_elf);
  json_builder_set_member_name (builder, "size-bytes");
  json_builder_add_int_value (builder, (gint64) self->size_bytes);
  json_builder_set_member_name (builder, "added-us");
  json_builder_add_int_value (builder, self->added_us);
  json_builder_set_member_name (builder, "added-by");
  json_builder_add_int_value (builder, self->added_by);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, TRUE);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static gboolean G_GNUC_PRINTF (2, 3) damaged (GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, message);
  return FALSE;
}

static gboolean
read_string (JsonObject *object, const char *member, char **value, GError **error)
{
  JsonNode *node = json_object_get_member (object, member);

  /* A NUL in the text ends it here; no value of ours has one, so the result is refused or fine. */
  if (node == NULL || json_node_get_value_type (node) != G_TYPE_STRING ||
      strlen (json_node_get_string (node)) > VMSAN_CONTENT_TEXT_MAX)
    return damaged (error, "“%s” is missing or no text", member);
  g_free (*value);
  *value = json_node_dup_string (node);
  return TRUE;
}

static gboolean
read_number (JsonObject *object, const char *member, gint64 max, gint64 *value, GError **error)
{
  JsonNode *node = json_object_get_member (object, member);

  if (node == NULL || json_node_get_value_type (node) != G_TYPE_INT64)
    return damaged (error, "“%s” is missing or no whole number", member);
  *value = json_node_get_int (node);
  if (*value < 0 || *value > max)
    return damaged (error, "“%s” is out of range", member);
  return TRUE;
}

static gboolean
read_modules (JsonObject *object, GStrv *value, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  JsonNode *node = json_object_get_member (object, "modules");
  JsonArray *array;

  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return damaged (error, "“modules” is missing or no list");
  array = json_node_get_array (node);
  if (json_array_get_length (array) > VMSAN_MODULES_MAX)
    return damaged (error, "“modules” is too long");
  for (guint i = 0; i < json_array_get_length (array); i++)
    {
      JsonNode *element = json_array_get_element (array, i);

      if (json_node_get_value_type (element) != G_TYPE_STRING)
        return damaged (error, "“modules” has an element that is no text");
      g_ptr_array_add (names, json_node_dup_string (element));
    }
  g_ptr_array_add (names, NULL);
  g_strfreev (*value);
  *value = (GStrv) g_ptr_array_free (g_steal_pointer (&names), FALSE);
  return TRUE;
}

static gboolean
check_values (VmsanContent *self,
              VmsanContentKind kind,
              const char *kind_name,
              const char *id,
              GError **error)
{
  if (!g_str_equal (kind_name, kind_names[kind]))
    return damaged (error, "it belongs to another kind of thing");
  if (!g_str_equal (self->id, id))
    return damaged (error, "its id is not that of its directory");
  if (self->name[0] != '\0' && !vmsan_content_name_is_valid (self->name))
    return damaged (error, "its name is none");
  if (!g_strv_contains (formats[kind], self->format))
    return damaged (error, "its format is not known");
  if (!vmsan_content_check_version (self->version, NULL))
    return damaged (error, "its kernel version is none");
  if (self->no_elf[0] != '\0' && !g_str_equal (self->format, "bzimage"))
    return damaged (error, "it cannot lack an ELF file");
  for (guint i = 0; self->modules[i] != NULL; i++)
    {
      const VmsanModule module = { self->modules[i], 0 };

      if (!vmsan_initramfs_check_modules (&module, 1, NULL))
        return damaged (error, "the name of a module is none");
    }
  return TRUE;
}

static gboolean
read_no_elf (JsonObject *object, gint64 version, VmsanContent *self, GError **error)
{
  if (version >= NO_ELF_SINCE)
    return read_string (object, "no-elf", &self->no_elf, error);
  g_free (self->no_elf);
  self->no_elf = g_strdup (g_str_equal (self->format, "bzimage") ? NO_ELF_OLD : "");
  return TRUE;
}

static VmsanContent *
read_object (JsonObject *object, VmsanContentKind kind, const char *id, GError **error)
{
  g_autoptr (VmsanContent) self = vmsan_content_new ("", "", "", "", NULL, "", 0, 0);
  g_autofree char *kind_name = NULL;
  gint64 version = 0;
  gint64 size = 0;
  gint64 added_by = 0;

  if (!read_number (object, "version", G_MAXINT64, &version, error))
    return NULL;
  if (version < 1 || version > META_VERSION)
    {
      damaged (error, "it was written by a version of vmsan that is not known here");
      return NULL;
    }
  if (!read_string (object, "kind", &kind_name, error) ||
      !read_string (object, "id", &self->id, error) ||
      !read_string (object, "name", &self->name, error) ||
      !read_string (object, "format", &self->format, error) ||
      !read_string (object, "kernel-version", &self->version, error) ||
      !read_modules (object, &self->modules, error) ||
      !read_no_elf (object, version, self, error) ||
      !read_number (object, "size-bytes", G_MAXINT64, &size, error) ||
      !read_number (object, "added-us", G_MAXINT64, &self->added_us, error) ||
      !read_number (object, "added-by", G_MAXUINT32, &added_by, error) ||
      !check_values (self, kind, kind_name, id, error))
    return NULL;
  self->size_bytes = size;
  self->added_by = (uid_t) added_by;
  return g_steal_pointer (&self);
}

VmsanContent *
vmsan_content_from_json (
    const char *json, gsize size, VmsanContentKind kind, const char *id, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) local_error = NULL;
  VmsanContent *self;
  JsonNode *root;

  if (!g_utf8_validate_len (json, size, NULL))
    {
      damaged (error, "meta.json is no text");
      return NULL;
    }
  if (!json_parser_load_from_data (parser, json, size, &local_error))
    {
      damaged (error, "meta.json: %s", local_error->message);
      return NULL;
    }
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    {
      damaged (error, "meta.json holds no object");
      return NULL;
    }
  self = read_object (json_node_get_object (root), kind, id, error);
  if (self == NULL)
    g_prefix_error (error, "meta.json: ");
  return self;
}
