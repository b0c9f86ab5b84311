/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: every module comes behind all that it depends on, and none twice. */

#include "config.h"

#include "kernel-modules.h"

#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the service accepts; see AddKernel. */
#define MODULES_MAX       64
#define MODULES_BYTES_MAX (G_GUINT64_CONSTANT (64) << 20)

/* What guests use, roughly in the order of need. Without the first ones the agent finds neither
 * its disks nor its channel. */
static const struct
{
  const char *name;
  gboolean required;
} wanted[] = {
  { "virtio_ring", TRUE },
  { "virtio", TRUE },
  { "virtio_mmio", TRUE },
  { "virtio_blk", TRUE },
  { "virtio_console", TRUE },
  { "ext4", TRUE },
  { "overlay", TRUE },
  { "squashfs", FALSE },
  { "erofs", FALSE },
  { "failover", FALSE },
  { "net_failover", FALSE },
  { "virtio_net", FALSE },
  { "vsock", FALSE },
  { "vmw_vsock_virtio_transport_common", FALSE },
  { "vmw_vsock_virtio_transport", FALSE },
  { "virtio_rng", FALSE },
};

typedef struct
{
  const char *directory;
  GHashTable *dependencies; /* name -> line of modules.dep: path and what it depends on */
  GHashTable *builtin;      /* names */
  GHashTable *before;       /* name -> names that are to be loaded first where they exist */
  GHashTable *aliases;      /* exact alias -> name */
  GHashTable *picked;       /* names */
  GHashTable *in_progress;  /* names */
  GArray *modules;
} Picker;

static void
module_clear (gpointer data)
{
  KernelModule *module = data;

  g_free (module->name);
  g_free (module->path);
}

/* "kernel/drivers/char/hw_random/virtio-rng.ko.xz" is virtio_rng: the kernel does not tell dashes
 * from underscores. */
static char *
module_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  char *name = g_strdup (slash != NULL ? slash + 1 : path);
  char *suffix = strstr (name, ".ko");

  if (suffix != NULL)
    *suffix = '\0';
  return g_strdelimit (name, "-", '_');
}

static char **
read_lines (const char *directory, const char *name, gboolean required, GError **error)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) local = NULL;

  if (g_file_get_contents (path, &text, NULL, &local))
    return g_strsplit (text, "\n", -1);
  if (!required && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return g_new0 (char *, 1);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
               _ ("Could not read “%s”, which says what modules need: %s; run depmod, or install "
                  "the kernel's modules"),
               path, local->message);
  return NULL;
}

static gboolean
read_dependencies (Picker *picker, GError **error)
{
  g_auto (GStrv) lines = read_lines (picker->directory, "modules.dep", TRUE, error);

  if (lines == NULL)
    return FALSE;
  for (gsize i = 0; lines[i] != NULL; i++)
    {
      char *colon = strchr (lines[i], ':');
      g_autofree char *path = NULL;

      if (colon == NULL)
        continue;
      path = g_strndup (lines[i], (gsize) (colon - lines[i]));
      g_hash_table_insert (picker->dependencies, module_name (path), g_strdup (lines[i]));
    }
  return TRUE;
}

static gboolean
read_builtin (Picker *picker, GError **error)
{
  g_auto (GStrv) lines = read_lines (picker->directory, "modules.builtin", TRUE, error);

  if (lines == NULL)
    return FALSE;
  for (gsize i = 0; lines[i] != NULL; i++)
    if (lines[i][0] != '\0')
      g_hash_table_add (picker->builtin, module_name (lines[i]));
  return TRUE;
}

/* "softdep ext4 pre: crc32c post: x": modprobe.d(5) */
static void
read_softdep (Picker *picker, char **words)
{
  g_autoptr (GStrvBuilder) before = g_strv_builder_new ();
  gboolean pre = FALSE;

  for (gsize i = 2; words[i] != NULL; i++)
    {
      if (g_str_has_suffix (words[i], ":"))
        pre = strcmp (words[i], "pre:") == 0;
      else if (pre && words[i][0] != '\0')
        g_strv_builder_add (before, words[i]);
    }
  g_hash_table_insert (picker->before, module_name (words[1]), g_strv_builder_end (before));
}

static gboolean
read_hints (Picker *picker, GError **error)
{
  g_auto (GStrv) softdeps = read_lines (picker->directory, "modules.softdep", FALSE, error);
  g_auto (GStrv) aliases = NULL;

  if (softdeps == NULL)
    return FALSE;
  for (gsize i = 0; softdeps[i] != NULL; i++)
    {
      g_auto (GStrv) words = g_strsplit (softdeps[i], " ", -1);

      if (g_strv_length (words) > 2 && strcmp (words[0], "softdep") == 0)
        read_softdep (picker, words);
    }

  aliases = read_lines (picker->directory, "modules.alias", FALSE, error);
  if (aliases == NULL)
    return FALSE;
  for (gsize i = 0; aliases[i] != NULL; i++)
    {
      g_auto (GStrv) words = g_strsplit (aliases[i], " ", -1);

      /* The first one wins; device patterns are of no use here. */
      if (g_strv_length (words) == 3 && strcmp (words[0], "alias") == 0 &&
          strpbrk (words[1], "*?[:") == NULL)
        {
          g_autofree char *alias = module_name (words[1]);

          if (!g_hash_table_contains (picker->aliases, alias))
            g_hash_table_insert (picker->aliases, g_steal_pointer (&alias), module_name (words[2]));
        }
    }
  return TRUE;
}

static gboolean pick (Picker *picker, const char *name, GError **error);

/* Which module stands for what is to be loaded first; NULL: none has to be. For algorithms such as
 * crc32c several offer the same: the generic one does on every processor. */
