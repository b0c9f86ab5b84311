/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The image builder in its real confinement, with archives that no tar would write. What it made is
 * read back by e2fsprogs. */

#include "storage/confined-tool.h"
#include "storage/content-store.h"
#include "storage/image-build.h"
#include "storage-fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/sysmacros.h>

#define MIB      (G_GUINT64_CONSTANT (1) << 20)
#define MAX_SIZE (64 * MIB)

static const char *builder;

/* ---- Writing archives ---------------------------------------------------------------------- */

typedef struct
{
  struct archive *archive;
  int fd;
} Tar;

static Tar
tar_new (StorageFixture *f, int filter)
{
  g_autofree char *path = g_build_filename (f->directory, "archive", NULL);
  Tar self = { .archive = archive_write_new () };

  self.fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_assert_cmpint (self.fd, >=, 0);
  g_assert_cmpint (unlink (path), ==, 0);
  archive_write_add_filter (self.archive, filter);
  archive_write_set_format_pax (self.archive);
  archive_write_set_options (self.archive, "hdrcharset=UTF-8");
  g_assert_cmpint (archive_write_open_fd (self.archive, self.fd), ==, ARCHIVE_OK);
  return self;
}

/* Returns the archive's descriptor. */
static int
tar_end (Tar *self)
{
  g_assert_cmpint (archive_write_close (self->archive), ==, ARCHIVE_OK);
  archive_write_free (self->archive);
  return self->fd;
}

static struct archive_entry *
entry_new (const char *name, guint mode)
{
  struct archive_entry *entry = archive_entry_new ();

  archive_entry_copy_pathname (entry, name);
  archive_entry_set_mode (entry, mode);
  archive_entry_set_mtime (entry, 1000000000, 0);
  archive_entry_set_uid (entry, 0);
  archive_entry_set_gid (entry, 0);
  return entry;
}

/* Takes @entry. */
static void
tar_add_entry (Tar *self, struct archive_entry *entry, const char *content)
{
  if (content != NULL)
    archive_entry_set_size (entry, strlen (content));
  if (archive_write_header (self->archive, entry) != ARCHIVE_OK)
    g_error ("%s: %s", archive_entry_pathname (entry), archive_error_string (self->archive));
  if (content != NULL)
    g_assert_cmpint (archive_write_data (self->archive, content, strlen (content)), ==,
                     strlen (content));
  g_assert_cmpint (archive_write_finish_entry (self->archive), ==, ARCHIVE_OK);
  archive_entry_free (entry);
}

static void
tar_add_file (Tar *self, const char *name, const char *content)
{
  tar_add_entry (self, entry_new (name, S_IFREG | 0644), content);
}

static void
tar_add_dir (Tar *self, const char *name)
{
  tar_add_entry (self, entry_new (name, S_IFDIR | 0755), NULL);
}

static void
tar_add_symlink (Tar *self, const char *name, const char *target)
{
  struct archive_entry *entry = entry_new (name, S_IFLNK | 0777);

  archive_entry_copy_symlink (entry, target);
  tar_add_entry (self, entry, NULL);
}

static void
tar_add_hardlink (Tar *self, const char *name, const char *target)
{
  struct archive_entry *entry = entry_new (name, S_IFREG | 0644);

  archive_entry_copy_hardlink (entry, target);
  tar_add_entry (self, entry, NULL);
}

/* ---- Building and looking ------------------------------------------------------------------ */

static int
open_output (StorageFixture *f)
{
  g_autoptr (GError) error = NULL;
  int fd;

  g_assert_true (vmsan_managed_root_delete (f->root, "output", &error));
  fd = vmsan_managed_root_open_at (f->root, "output", O_RDWR | O_CREAT | O_EXCL, 0400, &error);
  g_assert_no_error (error);
  return fd;
}

static gboolean
build (StorageFixture *f, int source_fd, guint64 max_bytes, GError **error)
{
  vmsan_autofd int output_fd = open_output (f);
  gboolean built =
      vmsan_image_build (f->root, "scratch", source_fd, output_fd, max_bytes, NULL, error);

  /* Owned by the builder's ids, so this needs root. */
  g_assert_true (vmsan_managed_root_delete (f->root, "scratch", NULL));
  return built;
}

