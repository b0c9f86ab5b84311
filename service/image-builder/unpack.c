/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an archive is unpacked as a whole or refused; nothing in it reaches beyond the root, and
 * it cannot grow beyond its bounds. */

#include "unpack.h"

#include "names.h"
#include "report.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <iconv.h>
#include <locale.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE     (256 * 1024)
#define TAR_BLOCK     512
#define TAIL_MAX      (1024 * 1024)
#define TAIL_WAIT_MS  1000
#define ID_MAX        65535 /* of the user namespace */
#define NOBODY        65534
#define FILE_SIZE_MAX (INT64_C (1) << 43) /* 8 TiB: half of what ext4 can hold */
#define NOTES_MAX     20

/* No FFLAGS: an immutable file would be hard to get rid of. */
#define EXTRACT_FLAGS                                                                              \
  (ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_ACL |     \
   ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SPARSE | ARCHIVE_EXTRACT_SECURE_SYMLINKS |              \
   ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS)

struct source
{
  int fd;
  bool is_file;
  int64_t offset;
  char buffer[READ_SIZE];
};

struct unpacking
{
  struct archive *reader;
  struct archive *writer;
  uint64_t max_bytes;
  uint64_t n_bytes;
  unsigned n_entries;
  unsigned n_skipped; /* devices and sockets */
  unsigned n_notes;
};

/* ---- The source ---------------------------------------------------------------------------- */

static la_ssize_t
read_source (struct archive *archive, void *data, const void **buffer)
{
  struct source *source = data;
  ssize_t n;

  do
    n = source->is_file ? pread (source->fd, source->buffer, READ_SIZE, source->offset)
                        : read (source->fd, source->buffer, READ_SIZE);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    {
      archive_set_error (archive, errno, "reading it failed: %s", strerror (errno));
      return ARCHIVE_FATAL;
    }
  source->offset += n;
  *buffer = source->buffer;
  return n;
}

static la_int64_t
skip_source (struct archive *archive, void *data, la_int64_t request)
{
  struct source *source = data;

  if (!source->is_file)
    return 0;
  source->offset += request;
  return request;
}

/* Whoever writes the archive into a pipe also writes the padding behind its end, and should not be
 * killed by SIGPIPE for it; but one who never closes the pipe is not waited for. */
static void
read_tail (struct source *source)
{
  struct pollfd poll_fd = { .fd = source->fd, .events = POLLIN };
  size_t done = 0;
  ssize_t n = 1;

  while (!source->is_file && n > 0 && done < TAIL_MAX && poll (&poll_fd, 1, TAIL_WAIT_MS) > 0)
    {
      n = read (source->fd, source->buffer, READ_SIZE);
      done += n > 0 ? (size_t) n : 0;
    }
}

/* ---- One entry ----------------------------------------------------------------------------- */

static void
note (struct unpacking *self, const char *name, const char *text)
{
  if (++self->n_notes <= NOTES_MAX)
    report_note ("“%.200s”: %s", name, text);
}

static const char *
get_message (struct archive *archive)
{
  const char *message = archive_error_string (archive);

  return message != NULL ? message : "no reason given";
}

static void
refuse_name (enum NameVerdict verdict, const char *name)
{
  if (verdict == NAME_ESCAPES)
    report_and_exit (REPORT_INVALID,
                     "The archive has the name “%.200s”, which leads out of it; make it again from "
                     "within the root directory",
                     name);
  if (verdict == NAME_TOO_LONG)
    report_and_exit (REPORT_LIMIT,
                     "The archive has a name of more than %d bytes or %d directories: “%.100s…”",
                     NAME_LENGTH_MAX, NAME_DEPTH_MAX, name);
}

/* Gives the entry plain names. */
static void
clean_names (struct archive_entry *entry)
{
  const char *name = archive_entry_pathname (entry);
  const char *target = archive_entry_hardlink (entry);
  char clean[NAME_LENGTH_MAX + 1];
  enum NameVerdict verdict;

  if (name == NULL)
    report_and_exit (REPORT_INVALID, "The archive has an entry whose name is no UTF-8");
  verdict = name_clean (name, clean);
  refuse_name (verdict, name);
  if (verdict == NAME_ROOT && (target != NULL || archive_entry_filetype (entry) != AE_IFDIR))
    report_and_exit (REPORT_INVALID, "The archive's root is no directory");
  archive_entry_copy_pathname (entry, clean);

  if (target != NULL)
    {
      verdict = name_clean (target, clean);
      refuse_name (verdict, target);
      archive_entry_copy_hardlink (entry, clean);
    }
}

