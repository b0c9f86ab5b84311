/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no name, link or mount leads an open, rename or delete out of the root. */

#include "storage/managed-path.h"

#include "storage/managed-tree.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define NAME_LENGTH_MAX 4096

struct _VmsanManagedRoot
{
  gatomicrefcount references;
  char *path;
  int fd;
};

/* ---- The root ------------------------------------------------------------------------------ */

/* The directory's content must be ours alone to change. A parent may be sticky (as /tmp is): there
 * nobody can rename what belongs to us, and what comes next is checked by its owner. */
static gboolean
check_owner (int fd, const char *path, gboolean is_parent, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at “%s” failed", path);
  if (st.st_uid != 0 && st.st_uid != geteuid ())
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "“%s” belongs to uid %u, who could replace what vmsan keeps there; make it "
                   "root's (chown root) or configure another directory",
                   path, st.st_uid);
      return FALSE;
    }
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !(is_parent && (st.st_mode & S_ISVTX) != 0))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "“%s” can be written by others than root (mode %04o); take that away (chmod "
                   "go-w) or configure another directory",
                   path, st.st_mode & 07777);
      return FALSE;
    }
  return TRUE;
}

/* Opens one component; the last one is made when it is missing. */
static int
open_component (int parent_fd,
                const char *component,
                const char *path,
                gboolean is_last,
                mode_t mode,
                GError **error)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat (parent_fd, component, flags);

  if (fd < 0 && errno == ENOENT && is_last)
    {
      if (mkdirat (parent_fd, component, mode) < 0 && errno != EEXIST)
        {
          vmsan_error_set_errno (error, errno, "Making the directory “%s” failed", path);
          return -1;
        }
      fd = openat (parent_fd, component, flags);
      /* The mode is what was asked for, whatever the umask is. */
      if (fd >= 0 && fchmod (fd, mode) < 0)
        {
          vmsan_error_set_errno (error, errno, "Setting the mode of “%s” failed", path);
          close (fd);
          return -1;
        }
    }
  if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                 "“%s” is a link or no directory; configure the real directory's path", path);
  else if (fd < 0)
    vmsan_error_set_errno (error, errno, "Opening the directory “%s” failed", path);
  return fd;
}

/* Walks from / to @path, so that each directory on the way is checked by the descriptor that leads
 * to the next. */
static int
open_checked (const char *path, mode_t mode, GError **error)
{
  vmsan_autofd int fd = open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_auto (GStrv) components = g_strsplit (path + 1, "/", -1);
  g_autoptr (GString) walked = g_string_new (NULL);

  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening “/” failed");
      return -1;
    }
  for (guint i = 0; components[i] != NULL; i++)
    {
      gboolean is_last = components[i + 1] == NULL;
      int next_fd;

      if (!check_owner (fd, i == 0 ? "/" : walked->str, TRUE, error))
        return -1;
      g_string_append_printf (walked, "/%s", components[i]);
      next_fd = open_component (fd, components[i], walked->str, is_last, mode, error);
      if (next_fd < 0)
        return -1;
      vmsan_fd_close (&fd);
      fd = next_fd;
    }
  if (!check_owner (fd, path, FALSE, error))
    return -1;
  return g_steal_fd (&fd);
}

/* ---- Names --------------------------------------------------------------------------------- */

static gboolean
component_is_fine (const char *component)
{
  gsize length = strlen (component);

  return length > 0 && length <= NAME_MAX && !g_str_equal (component, ".") &&
         !g_str_equal (component, "..");
}

static gboolean
name_is_fine (const char *name)
{
  g_auto (GStrv) components = NULL;

  if (name[0] == '\0' || strnlen (name, NAME_LENGTH_MAX + 1) > NAME_LENGTH_MAX ||
      !g_utf8_validate (name, -1, NULL))
    return FALSE;
  for (const char *c = name; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      return FALSE;
  /* An absolute name, a doubled and a final slash all give an empty component. */
  components = g_strsplit (name, "/", -1);
  for (guint i = 0; components[i] != NULL; i++)
    if (!component_is_fine (components[i]))
      return FALSE;
  return TRUE;
}

static gboolean
check_name (VmsanManagedRoot *self, const char *name, GError **error)
{
  g_autofree char *shown = NULL;

  if (name_is_fine (name))
    return TRUE;
  shown = vmsan_managed_tree_printable (name);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
               "Refused the name “%s” below “%s”: it is no plain relative path of at most %d bytes",
               shown, self->path, NAME_LENGTH_MAX);
  return FALSE;
}

