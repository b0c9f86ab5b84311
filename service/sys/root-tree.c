/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the tree holds the binds asked for and nothing else, and making it changes nothing on
 * the host. */

#include "sys/root-tree.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int
make_tmpfs (const char *size, guint attributes, GError **error)
{
  vmsan_autofd int context = -1;
  vmsan_autofd int root_fd = -1;

  context = fsopen ("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig (context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
      fsconfig (context, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
      fsconfig (context, FSCONFIG_SET_STRING, "nr_inodes", "4096", 0) < 0 ||
      fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    {
      vmsan_error_set_errno (error, errno, "Making a tmpfs for a confined process failed");
      return -1;
    }
  root_fd = fsmount (context, FSMOUNT_CLOEXEC, attributes);
  if (root_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Making a tmpfs for a confined process failed");
      return -1;
    }
  return g_steal_fd (&root_fd);
}

/* The clone of the bind's source, or its tmpfs, as a detached mount. -1 without @error: skipped. */
static int
clone_source (const VmsanBind *bind, GError **error)
{
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  const char *name = bind->source != NULL ? bind->source : bind->target;
  int tree_fd;

  if (bind->tmpfs_bytes > 0)
    {
      g_autofree char *size = g_strdup_printf ("%" G_GUINT64_FORMAT, bind->tmpfs_bytes);

      return make_tmpfs (size, MOUNT_ATTR_NOSUID, error);
    }
  if (bind->source != NULL)
    tree_fd = open_tree (AT_FDCWD, bind->source, flags);
  else
    tree_fd = open_tree (bind->source_fd, "", flags | AT_EMPTY_PATH);

  if (tree_fd < 0 && !(bind->optional && (errno == ENOENT || errno == ENOTDIR)))
    vmsan_error_set_errno (error, errno, "Binding “%s” for a confined process failed", name);
  return tree_fd;
}

static gboolean
restrict_mount (const VmsanBind *bind, int tree_fd, const struct stat *st, GError **error)
{
  struct mount_attr attr = {
    .attr_set = MOUNT_ATTR_NOSUID,
    /* What is mounted on the host beneath a shared source later must not appear in the child. */
    .propagation = MS_PRIVATE,
  };

  if (bind->device && !S_ISCHR (st->st_mode) && !S_ISBLK (st->st_mode))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "“%s” is to be bound as a device node, but is none", bind->target);
      return FALSE;
    }
  if (bind->device)
    attr.attr_clr |= MOUNT_ATTR_NODEV;
  else if (bind->tmpfs_bytes == 0)
    attr.attr_set |= MOUNT_ATTR_NODEV;
  if (!bind->writable && bind->tmpfs_bytes == 0)
    attr.attr_set |= MOUNT_ATTR_RDONLY;
  if (mount_setattr (tree_fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
    return vmsan_error_set_errno (error, errno, "Restricting the mount for “%s” failed",
                                  bind->target);
  return TRUE;
}

static gboolean
check_target (const char *target, GError **error)
{
  g_auto (GStrv) parts = NULL;

  if (target == NULL || target[0] != '/' || target[1] == '\0')
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "“%s” is not an absolute path below the root, so nothing can be bound there",
                   target != NULL ? target : "");
      return FALSE;
    }
  parts = g_strsplit (target + 1, "/", -1);
  for (guint i = 0; parts[i] != NULL; i++)
    {
      if (parts[i][0] == '\0' || g_str_equal (parts[i], ".") || g_str_equal (parts[i], ".."))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "“%s” has an empty or dot component, so nothing can be bound there", target);
          return FALSE;
        }
    }
  return TRUE;
}

/* Makes @target, below @root_fd, with its parents in a tmpfs, as a directory or an empty file. No
 * link can be in the way, as the tmpfs holds only what this function made. */