static bool
xattr_is_kept (const char *name)
{
  /* All others need privileges over the host (trusted.*, security.selinux), or belong to what the
   * image was taken from. */
  return strncmp (name, "user.", 5) == 0 || strcmp (name, "security.capability") == 0;
}

static void
filter_xattrs (struct archive_entry *entry)
{
  struct archive_entry *kept = archive_entry_new ();
  const char *name;
  const void *value;
  size_t size;

  if (kept == NULL)
    report_and_exit (REPORT_FAILED, "Out of memory");
  archive_entry_xattr_reset (entry);
  while (archive_entry_xattr_next (entry, &name, &value, &size) == ARCHIVE_OK)
    if (name != NULL && xattr_is_kept (name))
      archive_entry_xattr_add_entry (kept, name, value, size);
  archive_entry_xattr_clear (entry);
  archive_entry_xattr_reset (kept);
  while (archive_entry_xattr_next (kept, &name, &value, &size) == ARCHIVE_OK)
    archive_entry_xattr_add_entry (entry, name, value, size);
  archive_entry_free (kept);
}

static void
clamp_owner (struct unpacking *self, struct archive_entry *entry)
{
  int64_t uid = archive_entry_uid (entry);
  int64_t gid = archive_entry_gid (entry);

  if (uid >= 0 && uid <= ID_MAX && gid >= 0 && gid <= ID_MAX)
    return;
  note (self, archive_entry_pathname (entry), "its owner is above 65535 and becomes nobody");
  if (uid < 0 || uid > ID_MAX)
    archive_entry_set_uid (entry, NOBODY);
  if (gid < 0 || gid > ID_MAX)
    archive_entry_set_gid (entry, NOBODY);
}

/* Devices cannot be made in a user namespace, and a guest has its own /dev. */
static bool
is_skipped (struct archive_entry *entry)
{
  switch (archive_entry_filetype (entry))
    {
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFSOCK:
      return archive_entry_hardlink (entry) == NULL;
    default:
      return false;
    }
}

static void __attribute__ ((noreturn))
refuse_entry (struct unpacking *self, struct archive_entry *entry)
{
  int error = archive_errno (self->writer);

  if (error == ENOSPC || error == EDQUOT)
    report_and_exit (REPORT_SPACE, "The disk is full where vmsan keeps its state");
  report_and_exit (REPORT_INVALID, "The entry “%.200s” cannot be unpacked: %.300s",
                   archive_entry_pathname (entry), get_message (self->writer));
}

static void
unpack_content (struct unpacking *self, struct archive_entry *entry)
{
  const void *data;
  size_t size;
  int64_t offset;
  int result;

  while ((result = archive_read_data_block (self->reader, &data, &size, &offset)) == ARCHIVE_OK)
    {
      self->n_bytes += size;
      if (self->n_bytes > self->max_bytes)
        report_and_exit (REPORT_LIMIT,
                         "The archive's content is larger than the %llu MiB that an "
                         "image may have",
                         (unsigned long long) (self->max_bytes >> 20));
      if (archive_write_data_block (self->writer, data, size, offset) < ARCHIVE_OK)
        refuse_entry (self, entry);
    }
  if (result != ARCHIVE_EOF)
    report_and_exit (REPORT_INVALID, "The archive is damaged at “%.200s”: %.300s",
                     archive_entry_pathname (entry), get_message (self->reader));
}

static void
unpack_entry (struct unpacking *self, struct archive_entry *entry)
{
  int result;

  if (++self->n_entries > ENTRIES_MAX)
    report_and_exit (REPORT_LIMIT, "The archive has more than %d entries", ENTRIES_MAX);
  clean_names (entry);
  if (archive_entry_size (entry) > FILE_SIZE_MAX)
    report_and_exit (REPORT_LIMIT, "The file “%.200s” is larger than 8 TiB",
                     archive_entry_pathname (entry));
  if (is_skipped (entry))
    {
      self->n_skipped++;
      return;
    }
  filter_xattrs (entry);
  clamp_owner (self, entry);

  result = archive_write_header (self->writer, entry);
  if (result < ARCHIVE_WARN)
    {
      /* Another name of a device that was skipped. */
      if (archive_entry_hardlink (entry) != NULL && self->n_skipped > 0 &&
          archive_errno (self->writer) == ENOENT)
        return;
      refuse_entry (self, entry);
    }
  if (result == ARCHIVE_WARN)
    note (self, archive_entry_pathname (entry), get_message (self->writer));
  if (archive_entry_filetype (entry) == AE_IFREG && archive_entry_size (entry) > 0)
    unpack_content (self, entry);
  result = archive_write_finish_entry (self->writer);
  if (result < ARCHIVE_WARN)
    refuse_entry (self, entry);
  if (result == ARCHIVE_WARN)
    note (self, archive_entry_pathname (entry), get_message (self->writer));
}