static char *
run (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                NULL, &output, NULL, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, NULL))
    g_error ("%s: %s", argv[0], output);
  return output;
}

static void
assert_sound (StorageFixture *f)
{
  g_autofree char *path = storage_path (f, "output");
  const char *const argv[] = { "/usr/sbin/e2fsck", "-fn", path, NULL };
  g_autofree char *output = run (argv);
}

static char *
debugfs (StorageFixture *f, const char *command, const char *name)
{
  g_autofree char *path = storage_path (f, "output");
  g_autofree char *request = g_strdup_printf ("%s \"%s\"", command, name);
  const char *const argv[] = { "/usr/sbin/debugfs", "-R", request, path, NULL };

  return run (argv);
}

static void
build_fine (StorageFixture *f, Tar *tar)
{
  vmsan_autofd int fd = tar_end (tar);
  g_autoptr (GError) error = NULL;

  build (f, fd, MAX_SIZE, &error);
  g_assert_no_error (error);
  assert_sound (f);
}

static void
assert_refused (StorageFixture *f, Tar *tar, int code, const char *word)
{
  vmsan_autofd int fd = tar_end (tar);
  g_autoptr (GError) error = NULL;

  g_assert_false (build (f, fd, MAX_SIZE, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  if (strstr (error->message, word) == NULL || strchr (error->message, '\n') != NULL)
    g_error ("“%s” does not mention “%s” or has two lines", error->message, word);
}

static void
assert_stat (StorageFixture *f, const char *name, const char *expected)
{
  g_autofree char *stat_text = debugfs (f, "stat", name);

  if (strstr (stat_text, expected) == NULL)
    g_error ("“%s” has no “%s”: %s", name, expected, stat_text);
}

static void
assert_content (StorageFixture *f, const char *name, const char *expected)
{
  g_autofree char *content = debugfs (f, "cat", name);

  g_assert_cmpstr (content, ==, expected);
}

static void
assert_missing (StorageFixture *f, const char *name)
{
  g_autofree char *stat_text = debugfs (f, "stat", name);

  g_assert_cmpstr (stat_text, ==, "");
}

/* ---- What is kept -------------------------------------------------------------------------- */

static void
test_owners_modes_and_times_are_kept (StorageFixture *f, gconstpointer data)
{
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  struct archive_entry *setuid = entry_new ("./usr/bin/su", S_IFREG | 04755);
  struct archive_entry *owned = entry_new ("home/user", S_IFDIR | 0700);
  struct archive_entry *closed = entry_new ("closed", S_IFDIR | 0);

  tar_add_dir (&tar, "./");
  tar_add_entry (&tar, setuid, "su");
  archive_entry_set_uid (owned, 1000);
  archive_entry_set_gid (owned, 65535);
  tar_add_entry (&tar, owned, NULL);
  tar_add_entry (&tar, closed, NULL);
  tar_add_file (&tar, "closed/file", "inside");
  tar_add_file (&tar, "häuser/ñ", "unicode");
  tar_add_file (&tar, "/absolute", "relative now");
  build_fine (f, &tar);

  assert_stat (f, "/usr/bin/su", "Mode:  04755");
  assert_stat (f, "/usr/bin/su", "User:     0   Group:     0");
  assert_stat (f, "/usr/bin/su", "mtime: 0x3b9aca00");
  assert_stat (f, "/home/user", "User:  1000   Group: 65535");
  assert_stat (f, "/home/user", "Mode:  0700");
  assert_stat (f, "/closed", "Mode:  0000");
  assert_stat (f, "/closed", "mtime: 0x3b9aca00");
  assert_content (f, "/closed/file", "inside");
  assert_content (f, "/häuser/ñ", "unicode");
  assert_content (f, "/absolute", "relative now");
  assert_stat (f, "/", "Mode:  0755");
  assert_stat (f, "/", "User:     0   Group:     0");
}

static void
test_owners_above_the_namespace_become_nobody (StorageFixture *f, gconstpointer data)
{
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = entry_new ("file", S_IFREG | 0644);

  archive_entry_set_uid (entry, 1000000);
  archive_entry_set_gid (entry, 7);
  tar_add_entry (&tar, entry, "x");
  build_fine (f, &tar);
  assert_stat (f, "/file", "User: 65534   Group:     7");
}

static void
test_attributes_are_kept_as_far_as_a_namespace_may (StorageFixture *f, gconstpointer data)
{
  /* struct vfs_cap_data, version 2: CAP_NET_RAW, effective. */
  static const guint8 capability[] = {
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  };
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = entry_new ("ping", S_IFREG | 0755);
  g_autofree char *list = NULL;

  archive_entry_xattr_add_entry (entry, "security.capability", capability, sizeof capability);
  archive_entry_xattr_add_entry (entry, "user.note", "hello", 5);
  archive_entry_xattr_add_entry (entry, "trusted.overlay.opaque", "y", 1);
  archive_entry_xattr_add_entry (entry, "security.selinux", "x", 1);
  tar_add_entry (&tar, entry, "x");
  build_fine (f, &tar);
  list = debugfs (f, "ea_list", "/ping");
  g_assert_nonnull (strstr (list, "user.note (5) = \"hello\""));
  /* 20 bytes: as seen from outside a namespace, without its root's uid. */
  g_assert_nonnull (strstr (list, "security.capability (20) = 01 00 00 02 00 20"));
  g_assert_null (strstr (list, "trusted"));
  g_assert_null (strstr (list, "selinux"));
}

static void
test_odd_files_neither_hang_nor_grow (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = storage_path (f, "output");
  g_autofree char *deep_link = g_strnfill (1000, 'l');
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  struct archive_entry *sparse = entry_new ("sparse", S_IFREG | 0644);
  struct archive_entry *device = entry_new ("dev/sda", S_IFBLK | 0600);
  struct archive_entry *zero = entry_new ("dev/zero", S_IFCHR | 0666);
  GStatBuf st;

  tar_add_entry (&tar, entry_new ("fifo", S_IFIFO | 0600), NULL);
  archive_entry_set_rdev (device, makedev (8, 0));
  tar_add_entry (&tar, device, NULL);
  archive_entry_set_rdev (zero, makedev (1, 5));
  tar_add_entry (&tar, zero, NULL);
  tar_add_hardlink (&tar, "dev/also-zero", "dev/zero");
  tar_add_symlink (&tar, "dangling", "/no/such/file");
  tar_add_symlink (&tar, "to-shadow", "/etc/shadow");
  tar_add_symlink (&tar, "long", deep_link);
  archive_entry_set_size (sparse, 5000 * MIB);
  archive_entry_sparse_add_entry (sparse, 4000 * MIB, 4);
  g_assert_cmpint (archive_write_header (tar.archive, sparse), ==, ARCHIVE_OK);
  for (guint64 left = 5000 * MIB; left > 0;)
    {
      static guint8 zeros[1 << 20];
      gssize n = archive_write_data (tar.archive, zeros, MIN (left, sizeof zeros));

      g_assert_cmpint (n, >, 0);
      left -= n;
    }
  archive_entry_free (sparse);
  tar_add_file (&tar, "original", "two names");
  tar_add_hardlink (&tar, "second", "original");
  build_fine (f, &tar);

  assert_stat (f, "/fifo", "Type: FIFO");
  assert_missing (f, "/dev/sda");
  assert_missing (f, "/dev/zero");
  assert_missing (f, "/dev/also-zero");
  assert_stat (f, "/dangling", "Fast link dest: \"/no/such/file\"");
  assert_stat (f, "/to-shadow", "Fast link dest: \"/etc/shadow\"");
  assert_stat (f, "/long", "Size: 1000");
  assert_stat (f, "/sparse", "Size: 5242880000");
  assert_stat (f, "/second", "Links: 2");
  assert_content (f, "/second", "two names");
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_size, <, 8 * MIB);
  g_assert_cmpuint (st.st_uid, ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0400);
}

static void
test_many_files_and_large_directories_fit (StorageFixture *f, gconstpointer data)
{
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  g_autofree char *content = g_strnfill (100, 'x');
  g_autofree char *suffix = g_strnfill (180, 'n');
  g_autofree char *large = g_strnfill (3 * MIB + 17, 'y');
  g_autofree char *read_back = NULL;

  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *name = g_strdup_printf ("many/%05u-%s", i, suffix);

      tar_add_file (&tar, name, content);
    }
  for (guint i = 0; i < 500; i++)
    {
      g_autofree char *name = g_strdup_printf ("directories/%u", i);

      tar_add_dir (&tar, name);
    }
  tar_add_file (&tar, "large", large);
  build_fine (f, &tar);
  read_back = debugfs (f, "cat", "/large");
  g_assert_cmpstr (read_back, ==, large);
}

