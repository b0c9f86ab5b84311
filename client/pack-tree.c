/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a stream that ends well holds everything; a failure is never a shorter image. */

#include "config.h"

#include "pack-tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  PackTree *pack;
  struct archive *disk;
  struct archive *tar;
  struct archive_entry_linkresolver *links;
  gsize prefix_length; /* of the paths that the reader reports */
  int fd;
  int write_errno; /* why nothing is written any more; 0 while all is well */
  GError **error;
} Work;

/* Writes all of a block for libarchive. Never tells it of a failure: a writer that has failed does
 * not free what it holds. */
static la_ssize_t
write_block (struct archive *tar, void *data, const void *block, size_t size)
{
  Work *work = data;
  size_t at = 0;

  while (work->write_errno == 0 && at < size)
    {
      ssize_t n = write (work->fd, (const char *) block + at, size - at);

      if (n >= 0)
        at += n;
      else if (errno != EINTR)
        work->write_errno = errno;
    }
  return size;
}

/* FALSE when the stream cannot be written to. */
static gboolean
check_stream (Work *work, const char *path)
{
  if (work->write_errno == 0)
    return TRUE;
  g_set_error (work->error, G_IO_ERROR, g_io_error_from_errno (work->write_errno),
               _ ("Could not pack “%s”: %s"), path, g_strerror (work->write_errno));
  return FALSE;
}

static gboolean
fail (Work *work, struct archive *culprit, const char *path)
{
  const char *what = archive_error_string (culprit);
  int number = archive_errno (culprit);

  /* The library's text says what failed, the number why; it may also be one of its own, below 0. */
  g_set_error (work->error, G_IO_ERROR, G_IO_ERROR_FAILED, _ ("Could not pack “%s”: %s (%s)"), path,
               what != NULL ? what : _ ("unknown error"),
               number > 0 ? g_strerror (number) : _ ("no more is known"));
  return FALSE;
}

static gboolean
copy_data (Work *work, const char *path)
{
  static const char zeros[65536];
  gint64 position = 0;
  const void *block;
  gsize size;
  gint64 offset;
  int status;

  while ((status = archive_read_data_block (work->disk, &block, &size, &offset)) == ARCHIVE_OK)
    {
      /* Holes are not data to the reader, but they are to a plain tar. */
      while (position < offset)
        {
          gssize n = archive_write_data (work->tar, zeros,
                                         (gsize) MIN (offset - position, (gint64) sizeof zeros));

          if (n <= 0)
            return fail (work, work->tar, path);
          if (!check_stream (work, path))
            return FALSE;
          position += n;
        }
      if (size > 0 && archive_write_data (work->tar, block, size) != (gssize) size)
        return fail (work, work->tar, path);
      if (!check_stream (work, path))
        return FALSE;
      position += (gint64) size;
      g_atomic_pointer_add (&work->pack->packed_bytes, size);
    }
  return status == ARCHIVE_EOF || fail (work, work->disk, path);
}

static gboolean
write_entry (Work *work, struct archive_entry *entry, gboolean with_data)
{
  const char *path = archive_entry_pathname (entry);

  /* A file that grew or shrank meanwhile: the reader reports it, the writer pads or refuses. */
  if (archive_write_header (work->tar, entry) != ARCHIVE_OK)
    return fail (work, work->tar, path);
  if (!check_stream (work, path))
    return FALSE;
  return !with_data || archive_entry_size (entry) == 0 || copy_data (work, path);
}

/* "tree/etc/hosts" becomes "./etc/hosts". */
static void
make_relative (Work *work, struct archive_entry *entry)
{
  const char *path = archive_entry_pathname (entry) + work->prefix_length;
  g_autofree char *relative = NULL;

  while (*path == '/')
    path++;
  relative = g_strconcat ("./", path, NULL);
  archive_entry_set_pathname (entry, relative);
}

static gboolean
pack_entry (Work *work, struct archive_entry *entry)
{
  struct archive_entry *sparse = NULL;
  gboolean has_data;

  make_relative (work, entry);
  if (archive_entry_filetype (entry) == AE_IFSOCK)
    {
      g_autofree char *text =
          g_strdup_printf (_ ("The socket “%s” is left out"), archive_entry_pathname (entry));

      if (work->pack->note != NULL)
        work->pack->note (text);
      return TRUE;
    }
  if (work->pack->root_owner)
    {
      archive_entry_set_uid (entry, 0);
      archive_entry_set_gid (entry, 0);
    }
  /* Names of this machine's users say nothing in the image. */
  archive_entry_set_uname (entry, NULL);
  archive_entry_set_gname (entry, NULL);
  archive_entry_sparse_clear (entry);
  archive_entry_linkify (work->links, &entry, &sparse);
  has_data = archive_entry_filetype (entry) == AE_IFREG && archive_entry_hardlink (entry) == NULL;
  return write_entry (work, entry, has_data);
}

static gboolean
pack_all (Work *work)
{
  for (;;)
    {
      struct archive_entry *entry = archive_entry_new ();
      int status = archive_read_next_header2 (work->disk, entry);
      gboolean ok;

      if (status == ARCHIVE_EOF)
        {
          archive_entry_free (entry);
          return TRUE;
        }
      /* A warning here is something that could not be read: not the whole directory. */
      if (status != ARCHIVE_OK)
        ok = fail (work, work->disk,
                   archive_entry_pathname (entry) != NULL ? archive_entry_pathname (entry) : "");
      else
        ok = pack_entry (work, entry);
      archive_entry_free (entry);
      if (!ok)
        return FALSE;
      if (archive_read_disk_can_descend (work->disk) &&
          archive_read_disk_descend (work->disk) != ARCHIVE_OK)
        return fail (work, work->disk, "");
    }
}

/* Neither a tar header nor a whole number of tar blocks: wherever in a member the stream stands, a
 * reader cannot find a good end. */
static void
spoil (int fd)
{
  char block[1023];
  gsize at = 0;

  memset (block, 0xff, sizeof block);
  while (at < sizeof block)
    {
      gssize n = write (fd, block + at, sizeof block - at);

      if (n < 0 && errno != EINTR)
        return;
      at += n > 0 ? (gsize) n : 0;
    }
}

gboolean
pack_tree_write (PackTree *pack, const char *path, int fd, GError **error)
{
  Work work = { .pack = pack, .fd = fd, .error = error };
  gboolean ok;

  work.disk = archive_read_disk_new ();
  archive_read_disk_set_symlink_physical (work.disk);
  archive_read_disk_set_behavior (work.disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS);
  work.tar = archive_write_new ();
  archive_write_set_format_pax_restricted (work.tar);
  archive_write_add_filter_none (work.tar);
  work.links = archive_entry_linkresolver_new ();
  archive_entry_linkresolver_set_strategy (work.links, archive_format (work.tar));
  work.prefix_length = strlen (path);

  if (archive_write_open (work.tar, &work, NULL, write_block, NULL) != ARCHIVE_OK)
    ok = fail (&work, work.tar, path);
  else if (archive_read_disk_open (work.disk, path) != ARCHIVE_OK)
    ok = fail (&work, work.disk, path);
  else
    ok = pack_all (&work);
  if (ok && archive_write_close (work.tar) != ARCHIVE_OK)
    ok = fail (&work, work.tar, path);
  ok = ok && check_stream (&work, path);
  if (!ok)
    {
      spoil (fd);
      /* Freeing ends the archive properly, which nobody must see. */
      work.write_errno = ECANCELED;
    }
  archive_entry_linkresolver_free (work.links);
  archive_write_free (work.tar);
  archive_read_free (work.disk);
  return ok;
}
