/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what was hashed is what was written, byte for byte. */

#include "storage/content-copy.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define CHUNK      (1024 * 1024) /* read, hashed and checked for cancellation at once */
#define HOLE_GRAIN (64 * 1024)   /* zeros of this size and alignment are not written */

static const guint8 zeros[HOLE_GRAIN];

typedef struct
{
  int source_fd;
  int seek_fd; /* the source with an offset of its own, or -1 */
  guint64 source_offset;
  int target_fd; /* -1: only hash */
  guint64 target_offset;
  struct sha256_ctx *hash;
  guint8 *buffer;
  GCancellable *cancellable;
} Copy;

static gboolean
check_cancelled (Copy *self, GError **error)
{
  if (!g_cancellable_is_cancelled (self->cancellable))
    return TRUE;
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED,
                       "Storing the content was cancelled, and undone");
  return FALSE;
}

static gboolean
fail_short (GError **error)
{
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
                       "The content became shorter while it was being stored; try again with a "
                       "file that nothing changes");
  return FALSE;
}

static gboolean
read_exactly (Copy *self, guint64 at, gsize size, GError **error)
{
  gsize done = 0;

  while (done < size)
    {
      gssize n = pread (self->source_fd, self->buffer + done, size - done,
                        self->source_offset + at + done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return vmsan_error_set_errno (error, errno, "Reading the content failed");
      if (n == 0)
        return fail_short (error);
      done += n;
    }
  return TRUE;
}

static gboolean
write_exactly (Copy *self, gsize from, gsize size, guint64 at, GError **error)
{
  while (size > 0)
    {
      gssize n = pwrite (self->target_fd, self->buffer + from, size, self->target_offset + at);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return vmsan_error_set_errno (error, errno, "Storing the content failed");
      from += n;
      at += n;
      size -= n;
    }
  return TRUE;
}

/* Writes the buffer but for its zeros. */
static gboolean
write_data (Copy *self, guint64 at, gsize size, GError **error)
{
  gsize pending = 0; /* start of what is to be written */

  for (gsize i = 0; i < size; i += HOLE_GRAIN)
    {
      gsize grain = MIN (HOLE_GRAIN, size - i);

      if (memcmp (self->buffer + i, zeros, grain) != 0)
        continue;
      if (!write_exactly (self, pending, i - pending, at + pending, error))
        return FALSE;
      pending = i + grain;
    }
  return write_exactly (self, pending, size - pending, at + pending, error);
}

static gboolean
copy_data (Copy *self, guint64 at, guint64 end, GError **error)
{
  while (at < end)
    {
      gsize size = MIN (CHUNK, end - at);

      if (!check_cancelled (self, error) || !read_exactly (self, at, size, error))
        return FALSE;
      if (self->hash != NULL)
        sha256_update (self->hash, size, self->buffer);
      if (self->target_fd >= 0 && !write_data (self, at, size, error))
        return FALSE;
      at += size;
    }
  return TRUE;
}

static gboolean
copy_hole (Copy *self, guint64 at, guint64 end, GError **error)
{
  for (guint i = 0; self->hash != NULL && at < end; i++)
    {
      gsize size = MIN (HOLE_GRAIN, end - at);

      if (i % 16 == 0 && !check_cancelled (self, error))
        return FALSE;
      sha256_update (self->hash, size, zeros);
      at += size;
    }
  return TRUE;
}

/* The next offset with data at or after @at, at most @end. */
static guint64
find_data (Copy *self, guint64 at, guint64 end)
{
  off_t found;

  if (self->seek_fd < 0)
    return at;
  found = lseek (self->seek_fd, self->source_offset + at, SEEK_DATA);
  if (found < 0)
    return errno == ENXIO ? end : at;
  return MIN (end, (guint64) found - self->source_offset);
}

static guint64
find_hole (Copy *self, guint64 at, guint64 end)
{
  off_t found;

  if (self->seek_fd < 0)
    return end;
  found = lseek (self->seek_fd, self->source_offset + at, SEEK_HOLE);
  /* A file that is changed meanwhile may answer anything: go on by at least a byte. */
  if (found < 0 || (guint64) found <= self->source_offset + at)
    return end;
  return MIN (end, (guint64) found - self->source_offset);
}

static gboolean
copy_all (Copy *self, guint64 size, GError **error)
{
  g_autofree guint8 *buffer = g_malloc (CHUNK);
  guint64 at = 0;
  struct stat st;

  self->buffer = buffer;
  while (at < size)
    {
      guint64 data = find_data (self, at, size);
      guint64 hole;

      if (!copy_hole (self, at, data, error))
        return FALSE;
      hole = data < size ? find_hole (self, data, size) : size;
      if (!copy_data (self, data, hole, error))
        return FALSE;
      at = hole;
    }
  /* A hole at the end and an end that came nearer look the same to SEEK_DATA. */
  if (fstat (self->source_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at the content failed");
  return (guint64) st.st_size >= self->source_offset + size || fail_short (error);
}

/* SEEK_DATA moves the offset, which the caller shares, and the caller may have set O_DIRECT: so use
 * an open file of our own. Where that cannot be had, all is read from the caller's. */
static int
open_again (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);

  return open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

gboolean
vmsan_content_hash (
    int fd, guint64 size, struct sha256_ctx *hash, GCancellable *cancellable, GError **error)
{
  vmsan_autofd int seek_fd = open_again (fd);
  Copy self = {
    .source_fd = seek_fd >= 0 ? seek_fd : fd,
    .seek_fd = seek_fd,
    .target_fd = -1,
    .hash = hash,
    .cancellable = cancellable,
  };

  return copy_all (&self, size, error);
}

gboolean
vmsan_content_copy (int source_fd,
                    guint64 source_offset,
                    guint64 size,
                    int target_fd,
                    guint64 target_offset,
                    struct sha256_ctx *hash,
                    GCancellable *cancellable,
                    GError **error)
{
  vmsan_autofd int seek_fd = open_again (source_fd);
  Copy self = {
    .source_fd = seek_fd >= 0 ? seek_fd : source_fd,
    .seek_fd = seek_fd,
    .source_offset = source_offset,
    .target_fd = target_fd,
    .target_offset = target_offset,
    .hash = hash,
    .cancellable = cancellable,
  };
  struct stat st;

  if (!check_cancelled (&self, error))
    return FALSE;
  /* A reflink is a snapshot: cut off what was not asked for and hash what we have. One that came
   * out short is overwritten, and that tells. */
  if (source_offset == 0 && target_offset == 0 && ioctl (target_fd, FICLONE, source_fd) == 0 &&
      fstat (target_fd, &st) == 0 && (guint64) st.st_size >= size)
    {
      if (ftruncate (target_fd, size) < 0)
        return vmsan_error_set_errno (error, errno, "Storing the content failed");
      return hash == NULL || vmsan_content_hash (target_fd, size, hash, cancellable, error);
    }
  if (ftruncate (target_fd, target_offset) < 0 || ftruncate (target_fd, target_offset + size) < 0)
    return vmsan_error_set_errno (error, errno, "Storing the content failed");
  return copy_all (&self, size, error);
}

char *
vmsan_content_hash_end (struct sha256_ctx *hash)
{
  guint8 digest[SHA256_DIGEST_SIZE];
  GString *text = g_string_sized_new (2 * sizeof digest);

  sha256_digest (hash, sizeof digest, digest);
  for (gsize i = 0; i < sizeof digest; i++)
    g_string_append_printf (text, "%02x", digest[i]);
  return g_string_free (text, FALSE);
}

gboolean
vmsan_content_share (int fd, GError **error)
{
  if (fchmod (fd, 0444) != 0)
    return vmsan_error_set_errno (error, errno, "Setting the mode of a stored file failed");
  return TRUE;
}