static gboolean
make_mount_point (int root_fd, const char *target, gboolean directory, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (target + 1, "/", -1);
  vmsan_autofd int parent_fd = -1;

  for (guint i = 0; parts[i] != NULL; i++)
    {
      int at = parent_fd >= 0 ? parent_fd : root_fd;
      gboolean last = parts[i + 1] == NULL;
      int made_fd;

      if (last && !directory)
        made_fd = openat (at, parts[i], O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
      /* Not left to the umask, which in a service keeps others out: the child is an other. */
      else if ((mkdirat (at, parts[i], 0755) < 0 && errno != EEXIST) ||
               fchmodat (at, parts[i], 0755, 0) < 0)
        made_fd = -1;
      else
        made_fd = openat (at, parts[i], O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
      if (made_fd < 0)
        return vmsan_error_set_errno (error, errno, "Making the mount point “%s” failed", target);
      vmsan_fd_close (&parent_fd);
      parent_fd = made_fd;
    }
  return TRUE;
}

/* The tmpfs, the root or one of those already in it, where the mount point of @target is made, and
 * its path from there. */
static int
find_tmpfs (const VmsanRootTree *tree,
            const VmsanBind *binds,
            const VmsanBind *bind,
            const char **path)
{
  *path = bind->target;
  for (guint i = 0; i < tree->n_mounts; i++)
    {
      const char *above = tree->mounts[i].target;

      for (const VmsanBind *other = binds; other != bind; other++)
        if (other->target == above && other->tmpfs_bytes > 0 &&
            g_str_has_prefix (bind->target, above) && bind->target[strlen (above)] == '/')
          {
            *path = bind->target + strlen (above);
            return tree->mounts[i].tree_fd;
          }
    }
  return tree->root_fd;
}

static gboolean
add_bind (VmsanRootTree *tree, const VmsanBind *binds, const VmsanBind *bind, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  vmsan_autofd int tree_fd = -1;
  const char *path;
  struct stat st;
  int parent_fd;

  if (!check_target (bind->target, error))
    return FALSE;
  tree_fd = clone_source (bind, &local_error);
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  if (tree_fd < 0)
    return TRUE;
  if (fstat (tree_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Examining the source of “%s” failed",
                                  bind->target);
  parent_fd = find_tmpfs (tree, binds, bind, &path);
  if (!restrict_mount (bind, tree_fd, &st, error) ||
      !make_mount_point (parent_fd, path, S_ISDIR (st.st_mode), error))
    return FALSE;

  tree->mounts[tree->n_mounts].target = bind->target;
  tree->mounts[tree->n_mounts].tree_fd = g_steal_fd (&tree_fd);
  tree->n_mounts++;
  return TRUE;
}

gboolean
vmsan_root_tree_build (
    const VmsanBind *binds, guint n_binds, gboolean with_proc, VmsanRootTree *tree, GError **error)
{
  struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
  g_auto (VmsanRootTree) building = { .root_fd = -1 };

  /* Only directories and empty files for mount points go in; the bounds keep it at that. */
  building.root_fd =
      make_tmpfs ("1m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, error);
  if (building.root_fd < 0)
    return FALSE;
  building.mounts = g_new0 (VmsanChildMount, n_binds);
  for (guint i = 0; i < n_binds; i++)
    {
      if (!add_bind (&building, binds, &binds[i], error))
        return FALSE;
    }
  if (with_proc && !make_mount_point (building.root_fd, "/proc", TRUE, error))
    return FALSE;
  if (mount_setattr (building.root_fd, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0)
    return vmsan_error_set_errno (error, errno, "Making a confined root read-only failed");

  *tree = building;
  building = (VmsanRootTree){ .root_fd = -1 };
  return TRUE;
}

void
vmsan_root_tree_clear (VmsanRootTree *tree)
{
  for (guint i = 0; i < tree->n_mounts; i++)
    vmsan_fd_close (&tree->mounts[i].tree_fd);
  g_clear_pointer (&tree->mounts, g_free);
  tree->n_mounts = 0;
  vmsan_fd_close (&tree->root_fd);
}
