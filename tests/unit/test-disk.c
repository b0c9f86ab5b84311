/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Private disks, made by the real mke2fs and checked by the real e2fsck. */

#include "storage/disk.h"
#include "storage-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static gboolean have_mounts;

static gboolean
run (const char *const *argv, char **output)
{
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                NULL, output, NULL, &status, &error);
  g_assert_no_error (error);
  return g_spawn_check_wait_status (status, NULL);
}

static void
assert_sound (StorageFixture *f, const char *name)
{
  g_autofree char *path = storage_path (f, name);
  const char *const argv[] = { "/usr/sbin/e2fsck", "-fn", path, NULL };
  g_autofree char *output = NULL;

  if (!run (argv, &output))
    g_error ("%s", output);
}

static void
create (StorageFixture *f, const char *name, guint size_mib)
{
  g_autoptr (GError) error = NULL;

  vmsan_disk_create (f->root, name, size_mib, NULL, &error);
  g_assert_no_error (error);
}

static void
test_a_disk_is_a_sound_empty_file_system_of_its_size (StorageFixture *f, gconstpointer data)
{
  static const guint sizes[] = { 32, 33, 511, 512, 1024, 10000, 1048576, 4194304 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *path = storage_path (f, "disk");
      GStatBuf st;

      create (f, "disk", sizes[i]);
      g_assert_cmpint (g_stat (path, &st), ==, 0);
      g_assert_cmpuint (st.st_size, ==, (guint64) sizes[i] << 20);
      g_assert_cmpuint (st.st_uid, ==, 0);
      g_assert_cmpuint (st.st_mode & 07777, ==, 0600);
      /* Cheap: less than 1/50000 of the large ones, next to nothing of the small ones. */
      g_assert_cmpuint (st.st_blocks * 512, <, (512 << 10) + ((guint64) sizes[i] << 20) / 50000);
      assert_sound (f, "disk");
      g_assert_true (vmsan_managed_root_delete (f->root, "disk", NULL));
    }
}

static void
test_a_second_disk_needs_no_process (StorageFixture *f, gconstpointer data)
{
  struct rusage before;
  struct rusage after;

  create (f, "a", 1024);
  g_assert_cmpint (getrusage (RUSAGE_CHILDREN, &before), ==, 0);
  create (f, "b", 1024);
  g_assert_cmpint (getrusage (RUSAGE_CHILDREN, &after), ==, 0);
  g_assert_cmpint (after.ru_minflt, ==, before.ru_minflt);
  assert_sound (f, "b");
}