/* ---- The archive --------------------------------------------------------------------------- */

static struct archive *
open_reader (struct source *source)
{
  struct archive *reader = archive_read_new ();

  if (reader == NULL)
    report_and_exit (REPORT_FAILED, "Out of memory");
  archive_read_support_filter_gzip (reader);
  archive_read_support_filter_bzip2 (reader);
  archive_read_support_filter_xz (reader);
  archive_read_support_filter_zstd (reader);
  archive_read_support_format_tar (reader);
  if (archive_read_open2 (reader, source, NULL, read_source, skip_source, NULL) != ARCHIVE_OK)
    report_and_exit (REPORT_INVALID,
                     "This is no tar archive, compressed or not (%.300s); give a tar of a root "
                     "directory, or a raw ext4, squashfs or EROFS file system",
                     get_message (reader));
  return reader;
}

static struct archive *
open_writer (void)
{
  struct archive *writer = archive_write_disk_new ();

  if (writer == NULL || archive_write_disk_set_options (writer, EXTRACT_FLAGS) != ARCHIVE_OK)
    report_and_exit (REPORT_FAILED, "Out of memory");
  return writer;
}

/* For the library an archive that was cut off between two entries is fine. It is not: whoever wrote
 * it, such as a client that was killed, did not come to its end, and that would make half an image.
 * @end is where the last entry ended, without its padding. */
static void
check_end_mark (struct unpacking *self, int64_t end)
{
  if (archive_filter_bytes (self->reader, 0) < end + TAR_BLOCK)
    report_and_exit (REPORT_INVALID,
                     "The archive is cut off behind its entry %u: it has no end mark; write it "
                     "again as a whole",
                     self->n_entries);
}

static void
unpack_all (struct unpacking *self)
{
  struct archive_entry *entry;
  int64_t end = 0;
  int result;

  while ((result = archive_read_next_header (self->reader, &entry)) == ARCHIVE_OK ||
         result == ARCHIVE_WARN)
    {
      unpack_entry (self, entry);
      end = archive_filter_bytes (self->reader, 0);
    }
  if (result != ARCHIVE_EOF && self->n_entries == 0)
    report_and_exit (REPORT_INVALID,
                     "This is no tar archive, compressed or not (%.300s); give a tar of a root "
                     "directory, or a raw ext4, squashfs or EROFS file system",
                     get_message (self->reader));
  if (result != ARCHIVE_EOF)
    report_and_exit (REPORT_INVALID, "The archive is damaged behind its entry %u: %.300s",
                     self->n_entries, get_message (self->reader));
  if (self->n_entries == 0)
    report_and_exit (REPORT_INVALID, "The archive is empty");
  check_end_mark (self, end);
}

void
unpack_prepare (void)
{
  iconv_t converter;

  /* Without it libarchive cannot represent names that are not ASCII. */
  if (setlocale (LC_CTYPE, "C.UTF-8") == NULL)
    report_and_exit (REPORT_FAILED, "The C library has no locale C.UTF-8");
  /* The C library reads its list of converters once; from the host's files, not the archive's. */
  converter = iconv_open ("UTF-8", "UTF-16BE");
  if (converter != (iconv_t) -1)
    iconv_close (converter);
}

void
unpack (int fd, uint64_t max_bytes)
{
  struct unpacking self = { .max_bytes = max_bytes };
  struct source *source = calloc (1, sizeof *source);
  struct stat st;

  if (source == NULL || fstat (fd, &st) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Looking at the archive failed");
  source->fd = fd;
  source->is_file = S_ISREG (st.st_mode);
  umask (022);
  self.reader = open_reader (source);
  self.writer = open_writer ();
  unpack_all (&self);
  /* Modes and times of directories are set now. */
  if (archive_write_close (self.writer) < ARCHIVE_WARN)
    report_and_exit (archive_errno (self.writer) == ENOSPC ? REPORT_SPACE : REPORT_FAILED,
                     "Finishing the directories failed: %.300s", get_message (self.writer));
  read_tail (source);
  if (self.n_skipped > 0)
    report_note ("%u device nodes or sockets were left out", self.n_skipped);
  archive_read_free (self.reader);
  archive_write_free (self.writer);
  free (source);
}
