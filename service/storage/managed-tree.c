/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a tree is deleted through descriptors only, with a bounded number of them and a bounded
 * stack, however deep it is and whoever changes it meanwhile. */

#include "storage/managed-tree.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A directory deeper than this is moved to the top of the tree and deleted from there: descriptors
 * and stack stay bounded, and there is no way up that could be tampered with. */
#define DEPTH_MAX 32

/* How often a directory that was emptied may be found filled again. */
#define REFILLS_MAX 16

#define PRINTABLE_MAX 200

typedef struct
{
  int top_fd;
  dev_t device;
  guint n_moved; /* deep directories moved to the top since it was last read */
  GError **error;
} Deletion;

int
vmsan_managed_tree_openat (int dir_fd, const char *name, int flags, mode_t mode)
{
  struct open_how how = {
    .flags = (guint64) flags | O_CLOEXEC,
    .mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
  };
  int fd;

  /* EAGAIN: a rename or mount elsewhere came in between; see openat2(2). */
  do
    fd = (int) syscall (SYS_openat2, dir_fd, name, &how, sizeof how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  return fd;
}

char *
vmsan_managed_tree_printable (const char *name)
{
  char *shown = g_utf8_make_valid (name, strnlen (name, PRINTABLE_MAX));

  for (char *c = shown; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      *c = '?';
  return shown;
}

/* Keeps the first failure; the rest of the tree is still deleted. */
static gboolean
fail (Deletion *self, const char *name, int saved_errno)
{
  g_autofree char *shown = NULL;

  if (self->error != NULL && *self->error != NULL)
    return FALSE;
  shown = vmsan_managed_tree_printable (name);
  if (saved_errno == EXDEV || saved_errno == EBUSY)
    g_set_error (self->error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                 "another file system is mounted on “%s”; unmount it and try again", shown);
  else if (saved_errno == EPERM)
    g_set_error (self->error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
                 "“%s” or its directory is immutable or append-only; take that away (chattr -ia) "
                 "and try again",
                 shown);
  else if (saved_errno == ENOTEMPTY)
    g_set_error (self->error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                 "“%s” is being filled by another process; end it and try again", shown);
  else
    vmsan_error_set_errno (self->error, saved_errno, "“%s”", shown);
  return FALSE;
}

static gboolean delete_entry (Deletion *self, int dir_fd, const char *name, guint depth);

/* One pass over the entries of a directory. Takes @fd. */
static gboolean
delete_entries (Deletion *self, int fd, const char *name, guint depth)
{
  DIR *dir = fdopendir (fd);
  gboolean all = TRUE;
  struct dirent *entry;

  if (dir == NULL)
    {
      int saved_errno = errno;

      close (fd);
      return fail (self, name, saved_errno);
    }
  while ((errno = 0, entry = readdir (dir)) != NULL)
    if (!g_str_equal (entry->d_name, ".") && !g_str_equal (entry->d_name, ".."))
      all = delete_entry (self, fd, entry->d_name, depth) && all;
  if (errno != 0)
    all = fail (self, name, errno);
  closedir (dir);
  return all;
}

static int
open_directory (Deletion *self, int dir_fd, const char *name)
{
  vmsan_autofd int fd =
      vmsan_managed_tree_openat (dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return -1;
  /* A subvolume is another file system without being a mount. */
  if (self->top_fd >= 0 && st.st_dev != self->device)
    {
      errno = EXDEV;
      return -1;
    }
  return g_steal_fd (&fd);
}

static gboolean
move_to_top (Deletion *self, int dir_fd, const char *name)
{
  for (guint attempt = 0; attempt < REFILLS_MAX; attempt++)
    {
      /* Random: somebody who fills the tree cannot have taken the name. */
      g_autofree char *top_name =
          g_strdup_printf (".deep-%08x%08x", g_random_int (), g_random_int ());

      if (renameat2 (dir_fd, name, self->top_fd, top_name, RENAME_NOREPLACE) == 0)
        {
          self->n_moved++;
          return TRUE;
        }
      if (errno == ENOENT)
        return TRUE;
      if (errno != EEXIST)
        break;
    }
  return fail (self, name, errno);
}

static gboolean
delete_directory (Deletion *self, int dir_fd, const char *name, guint depth)
{
  for (guint refills = 0; refills < REFILLS_MAX; refills++)
    {
      int fd;

      if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return TRUE;
      if (errno != ENOTEMPTY && errno != EEXIST)
        return fail (self, name, errno);
      fd = open_directory (self, dir_fd, name);
      if (fd < 0 && errno == ENOENT)
        return TRUE;
      if (fd < 0)
        return fail (self, name, errno);
      if (!delete_entries (self, fd, name, depth + 1))
        return FALSE;
    }
  return fail (self, name, ENOTEMPTY);
}

static gboolean
delete_entry (Deletion *self, int dir_fd, const char *name, guint depth)
{
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  if (errno != EISDIR)
    return fail (self, name, errno);
  if (depth < DEPTH_MAX)
    return delete_directory (self, dir_fd, name, depth);
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
    return TRUE;
  return errno == ENOTEMPTY ? move_to_top (self, dir_fd, name) : fail (self, name, errno);
}

static gboolean
delete_top (Deletion *self, int parent_fd, const char *name)
{
  gboolean all = TRUE;
  guint refills = 0;

  while (unlinkat (parent_fd, name, AT_REMOVEDIR) < 0)
    {
      int fd;

      if (errno == ENOENT)
        return TRUE;
      if (errno != ENOTEMPTY && errno != EEXIST)
        return fail (self, name, errno);
      /* Deep directories that came up make further passes right; anything else is somebody who
       * fills the tree while we empty it. */
      if (self->n_moved == 0 && refills++ == REFILLS_MAX)
        return fail (self, name, ENOTEMPTY);
      self->n_moved = 0;
      fd = vmsan_managed_tree_openat (self->top_fd, ".", O_RDONLY | O_DIRECTORY, 0);
      if (fd < 0)
        return fail (self, name, errno);
      all = delete_entries (self, fd, name, 1) && all;
      if (!all && self->n_moved == 0)
        return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_managed_tree_delete (int parent_fd, const char *name, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  Deletion self = { .top_fd = -1, .error = &local_error };
  vmsan_autofd int top_fd = -1;
  struct stat st;
  gboolean deleted;

  if (unlinkat (parent_fd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  if (errno != EISDIR)
    {
      fail (&self, name, errno);
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  top_fd = open_directory (&self, parent_fd, name);
  if (top_fd < 0 && errno == ENOENT)
    return TRUE;
  if (top_fd < 0 || fstat (top_fd, &st) < 0)
    deleted = fail (&self, name, errno);
  else
    {
      self.top_fd = top_fd;
      self.device = st.st_dev;
      deleted = delete_top (&self, parent_fd, name);
    }
  if (!deleted)
    g_propagate_error (error, g_steal_pointer (&local_error));
  return deleted;
}