static void
test_disks_do_not_share_what_is_written (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  vmsan_autofd int a = -1;
  vmsan_autofd int b = -1;
  char byte = 'x';

  create (f, "a", 32);
  create (f, "b", 32);
  a = vmsan_managed_root_open_at (f->root, "a", O_RDWR, 0, &error);
  b = vmsan_managed_root_open_at (f->root, "b", O_RDWR, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (pwrite (a, "y", 1, 5000), ==, 1);
  g_assert_cmpint (pread (b, &byte, 1, 5000), ==, 1);
  g_assert_cmpint (byte, !=, 'y');
  create (f, "c", 32);
  assert_sound (f, "c");
}

static void
test_a_size_out_of_range_is_refused (StorageFixture *f, gconstpointer data)
{
  static const guint sizes[] = { 0, 31, 4194305, G_MAXUINT };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (vmsan_disk_create (f->root, "disk", sizes[i], NULL, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_false (storage_exists (f, "disk"));
      g_assert_false (storage_exists (f, "templates"));
    }
}

static void
test_a_disk_that_is_there_is_not_touched (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = storage_path (f, "disk");
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  storage_write (f, "disk", "precious");
  g_assert_false (vmsan_disk_create (f->root, "disk", 32, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "precious");
}

static void
test_sixteen_templates_are_kept_the_last_used_ones (StorageFixture *f, gconstpointer data)
{
  g_autofree char *first = storage_path (f, "templates/ext4-1-32");
  struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *name = g_strdup_printf ("disk-%u", i);
      g_autofree char *path = g_strdup_printf ("%s/templates/ext4-1-%u", f->root_path, 32 + i);

      create (f, name, 32 + i);
      old[1].tv_sec++;
      g_assert_cmpint (utimensat (AT_FDCWD, path, old, 0), ==, 0);
      /* Used again: so it stays, although it is the oldest. */
      if (i == 15)
        create (f, "again", 32);
    }
  names = vmsan_managed_root_list (f->root, "templates", 100, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 16);
  g_assert_true (g_file_test (first, G_FILE_TEST_EXISTS));
  g_assert_false (storage_exists (f, "templates/ext4-1-33"));
  g_assert_true (storage_exists (f, "templates/ext4-1-51"));
}

static void
test_a_half_made_template_is_not_used (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_managed_root_make_dir (f->root, "templates", 0700, &error));
  storage_write (f, "templates/.new", "half");
  create (f, "disk", 32);
  assert_sound (f, "disk");
  g_assert_false (storage_exists (f, "templates/.new"));
}

static void
test_cancellation_leaves_nothing (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_false (vmsan_disk_create (f->root, "disk", 32, cancellable, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (storage_exists (f, "disk"));
  names = vmsan_managed_root_list (f->root, "templates", 9, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 0);

  create (f, "other", 32);
  g_assert_false (vmsan_disk_create (f->root, "disk", 32, cancellable, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_assert_false (storage_exists (f, "disk"));
}

static gpointer
create_in_thread (gpointer data)
{
  StorageFixture *f = data;
  g_autofree char *name = g_strdup_printf ("disk-%p", (void *) g_thread_self ());

  create (f, name, 64);
  assert_sound (f, name);
  return NULL;
}

static void
test_disks_made_at_once_are_all_sound (StorageFixture *f, gconstpointer data)
{
  GThread *threads[8];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("disk", create_in_thread, f);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
test_a_full_file_system_is_noticed_before_writing (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->directory, "small", NULL);
  g_autofree char *disk = g_build_filename (path, "disk", NULL);
  g_autoptr (VmsanManagedRoot) root = NULL;
  g_autoptr (GError) error = NULL;

  if (!have_mounts)
    {
      g_test_skip ("a private mount namespace is not permitted here");
      return;
    }
  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  g_assert_cmpint (mount ("vmsan-test", path, "tmpfs", 0, "mode=700,size=8m"), ==, 0);
  root = vmsan_managed_root_open (path, 0700, &error);
  g_assert_no_error (error);
  g_assert_false (vmsan_disk_create (root, "disk", 1024, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE);
  g_assert_false (g_file_test (disk, G_FILE_TEST_EXISTS));

  /* Room for the template, not for what a machine writes first. */
  g_clear_error (&error);
  g_assert_cmpint (mount (NULL, path, NULL, MS_REMOUNT, "mode=700,size=16500k"), ==, 0);
  g_assert_false (vmsan_disk_create (root, "disk", 1024, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE);
  g_assert_false (g_file_test (disk, G_FILE_TEST_EXISTS));
  g_clear_pointer (&root, vmsan_managed_root_unref);
  g_assert_cmpint (umount2 (path, MNT_DETACH), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  have_mounts = storage_enter_mount_namespace ();
  storage_test ("/disk/a-disk-is-a-sound-empty-file-system-of-its-size",
                test_a_disk_is_a_sound_empty_file_system_of_its_size);
  storage_test ("/disk/a-second-disk-needs-no-process", test_a_second_disk_needs_no_process);
  storage_test ("/disk/disks-do-not-share-what-is-written",
                test_disks_do_not_share_what_is_written);
  storage_test ("/disk/a-size-out-of-range-is-refused", test_a_size_out_of_range_is_refused);
  storage_test ("/disk/a-disk-that-is-there-is-not-touched",
                test_a_disk_that_is_there_is_not_touched);
  storage_test ("/disk/sixteen-templates-are-kept-the-last-used-ones",
                test_sixteen_templates_are_kept_the_last_used_ones);
  storage_test ("/disk/a-half-made-template-is-not-used", test_a_half_made_template_is_not_used);
  storage_test ("/disk/cancellation-leaves-nothing", test_cancellation_leaves_nothing);
  storage_test ("/disk/disks-made-at-once-are-all-sound", test_disks_made_at_once_are_all_sound);
  storage_test ("/disk/a-full-file-system-is-noticed-before-writing",
                test_a_full_file_system_is_noticed_before_writing);
  return g_test_run ();
}
