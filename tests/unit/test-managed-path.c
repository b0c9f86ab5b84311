/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The managed root against hostile names, links, mounts and trees, on the real file system. */

#include "storage-fixture.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static gboolean have_mounts;

/* ---- Names --------------------------------------------------------------------------------- */

static void
test_hostile_names_are_damaged (StorageFixture *f, gconstpointer data)
{
  g_autofree char *long_name = g_strnfill (4097, 'a');
  g_autofree char *long_component = g_strnfill (256, 'a');
  const char *names[] = { "",      "/",    "/etc/passwd", "..",      "../x",      "a/../b", "a/..",
                          "a//b",  "a/",   ".",           "a/./b",   "./a",       "a\nb",   "a\tb",
                          "a\177", "\xff", long_name,     "a/../..", "vms/../..", NULL,     NULL };

  names[G_N_ELEMENTS (names) - 2] = long_component;
  storage_write (f, "file", "x");
  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autoptr (GError) open_error = NULL;
      g_autoptr (GError) make_error = NULL;
      g_autoptr (GError) delete_error = NULL;
      g_autoptr (GError) from_error = NULL;
      g_autoptr (GError) to_error = NULL;
      g_autoptr (GError) list_error = NULL;

      g_assert_cmpint (vmsan_managed_root_open_at (f->root, names[i], O_RDONLY, 0, &open_error), <,
                       0);
      g_assert_error (open_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_assert_true (g_utf8_validate (open_error->message, -1, NULL));
      g_assert_false (vmsan_managed_root_make_dir (f->root, names[i], 0700, &make_error));
      g_assert_error (make_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_assert_false (vmsan_managed_root_delete (f->root, names[i], &delete_error));
      g_assert_error (delete_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_assert_false (vmsan_managed_root_rename (f->root, names[i], "to", &from_error));
      g_assert_error (from_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_assert_false (vmsan_managed_root_rename (f->root, "file", names[i], &to_error));
      g_assert_error (to_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_assert_null (vmsan_managed_root_list (f->root, names[i], 10, &list_error));
      g_assert_error (list_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
  g_assert_true (storage_exists (f, "file"));
}

static void
test_harmless_names_work (StorageFixture *f, gconstpointer data)
{
  static const char *const names[] = { "a", "...", "..a", "-rf", "a b", "é", "vms/x/disk" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (vmsan_managed_root_make_dir (f->root, names[i], 0750, &error));
      g_assert_true (vmsan_managed_root_make_dir (f->root, names[i], 0750, &error));
      g_assert_true (storage_exists (f, names[i]));
      g_assert_true (vmsan_managed_root_delete (f->root, names[i], &error));
      g_assert_false (storage_exists (f, names[i]));
      g_assert_true (vmsan_managed_root_delete (f->root, names[i], &error));
      g_assert_no_error (error);
    }
}

/* ---- The root ------------------------------------------------------------------------------ */

static void
assert_root_refused (const char *path, int code, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_managed_root_open (path, 0700, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_a_root_that_others_can_change_is_refused (StorageFixture *f, gconstpointer data)
{
  g_autofree char *open_path = g_build_filename (f->directory, "open", NULL);
  g_autofree char *below_open = g_build_filename (open_path, "below", NULL);
  g_autofree char *link_path = g_build_filename (f->directory, "link", NULL);
  g_autofree char *below_link = g_build_filename (link_path, "below", NULL);
  g_autofree char *deep = g_build_filename (f->directory, "no", "such", NULL);

  assert_root_refused ("relative", VMSAN_ERROR_INVALID_ARGUMENT, "absolute");
  assert_root_refused ("/tmp/../etc", VMSAN_ERROR_INVALID_ARGUMENT, "absolute");
  assert_root_refused (deep, VMSAN_ERROR_NOT_FOUND, "no");

  g_assert_cmpint (mkdir (open_path, 0700), ==, 0);
  g_assert_cmpint (chmod (open_path, 0777), ==, 0);
  assert_root_refused (open_path, VMSAN_ERROR_UNAVAILABLE, "chmod go-w");
  assert_root_refused (below_open, VMSAN_ERROR_UNAVAILABLE, "chmod go-w");
  g_assert_false (g_file_test (below_open, G_FILE_TEST_EXISTS));

  /* A sticky directory will do as a parent, not as the root itself. */
  g_assert_cmpint (chmod (open_path, 01777), ==, 0);
  assert_root_refused (open_path, VMSAN_ERROR_UNAVAILABLE, "chmod go-w");

  g_assert_cmpint (chmod (open_path, 0700), ==, 0);
  g_assert_cmpint (symlink ("open", link_path), ==, 0);
  assert_root_refused (link_path, VMSAN_ERROR_UNAVAILABLE, "link");
  assert_root_refused (below_link, VMSAN_ERROR_UNAVAILABLE, "link");

  if (geteuid () == 0)
    {
      g_assert_cmpint (chown (open_path, 12345, 12345), ==, 0);
      assert_root_refused (open_path, VMSAN_ERROR_UNAVAILABLE, "12345");
      assert_root_refused (below_open, VMSAN_ERROR_UNAVAILABLE, "12345");
    }
}

static void
test_modes_do_not_depend_on_the_umask (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->directory, "second", NULL);
  g_autofree char *below = g_build_filename (path, "dir", NULL);
  g_autoptr (VmsanManagedRoot) root = NULL;
  g_autoptr (GError) error = NULL;
  mode_t old = umask (0077);
  GStatBuf st;

  root = vmsan_managed_root_open (path, 0755, &error);
  g_assert_no_error (error);
  g_assert_true (vmsan_managed_root_make_dir (root, "dir", 0711, &error));
  umask (old);
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0755);
  g_assert_cmpint (g_stat (below, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0711);
}

/* ---- Opening and renaming ------------------------------------------------------------------ */

static void
test_no_link_is_followed (StorageFixture *f, gconstpointer data)
{
  static const char *const names[] = { "link", "dirlink/passwd", "dir/up/x", "loop" };
  g_autofree char *link_path = storage_path (f, "link");
  g_autofree char *dirlink = storage_path (f, "dirlink");
  g_autofree char *dir = storage_path (f, "dir");
  g_autofree char *up = storage_path (f, "dir/up");
  g_autofree char *loop = storage_path (f, "loop");

  g_assert_cmpint (symlink ("/etc/passwd", link_path), ==, 0);
  g_assert_cmpint (symlink ("/etc", dirlink), ==, 0);
  g_assert_cmpint (mkdir (dir, 0700), ==, 0);
  g_assert_cmpint (symlink ("..", up), ==, 0);
  g_assert_cmpint (symlink ("loop", loop), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (vmsan_managed_root_open_at (f->root, names[i], O_RDWR | O_CREAT, 0600,
                                                   &error),
                       <, 0);
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;

      if (strchr (names[i], '/') == NULL)
        continue;
      g_assert_false (vmsan_managed_root_delete (f->root, names[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      g_clear_error (&error);
      g_assert_false (vmsan_managed_root_make_dir (f->root, names[i], 0700, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
}

static void
test_a_fifo_or_socket_is_no_file_and_does_not_block (StorageFixture *f, gconstpointer data)
{
  g_autofree char *fifo = storage_path (f, "fifo");
  g_autofree char *socket_path = storage_path (f, "socket");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  vmsan_autofd int socket_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  static const char *const names[] = { "fifo", "socket" };
  static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_NONBLOCK };

  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (g_strlcpy (address.sun_path, socket_path, sizeof address.sun_path), <,
                   sizeof address.sun_path);
  g_assert_cmpint (bind (socket_fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint j = 0; j < G_N_ELEMENTS (flags); j++)
      {
        g_autoptr (GError) error = NULL;

        g_assert_cmpint (vmsan_managed_root_open_at (f->root, names[i], flags[j], 0, &error), <, 0);
        g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      }
}

static void
test_an_opened_file_blocks_and_closes_on_exec_as_usual (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd =
      vmsan_managed_root_open_at (f->root, "file", O_RDWR | O_CREAT | O_APPEND, 0640, &error);
  vmsan_autofd int path_fd = -1;

  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fd, F_GETFL) & (O_NONBLOCK | O_APPEND), ==, O_APPEND);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  path_fd = vmsan_managed_root_open_at (f->root, "file", O_PATH, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (path_fd, >=, 0);
}

static void
test_rename_replaces_files_and_never_directories (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = storage_path (f, "b");
  g_autofree char *text = NULL;

  storage_write (f, "a", "new");
  storage_write (f, "b", "old");
  g_assert_true (vmsan_managed_root_make_dir (f->root, "full/x", 0700, &error));
  g_assert_true (vmsan_managed_root_make_dir (f->root, "empty", 0700, &error));
  g_assert_true (vmsan_managed_root_rename (f->root, "a", "b", &error));
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (path, &text, NULL, &error));
  g_assert_cmpstr (text, ==, "new");

  g_assert_false (vmsan_managed_root_rename (f->root, "b", "empty", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_false (vmsan_managed_root_rename (f->root, "full", "empty", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_false (vmsan_managed_root_rename (f->root, "missing", "c", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (vmsan_managed_root_rename (f->root, "full", "empty/full", &error));
  g_assert_true (storage_exists (f, "empty/full/x"));
}

static void
test_a_listing_is_sorted_and_bounded (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  g_assert_true (vmsan_managed_root_make_dir (f->root, "d/b", 0700, &error));
  storage_write (f, "d/c", "x");
  storage_write (f, "d/.a", "x");
  names = vmsan_managed_root_list (f->root, "d", 3, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 3);
  g_assert_cmpstr (names[0], ==, ".a");
  g_assert_cmpstr (names[1], ==, "b");
  g_assert_cmpstr (names[2], ==, "c");
  g_assert_null (vmsan_managed_root_list (f->root, "d", 2, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
  g_clear_error (&error);
  g_assert_null (vmsan_managed_root_list (f->root, "e", 2, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
}

/* ---- Deleting ------------------------------------------------------------------------------ */

static void
test_a_tree_with_links_out_of_it_is_deleted_alone (StorageFixture *f, gconstpointer data)
{
  g_autofree char *outside = g_build_filename (f->directory, "outside", NULL);
  g_autofree char *precious = g_build_filename (outside, "precious", NULL);
  g_autofree char *to_dir = storage_path (f, "tree/sub/to-dir");
  g_autofree char *to_file = storage_path (f, "tree/to-file");
  g_autofree char *hard = storage_path (f, "tree/hard");
  g_autofree char *fifo = storage_path (f, "tree/fifo");
  g_autofree char *newline = storage_path (f, "tree/sub/a\nb\xff");
  g_autofree char *dash = storage_path (f, "tree/-rf");
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (mkdir (outside, 0700), ==, 0);
  g_assert_true (g_file_set_contents (precious, "x", -1, &error));
  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree/sub/closed", 0, &error));
  g_assert_no_error (error);
  g_assert_cmpint (symlink (outside, to_dir), ==, 0);
  g_assert_cmpint (symlink (precious, to_file), ==, 0);
  g_assert_cmpint (link (precious, hard), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (mkdir (newline, 0700), ==, 0);
  g_assert_cmpint (mkdir (dash, 0700), ==, 0);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_no_error (error);
  g_assert_false (storage_exists (f, "tree"));
  g_assert_true (g_file_test (precious, G_FILE_TEST_IS_REGULAR));

  /* The tree itself may have become a link. */
  g_free (to_dir);
  to_dir = storage_path (f, "tree");
  g_assert_cmpint (symlink (outside, to_dir), ==, 0);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_no_error (error);
  g_assert_false (storage_exists (f, "tree"));
  g_assert_true (g_file_test (precious, G_FILE_TEST_IS_REGULAR));
}

static void
make_deep (StorageFixture *f, const char *name, guint depth)
{
  g_autofree char *path = storage_path (f, name);
  vmsan_autofd int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  for (guint i = 0; i < depth; i++)
    {
      int next;

      g_assert_cmpint (mkdirat (fd, "d", 0700), ==, 0);
      g_assert_cmpint (mkdirat (fd, "e", 0700), ==, 0);
      next = openat (fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      g_assert_cmpint (next, >=, 0);
      vmsan_fd_close (&fd);
      fd = next;
    }
}

static void
test_a_tree_deeper_than_any_path_is_deleted_with_few_descriptors (StorageFixture *f,
                                                                  gconstpointer data)
{
  struct rlimit limit;
  struct rlimit low;
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree", 0700, &error));
  make_deep (f, "tree", 6000);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  low = limit;
  low.rlim_cur = 64;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_no_error (error);
  g_assert_false (storage_exists (f, "tree"));
}

static gboolean
set_immutable (const char *path, gboolean immutable)
{
  vmsan_autofd int fd = open (path, O_RDONLY | O_CLOEXEC);
  int flags = 0;

  g_assert_cmpint (fd, >=, 0);
  if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0)
    return FALSE;
  flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
  return ioctl (fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static void
test_an_immutable_file_is_named_and_the_rest_deleted (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = storage_path (f, "tree/a/kept");
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree/a", 0700, &error));
  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree/b/c", 0700, &error));
  storage_write (f, "tree/a/kept", "x");
  storage_write (f, "tree/a/gone", "x");
  storage_write (f, "tree/z", "x");
  if (!set_immutable (path, TRUE))
    {
      g_test_skip ("this file system has no immutable files, or we may not make them");
      return;
    }
  g_assert_false (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_true (set_immutable (path, FALSE));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "“kept”"));
  g_assert_nonnull (strstr (error->message, "chattr"));
  g_assert_true (storage_exists (f, "tree/a/kept"));
  g_assert_false (storage_exists (f, "tree/a/gone"));
  g_assert_false (storage_exists (f, "tree/b"));
  g_assert_false (storage_exists (f, "tree/z"));
  g_clear_error (&error);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_no_error (error);
}

/* Exchanges directories of the tree for links to the outside, and fills it, as fast as it can. */
static void
meddle (const char *tree, const char *outside)
{
  vmsan_autofd int fd = open (tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  for (guint i = 0;; i++)
    {
      char name[16];

      g_snprintf (name, sizeof name, "d%u", i % 8);
      mkdirat (fd, "fresh", 0700);
      mkdirat (fd, "fresh/sub", 0700);
      symlinkat (outside, fd, "swap");
      renameat2 (fd, "swap", fd, name, RENAME_EXCHANGE);
      renameat2 (fd, "fresh", fd, name, i % 2 ? RENAME_EXCHANGE : RENAME_NOREPLACE);
    }
}

static void
test_somebody_who_swaps_directories_for_links_gains_nothing (StorageFixture *f, gconstpointer data)
{
  g_autofree char *outside = g_build_filename (f->directory, "outside", NULL);
  g_autofree char *tree = storage_path (f, "tree");
  gint64 end = g_get_monotonic_time () + 300 * G_TIME_SPAN_MILLISECOND;
  g_autoptr (GError) error = NULL;
  guint n_deletions = 0;
  pid_t child;

  g_assert_cmpint (mkdir (outside, 0700), ==, 0);
  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *name = g_strdup_printf ("%s/sub", outside);
      g_autofree char *deep = g_strdup_printf ("%s/sub%u", outside, i);

      mkdir (name, 0700);
      g_assert_cmpint (mkdir (deep, 0700), ==, 0);
    }
  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree/keep", 0700, &error));
  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    meddle (tree, outside);
  while (g_get_monotonic_time () < end)
    {
      g_autoptr (GError) delete_error = NULL;

      if (!vmsan_managed_root_delete (f->root, "tree", &delete_error))
        g_assert_true (g_error_matches (delete_error, VMSAN_ERROR, VMSAN_ERROR_BUSY) ||
                       g_error_matches (delete_error, VMSAN_ERROR, VMSAN_ERROR_FAILED));
      n_deletions++;
      if (!storage_exists (f, "tree"))
        break;
    }
  kill (child, SIGKILL);
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_deletions, >, 0);
  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *deep = g_strdup_printf ("%s/sub%u", outside, i);

      g_assert_true (g_file_test (deep, G_FILE_TEST_IS_DIR));
    }
}

/* ---- Mounts -------------------------------------------------------------------------------- */

static void
mount_tmpfs (const char *path, unsigned long flags, const char *options)
{
  g_assert_cmpint (mount ("vmsan-test", path, "tmpfs", flags, options), ==, 0);
}

static gboolean
skip_without_mounts (void)
{
  if (!have_mounts)
    g_test_skip ("a private mount namespace is not permitted here");
  return !have_mounts;
}

static void
test_a_mount_in_the_tree_is_not_crossed (StorageFixture *f, gconstpointer data)
{
  g_autofree char *outside = g_build_filename (f->directory, "outside", NULL);
  g_autofree char *precious = g_build_filename (outside, "precious", NULL);
  g_autofree char *bind_point = storage_path (f, "tree/bind");
  g_autofree char *file_point = storage_path (f, "tree/file");
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) list_error = NULL;

  if (skip_without_mounts ())
    return;
  g_assert_cmpint (mkdir (outside, 0700), ==, 0);
  g_assert_true (g_file_set_contents (precious, "x", -1, &error));
  g_assert_true (vmsan_managed_root_make_dir (f->root, "tree/bind", 0700, &error));
  storage_write (f, "tree/file", "x");
  storage_write (f, "tree/other", "x");
  g_assert_cmpint (mount (outside, bind_point, NULL, MS_BIND, NULL), ==, 0);
  g_assert_cmpint (mount (precious, file_point, NULL, MS_BIND, NULL), ==, 0);

  g_assert_false (vmsan_managed_root_delete (f->root, "tree", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY);
  g_assert_nonnull (strstr (error->message, "unmount"));
  g_clear_error (&error);
  g_assert_false (vmsan_managed_root_delete (f->root, "tree/bind", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (vmsan_managed_root_delete (f->root, "tree/bind/precious", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
  g_assert_null (vmsan_managed_root_list (f->root, "tree/bind", 9, &list_error));
  g_assert_error (list_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);

  g_assert_cmpint (umount2 (bind_point, MNT_DETACH), ==, 0);
  g_assert_cmpint (umount2 (file_point, MNT_DETACH), ==, 0);
  g_assert_true (g_file_test (precious, G_FILE_TEST_IS_REGULAR));
  g_assert_false (storage_exists (f, "tree/other"));
  g_clear_error (&error);
  g_assert_true (vmsan_managed_root_delete (f->root, "tree", &error));
}

static void
check_mount_case (StorageFixture *f,
                  unsigned long flags,
                  const char *options,
                  gboolean needs_exec,
                  gboolean needs_dev,
                  int code,
                  const char *word)
{
  g_autofree char *point = g_build_filename (f->directory, "a mount", NULL);
  g_autoptr (VmsanManagedRoot) root = NULL;
  g_autoptr (GError) error = NULL;

  if (!g_file_test (point, G_FILE_TEST_EXISTS))
    g_assert_cmpint (mkdir (point, 0700), ==, 0);
  mount_tmpfs (point, flags, options);
  root = vmsan_managed_root_open (point, 0700, &error);
  g_assert_no_error (error);
  if (vmsan_managed_root_check_mount (root, 1 << 20, needs_exec, needs_dev, &error))
    g_assert_cmpint (code, ==, -1);
  else
    {
      g_assert_error (error, VMSAN_ERROR, code);
      g_assert_nonnull (strstr (error->message, word));
      g_assert_nonnull (strstr (error->message, point));
    }
  g_clear_pointer (&root, vmsan_managed_root_unref);
  g_assert_cmpint (umount2 (point, MNT_DETACH), ==, 0);
}

static void
test_a_mount_that_cannot_serve_is_refused_by_option (StorageFixture *f, gconstpointer data)
{
  const char *small = "mode=700,size=64k";
  const char *large = "mode=700,size=4m";
  const char *no_inodes = "mode=700,size=4m,nr_inodes=1";

  if (skip_without_mounts ())
    return;
  check_mount_case (f, 0, large, TRUE, TRUE, -1, NULL);
  check_mount_case (f, MS_NODEV | MS_NOEXEC, large, FALSE, FALSE, -1, NULL);
  check_mount_case (f, MS_NODEV, large, TRUE, TRUE, VMSAN_ERROR_UNAVAILABLE, "“nodev”");
  check_mount_case (f, MS_NOEXEC, large, TRUE, TRUE, VMSAN_ERROR_UNAVAILABLE, "“noexec”");
  check_mount_case (f, MS_RDONLY, large, FALSE, FALSE, VMSAN_ERROR_UNAVAILABLE, "“ro”");
  check_mount_case (f, 0, small, FALSE, FALSE, VMSAN_ERROR_NO_SPACE, "1 MiB are needed");
  check_mount_case (f, 0, no_inodes, FALSE, FALSE, VMSAN_ERROR_NO_SPACE, "inode");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  have_mounts = storage_enter_mount_namespace ();

  storage_test ("/managed-path/hostile-names-are-damaged", test_hostile_names_are_damaged);
  storage_test ("/managed-path/harmless-names-work", test_harmless_names_work);
  storage_test ("/managed-path/a-root-that-others-can-change-is-refused",
                test_a_root_that_others_can_change_is_refused);
  storage_test ("/managed-path/modes-do-not-depend-on-the-umask",
                test_modes_do_not_depend_on_the_umask);
  storage_test ("/managed-path/no-link-is-followed", test_no_link_is_followed);
  storage_test ("/managed-path/a-fifo-or-socket-is-no-file-and-does-not-block",
                test_a_fifo_or_socket_is_no_file_and_does_not_block);
  storage_test ("/managed-path/an-opened-file-blocks-and-closes-on-exec-as-usual",
                test_an_opened_file_blocks_and_closes_on_exec_as_usual);
  storage_test ("/managed-path/rename-replaces-files-and-never-directories",
                test_rename_replaces_files_and_never_directories);
  storage_test ("/managed-path/a-listing-is-sorted-and-bounded",
                test_a_listing_is_sorted_and_bounded);
  storage_test ("/managed-path/a-tree-with-links-out-of-it-is-deleted-alone",
                test_a_tree_with_links_out_of_it_is_deleted_alone);
  storage_test ("/managed-path/a-tree-deeper-than-any-path-is-deleted-with-few-descriptors",
                test_a_tree_deeper_than_any_path_is_deleted_with_few_descriptors);
  storage_test ("/managed-path/an-immutable-file-is-named-and-the-rest-deleted",
                test_an_immutable_file_is_named_and_the_rest_deleted);
  storage_test ("/managed-path/somebody-who-swaps-directories-for-links-gains-nothing",
                test_somebody_who_swaps_directories_for_links_gains_nothing);
  storage_test ("/managed-path/a-mount-in-the-tree-is-not-crossed",
                test_a_mount_in_the_tree_is_not_crossed);
  storage_test ("/managed-path/a-mount-that-cannot-serve-is-refused-by-option",
                test_a_mount_that_cannot_serve_is_refused_by_option);
  return g_test_run ();
}
