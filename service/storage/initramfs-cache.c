/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a cached initramfs holds the agent that its name says, and is whole. */

#include "storage/initramfs-cache.h"

#include "storage/content-copy.h"
#include "storage/initramfs.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>

#define PREFIX    "initramfs-"
#define FILES_MAX 1024
#define AGENT_MAX (64 * 1024 * 1024)

struct _VmsanInitramfsCache
{
  VmsanManagedRoot *root;

  /* The agent as it was last hashed. */
  struct stat agent;
  char *agent_hash;
};

VmsanInitramfsCache *
vmsan_initramfs_cache_new (VmsanManagedRoot *root)
{
  VmsanInitramfsCache *self = g_new0 (VmsanInitramfsCache, 1);

  self->root = vmsan_managed_root_ref (root);
  return self;
}

void
vmsan_initramfs_cache_free (VmsanInitramfsCache *self)
{
  vmsan_managed_root_unref (self->root);
  g_free (self->agent_hash);
  g_free (self);
}

static gboolean
is_same_file (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static gboolean
update_agent_hash (VmsanInitramfsCache *self, int agent_fd, const char *agent_path, GError **error)
{
  struct sha256_ctx hash;
  struct stat st;

  if (fstat (agent_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at the agent “%s” failed", agent_path);
  if (self->agent_hash != NULL && is_same_file (&st, &self->agent))
    return TRUE;
  if (!S_ISREG (st.st_mode) || st.st_size == 0 || st.st_size > AGENT_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "The guest's agent “%s” is no program; install vmsan again", agent_path);
      return FALSE;
    }
  sha256_init (&hash);
  if (!vmsan_content_hash (agent_fd, st.st_size, &hash, NULL, error))
    return FALSE;
  g_free (self->agent_hash);
  self->agent_hash = vmsan_content_hash_end (&hash);
  self->agent = st;
  return TRUE;
}

static gboolean
pack_into (VmsanInitramfsCache *self,
           const char *directory,
           const char *temporary,
           int agent_fd,
           GError **error)
{
  g_autofree char *modules_name = g_strconcat (directory, "/modules.cpio", NULL);
  vmsan_autofd int modules_fd = -1;
  vmsan_autofd int fd = -1;

  modules_fd = vmsan_managed_root_open_at (self->root, modules_name, O_RDONLY, 0, error);
  if (modules_fd < 0)
    return FALSE;
  fd = vmsan_managed_root_open_at (self->root, temporary, O_RDWR | O_CREAT | O_EXCL, 0400, error);
  if (fd < 0 || !vmsan_content_share (fd, error) ||
      !vmsan_initramfs_pack (fd, agent_fd, modules_fd, error))
    return FALSE;
  if (fsync (fd) < 0)
    return vmsan_error_set_errno (error, errno, "Syncing an initramfs failed");
  return TRUE;
}

/* What earlier agents and interrupted packing left. That some stays is only space. */
static void
delete_others (VmsanInitramfsCache *self, const char *directory, const char *kept)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_managed_root_list (self->root, directory, FILES_MAX, &error);

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autofree char *name = g_strconcat (directory, "/", names[i], NULL);

      if ((g_str_has_prefix (names[i], PREFIX) || names[i][0] == '.') &&
          !g_str_equal (name, kept) && !vmsan_managed_root_delete (self->root, name, &error))
        break;
    }
  if (error != NULL)
    g_warning ("Deleting outdated initramfs files failed: %s", error->message);
}

static gboolean
pack (VmsanInitramfsCache *self,
      const char *directory,
      const char *name,
      int agent_fd,
      GError **error)
{
  g_autofree char *temporary = g_strdup_printf ("%s/.%s%08x", directory, PREFIX, g_random_int ());

  if (!pack_into (self, directory, temporary, agent_fd, error) ||
      !vmsan_managed_root_rename (self->root, temporary, name, error))
    {
      vmsan_managed_root_delete (self->root, temporary, NULL);
      g_prefix_error (error, "Packing the kernel's initramfs failed: ");
      return FALSE;
    }
  delete_others (self, directory, name);
  return TRUE;
}

int
vmsan_initramfs_cache_open (VmsanInitramfsCache *self,
                            const char *directory,
                            const char *agent_path,
                            GError **error)
{
  vmsan_autofd int agent_fd = open (agent_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  g_autoptr (GError) local_error = NULL;
  g_autofree char *name = NULL;
  int fd;

  if (agent_fd < 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "The guest's agent “%s” cannot be opened: %s; install vmsan again", agent_path,
                   g_strerror (errno));
      return -1;
    }
  if (!update_agent_hash (self, agent_fd, agent_path, error))
    return -1;
  name = g_strconcat (directory, "/" PREFIX, self->agent_hash, NULL);
  fd = vmsan_managed_root_open_at (self->root, name, O_RDONLY, 0, &local_error);
  if (fd >= 0)
    return fd;
  if (!g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return -1;
    }
  if (!pack (self, directory, name, agent_fd, error))
    return -1;
  return vmsan_managed_root_open_at (self->root, name, O_RDONLY, 0, error);
}
