/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: only names that were checked get into the archive, and modules in their order. */

#include "storage/initramfs.h"

#include "storage/content-copy.h"
#include "storage/cpio.h"
#include "storage/image-probe.h"
#include "sys/error.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MODULE_NAME_MAX 55 /* MODULE_NAME_LEN of Linux */
#define AGENT_BYTES_MAX (G_GUINT64_CONSTANT (64) << 20)

typedef struct
{
  const char *name;
  mode_t mode;
  guint major;
  guint minor;
} Entry;

/* What the kernel and the agent need before anything is mounted: without /dev/console the first
 * process has no standard descriptors. */
static const Entry entries[] = {
  { "dev", S_IFDIR | 0755, 0, 0 },      { "proc", S_IFDIR | 0555, 0, 0 },
  { "sys", S_IFDIR | 0555, 0, 0 },      { "dev/console", S_IFCHR | 0600, 5, 1 },
  { "dev/null", S_IFCHR | 0666, 1, 3 },
};

static gboolean
module_name_is_fine (const char *name)
{
  gsize length = strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

  return length > 0 && length <= MODULE_NAME_MAX && name[length] == '\0' && name[0] != '-';
}

gboolean
vmsan_initramfs_check_modules (const VmsanModule *modules, guint n_modules, GError **error)
{
  guint64 total = 0;

  if (n_modules > VMSAN_MODULES_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "The kernel comes with %u modules; at most %d are taken, so leave out what its "
                   "machines do not need",
                   n_modules, VMSAN_MODULES_MAX);
      return FALSE;
    }
  for (guint i = 0; i < n_modules; i++)
    {
      if (!module_name_is_fine (modules[i].name))
        {
          g_autofree char *shown = g_utf8_make_valid (modules[i].name, -1);

          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "“%s” cannot be a module's name: 1 to %d of a-z, A-Z, 0-9, “_” and “-”, "
                       "without “.ko”",
                       shown, MODULE_NAME_MAX);
          return FALSE;
        }
      /* One by one, so that no sum overflows. */
      if (modules[i].size_bytes > VMSAN_MODULES_BYTES_MAX ||
          (total += modules[i].size_bytes) > VMSAN_MODULES_BYTES_MAX)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                       "The kernel's modules have more than %" G_GUINT64_FORMAT
                       " MiB together; leave out what its machines do not need",
                       VMSAN_MODULES_BYTES_MAX >> 20);
          return FALSE;
        }
    }
  return TRUE;
}

/* Feeds what tells one list of modules from another: without the sizes, bytes could move from one
 * module to the next unnoticed. */
static void
hash_module (struct sha256_ctx *hash, const VmsanModule *module)
{
  guint64 size = GUINT64_TO_LE (module->size_bytes);

  sha256_update (hash, strlen (module->name) + 1, (const guint8 *) module->name);
  sha256_update (hash, sizeof size, (const guint8 *) &size);
}

static gboolean
pack_module (VmsanCpio *cpio,
             guint number,
             int modules_fd,
             guint64 offset,
             const VmsanModule *module,
             struct sha256_ctx *hash,
             GCancellable *cancellable,
             GError **error)
{
  g_autofree char *name = g_strdup_printf ("modules/%02u-%s.ko", number, module->name);
  guint8 head[64];
  guint64 content;
  gssize n;

  if (!vmsan_cpio_add (cpio, name, S_IFREG | 0444, module->size_bytes, 0, &content, error))
    return FALSE;
  hash_module (hash, module);
  if (!vmsan_content_copy (modules_fd, offset, module->size_bytes, cpio->fd, content, hash,
                           cancellable, error))
    {
      g_prefix_error (error, "Module “%s”: ", module->name);
      return FALSE;
    }
  n = pread (cpio->fd, head, MIN (sizeof head, module->size_bytes), content);
  if (n < 0)
    return vmsan_error_set_errno (error, errno, "Reading the stored module failed");
  return vmsan_module_probe (module->name, head, n, error);
}

gboolean
vmsan_initramfs_pack_modules (int target_fd,
                              int modules_fd,
                              const VmsanModule *modules,
                              guint n_modules,
                              struct sha256_ctx *hash,
                              GCancellable *cancellable,
                              GError **error)
{
  VmsanCpio cpio = { .fd = target_fd };
  guint64 offset = 0;

  if (!vmsan_cpio_add (&cpio, "modules", S_IFDIR | 0755, 0, 0, NULL, error))
    return FALSE;
  for (guint i = 0; i < n_modules; i++)
    {
      if (!pack_module (&cpio, i, modules_fd, offset, &modules[i], hash, cancellable, error))
        return FALSE;
      offset += modules[i].size_bytes;
    }
  return vmsan_cpio_end (&cpio, error);
}

static gboolean
pack_agent (VmsanCpio *cpio, int agent_fd, GError **error)
{
  guint64 content;
  struct stat st;

  if (fstat (agent_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at the agent failed");
  if (!S_ISREG (st.st_mode) || st.st_size == 0 || (guint64) st.st_size > AGENT_BYTES_MAX)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                           "The guest's agent is no program; install vmsan again");
      return FALSE;
    }
  if (!vmsan_cpio_add (cpio, "init", S_IFREG | 0755, st.st_size, 0, &content, error) ||
      !vmsan_content_copy (agent_fd, 0, st.st_size, cpio->fd, content, NULL, NULL, error))
    return FALSE;
  return TRUE;
}

gboolean
vmsan_initramfs_pack (int target_fd, int agent_fd, int packed_modules_fd, GError **error)
{
  VmsanCpio cpio = { .fd = target_fd };
  struct stat st;

  for (guint i = 0; i < G_N_ELEMENTS (entries); i++)
    if (!vmsan_cpio_add (&cpio, entries[i].name, entries[i].mode, 0,
                         makedev (entries[i].major, entries[i].minor), NULL, error))
      return FALSE;
  if (!pack_agent (&cpio, agent_fd, error))
    return FALSE;
  if (fstat (packed_modules_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at the kernel's modules failed");
  return vmsan_content_copy (packed_modules_fd, 0, st.st_size, target_fd, cpio.offset, NULL, NULL,
                             error);
}
