/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a name in the store is a whole release, whenever one looks and wherever we are killed;
 * what we did not put there is not removed. */

#include "config.h"

#include "release-store.h"

#include "file-io.h"
#include "release-archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vmsan.h>

#define CURRENT "current"

/* What is not finished, in a directory that only root can look into. */
#define PRIVATE      ".setup"
#define PRIVATE_NEW  "new"
#define PRIVATE_OLD  "old"
#define PRIVATE_LINK "current"

struct _ReleaseStore
{
  char *path;
  GPtrArray *made; /* directories that were made for it, outermost first */
  int fd;
  int private_fd;
  int new_fd; /* what was prepared, or -1 */
};

/* ---- open and close ------------------------------------------------------------------------ */

static gboolean
make_directories (ReleaseStore *store, GError **error)
{
  g_autofree char *path = g_strdup (store->path);

  for (char *p = path + 1;; p++)
    {
      char c = *p;

      if (c != '/' && c != '\0')
        continue;
      *p = '\0';
      if (mkdir (path, 0755) == 0)
        g_ptr_array_add (store->made, g_strdup (path));
      else if (errno != EEXIST)
        return file_io_fail (error, _ ("Could not make the directory “%s”"), path);
      *p = c;
      if (c == '\0')
        return TRUE;
    }
}

/* A link on the way there is left out of what is said and of what the service is to be told. */
static gboolean
resolve_path (ReleaseStore *store)
{
  char *path = realpath (store->path, NULL);

  if (path == NULL)
    return FALSE;
  g_free (store->path);
  store->path = g_strdup (path);
  free (path);
  return TRUE;
}

static gboolean
others_may_write (ReleaseStore *store, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
               _ ("Others than root may write to “%s” or a directory that it is in, and so could "
                  "change programs that run as root: use another directory, or “chown root” and "
                  "“chmod go-w” it"),
               store->path);
  return FALSE;
}

/* Who may rename a directory around ours could put another in its place. A group that may write to
 * one of these is trusted, as that of /usr/local was in older versions of Debian. */