static const char *
resolve (Picker *picker, const char *name)
{
  g_autofree char *generic = g_strconcat (name, "_generic", NULL);
  gpointer key;

  if (g_hash_table_contains (picker->builtin, generic))
    return NULL;
  if (g_hash_table_lookup_extended (picker->dependencies, generic, &key, NULL) ||
      g_hash_table_lookup_extended (picker->dependencies, name, &key, NULL))
    return key;
  return g_hash_table_lookup (picker->aliases, name);
}

static gboolean
pick_before (Picker *picker, const char *name, GError **error)
{
  char **before = g_hash_table_lookup (picker->before, name);

  for (gsize i = 0; before != NULL && before[i] != NULL; i++)
    {
      g_autofree char *first = module_name (before[i]);
      const char *real = resolve (picker, first);

      if (real != NULL && !pick (picker, real, error))
        return FALSE;
    }
  return TRUE;
}

/* modules.dep lists what a module depends on directly and indirectly, the last needed first. */
static gboolean
pick_dependencies (Picker *picker, char **words, GError **error)
{
  for (gsize i = g_strv_length (words); i > 1; i--)
    {
      g_autofree char *name = NULL;

      if (words[i - 1][0] == '\0')
        continue;
      name = module_name (words[i - 1]);
      if (!pick (picker, name, error))
        return FALSE;
    }
  return TRUE;
}

/* Adds a module behind what it needs. One that is not there is skipped: it may be built in. */
static gboolean
pick (Picker *picker, const char *name, GError **error)
{
  const char *line = g_hash_table_lookup (picker->dependencies, name);
  g_auto (GStrv) words = NULL;
  KernelModule module;
  gboolean ok;

  if (line == NULL || g_hash_table_contains (picker->builtin, name) ||
      g_hash_table_contains (picker->picked, name) ||
      !g_hash_table_add (picker->in_progress, g_strdup (name)))
    return TRUE;

  words = g_strsplit (line, " ", -1);
  ok = pick_before (picker, name, error) && pick_dependencies (picker, words, error);
  g_hash_table_remove (picker->in_progress, name);
  if (!ok)
    return FALSE;
  if (picker->modules->len >= MODULES_MAX)
    {
      g_set_error (
          error, G_IO_ERROR, G_IO_ERROR_FAILED,
          _ ("The kernel in “%s” needs more than %d modules: use a kernel for cloud guests, "
             "which has most of them built in"),
          picker->directory, MODULES_MAX);
      return FALSE;
    }
  *strchr (words[0], ':') = '\0';
  module.name = g_strdup (name);
  module.path = g_path_is_absolute (words[0])
                    ? g_strdup (words[0])
                    : g_build_filename (picker->directory, words[0], NULL);
  g_array_append_val (picker->modules, module);
  g_hash_table_add (picker->picked, g_strdup (name));
  return TRUE;
}

static gboolean
pick_wanted (Picker *picker, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (wanted); i++)
    {
      if (wanted[i].required && !g_hash_table_contains (picker->builtin, wanted[i].name) &&
          !g_hash_table_contains (picker->dependencies, wanted[i].name))
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                       _ ("The kernel in “%s” has no “%s”, without which no guest comes up: use "
                          "another kernel, such as Debian's linux-image-cloud-amd64"),
                       picker->directory, wanted[i].name);
          return FALSE;
        }
      if (!pick (picker, wanted[i].name, error))
        return FALSE;
    }
  return TRUE;
}

static GHashTable *
name_set (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

GArray *
kernel_modules_pick (const char *directory, GError **error)
{
  Picker picker = { .directory = directory };
  gboolean ok;

  picker.dependencies = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  picker.aliases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  picker.before =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_strfreev);
  picker.builtin = name_set ();
  picker.picked = name_set ();
  picker.in_progress = name_set ();
  picker.modules = g_array_new (FALSE, FALSE, sizeof (KernelModule));
  g_array_set_clear_func (picker.modules, module_clear);

  ok = read_dependencies (&picker, error) && read_builtin (&picker, error) &&
       read_hints (&picker, error) && pick_wanted (&picker, error);

  g_hash_table_unref (picker.dependencies);
  g_hash_table_unref (picker.aliases);
  g_hash_table_unref (picker.before);
  g_hash_table_unref (picker.builtin);
  g_hash_table_unref (picker.picked);
  g_hash_table_unref (picker.in_progress);
  if (!ok)
    g_clear_pointer (&picker.modules, g_array_unref);
  return picker.modules;
}

static gboolean
unpack_all (GArray *modules, int fd, GVariantBuilder *builder, GError **error)
{
  guint64 total = 0;

  for (guint i = 0; i < modules->len; i++)
    {
      const KernelModule *module = &g_array_index (modules, KernelModule, i);
      guint64 size;

      if (!unpack_file (module->path, fd, MODULES_BYTES_MAX - total, &size, error))
        return FALSE;
      g_variant_builder_add (builder, "(st)", module->name, size);
      total += size;
    }
  /* The service must see what was measured. */
  fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return TRUE;
}

int
kernel_modules_load (GArray *modules, GVariant **list, GError **error)
{
  int fd = memfd_create ("vmsan-modules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  GVariantBuilder builder;

  if (fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   _ ("Could not make a memory file for the modules: %s"), g_strerror (errno));
      return -1;
    }
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(st)"));
  if (!unpack_all (modules, fd, &builder, error))
    {
      g_variant_builder_clear (&builder);
      close (fd);
      return -1;
    }
  *list = g_variant_ref_sink (g_variant_builder_end (&builder));
  return fd;
}
