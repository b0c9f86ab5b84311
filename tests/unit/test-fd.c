/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/fd.h"

#include "sys/error.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct
{
  char *path;
  int fd;
} Directory;

static void
set_up (Directory *directory, gconstpointer data)
{
  directory->path = g_dir_make_tmp ("vmsan-test-XXXXXX", NULL);
  directory->fd = open (directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (directory->fd, >=, 0);
}

/* Fails when a test left anything but "file" behind. */
static void
tear_down (Directory *directory, gconstpointer data)
{
  unlinkat (directory->fd, "file", 0);
  close (directory->fd);
  g_assert_no_errno (rmdir (directory->path));
  g_free (directory->path);
}

static void
test_a_written_file_reads_back (Directory *directory, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  struct stat st;
  gsize size = 0;

  g_assert_true (vmsan_fd_write_file_at (directory->fd, "file", "old", 3, 0600, &error));
  g_assert_true (vmsan_fd_write_file_at (directory->fd, "file", "n\0w", 3, 0640, &error));
  g_assert_no_error (error);
  text = vmsan_fd_read_file_at (directory->fd, "file", 3, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (text, size, "n\0w", 3);
  g_assert_cmpint (text[3], ==, '\0');
  g_assert_no_errno (fstatat (directory->fd, "file", &st, 0));
  g_assert_cmpint (st.st_mode & 0777, ==, 0640);
}

static void
test_what_a_crash_left_is_no_obstacle (Directory *directory, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int left = openat (directory->fd, ".file.new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

  g_assert_cmpint (left, >=, 0);
  close (left);
  g_assert_true (vmsan_fd_write_file_at (directory->fd, "file", "x", 1, 0600, &error));
  g_assert_no_error (error);
}

static void
test_a_failed_write_keeps_the_old_file (Directory *directory, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  /* A directory cannot be replaced by a file. */
  g_assert_no_errno (mkdirat (directory->fd, "taken", 0700));
  g_assert_false (vmsan_fd_write_file_at (directory->fd, "taken", "x", 1, 0600, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_assert_no_errno (unlinkat (directory->fd, "taken", AT_REMOVEDIR));
}

static void
test_only_a_small_regular_file_is_read (Directory *directory, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_fd_read_file_at (directory->fd, "file", 10, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);

  g_assert_no_errno (mkfifoat (directory->fd, "file", 0600));
  g_assert_null (vmsan_fd_read_file_at (directory->fd, "file", 10, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
  g_clear_error (&error);
  g_assert_no_errno (unlinkat (directory->fd, "file", 0));

  g_assert_no_errno (symlinkat ("/etc/passwd", directory->fd, "file"));
  g_assert_null (vmsan_fd_read_file_at (directory->fd, "file", 100000, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_no_errno (unlinkat (directory->fd, "file", 0));

  g_assert_true (vmsan_fd_write_file_at (directory->fd, "file", "12345", 5, 0600, &error));
  g_assert_null (vmsan_fd_read_file_at (directory->fd, "file", 4, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
}

static gpointer
write_in_pieces (gpointer data)
{
  g_autofree char *bytes = g_malloc (300000);

  memset (bytes, 'x', 300000);
  g_assert_true (vmsan_fd_write_all (GPOINTER_TO_INT (data), bytes, 300000, NULL));
  close (GPOINTER_TO_INT (data));
  return NULL;
}

/* More than a pipe holds, so both ends see partial calls. */
static void
test_partial_calls_are_completed (void)
{
  g_autofree char *bytes = g_malloc (400000);
  g_autoptr (GError) error = NULL;
  GThread *thread;
  int ends[2];

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  thread = g_thread_new ("writer", write_in_pieces, GINT_TO_POINTER (ends[1]));
  g_assert_cmpint (vmsan_fd_read_all (ends[0], bytes, 400000, &error), ==, 300000);
  g_assert_no_error (error);
  g_thread_join (thread);
  close (ends[0]);
  g_assert_cmpint (vmsan_fd_read_all (-1, bytes, 1, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
}

static void
test_autofd_closes_once_and_keeps_errno (void)
{
  int number;

  {
    vmsan_autofd int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

    number = fd;
    errno = ENOTTY;
  }
  g_assert_cmpint (errno, ==, ENOTTY);
  g_assert_cmpint (fcntl (number, F_GETFD), ==, -1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/fd/a-written-file-reads-back", Directory, NULL, set_up,
              test_a_written_file_reads_back, tear_down);
  g_test_add ("/fd/what-a-crash-left-is-no-obstacle", Directory, NULL, set_up,
              test_what_a_crash_left_is_no_obstacle, tear_down);
  g_test_add ("/fd/a-failed-write-keeps-the-old-file", Directory, NULL, set_up,
              test_a_failed_write_keeps_the_old_file, tear_down);
  g_test_add ("/fd/only-a-small-regular-file-is-read", Directory, NULL, set_up,
              test_only_a_small_regular_file_is_read, tear_down);
  g_test_add_func ("/fd/partial-calls-are-completed", test_partial_calls_are_completed);
  g_test_add_func ("/fd/autofd-closes-once-and-keeps-errno",
                   test_autofd_closes_once_and_keeps_errno);
  return g_test_run ();
}
