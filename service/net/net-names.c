/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: "ip netns" and this file understand each other: same places, same lock, same mounts. */

#include "net/net-names.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

gboolean
vmsan_net_names_check (const char *name, GError **error)
{
  if (name != NULL && g_str_has_prefix (name, VMSAN_NET_NAME_PREFIX) &&
      strchr (name, '/') == NULL && strlen (name) <= NAME_MAX)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "“%s” is no name for a network namespace; it must begin with “%s” and have no “/”",
               name != NULL ? name : "", VMSAN_NET_NAME_PREFIX);
  return FALSE;
}

static gboolean
is_mount_point (int directory_fd)
{
  struct statx st;

  return statx (directory_fd, "", AT_EMPTY_PATH, 0, &st) == 0 &&
         st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* A name that is bound must show in mount namespaces that exist already, and one that is unbound
 * must vanish from them, or they would keep the namespace alive. For that the directory is a mount
 * point of its own, with shared propagation (mount_namespaces(7)). ip-netns(8) sets MS_REC each
 * time; that walks over all that is bound, while what is bound later inherits from its parent. */
static gboolean
share (const char *directory, int directory_fd, GError **error)
{
  if (!is_mount_point (directory_fd) &&
      mount (directory, directory, "none", MS_BIND | MS_REC, NULL) < 0)
    return vmsan_error_set_errno (error, errno, "Making “%s” a mount point failed", directory);
  if (mount ("", directory, "none", MS_SHARED, NULL) < 0)
    return vmsan_error_set_errno (error, errno, "Making mounts in “%s” shared failed", directory);
  return TRUE;
}

/* Returns a descriptor that holds the lock, or -1. The lock is iproute2's as well. */
static int
lock_directory (const char *directory, GError **error)
{
  vmsan_autofd int fd = -1;

  /* Not left to the umask: people list what is there. */
  if (mkdir (directory, 0755) == 0 ? chmod (directory, 0755) < 0 : errno != EEXIST)
    {
      vmsan_error_set_errno (error, errno, "Making “%s” failed", directory);
      return -1;
    }
  fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening “%s” failed", directory);
      return -1;
    }
  while (flock (fd, LOCK_EX) < 0)
    {
      if (errno != EINTR)
        {
          vmsan_error_set_errno (error, errno, "Locking “%s” failed", directory);
          return -1;
        }
    }
  return g_steal_fd (&fd);
}

static gboolean
is_net_namespace (int fd)
{
  struct statfs st;

  return fstatfs (fd, &st) == 0 && st.f_type == NSFS_MAGIC &&
         ioctl (fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

/* Makes the file to bind to. */
static gboolean
make_file (const char *path, const char *name, GError **error)
{
  vmsan_autofd int fd = open (path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  struct statfs fs;
  struct stat st;

  if (fd >= 0)
    return TRUE;
  if (errno != EEXIST)
    return vmsan_error_set_errno (error, errno, "Making “%s” for a network namespace failed", path);
  /* Left by a creation that was cut off before its mount. */
  if (lstat (path, &st) == 0 && S_ISREG (st.st_mode) && st.st_size == 0 &&
      statfs (path, &fs) == 0 && fs.f_type != NSFS_MAGIC)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
               "Network namespace “%s” exists already, as “%s”", name, path);
  return FALSE;
}

gboolean
vmsan_net_names_bind (const char *directory, const char *name, int namespace_fd, GError **error)
{
  g_autofree char *source = g_strdup_printf ("/proc/thread-self/fd/%d", namespace_fd);
  g_autofree char *path = g_build_filename (directory, name, NULL);
  vmsan_autofd int lock_fd = -1;

  if (!vmsan_net_names_check (name, error))
    return FALSE;
  lock_fd = lock_directory (directory, error);
  if (lock_fd < 0 || !share (directory, lock_fd, error) || !make_file (path, name, error))
    return FALSE;
  if (mount (source, path, "none", MS_BIND, NULL) < 0)
    {
      vmsan_error_set_errno (error, errno, "Binding a network namespace to “%s” failed", path);
      unlink (path);
      return FALSE;
    }
  return TRUE;
}

int
vmsan_net_names_open (const char *directory, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  vmsan_autofd int fd = -1;

  if (!vmsan_net_names_check (name, error))
    return -1;
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno != ENOENT)
    vmsan_error_set_errno (error, errno, "Opening network namespace “%s” failed", path);
  else if (fd < 0 || !is_net_namespace (fd))
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                 "There is no network namespace “%s” in “%s”", name, directory);
  else
    return g_steal_fd (&fd);
  return -1;
}

gboolean
vmsan_net_names_unbind (const char *directory, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);

  if (!vmsan_net_names_check (name, error))
    return FALSE;
  /* Until it says that nothing is mounted (EINVAL): somebody may have bound a second time. Detached
   * at once, as whoever holds the namespace holds it without the mount. */
  while (umount2 (path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
    continue;
  if (errno != EINVAL && errno != ENOENT)
    return vmsan_error_set_errno (error, errno, "Unmounting “%s” failed", path);
  if (unlink (path) < 0 && errno != ENOENT)
    return vmsan_error_set_errno (error, errno, "Deleting “%s” failed", path);
  return TRUE;
}

GStrv
vmsan_net_names_list (const char *directory, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, &local_error);
  const char *name;

  if (dir == NULL && !g_error_matches (local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "Listing network namespaces failed: %s",
                   local_error->message);
      return NULL;
    }
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      if (g_str_has_prefix (name, VMSAN_NET_NAME_PREFIX))
        g_ptr_array_add (names, g_strdup (name));
    }
  g_ptr_array_add (names, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}