static gboolean
set_open_error (
    VmsanManagedRoot *self, const char *name, const char *verb, int saved_errno, GError **error)
{
  if (saved_errno == ELOOP)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
                 "%s “%s/%s” was refused: there is a symbolic link in it, and vmsan makes none",
                 verb, self->path, name);
  else if (saved_errno == EXDEV)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
                 "%s “%s/%s” was refused: another file system is mounted there; unmount it", verb,
                 self->path, name);
  else if (saved_errno == EEXIST)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS, "%s “%s/%s” was refused: it is there",
                 verb, self->path, name);
  else if (saved_errno == ENOSYS)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                 "%s “%s/%s” failed: the kernel has no openat2; Linux 5.6 or later is needed", verb,
                 self->path, name);
  else
    vmsan_error_set_errno (error, saved_errno, "%s “%s/%s” failed", verb, self->path, name);
  return FALSE;
}

/* Opens the directory that holds @name and returns the last component in @base, which points into
 * @name. Returns -1 with errno set; a missing directory is ENOENT. */
static int
open_parent (VmsanManagedRoot *self, const char *name, const char **base)
{
  const char *slash = strrchr (name, '/');
  g_autofree char *parent = slash == NULL ? g_strdup (".") : g_strndup (name, slash - name);

  *base = slash == NULL ? name : slash + 1;
  return vmsan_managed_tree_openat (self->fd, parent, O_RDONLY | O_DIRECTORY, 0);
}

/* ---- Public -------------------------------------------------------------------------------- */

VmsanManagedRoot *
vmsan_managed_root_open (const char *path, mode_t mode, GError **error)
{
  VmsanManagedRoot *self;
  int fd;

  if (path[0] != '/' || !name_is_fine (path + 1))
    {
      g_autofree char *shown = vmsan_managed_tree_printable (path);

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "“%s” cannot be used as a directory of vmsan: configure an absolute path "
                   "without “.”, “..” or a final slash",
                   shown);
      return NULL;
    }
  fd = open_checked (path, mode, error);
  if (fd < 0)
    return NULL;

  self = g_new0 (VmsanManagedRoot, 1);
  g_atomic_ref_count_init (&self->references);
  self->path = g_strdup (path);
  self->fd = fd;
  return self;
}

const char *
vmsan_managed_root_get_path (VmsanManagedRoot *self)
{
  return self->path;
}

int
vmsan_managed_root_get_fd (VmsanManagedRoot *self)
{
  return self->fd;
}

int
vmsan_managed_root_open_at (
    VmsanManagedRoot *self, const char *name, int flags, mode_t mode, GError **error)
{
  vmsan_autofd int fd = -1;
  int open_flags = flags;
  struct stat st;

  if (!check_name (self, name, error))
    return -1;
  /* O_NONBLOCK: a FIFO that somebody put there must not make us wait for its other end. */
  if ((flags & O_PATH) == 0)
    open_flags |= O_NONBLOCK | O_NOCTTY;
  fd = vmsan_managed_tree_openat (self->fd, name, open_flags, mode);
  if (fd < 0 && errno != ENXIO)
    {
      set_open_error (self, name, "Opening", errno, error);
      return -1;
    }
  if ((flags & O_PATH) != 0)
    return g_steal_fd (&fd);

  /* ENXIO comes from a FIFO or socket. */
  if (fd < 0 || fstat (fd, &st) < 0 || !(S_ISREG (st.st_mode) || S_ISDIR (st.st_mode)))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
                   "Opening “%s/%s” was refused: it is neither a file nor a directory", self->path,
                   name);
      return -1;
    }
  if (fcntl (fd, F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK)) < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening “%s/%s” failed", self->path, name);
      return -1;
    }
  return g_steal_fd (&fd);
}

