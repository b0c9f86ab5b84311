/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: no path of the archive is ever used; what is written are regular files of bounded size
 * under our own names. */

#include "config.h"

#include "release-archive.h"

#include "file-io.h"
#include "static-program.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024)

/* A release has about 20 members, of which programs with debug information are the largest. */
#define MEMBERS_MAX       1024
#define MEMBERS_BYTES_MAX (G_GINT64_CONSTANT (2) << 30)
#define PROGRAM_BYTES_MAX (G_GINT64_CONSTANT (256) << 20)

const char *const release_programs[] = { "firecracker", "jailer", NULL };

typedef struct
{
  struct archive *archive;
  const char *name;
  const Release *release;
  int directory;
  gboolean taken[G_N_ELEMENTS (release_programs) - 1];
} Unpacker;

static gboolean G_GNUC_PRINTF (3, 4)
    refuse (Unpacker *unpacker, GError **error, const char *format, ...)
{
  g_autofree char *why = NULL;
  va_list args;

  va_start (args, format);
  why = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, _ ("“%s” cannot be used: %s"),
               unpacker->name, why);
  return FALSE;
}

static gboolean
cannot_read (Unpacker *unpacker, GError **error)
{
  const char *why = archive_error_string (unpacker->archive);

  return refuse (unpacker, error, "%s", why != NULL ? why : _ ("unknown error"));
}

static gboolean
cannot_write (const char *program, GError **error)
{
  return file_io_fail (error, _ ("Could not write “%s”"), program);
}

static gboolean
copy (Unpacker *unpacker, const char *program, int fd, GError **error)
{
  g_autofree char *block = g_malloc (BLOCK_SIZE);
  gint64 size = 0;
  gssize n;

  while ((n = archive_read_data (unpacker->archive, block, BLOCK_SIZE)) > 0)
    {
      size += n;
      if (size > PROGRAM_BYTES_MAX)
        return refuse (unpacker, error, _ ("the program “%s” in it is too large"), program);
      if (!file_io_write (fd, block, (gsize) n))
        return cannot_write (program, error);
    }
  return n == 0 || cannot_read (unpacker, error);
}

static gboolean
write_program (Unpacker *unpacker, const char *program, GError **error)
{
  int fd = openat (unpacker->directory, program, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0755);
  gboolean ok;

  if (fd < 0)
    return cannot_write (program, error);
  ok = copy (unpacker, program, fd, error) && static_program_check (fd, program, error);
  /* A directory may pass its group on to what is made in it. */
  if (ok && (fchown (fd, 0, 0) != 0 || fchmod (fd, 0755) != 0 || fsync (fd) != 0))
    ok = cannot_write (program, error);
  close (fd);
  return ok;
}

/* Which program the member is, by the last part of its path; -1: none. */
static int
find_program (const Unpacker *unpacker, const char *path)
{
  const char *slash = strrchr (path, '/');
  const char *base = slash != NULL ? slash + 1 : path;

  for (int i = 0; release_programs[i] != NULL; i++)
    {
      g_autofree char *wanted = g_strconcat (release_programs[i], "-", unpacker->release->name,
                                             "-" RELEASE_ARCHITECTURE, NULL);

      if (strcmp (base, wanted) == 0)
        return i;
    }
  return -1;
}

static gboolean
take_member (Unpacker *unpacker, struct archive_entry *entry, GError **error)
{
  const char *path = archive_entry_pathname (entry);
  int i = path != NULL ? find_program (unpacker, path) : -1;

  if (i < 0)
    return TRUE;
  if (archive_entry_filetype (entry) != AE_IFREG || archive_entry_hardlink (entry) != NULL)
    return refuse (unpacker, error, _ ("“%s” in it is no regular file"), path);
  if (unpacker->taken[i])
    return refuse (unpacker, error, _ ("the program “%s” is in it twice"), release_programs[i]);
  unpacker->taken[i] = TRUE;
  return write_program (unpacker, release_programs[i], error);
}

/* The sizes that members claim are what reading over them costs. */
static gboolean
take_members (Unpacker *unpacker, GError **error)
{
  struct archive_entry *entry;
  gint64 room = MEMBERS_BYTES_MAX;
  guint n_members = 0;
  int status;

  while ((status = archive_read_next_header (unpacker->archive, &entry)) == ARCHIVE_OK ||
         status == ARCHIVE_WARN)
    {
      gint64 size = archive_entry_size (entry);

      if (++n_members > MEMBERS_MAX || size < 0 || size > room)
        return refuse (unpacker, error, _ ("there is more in it than in any release"));
      room -= size;
      if (!take_member (unpacker, entry, error))
        return FALSE;
    }
  if (status != ARCHIVE_EOF)
    return cannot_read (unpacker, error);
  for (int i = 0; release_programs[i] != NULL; i++)
    if (!unpacker->taken[i])
      return refuse (unpacker, error, _ ("“%s-%s-%s” is not in it"), release_programs[i],
                     unpacker->release->name, RELEASE_ARCHITECTURE);
  return TRUE;
}

gboolean
release_archive_unpack (
    int fd, const char *name, const Release *release, int directory, GError **error)
{
  Unpacker unpacker = { .name = name, .release = release, .directory = directory };
  gboolean ok;

  unpacker.archive = archive_read_new ();
  archive_read_support_filter_gzip (unpacker.archive);
  archive_read_support_format_tar (unpacker.archive);
  if (lseek (fd, 0, SEEK_SET) != 0 ||
      archive_read_open_fd (unpacker.archive, fd, BLOCK_SIZE) != ARCHIVE_OK)
    ok = cannot_read (&unpacker, error);
  else
    ok = take_members (&unpacker, error);
  archive_read_free (unpacker.archive);
  return ok;
}