static gboolean
check_parents (ReleaseStore *store, GError **error)
{
  int fd = openat (store->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat info, parent;
  gboolean ok = TRUE, top = FALSE;

  if (fd < 0 || fstat (fd, &info) != 0)
    ok = file_io_fail (error, _ ("Could not look at “%s”"), store->path);
  while (ok && !top)
    {
      int up = openat (fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

      close (fd);
      fd = up;
      if (fd < 0 || fstat (fd, &parent) != 0)
        ok = file_io_fail (error, _ ("Could not look at “%s”"), store->path);
      else if (parent.st_uid != 0 || (parent.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
        ok = others_may_write (store, error);
      else
        top = parent.st_dev == info.st_dev && parent.st_ino == info.st_ino;
      info = parent;
    }
  if (fd >= 0)
    close (fd);
  return ok;
}

/* The service runs as root what is in there. */
static gboolean
check_directory (ReleaseStore *store, GError **error)
{
  struct statvfs system;
  struct stat info;

  if (fstat (store->fd, &info) != 0 || fstatvfs (store->fd, &system) != 0)
    return file_io_fail (error, _ ("Could not look at “%s”"), store->path);
  if (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return others_may_write (store, error);
  if ((system.f_flag & ST_NOEXEC) != 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   _ ("No program can run from “%s”, as its file system is mounted with “noexec”: "
                      "use another directory"),
                   store->path);
      return FALSE;
    }
  return check_parents (store, error);
}

static gboolean
lock_directory (ReleaseStore *store, GError **error)
{
  if (flock (store->fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  if (errno != EWOULDBLOCK)
    return file_io_fail (error, _ ("Could not lock “%s”"), store->path);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
               _ ("Another “setup” is working in “%s”: wait until it is done"), store->path);
  return FALSE;
}

/* A directory below @parent, which has nothing in it but programs. */
static gboolean
remove_release (ReleaseStore *store, int parent, const char *name, GError **error)
{
  int fd = openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (fd < 0 && errno == ENOENT)
    return TRUE;
  for (gsize i = 0; fd >= 0 && release_programs[i] != NULL; i++)
    unlinkat (fd, release_programs[i], 0);
  if (fd >= 0)
    close (fd);
  return unlinkat (parent, name, AT_REMOVEDIR) == 0 ||
         file_io_fail (error, _ ("Could not remove “%s” in “%s”"), name, store->path);
}

/* Also what one that was killed left; but for a download, which may be continued. */
static gboolean
clean_private (ReleaseStore *store, GError **error)
{
  if (unlinkat (store->private_fd, PRIVATE_LINK, 0) != 0 && errno != ENOENT)
    return file_io_fail (error, _ ("Could not remove “%s” in “%s”"), PRIVATE_LINK, store->path);
  return remove_release (store, store->private_fd, PRIVATE_NEW, error) &&
         remove_release (store, store->private_fd, PRIVATE_OLD, error);
}

static gboolean
open_private (ReleaseStore *store, GError **error)
{
  if (mkdirat (store->fd, PRIVATE, 0700) != 0 && errno != EEXIST)
    return file_io_fail (error, _ ("Could not make the directory “%s” in “%s”"), PRIVATE,
                         store->path);
  store->private_fd = openat (store->fd, PRIVATE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (store->private_fd < 0)
    return file_io_fail (error, _ ("Could not open “%s” in “%s”"), PRIVATE, store->path);
  return clean_private (store, error);
}

ReleaseStore *
release_store_open (const char *path, GError **error)
{
  g_autoptr (ReleaseStore) store = g_new0 (ReleaseStore, 1);

  store->fd = store->private_fd = store->new_fd = -1;
  store->path = g_canonicalize_filename (path, NULL);
  store->made = g_ptr_array_new_with_free_func (g_free);
  if (!make_directories (store, error))
    return NULL;
  store->fd = open (store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (store->fd < 0 || !resolve_path (store))
    {
      file_io_fail (error, _ ("Could not open the directory “%s”"), store->path);
      return NULL;
    }
  if (!check_directory (store, error) || !lock_directory (store, error) ||
      !open_private (store, error))
    return NULL;
  return g_steal_pointer (&store);
}

void
release_store_close (ReleaseStore *store)
{
  if (store->new_fd >= 0)
    close (store->new_fd);
  if (store->private_fd >= 0)
    {
      clean_private (store, NULL);
      close (store->private_fd);
      /* Stays while there is a download in it, and so do the directories around it. */
      unlinkat (store->fd, PRIVATE, AT_REMOVEDIR);
    }
  for (guint i = store->made->len; i > 0; i--)
    rmdir (store->made->pdata[i - 1]);
  if (store->fd >= 0)
    close (store->fd);
  g_ptr_array_unref (store->made);
  g_free (store->path);
  g_free (store);
}

const char *
release_store_get_path (ReleaseStore *store)
{
  return store->path;
}

int
release_store_get_private (ReleaseStore *store)
{
  return store->private_fd;
}

/* ---- install ------------------------------------------------------------------------------- */

gboolean
release_store_get_current (ReleaseStore *store, Release *release, gboolean *found, GError **error)
{
  char target[sizeof release->name];
  gssize length = readlinkat (store->fd, CURRENT, target, sizeof target);

  *found = FALSE;
  if (length < 0 && errno == ENOENT)
    return TRUE;
  if (length > 0 && (gsize) length < sizeof target)
    {
      target[length] = '\0';
      *found = release_parse (target, release);
      if (*found)
        return TRUE;
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               _ ("“%s/%s” is no link that “setup” made: move it away"), store->path, CURRENT);
  return FALSE;
}

int
release_store_prepare (ReleaseStore *store, GError **error)
{
  if (mkdirat (store->private_fd, PRIVATE_NEW, 0755) != 0)
    file_io_fail (error, _ ("Could not make the directory “%s” in “%s”"), PRIVATE_NEW, store->path);
  else
    {
      store->new_fd =
          openat (store->private_fd, PRIVATE_NEW, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (store->new_fd < 0)
        file_io_fail (error, _ ("Could not open “%s” in “%s”"), PRIVATE_NEW, store->path);
    }
  return store->new_fd;
}

/* Whether the directory of a release has nothing in it that is not ours. */
static gboolean
check_release (ReleaseStore *store, const char *name, GError **error)
{
  int fd = openat (store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  g_autofree char *foreign = NULL;
  struct dirent *entry;

  if (directory == NULL)
    return file_io_fail (error, _ ("Could not open “%s” in “%s”"), name, store->path);
  while (foreign == NULL && (entry = readdir (directory)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0 &&
        !g_strv_contains (release_programs, entry->d_name))
      foreign = g_strdup (entry->d_name);
  closedir (directory);
  if (foreign == NULL)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               _ ("“%s/%s/%s” was not put there by “setup”: move it away"), store->path, name,
               foreign);
  return FALSE;
}

/* Swaps what was prepared with what has the name of the release, if that is there. */
static gboolean
publish (ReleaseStore *store, const char *name, gboolean *replaced, GError **error)
{
  int result;

  *replaced = faccessat (store->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  if (*replaced && !check_release (store, name, error))
    return FALSE;
  result = renameat2 (store->private_fd, PRIVATE_NEW, store->fd, name,
                      *replaced ? RENAME_EXCHANGE : RENAME_NOREPLACE);
  return result == 0 ||
         file_io_fail (error, _ ("Could not install “%s” in “%s”"), name, store->path);
}

static void
unpublish (ReleaseStore *store, const char *name, gboolean replaced)
{
  renameat2 (store->fd, name, store->private_fd, PRIVATE_NEW,
             replaced ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

/* The link is only made once what it leads to is on the disk. */
static gboolean
make_current (ReleaseStore *store, const char *name, GError **error)
{
  if (fsync (store->fd) != 0 || symlinkat (name, store->private_fd, PRIVATE_LINK) != 0 ||
      renameat (store->private_fd, PRIVATE_LINK, store->fd, CURRENT) != 0)
    return file_io_fail (error, _ ("Could not make the link “%s/%s”"), store->path, CURRENT);
  /* The rename cannot be taken back without a moment of doubt; and what it leads to is whole. */
  fsync (store->fd);
  return TRUE;
}

gboolean
release_store_install (ReleaseStore *store, const Release *release, GError **error)
{
  gboolean replaced;

  /* A directory may pass its group on to what is made in it. */
  if (fchown (store->new_fd, 0, 0) != 0 || fchmod (store->new_fd, 0755) != 0 ||
      fsync (store->new_fd) != 0)
    return file_io_fail (error, _ ("Could not write “%s” in “%s”"), PRIVATE_NEW, store->path);
  if (!publish (store, release->name, &replaced, error))
    return FALSE;
  if (!make_current (store, release->name, error))
    {
      unpublish (store, release->name, replaced);
      return FALSE;
    }
  return TRUE;
}

/* ---- remove -------------------------------------------------------------------------------- */

static GPtrArray *
list_others (ReleaseStore *store, const Release *current, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int fd = openat (store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  Release release;

  if (directory == NULL)
    {
      file_io_fail (error, _ ("Could not open the directory “%s”"), store->path);
      return NULL;
    }
  while ((entry = readdir (directory)) != NULL)
    if (release_parse (entry->d_name, &release) && release_compare (&release, current) != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (directory);
  return g_steal_pointer (&names);
}

gboolean
release_store_remove_others (ReleaseStore *store,
                             const Release *current,
                             GPtrArray *removed,
                             GError **error)
{
  g_autoptr (GPtrArray) names = list_others (store, current, error);

  if (names == NULL)
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = names->pdata[i];

      if (!check_release (store, name, error))
        return FALSE;
      /* Out of sight first, so that no half of it is ever seen. */
      if (renameat (store->fd, name, store->private_fd, PRIVATE_OLD) != 0)
        return file_io_fail (error, _ ("Could not remove “%s” in “%s”"), name, store->path);
      if (!remove_release (store, store->private_fd, PRIVATE_OLD, error))
        return FALSE;
      g_ptr_array_add (removed, g_strdup (name));
    }
  return TRUE;
}