gboolean
vmsan_managed_root_make_dir (VmsanManagedRoot *self, const char *name, mode_t mode, GError **error)
{
  vmsan_autofd int fd = -1;
  g_auto (GStrv) components = NULL;

  if (!check_name (self, name, error))
    return FALSE;
  components = g_strsplit (name, "/", -1);
  for (guint i = 0; components[i] != NULL; i++)
    {
      int parent_fd = i == 0 ? self->fd : fd;
      gboolean made = mkdirat (parent_fd, components[i], mode) == 0;
      int next_fd;

      if (!made && errno != EEXIST)
        return set_open_error (self, name, "Making the directory", errno, error);
      next_fd = vmsan_managed_tree_openat (parent_fd, components[i], O_RDONLY | O_DIRECTORY, 0);
      if (next_fd < 0)
        return set_open_error (self, name, "Making the directory", errno, error);
      vmsan_fd_close (&fd);
      fd = next_fd;
      /* The mode is what was asked for, whatever the umask is. */
      if (made && fchmod (fd, mode) < 0)
        return set_open_error (self, name, "Setting the mode of", errno, error);
    }
  return TRUE;
}

gboolean
vmsan_managed_root_rename (VmsanManagedRoot *self, const char *from, const char *to, GError **error)
{
  vmsan_autofd int from_fd = -1;
  vmsan_autofd int to_fd = -1;
  const char *from_base;
  const char *to_base;
  struct stat st;
  guint flags;

  if (!check_name (self, from, error) || !check_name (self, to, error))
    return FALSE;
  from_fd = open_parent (self, from, &from_base);
  if (from_fd < 0 || fstatat (from_fd, from_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return set_open_error (self, from, "Renaming", errno, error);
  to_fd = open_parent (self, to, &to_base);
  if (to_fd < 0)
    return set_open_error (self, to, "Renaming to", errno, error);

  /* rename(2) lets a directory replace an empty one, but no other kind replaces any. */
  flags = S_ISDIR (st.st_mode) ? RENAME_NOREPLACE : 0;
  if (renameat2 (from_fd, from_base, to_fd, to_base, flags) < 0)
    {
      if (errno == EEXIST || errno == EISDIR)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
                       "Renaming “%s” to “%s” below “%s” was refused: that is taken", from, to,
                       self->path);
          return FALSE;
        }
      return set_open_error (self, from, "Renaming", errno, error);
    }
  if (fsync (to_fd) < 0 || fsync (from_fd) < 0)
    return set_open_error (self, to, "Syncing the directory of", errno, error);
  return TRUE;
}