static void
test_compressed_archives_are_unpacked (StorageFixture *f, gconstpointer data)
{
  static const int filters[] = { ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ,
                                 ARCHIVE_FILTER_ZSTD };

  for (guint i = 0; i < G_N_ELEMENTS (filters); i++)
    {
      Tar tar = tar_new (f, filters[i]);

      tar_add_file (&tar, "file", "compressed");
      build_fine (f, &tar);
      assert_content (f, "/file", "compressed");
    }
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void
assert_outside_untouched (const char *outside)
{
  g_autofree char *file = g_build_filename (outside, "file", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GDir) dir = g_dir_open (outside, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  g_assert_cmpuint (n, ==, 1);
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "precious");
}

#define N_WAYS_OUT 12

/* Each of these must either be refused or end within the image. */
static void
add_way_out (Tar *tar, guint which, const char *outside)
{
  g_autofree char *file = g_build_filename (outside, "file", NULL);
  g_autofree char *up = g_strdup_printf ("../../../../../../../..%s", file);

  switch (which)
    {
    case 0: /* a directory becomes a link, then is written through */
      tar_add_dir (tar, "d");
      tar_add_symlink (tar, "d", outside);
      tar_add_file (tar, "d/file", "evil");
      break;
    case 1: /* the same with something in it */
      tar_add_file (tar, "d/file", "fine");
      tar_add_symlink (tar, "d", outside);
      tar_add_file (tar, "d/file", "evil");
      break;
    case 2: /* a link becomes a directory */
      tar_add_symlink (tar, "d", outside);
      tar_add_dir (tar, "d");
      tar_add_file (tar, "d/file", "evil");
      break;
    case 3: /* no directory entry at all */
      tar_add_symlink (tar, "d", outside);
      tar_add_file (tar, "d/file", "evil");
      break;
    case 4: /* a file through a link of its own name */
      tar_add_symlink (tar, "file", file);
      tar_add_file (tar, "file", "evil");
      break;
    case 5: /* a hard link to the outside, then written to */
      tar_add_hardlink (tar, "hard", file);
      tar_add_file (tar, "hard", "evil");
      break;
    case 6: /* a hard link to a link, then written to */
      tar_add_symlink (tar, "link", file);
      tar_add_hardlink (tar, "hard", "link");
      tar_add_file (tar, "hard", "evil");
      break;
    case 7: /* a hard link through a linked directory */
      tar_add_symlink (tar, "d", outside);
      tar_add_hardlink (tar, "hard", "d/file");
      tar_add_file (tar, "hard", "evil");
      break;
    case 8: /* the modes and times that directories get at the end */
      tar_add_entry (tar, entry_new ("d", S_IFDIR | 0), NULL);
      tar_add_symlink (tar, "d", outside);
      break;
    case 9: /* an absolute name */
      tar_add_file (tar, file, "evil");
      break;
    case 10: /* relative links lead to the root at most */
      tar_add_symlink (tar, "d", up);
      tar_add_file (tar, "d", "evil");
      break;
    case 11: /* two links */
      tar_add_symlink (tar, "a", "b");
      tar_add_symlink (tar, "b", outside);
      tar_add_file (tar, "a/file", "evil");
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
test_nothing_outside_is_touched (StorageFixture *f, gconstpointer data)
{
  g_autofree char *outside = g_build_filename (f->directory, "outside", NULL);
  g_autofree char *file = g_build_filename (outside, "file", NULL);
  vmsan_autofd int fd = -1;

  g_assert_cmpint (mkdir (outside, 0777), ==, 0);
  g_assert_true (g_file_set_contents (file, "precious", -1, NULL));
  for (guint i = 0; i < N_WAYS_OUT; i++)
    {
      Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
      g_autoptr (GError) error = NULL;
      gboolean built;

      add_way_out (&tar, i, outside);
      vmsan_fd_close (&fd);
      fd = tar_end (&tar);
      built = build (f, fd, MAX_SIZE, &error);
      g_test_message ("%u: %s", i, built ? "built" : error->message);
      if (built)
        assert_sound (f);
      else
        g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      assert_outside_untouched (outside);
    }
}

static void
test_names_that_lead_out_are_refused (StorageFixture *f, gconstpointer data)
{
  static const char *const names[] = { "../x", "a/../x", "a/..", "..", "/..", "./../x", "a//../b" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      Tar as_name = tar_new (f, ARCHIVE_FILTER_NONE);
      Tar as_link = tar_new (f, ARCHIVE_FILTER_NONE);

      tar_add_file (&as_name, names[i], "evil");
      assert_refused (f, &as_name, VMSAN_ERROR_INVALID_ARGUMENT, "leads out");
      tar_add_hardlink (&as_link, "x", names[i]);
      assert_refused (f, &as_link, VMSAN_ERROR_INVALID_ARGUMENT, "leads out");
    }
}

static void
test_names_are_bounded (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GString) deep = g_string_new (NULL);
  g_autofree char *component = g_strnfill (200, 'a');
  g_autoptr (GString) longest = g_string_new (NULL);
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar too_deep = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar too_long = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar newline = tar_new (f, ARCHIVE_FILTER_NONE);

  for (guint i = 0; i < 19; i++)
    g_string_append_printf (longest, "%s/", component);
  g_string_append (longest, "end");
  for (guint i = 0; i < 255; i++)
    g_string_append (deep, "d/");
  g_string_append (deep, "end");
  tar_add_file (&tar, longest->str, "long");
  tar_add_file (&tar, deep->str, "deep");
  build_fine (f, &tar);

  g_string_append (deep, "/x");
  tar_add_file (&too_deep, deep->str, "deep");
  assert_refused (f, &too_deep, VMSAN_ERROR_LIMIT_EXCEEDED, "256 directories");
  g_string_append_printf (longest, "%s%s", component, component);
  tar_add_file (&too_long, longest->str, "long");
  assert_refused (f, &too_long, VMSAN_ERROR_LIMIT_EXCEEDED, "4000 bytes");
  tar_add_file (&newline, "../a\nb\033[31m", "evil");
  assert_refused (f, &newline, VMSAN_ERROR_INVALID_ARGUMENT, "a?b?[31m");
}

static void
test_damaged_archives_are_refused (StorageFixture *f, gconstpointer data)
{
  g_autofree char *content = g_strnfill (10000, 'x');
  Tar whole = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar missing_target = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar empty = tar_new (f, ARCHIVE_FILTER_NONE);
  Tar root_file = tar_new (f, ARCHIVE_FILTER_NONE);
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = -1;

  tar_add_file (&whole, "first", content);
  tar_add_file (&whole, "second", content);
  fd = tar_end (&whole);
  g_assert_cmpint (ftruncate (fd, 5000), ==, 0);
  g_assert_false (build (f, fd, MAX_SIZE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "damaged"));
  g_clear_error (&error);

  g_assert_cmpint (pwrite (fd, content, 512, 0), ==, 512);
  g_assert_false (build (f, fd, MAX_SIZE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "no tar archive"));
  g_clear_error (&error);

  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  g_assert_false (build (f, fd, MAX_SIZE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);

  assert_refused (f, &empty, VMSAN_ERROR_INVALID_ARGUMENT, "empty");
  tar_add_hardlink (&missing_target, "x", "missing");
  assert_refused (f, &missing_target, VMSAN_ERROR_INVALID_ARGUMENT, "“x”");
  tar_add_file (&root_file, ".", "x");
  assert_refused (f, &root_file, VMSAN_ERROR_INVALID_ARGUMENT, "no directory");
}

static void
test_an_archive_without_its_end_is_refused (StorageFixture *f, gconstpointer data)
{
  /* Content that ends with a block, and that does not; and none. */
  static const gsize sizes[] = { 0, 1, 511, 512, 513, 5120 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *content = g_strnfill (sizes[i], 'x');
      gsize whole = 512 + (sizes[i] + 511) / 512 * 512;
      Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
      vmsan_autofd int fd = -1;

      tar_add_file (&tar, "file", content);
      fd = tar_end (&tar);
      /* Two blocks are the mark; one will do. */
      for (guint blocks = 0; blocks < 3; blocks++)
        {
          g_autoptr (GError) error = NULL;

          g_assert_cmpint (ftruncate (fd, whole + blocks * 512), ==, 0);
          g_assert_true (build (f, fd, MAX_SIZE, &error) == (blocks > 0));
          if (blocks == 0)
            {
              g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
              g_assert_nonnull (strstr (error->message, "no end mark"));
            }
        }
    }
}

static void
test_an_archive_that_is_too_large_is_refused (StorageFixture *f, gconstpointer data)
{
  g_autofree char *content = g_strnfill (MIB, 'x');
  /* Compressed, so that it is small until it is unpacked. */
  Tar tar = tar_new (f, ARCHIVE_FILTER_GZIP);

  for (guint i = 0; i < 70; i++)
    {
      g_autofree char *name = g_strdup_printf ("file-%u", i);

      tar_add_file (&tar, name, content);
    }
  assert_refused (f, &tar, VMSAN_ERROR_LIMIT_EXCEEDED, "64 MiB");
}

/* ---- Confinement and interruption ---------------------------------------------------------- */

static void
assert_status (pid_t pid, const char *field, const char *expected)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", pid);
  g_autofree char *text = NULL;
  const char *value;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  value = strstr (text, field);
  g_assert_nonnull (value);
  value += strlen (field);
  if (!g_str_has_prefix (value, expected))
    g_error ("%s%.40s where %s was expected", field, value, expected);
}

/* A child of any thread of @pid; 0: none. */
static pid_t
find_child (pid_t pid)
{
  g_autofree char *tasks = g_strdup_printf ("/proc/%d/task", pid);
  g_autoptr (GDir) dir = g_dir_open (tasks, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("%s/%s/children", tasks, name);
      g_autofree char *children = NULL;

      if (g_file_get_contents (path, &children, NULL, NULL) && children[0] != '\0')
        return (pid_t) g_ascii_strtoll (children, NULL, 10);
    }
  return 0;
}

static pid_t
wait_for_child (pid_t pid)
{
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  pid_t child;

  while ((child = find_child (pid)) == 0 && g_get_monotonic_time () < deadline)
    g_thread_yield ();
  g_assert_cmpint (child, >, 0);
  return child;
}

typedef struct
{
  VmsanContent *content;
  GError *error;
  gboolean done;
} Result;

static void
on_result (GObject *source, GAsyncResult *result, gpointer data)
{
  Result *self = data;

  self->content =
      vmsan_content_store_add_finish (VMSAN_CONTENT_STORE (source), result, &self->error);
  self->done = TRUE;
}

static void
wait_for (Result *result)
{
  while (!result->done)
    g_main_context_iteration (NULL, TRUE);
}

static guint
count_images (StorageFixture *f)
{
  g_auto (GStrv) names = vmsan_managed_root_list (f->root, "images", 100, NULL);

  return g_strv_length (names);
}

static void
test_a_tar_stream_becomes_an_image_of_the_store (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_IMAGE, NULL);
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  vmsan_autofd int fd = -1;

  tar_add_file (&tar, "etc/hostname", "x");
  fd = tar_end (&tar);
  for (guint i = 0; i < 2; i++)
    {
      Result result = { 0 };
      g_autoptr (VmsanContent) content = NULL;
      char bytes[65536];
      gssize size = pread (fd, bytes, sizeof bytes, 0);
      int ends[2] = { -1, -1 };

      if (i == 1)
        {
          g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
          g_assert_cmpint (write (ends[1], bytes, size), ==, size);
          close (ends[1]);
        }
      vmsan_content_store_add_image_async (store, i == 0 ? fd : ends[0], i == 0 ? "file" : "pipe",
                                           7, MAX_SIZE, NULL, on_result, &result);
      if (i == 1)
        close (ends[0]);
      wait_for (&result);
      g_assert_no_error (result.error);
      content = result.content;
      g_assert_cmpstr (content->format, ==, "ext4");
      g_assert_cmpuint (content->added_by, ==, 7);
      g_assert_cmpuint (content->size_bytes % 4096, ==, 0);
    }
  g_assert_cmpuint (count_images (f), ==, 2);
}

static void
test_the_builder_has_no_power_and_is_killed_without_a_trace (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_IMAGE, NULL);
  g_autofree char *id = g_strdup_printf ("\t%u", vmsan_tool_get_id ());
  vmsan_autofd int write_fd = -1;
  Result result = { 0 };
  int ends[2];
  pid_t pid;
  pid_t unpacker;

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  write_fd = ends[1];
  vmsan_content_store_add_image_async (store, ends[0], NULL, 0, MAX_SIZE, NULL, on_result, &result);
  close (ends[0]);
  pid = wait_for_child (getpid ());
  unpacker = wait_for_child (pid);
  assert_status (pid, "Uid:", id);
  assert_status (pid, "NoNewPrivs:", "\t1");
  /* The unpacker restricts itself before it reads; the last step is the filter. */
  {
    g_autofree char *path = g_strdup_printf ("/proc/%d/status", unpacker);
    gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
    g_autofree char *text = NULL;

    do
      {
        g_clear_pointer (&text, g_free);
        g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      }
    while (strstr (text, "Seccomp:\t2") == NULL && g_get_monotonic_time () < deadline);
  }
  assert_status (unpacker, "Seccomp:", "\t2");
  assert_status (unpacker, "Uid:", id);
  /* chown, dac_override, fowner, fsetid, setfcap */
  assert_status (unpacker, "CapEff:", "\t000000008000001b");
  assert_status (unpacker, "CapBnd:", "\t000000008000001b");

  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  wait_for (&result);
  g_assert_null (result.content);
  g_assert_error (result.error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_clear_error (&result.error);
  g_assert_cmpuint (count_images (f), ==, 0);
  g_assert_cmpint (kill (unpacker, 0), ==, -1);
}

static void
test_killed_at_any_moment_no_half_image_is_used (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_IMAGE, NULL);
  g_autofree char *content = g_strnfill (50000, 'x');
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);
  vmsan_autofd int fd = -1;
  guint n_killed = 0;

  for (guint i = 0; i < 400; i++)
    {
      g_autofree char *name = g_strdup_printf ("d%u/file-%u", i % 7, i);

      tar_add_file (&tar, name, content);
    }
  fd = tar_end (&tar);
  for (guint i = 0; i < 12; i++)
    {
      guint before = count_images (f);
      Result result = { 0 };
      gint64 moment;
      pid_t victim;

      vmsan_content_store_add_image_async (store, fd, NULL, 0, MAX_SIZE, NULL, on_result, &result);
      victim = wait_for_child (getpid ());
      moment = g_get_monotonic_time () + g_test_rand_int_range (0, 120000);
      while (g_get_monotonic_time () < moment)
        g_thread_yield ();
      /* The builder, or what it started: unpacking or mke2fs. */
      if (i % 2 == 1)
        victim = MAX (find_child (victim), 0);
      if (victim > 0)
        kill (victim, SIGKILL);
      wait_for (&result);
      n_killed += result.content == NULL;
      if (result.content == NULL)
        g_assert_error (result.error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
      g_assert_cmpuint (count_images (f), ==, before + (result.content != NULL));
      g_clear_pointer (&result.content, vmsan_content_unref);
      g_clear_error (&result.error);
    }
  g_test_message ("%u of 12 were killed", n_killed);
  g_assert_cmpuint (n_killed, >, 0);

  /* Whatever is in the store is whole. */
  {
    g_autoptr (GPtrArray) list = vmsan_content_store_list (store);

    for (guint i = 0; i < list->len; i++)
      {
        const VmsanContent *image = g_ptr_array_index (list, i);
        g_autofree char *path = g_strdup_printf ("%s/images/%s/content", f->root_path, image->id);
        const char *const argv[] = { "/usr/sbin/e2fsck", "-fn", path, NULL };
        g_autofree char *output = run (argv);
      }
  }
}