gboolean
vmsan_managed_root_delete (VmsanManagedRoot *self, const char *name, GError **error)
{
  vmsan_autofd int parent_fd = -1;
  const char *base;

  if (!check_name (self, name, error))
    return FALSE;
  parent_fd = open_parent (self, name, &base);
  if (parent_fd < 0 && errno == ENOENT)
    return TRUE;
  if (parent_fd < 0)
    return set_open_error (self, name, "Deleting", errno, error);
  if (!vmsan_managed_tree_delete (parent_fd, base, error))
    {
      g_prefix_error (error, "Deleting “%s/%s” failed: ", self->path, name);
      return FALSE;
    }
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

GStrv
vmsan_managed_root_list (VmsanManagedRoot *self, const char *name, gsize max, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  vmsan_autofd int fd = -1;
  struct dirent *entry = NULL;
  int saved_errno;
  DIR *dir;

  if (name == NULL)
    {
      name = self->path;
      fd = openat (self->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
  else
    {
      fd = vmsan_managed_root_open_at (self, name, O_RDONLY | O_DIRECTORY, 0, error);
      if (fd < 0)
        return NULL;
    }
  dir = fd >= 0 ? fdopendir (fd) : NULL;
  if (dir == NULL)
    {
      set_open_error (self, name, "Listing", errno, error);
      return NULL;
    }
  g_steal_fd (&fd);
  while (names->len <= max && (errno = 0, entry = readdir (dir)) != NULL)
    if (!g_str_equal (entry->d_name, ".") && !g_str_equal (entry->d_name, ".."))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  saved_errno = entry == NULL ? errno : 0;
  closedir (dir);
  if (saved_errno != 0)
    {
      set_open_error (self, name, "Listing", saved_errno, error);
      return NULL;
    }
  if (names->len > max)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "“%s/%s” has more than %" G_GSIZE_FORMAT " entries", self->path, name, max);
      return NULL;
    }

  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

/* ---- Mounts -------------------------------------------------------------------------------- */

/* The mount's id is in fdinfo; the path in the table is escaped (\040 for a blank). */
static char *
find_mount_point (int fd)
{
  g_autofree char *fdinfo_name = g_strdup_printf ("/proc/self/fdinfo/%d", fd);
  g_autofree char *fdinfo = NULL;
  g_autofree char *table = NULL;
  g_auto (GStrv) lines = NULL;
  const char *mount_id;

  if (!g_file_get_contents (fdinfo_name, &fdinfo, NULL, NULL) ||
      !g_file_get_contents ("/proc/self/mountinfo", &table, NULL, NULL))
    return NULL;
  mount_id = strstr (fdinfo, "mnt_id:");
  if (mount_id == NULL)
    return NULL;
  lines = g_strsplit (table, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) fields = g_strsplit (lines[i], " ", 6);

      if (g_strv_length (fields) == 6 &&
          g_ascii_strtoull (fields[0], NULL, 10) == g_ascii_strtoull (mount_id + 7, NULL, 10))
        return g_strcompress (fields[4]);
    }
  return NULL;
}

static gboolean
refuse_option (VmsanManagedRoot *self, const char *option, const char *opposite, GError **error)
{
  g_autofree char *mount_point = find_mount_point (self->fd);
  const char *shown = mount_point != NULL ? mount_point : self->path;

  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "“%s” cannot be used: the file system at “%s” is mounted with “%s”; mount it with "
               "“%s” (mount -o remount,%s %s) or configure another directory",
               self->path, shown, option, opposite, opposite, shown);
  return FALSE;
}

gboolean
vmsan_managed_root_check_mount (VmsanManagedRoot *self,
                                guint64 min_free_bytes,
                                gboolean needs_exec,
                                gboolean needs_dev,
                                GError **error)
{
  g_autofree char *mount_point = NULL;
  struct statvfs vfs;
  guint64 free_bytes;

  if (fstatvfs (self->fd, &vfs) < 0)
    return vmsan_error_set_errno (error, errno, "Asking about the file system of “%s” failed",
                                  self->path);
  if ((vfs.f_flag & ST_RDONLY) != 0)
    return refuse_option (self, "ro", "rw", error);
  if (needs_exec && (vfs.f_flag & ST_NOEXEC) != 0)
    return refuse_option (self, "noexec", "exec", error);
  if (needs_dev && (vfs.f_flag & ST_NODEV) != 0)
    return refuse_option (self, "nodev", "dev", error);

  mount_point = find_mount_point (self->fd);
  /* f_bavail leaves out what is reserved for root: vmsan does not use up an emergency reserve. */
  free_bytes = (guint64) vfs.f_bavail * vfs.f_frsize;
  if (free_bytes < min_free_bytes)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE,
                   "“%s” cannot be used: the file system at “%s” has %" G_GUINT64_FORMAT
                   " MiB free, and %" G_GUINT64_FORMAT " MiB are needed; free some or configure "
                   "another directory",
                   self->path, mount_point != NULL ? mount_point : self->path, free_bytes >> 20,
                   (min_free_bytes + (1 << 20) - 1) >> 20);
      return FALSE;
    }
  /* Some file systems (btrfs) have no fixed number of inodes and say 0 of 0. */
  if (vfs.f_files > 0 && vfs.f_favail == 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE,
                   "“%s” cannot be used: the file system at “%s” has no free inode; delete files "
                   "or configure another directory",
                   self->path, mount_point != NULL ? mount_point : self->path);
      return FALSE;
    }
  return TRUE;
}

VmsanManagedRoot *
vmsan_managed_root_ref (VmsanManagedRoot *self)
{
  g_atomic_ref_count_inc (&self->references);
  return self;
}

void
vmsan_managed_root_unref (VmsanManagedRoot *self)
{
  if (!g_atomic_ref_count_dec (&self->references))
    return;
  close (self->fd);
  g_free (self->path);
  g_free (self);
}