static void
test_a_silent_pipe_meets_the_deadline (StorageFixture *f, gconstpointer data)
{
  const VmsanImageBuildConfig hurried = { .program = builder, .deadline_ms = 300 };
  const VmsanImageBuildConfig usual = { .program = builder };
  g_autoptr (GError) error = NULL;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  vmsan_image_build_configure (&hurried);
  g_assert_false (build (f, ends[0], MAX_SIZE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  vmsan_image_build_configure (&usual);
  close (ends[0]);
  close (ends[1]);
}

static void
test_a_cancelled_build_leaves_nothing (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_IMAGE, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Result result = { 0 };
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  vmsan_content_store_add_image_async (store, ends[0], NULL, 0, MAX_SIZE, cancellable, on_result,
                                       &result);
  wait_for_child (getpid ());
  g_cancellable_cancel (cancellable);
  wait_for (&result);
  g_assert_null (result.content);
  g_assert_error (result.error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_clear_error (&result.error);
  g_assert_cmpuint (count_images (f), ==, 0);
  close (ends[0]);
  close (ends[1]);
}

static void
test_a_missing_builder_is_named (StorageFixture *f, gconstpointer data)
{
  const VmsanImageBuildConfig missing = { .program = "/no/such/builder" };
  const VmsanImageBuildConfig usual = { .program = builder };
  Tar tar = tar_new (f, ARCHIVE_FILTER_NONE);

  vmsan_image_build_configure (&missing);
  assert_refused (f, &tar, VMSAN_ERROR_UNAVAILABLE, "/no/such/builder");
  vmsan_image_build_configure (&usual);
}

int
main (int argc, char **argv)
{
  VmsanImageBuildConfig config = { 0 };

  setlocale (LC_ALL, "C.UTF-8"); /* libarchive wants it for names */

  /* A builder that refuses closes its end while an archive is still being written to it. */
  signal (SIGPIPE, SIG_IGN);
  g_test_init (&argc, &argv, NULL);
  builder = config.program = g_getenv ("VMSAN_IMAGE_BUILDER");
  g_assert_nonnull (builder);
  vmsan_image_build_configure (&config);

  storage_test ("/image-builder/owners-modes-and-times-are-kept",
                test_owners_modes_and_times_are_kept);
  storage_test ("/image-builder/owners-above-the-namespace-become-nobody",
                test_owners_above_the_namespace_become_nobody);
  storage_test ("/image-builder/attributes-are-kept-as-far-as-a-namespace-may",
                test_attributes_are_kept_as_far_as_a_namespace_may);
  storage_test ("/image-builder/odd-files-neither-hang-nor-grow",
                test_odd_files_neither_hang_nor_grow);
  storage_test ("/image-builder/many-files-and-large-directories-fit",
                test_many_files_and_large_directories_fit);
  storage_test ("/image-builder/compressed-archives-are-unpacked",
                test_compressed_archives_are_unpacked);
  storage_test ("/image-builder/nothing-outside-is-touched", test_nothing_outside_is_touched);
  storage_test ("/image-builder/names-that-lead-out-are-refused",
                test_names_that_lead_out_are_refused);
  storage_test ("/image-builder/names-are-bounded", test_names_are_bounded);
  storage_test ("/image-builder/damaged-archives-are-refused", test_damaged_archives_are_refused);
  storage_test ("/image-builder/an-archive-without-its-end-is-refused",
                test_an_archive_without_its_end_is_refused);
  storage_test ("/image-builder/an-archive-that-is-too-large-is-refused",
                test_an_archive_that_is_too_large_is_refused);
  storage_test ("/image-builder/a-tar-stream-becomes-an-image-of-the-store",
                test_a_tar_stream_becomes_an_image_of_the_store);
  storage_test ("/image-builder/the-builder-has-no-power-and-is-killed-without-a-trace",
                test_the_builder_has_no_power_and_is_killed_without_a_trace);
  storage_test ("/image-builder/killed-at-any-moment-no-half-image-is-used",
                test_killed_at_any_moment_no_half_image_is_used);
  storage_test ("/image-builder/a-silent-pipe-meets-the-deadline",
                test_a_silent_pipe_meets_the_deadline);
  storage_test ("/image-builder/a-cancelled-build-leaves-nothing",
                test_a_cancelled_build_leaves_nothing);
  storage_test ("/image-builder/a-missing-builder-is-named", test_a_missing_builder_is_named);
  return g_test_run ();
}
