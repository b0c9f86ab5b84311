/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Images and kernels through their whole life, with callers that lie, meddle and go away. */

#include "storage/content-copy.h"
#include "storage/content-store.h"
#include "kernel-fixture.h"
#include "storage-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define USER 1000
#define BIG  (G_GUINT64_CONSTANT (1) << 40)

static gboolean have_mounts;
static gint n_warnings;

/* What the tests below expect the store to warn of would end them otherwise. */
static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  if ((level & G_LOG_LEVEL_MASK) == G_LOG_LEVEL_WARNING)
    {
      g_atomic_int_inc (&n_warnings);
      return G_LOG_WRITER_HANDLED;
    }
  return g_log_writer_default (level, fields, n_fields, user_data);
}

static void
assert_warnings (gint n)
{
  g_assert_cmpint (n_warnings, ==, n);
  n_warnings = 0;
}

/* ---- Sources ------------------------------------------------------------------------------- */

/* A file that passes for ext4, told from others by @mark; sparse but for that. */
static int
new_image (StorageFixture *f, guint64 size, const char *mark)
{
  g_autofree char *path = g_build_filename (f->directory, "image", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  unlink (path);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ftruncate (fd, size), ==, 0);
  storage_put_number (fd, 1024 + 0x00, 16, 4);
  storage_put_number (fd, 1024 + 0x04, MIN (size / 4096, G_MAXUINT32), 4);
  storage_put_number (fd, 1024 + 0x18, 2, 4);
  storage_put_number (fd, 1024 + 0x20, 32768, 4);
  storage_put_number (fd, 1024 + 0x38, 0xEF53, 2);
  storage_put (fd, size - strlen (mark), mark, strlen (mark));
  return fd;
}

static int
new_kernel (StorageFixture *f, const char *mark)
{
  int fd = new_image (f, 18 * 1024, mark);

  storage_put_number (fd, 0x1f1, 3, 1);
  storage_put_number (fd, 0x1f4, 1024, 4);
  storage_put_number (fd, 0x1fe, 0xAA55, 2);
  storage_put (fd, 0x202, "HdrS", 4);
  storage_put_number (fd, 0x206, 0x020f, 2);
  storage_put_number (fd, 0x211, 1, 1);
  storage_put_number (fd, 0x236, 1, 2);
  return fd;
}

static int
new_modules (StorageFixture *f, const guint64 *sizes, guint n)
{
  int fd = new_image (f, 8192, "");
  guint64 offset = 0;

  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  for (guint i = 0; i < n; i++)
    {
      storage_put (fd, offset, "\177ELF\002\001\001", 7);
      storage_put_number (fd, offset + 16, 1, 2);
      storage_put_number (fd, offset + 18, 62, 2);
      storage_put_number (fd, offset + 60, i, 4);
      storage_put (fd, offset + sizes[i] - 1, "M", 1);
      offset += sizes[i];
    }
  return fd;
}

static char *
hash_file (int fd)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 buffer[65536];
  guint64 offset = 0;
  gssize n;

  while ((n = pread (fd, buffer, sizeof buffer, offset)) > 0)
    {
      g_checksum_update (checksum, buffer, n);
      offset += n;
    }
  g_assert_cmpint (n, ==, 0);
  return g_strdup (g_checksum_get_string (checksum));
}

/* ---- Calls --------------------------------------------------------------------------------- */

typedef struct
{
  VmsanContent *content;
  GError *error;
  gboolean done;
  guint n_added; /* "added" signals before the result */
} Result;

static guint n_added;
static guint n_removed;

static void
on_added (VmsanContentStore *store, VmsanContent *content, gpointer data)
{
  n_added++;
}

static void
on_removed (VmsanContentStore *store, VmsanContent *content, gpointer data)
{
  n_removed++;
}

static VmsanContentStore *
open_store (StorageFixture *f, VmsanContentKind kind)
{
  g_autoptr (GError) error = NULL;
  VmsanContentStore *store = vmsan_content_store_open (f->root, kind, &error);

  g_assert_no_error (error);
  n_added = n_removed = 0;
  g_signal_connect (store, "added", G_CALLBACK (on_added), NULL);
  g_signal_connect (store, "removed", G_CALLBACK (on_removed), NULL);
  return store;
}

static void
on_result (GObject *source, GAsyncResult *result, gpointer data)
{
  Result *self = data;

  self->content =
      vmsan_content_store_add_finish (VMSAN_CONTENT_STORE (source), result, &self->error);
  self->n_added = n_added;
  self->done = TRUE;
}

static VmsanContent *
wait_for (Result *result, GError **error)
{
  while (!result->done)
    g_main_context_iteration (NULL, TRUE);
  if (result->content == NULL)
    g_propagate_error (error, result->error);
  return result->content;
}

static VmsanContent *
add_image (VmsanContentStore *store, int fd, const char *name, GError **error)
{
  Result result = { 0 };

  vmsan_content_store_add_image_async (store, fd, name, USER, BIG, NULL, on_result, &result);
  return wait_for (&result, error);
}

static VmsanContent *
add_kernel (VmsanContentStore *store,
            int fd,
            int modules_fd,
            const VmsanModule *modules,
            guint n_modules,
            const char *name,
            GError **error)
{
  Result result = { 0 };

  vmsan_content_store_add_kernel_async (store, fd, modules_fd, modules, n_modules, name, "6.1-test",
                                        USER, NULL, on_result, &result);
  return wait_for (&result, error);
}

/* A small image that must be taken. */
static VmsanContent *
add_fine (StorageFixture *f, VmsanContentStore *store, const char *mark, const char *name)
{
  vmsan_autofd int fd = new_image (f, 64 * 1024, mark);
  g_autoptr (GError) error = NULL;
  VmsanContent *content = add_image (store, fd, name, &error);

  g_assert_no_error (error);
  return content;
}

static guint
count_files (StorageFixture *f, const char *directory)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_managed_root_list (f->root, directory, 1000, &error);

  g_assert_no_error (error);
  return g_strv_length (names);
}

/* ---- Adding images ------------------------------------------------------------------------- */

static void
test_an_image_is_stored_under_the_hash_of_its_content (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  vmsan_autofd int fd = new_image (f, 3 << 20, "mark");
  g_autofree char *expected = hash_file (fd);
  g_autoptr (VmsanContent) content = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *stored = NULL;
  vmsan_autofd int content_fd = -1;
  struct stat st;

  g_assert_cmpint (lseek (fd, 12345, SEEK_SET), ==, 12345);
  content = add_image (store, fd, "debian", &error);
  g_assert_no_error (error);
  g_assert_cmpint (lseek (fd, 0, SEEK_CUR), ==, 12345);
  g_assert_cmpstr (content->id, ==, expected);
  g_assert_cmpstr (content->name, ==, "debian");
  g_assert_cmpstr (content->format, ==, "ext4");
  g_assert_cmpuint (content->size_bytes, ==, 3 << 20);
  g_assert_cmpuint (content->added_by, ==, USER);
  g_assert_cmpuint (n_added, ==, 1);

  content_fd = vmsan_content_store_open_content (store, content->id, &error);
  g_assert_no_error (error);
  stored = hash_file (content_fd);
  g_assert_cmpstr (stored, ==, expected);
  g_assert_cmpint (fstat (content_fd, &st), ==, 0);
  g_assert_cmpuint (st.st_size, ==, 3 << 20);
  g_assert_cmpuint (st.st_blocks * 512, <, 512 << 10); /* still sparse */
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);
  g_assert_cmpint (fcntl (content_fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
}

/* Monitors open images as users of their own. */
static void
test_what_only_root_could_read_is_shared (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) content = add_fine (f, store, "mark", "a");
  g_autofree char *path = g_build_filename (f->root_path, "images", content->id, "content", NULL);
  struct stat st;

  g_assert_no_errno (chmod (path, 0400));
  g_clear_object (&store);
  store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_assert_no_errno (stat (path, &st));
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);
}

static void
test_zeros_and_odd_extents_are_copied_exactly (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autofree guint8 *block = g_malloc0 (1 << 20);

  for (guint i = 0; i < 8; i++)
    {
      g_autofree char *mark = g_strdup_printf ("mark-%u", i);
      vmsan_autofd int fd = new_image (f, (5 << 20) + i * 512, mark);
      vmsan_autofd int content_fd = -1;
      g_autoptr (VmsanContent) content = NULL;
      g_autoptr (GError) error = NULL;
      g_autofree char *expected = NULL;
      g_autofree char *stored = NULL;

      /* Written zeros, and data that begins and ends anywhere. */
      storage_put (fd, 1 << 20, block, 1 << 20);
      for (guint j = 0; j < 20; j++)
        storage_put (fd, g_test_rand_int_range (4096, 5 << 20), "data", 4);
      expected = hash_file (fd);
      content = add_image (store, fd, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (content->id, ==, expected);
      content_fd = vmsan_content_store_open_content (store, content->id, &error);
      stored = hash_file (content_fd);
      g_assert_cmpstr (stored, ==, expected);
    }
}

static void
test_the_same_content_is_stored_once (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) first = add_fine (f, store, "mark", "a");
  g_autoptr (VmsanContent) again = add_fine (f, store, "mark", "a");
  g_autoptr (VmsanContent) other_name = add_fine (f, store, "mark", "b");
  g_autoptr (VmsanContent) other = add_fine (f, store, "other", "b");

  g_assert_true (first == again);
  g_assert_true (first == other_name);
  g_assert_true (first != other);
  g_assert_cmpuint (n_added, ==, 2);
  g_assert_cmpuint (count_files (f, "images"), ==, 2);
}

static void
test_the_same_content_at_once_is_stored_once (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  vmsan_autofd int fd = new_image (f, 4 << 20, "mark");
  Result results[8] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    vmsan_content_store_add_image_async (store, fd, "x", 0, BIG, NULL, on_result, &results[i]);
  vmsan_fd_close (&fd);
  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanContent) content = wait_for (&results[i], &error);

      g_assert_no_error (error);
      g_assert_true (content == results[0].content);
      g_assert_cmpuint (results[i].n_added, ==, 1);
    }
  g_assert_cmpuint (count_files (f, "images"), ==, 1);
}

static void
test_a_name_is_checked_and_unique (StorageFixture *f, gconstpointer data)
{
  g_autofree char *too_long = g_strnfill (64, 'a');
  g_autofree char *long_enough = g_strnfill (63, 'a');
  const char *bad[] = { ".a", "-a", "_a", "a/b", "a b", "é", "a\n", "\xff", too_long };
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) fine = add_fine (f, store, "mark", long_enough);
  g_autoptr (VmsanContent) taken = add_fine (f, store, "a", "taken");
  vmsan_autofd int same_size = new_image (f, 64 * 1024, "b");
  vmsan_autofd int other_size = new_image (f, 68 * 1024, "c");

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (add_image (store, same_size, bad[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (add_image (store, i == 0 ? same_size : other_size, "taken", &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
    }
  g_assert_cmpuint (count_files (f, "images"), ==, 2);
}

static void
assert_source_refused (VmsanContentStore *store, int fd, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (fd, >=, 0);
  g_assert_null (add_image (store, fd, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  if (strstr (error->message, word) == NULL)
    g_error ("“%s” does not mention “%s”", error->message, word);
}

static void
test_only_readable_files_and_pipes_are_taken (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autofree char *path = g_build_filename (f->directory, "file", NULL);
  vmsan_autofd int directory = open (f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  vmsan_autofd int device = open ("/dev/zero", O_RDONLY | O_CLOEXEC);
  vmsan_autofd int socket_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  vmsan_autofd int write_only = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  vmsan_autofd int path_only = open (path, O_PATH | O_CLOEXEC);
  vmsan_autofd int image = new_image (f, 65536, "x");
  g_autoptr (GError) pipe_error = NULL;
  g_autoptr (GError) closed_error = NULL;
  g_autoptr (VmsanContentStore) kernels = open_store (f, VMSAN_CONTENT_KERNEL);
  int ends[2];

  assert_source_refused (store, directory, "vmsan-client image add DIR");
  assert_source_refused (store, device, "device");
  assert_source_refused (store, socket_fd, "regular file or pipe");
  assert_source_refused (store, write_only, "O_RDONLY");
  assert_source_refused (store, path_only, "O_RDONLY");
  g_assert_null (add_image (store, -1, NULL, &closed_error));
  g_assert_error (closed_error, VMSAN_ERROR, VMSAN_ERROR_FAILED);

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  g_assert_null (add_kernel (kernels, ends[0], -1, NULL, 0, NULL, &pipe_error));
  g_assert_error (pipe_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  close (ends[0]);
  close (ends[1]);
  g_assert_cmpuint (count_files (f, "images"), ==, 0);
}

static void
test_what_is_no_image_leaves_nothing (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  vmsan_autofd int fd = new_image (f, 65536, "x");
  g_autoptr (GError) error = NULL;
  Result result = { 0 };

  storage_put_number (fd, 1024 + 0x38, 0, 2);
  assert_source_refused (store, fd, "not recognized");
  storage_put (fd, 0, "QFI\xfb", 4);
  assert_source_refused (store, fd, "qcow2");
  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  assert_source_refused (store, fd, "empty");

  vmsan_fd_close (&fd);
  fd = new_image (f, 65536, "x");
  vmsan_content_store_add_image_async (store, fd, NULL, 0, 65535, NULL, on_result, &result);
  g_assert_null (wait_for (&result, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
  g_assert_cmpuint (count_files (f, "images"), ==, 0);
  g_assert_cmpuint (n_added, ==, 0);
}

typedef struct
{
  int fd;
  gint stop;
} Meddler;

static gpointer
meddle (gpointer data)
{
  Meddler *self = data;

  for (guint32 i = 0; g_atomic_int_get (&self->stop) == 0; i++)
    for (guint64 at = 8192; at < 24 << 20; at += 1 << 20)
      g_assert_cmpint (pwrite (self->fd, &i, sizeof i, at), ==, sizeof i);
  return NULL;
}

static void
test_the_id_is_that_of_what_is_stored_not_of_a_file_that_changes (StorageFixture *f,
                                                                  gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  Meddler meddler = { .fd = new_image (f, 24 << 20, "x") };
  g_autofree guint8 *noise = g_malloc (1 << 20);
  GThread *thread;

  memset (noise, 'n', 1 << 20);
  for (guint i = 1; i < 24; i++)
    storage_put (meddler.fd, i << 20, noise, 1 << 20);
  thread = g_thread_new ("meddler", meddle, &meddler);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanContent) content = add_image (store, meddler.fd, NULL, &error);
      vmsan_autofd int fd = -1;
      g_autofree char *stored = NULL;

      g_assert_no_error (error);
      fd = vmsan_content_store_open_content (store, content->id, &error);
      stored = hash_file (fd);
      g_assert_cmpstr (stored, ==, content->id);
    }
  g_atomic_int_set (&meddler.stop, 1);
  g_thread_join (thread);
  close (meddler.fd);
}

static void
test_a_source_that_ends_early_fails (StorageFixture *f, gconstpointer data)
{
  vmsan_autofd int source = new_image (f, 65536, "x");
  vmsan_autofd int target = vmsan_managed_root_open_at (f->root, "t", O_RDWR | O_CREAT, 0600, NULL);
  g_autoptr (GError) error = NULL;
  struct sha256_ctx hash;

  sha256_init (&hash);
  g_assert_false (vmsan_content_copy (source, 0, 65537, target, 0, &hash, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
}

static void
test_cancelling_leaves_nothing (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  vmsan_autofd int fd = new_image (f, G_GUINT64_CONSTANT (512) << 30, "x"); /* minutes to hash */
  g_autoptr (GError) error = NULL;
  Result result = { 0 };

  vmsan_content_store_add_image_async (store, fd, "x", 0, BIG, cancellable, on_result, &result);
  while (count_files (f, "images") == 0)
    g_thread_yield ();
  g_cancellable_cancel (cancellable);
  g_assert_null (wait_for (&result, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_assert_cmpuint (count_files (f, "images"), ==, 0);
}

static void
test_too_many_adds_at_once_are_busy (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  vmsan_autofd int fd = new_image (f, G_GUINT64_CONSTANT (512) << 30, "x");
  g_autoptr (GError) busy = NULL;
  Result results[16] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    vmsan_content_store_add_image_async (store, fd, NULL, 0, BIG, cancellable, on_result,
                                         &results[i]);
  g_assert_null (add_image (store, fd, NULL, &busy));
  g_assert_error (busy, VMSAN_ERROR, VMSAN_ERROR_BUSY);
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (wait_for (&results[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
    }
  g_assert_cmpuint (count_files (f, "images"), ==, 0);
}

static void
test_no_room_is_noticed_before_writing (StorageFixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->directory, "small", NULL);
  g_autoptr (VmsanManagedRoot) root = NULL;
  g_autoptr (VmsanContentStore) store = NULL;
  g_autofree guint8 *noise = g_malloc (1 << 20);
  vmsan_autofd int fd = -1;
  g_autoptr (GError) error = NULL;

  if (!have_mounts)
    {
      g_test_skip ("a private mount namespace is not permitted here");
      return;
    }
  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  g_assert_cmpint (mount ("vmsan-test", path, "tmpfs", 0, "mode=700,size=65m"), ==, 0);
  root = vmsan_managed_root_open (path, 0700, &error);
  store = vmsan_content_store_open (root, VMSAN_CONTENT_IMAGE, &error);
  g_assert_no_error (error);
  fd = new_image (f, 4 << 20, "x");
  memset (noise, 'n', 1 << 20);
  for (guint i = 1; i < 3; i++)
    storage_put (fd, i << 20, noise, 1 << 20);
  g_assert_null (add_image (store, fd, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE);
  g_clear_object (&store);
  g_clear_pointer (&root, vmsan_managed_root_unref);
  g_assert_cmpint (umount2 (path, MNT_DETACH), ==, 0);
}

/* ---- Finding and removing ------------------------------------------------------------------ */

/* By name, or without one the default of the user who adds everything here. */
static VmsanContent *
find (VmsanContentStore *store, const char *name, GError **error)
{
  return name != NULL ? vmsan_content_store_find (store, name, error)
                      : vmsan_content_store_find_default (store, USER, error);
}

static void
assert_found (VmsanContentStore *store, const char *name, const VmsanContent *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContent) found = find (store, name, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (found->id, ==, expected->id);
}

static void
assert_not_found (VmsanContentStore *store, const char *name, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (find (store, name, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_an_entry_is_found_by_id_prefix_and_name (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) a = NULL;
  g_autoptr (VmsanContent) b = NULL;
  g_autoptr (VmsanContent) c = NULL;
  g_autofree char *prefix = NULL;
  g_autofree char *too_short = NULL;

  assert_not_found (store, NULL, VMSAN_ERROR_NOT_FOUND);
  a = add_fine (f, store, "a", "alpha");
  assert_found (store, NULL, a);
  prefix = g_strndup (a->id, 4);
  too_short = g_strndup (a->id, 3);
  assert_found (store, a->id, a);
  assert_found (store, prefix, a);
  assert_found (store, "alpha", a);
  assert_not_found (store, too_short, VMSAN_ERROR_NOT_FOUND);
  assert_not_found (store, "", VMSAN_ERROR_NOT_FOUND);
  assert_not_found (store, "Alpha", VMSAN_ERROR_NOT_FOUND);
  assert_not_found (store, "\xff", VMSAN_ERROR_NOT_FOUND);

  /* A name that is also the beginning of another's id is that name. */
  b = add_fine (f, store, "b", prefix);
  assert_found (store, prefix, b);
  assert_found (store, a->id, a);
  assert_not_found (store, NULL, VMSAN_ERROR_AMBIGUOUS);
  c = add_fine (f, store, "c", NULL);
  {
    g_autoptr (GPtrArray) list = vmsan_content_store_list (store);

    g_assert_cmpuint (list->len, ==, 3);
    g_assert_true (g_ptr_array_index (list, 0) == a);
    g_assert_true (g_ptr_array_index (list, 2) == c);
  }
}

static void
test_a_prefix_of_two_ids_is_ambiguous (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (GHashTable) prefixes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  /* Among a few hundred ids two begin with the same four digits: the birthday paradox. The marks
   * are fixed, so it is always the same two. */
  for (guint i = 0; i < 2000; i++)
    {
      g_autofree char *mark = g_strdup_printf ("mark-%u", i);
      vmsan_autofd int fd = new_image (f, 64 * 1024, mark);
      g_autofree char *id = hash_file (fd);
      g_autofree char *prefix = g_strndup (id, 4);
      gpointer other;

      if (g_hash_table_lookup_extended (prefixes, prefix, NULL, &other))
        {
          g_autofree char *other_mark = g_strdup_printf ("mark-%u", GPOINTER_TO_UINT (other));
          g_autoptr (VmsanContent) a = add_fine (f, store, mark, NULL);
          g_autoptr (VmsanContent) b = add_fine (f, store, other_mark, NULL);

          assert_not_found (store, prefix, VMSAN_ERROR_AMBIGUOUS);
          assert_found (store, a->id, a);
          return;
        }
      g_hash_table_insert (prefixes, g_steal_pointer (&prefix), GUINT_TO_POINTER (i));
    }
  g_assert_not_reached ();
}

static void
test_removing_is_final_for_all_but_those_who_have_it_open (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) a = add_fine (f, store, "a", "name");
  g_autoptr (VmsanContent) b = add_fine (f, store, "b", NULL);
  g_autoptr (VmsanContent) again = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *stored = NULL;
  vmsan_autofd int fd = vmsan_content_store_open_content (store, a->id, &error);

  g_assert_true (vmsan_content_store_remove (store, a->id, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_removed, ==, 1);
  assert_not_found (store, "name", VMSAN_ERROR_NOT_FOUND);
  stored = hash_file (fd);
  g_assert_cmpstr (stored, ==, a->id);
  g_assert_cmpint (vmsan_content_store_open_content (store, a->id, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (vmsan_content_store_remove (store, a->id, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_assert_cmpuint (n_removed, ==, 1);

  again = add_fine (f, store, "a", "name");
  assert_found (store, "name", a);
  g_clear_object (&store);
  g_assert_cmpuint (count_files (f, "images"), ==, 2);
}

/* ---- Opening again ------------------------------------------------------------------------- */

static void
test_entries_survive_and_left_overs_do_not (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) a = add_fine (f, store, "a", "name");
  g_autoptr (VmsanContent) found = NULL;
  g_autoptr (GError) error = NULL;

  g_clear_object (&store);
  g_assert_true (vmsan_managed_root_make_dir (f->root, "images/.new-1/scratch/x", 0700, &error));
  g_assert_true (vmsan_managed_root_make_dir (f->root, "images/.gone-1", 0700, &error));
  storage_write (f, "images/.new-1/content", "half");
  store = open_store (f, VMSAN_CONTENT_IMAGE);
  assert_warnings (0);
  g_assert_cmpuint (count_files (f, "images"), ==, 1);
  found = vmsan_content_store_find (store, "name", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (found->id, ==, a->id);
  g_assert_cmpstr (found->name, ==, a->name);
  g_assert_cmpstr (found->format, ==, a->format);
  g_assert_cmpstr (found->version, ==, "");
  g_assert_cmpuint (found->size_bytes, ==, a->size_bytes);
  g_assert_cmpint (found->added_us, ==, a->added_us);
  g_assert_cmpuint (found->added_by, ==, a->added_by);
}

/* Opens the store with @meta as the record of @id: that is set aside, the other entry is there. */
static void
assert_set_aside (StorageFixture *f, const char *id, const char *meta, gsize size)
{
  g_autofree char *name = g_strconcat ("images/", id, NULL);
  g_autofree char *meta_name = g_strconcat (name, "/meta.json", NULL);
  g_autofree char *meta_path = storage_path (f, meta_name);
  g_autofree char *aside = g_strdup_printf ("damaged/image-%s.0", id);
  g_autoptr (VmsanContentStore) store = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_managed_root_delete (f->root, meta_name, &error));
  g_assert_true (g_file_set_contents (meta_path, meta, size, &error));
  store = open_store (f, VMSAN_CONTENT_IMAGE);
  if (n_warnings != 1)
    g_error ("not set aside: %.*s", (int) size, meta);
  assert_warnings (1);
  assert_not_found (store, id, VMSAN_ERROR_NOT_FOUND);
  {
    g_autoptr (GPtrArray) list = vmsan_content_store_list (store);

    g_assert_cmpuint (list->len, ==, 1);
  }
  /* And back again for the next. */
  g_assert_true (vmsan_managed_root_rename (f->root, aside, name, &error));
  g_assert_no_error (error);
}

static char *
replace (const char *text, const char *from, const char *to)
{
  g_autoptr (GString) changed = g_string_new (text);

  g_assert_cmpuint (g_string_replace (changed, from, to, 1), ==, 1);
  return g_string_free (g_steal_pointer (&changed), FALSE);
}

static void
test_a_damaged_entry_is_set_aside_and_all_others_shown (StorageFixture *f, gconstpointer data)
{
  static const struct
  {
    const char *from;
    const char *to;
  } changes[] = {
    { "\"version\" : 2", "\"version\" : 3" },
    { "\"version\" : 2", "\"version\" : \"2\"" },
    { "\"version\" : 2", "\"version\" : 1.5" },
    { "\"version\" : 2", "\"other\" : 2" },
    { "\"image\"", "\"kernel\"" },
    { "\"image\"", "7" },
    { "\"name\" : \"a\"", "\"name\" : \"../x\"" },
    { "\"name\" : \"a\"", "\"name\" : null" },
    { "\"name\" : \"a\"", "\"name\" : [\"a\"]" },
    { "\"ext4\"", "\"bzimage\"" },
    { "\"ext4\"", "\"\"" },
    { "\"kernel-version\" : \"\"", "\"kernel-version\" : \"a b\"" },
    { "\"kernel-version\" : \"\"", "\"kernel-version\" : false" },
    { "\"modules\" : []", "\"modules\" : {}" },
    { "\"modules\" : []", "\"modules\" : [1]" },
    { "\"modules\" : []", "\"modules\" : [\"../../x\"]" },
    { "\"no-elf\" : \"\",", "" },
    { "\"no-elf\" : \"\"", "\"no-elf\" : \"why\"" },
    { "\"no-elf\" : \"\"", "\"no-elf\" : null" },
    { "\"size-bytes\" : 65536", "\"size-bytes\" : 65537" },
    { "\"size-bytes\" : 65536", "\"size-bytes\" : -1" },
    { "\"size-bytes\" : 65536", "\"size-bytes\" : 99999999999999999999999" },
    { "\"size-bytes\" : 65536", "\"size-bytes\" : \"65536\"" },
    { "\"added-by\" : 1000", "\"added-by\" : 4294967296" },
    { "\"added-by\" : 1000", "\"added-by\" : -1" },
    { "\"added-us\"", "\"added_us\"" },
    { "{", "[" },
  };
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) a = add_fine (f, store, "a", "a");
  g_autoptr (VmsanContent) b = add_fine (f, store, "b", "b");
  g_autofree char *path = g_strdup_printf ("%s/images/%s/meta.json", f->root_path, a->id);
  g_autofree char *meta = NULL;
  g_autofree char *wrong_id = NULL;
  gsize size;

  g_clear_object (&store);
  g_assert_true (g_file_get_contents (path, &meta, &size, NULL));
  for (gsize i = 0; i < size; i++)
    assert_set_aside (f, a->id, meta, i);
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      g_autofree char *changed = replace (meta, changes[i].from, changes[i].to);

      assert_set_aside (f, a->id, changed, strlen (changed));
    }
  wrong_id = replace (meta, a->id, b->id);
  assert_set_aside (f, a->id, wrong_id, strlen (wrong_id));
  assert_set_aside (f, a->id, "\xff\xfe", 2);
  assert_set_aside (f, a->id, "{}\0x", 4);
}

static void
test_an_entry_without_its_files_is_set_aside (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) no_content = add_fine (f, store, "a", NULL);
  g_autoptr (VmsanContent) no_meta = add_fine (f, store, "b", NULL);
  g_autoptr (VmsanContent) cut = add_fine (f, store, "c", NULL);
  g_autoptr (VmsanContent) linked = add_fine (f, store, "d", NULL);
  g_autoptr (VmsanContent) fine = add_fine (f, store, "e", NULL);
  g_autofree char *a = g_strdup_printf ("%s/images/%s/content", f->root_path, no_content->id);
  g_autofree char *b = g_strdup_printf ("%s/images/%s/meta.json", f->root_path, no_meta->id);
  g_autofree char *c = g_strdup_printf ("%s/images/%s/content", f->root_path, cut->id);
  g_autofree char *d = g_strdup_printf ("%s/images/%s/content", f->root_path, linked->id);
  g_autofree char *fifo = storage_path (f, "images/fifo");

  g_clear_object (&store);
  g_assert_cmpint (unlink (a), ==, 0);
  g_assert_cmpint (unlink (b), ==, 0);
  g_assert_cmpint (truncate (c, 1000), ==, 0);
  g_assert_cmpint (unlink (d), ==, 0);
  g_assert_cmpint (symlink ("/etc/passwd", d), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  store = open_store (f, VMSAN_CONTENT_IMAGE);
  assert_warnings (5);
  assert_found (store, NULL, fine);
  g_assert_cmpuint (count_files (f, "damaged"), ==, 5);
  g_assert_cmpuint (count_files (f, "images"), ==, 1);
}

static void
test_strange_names_and_double_names_do_no_harm (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_IMAGE);
  g_autoptr (VmsanContent) a = add_fine (f, store, "a", "first");
  g_autoptr (VmsanContent) b = add_fine (f, store, "b", "other");
  g_autofree char *path = g_strdup_printf ("%s/images/%s/meta.json", f->root_path, b->id);
  g_autofree char *strange = storage_path (f, "images/a\nb\xff");
  g_autofree char *meta = NULL;
  g_autofree char *changed = NULL;
  g_autoptr (VmsanContent) found = NULL;

  g_clear_object (&store);
  g_assert_cmpint (mkdir (strange, 0700), ==, 0);
  g_assert_true (g_file_get_contents (path, &meta, NULL, NULL));
  changed = replace (meta, "\"other\"", "\"first\"");
  g_assert_true (g_file_set_contents (path, changed, -1, NULL));

  store = open_store (f, VMSAN_CONTENT_IMAGE);
  assert_warnings (2);
  assert_found (store, "first", a); /* the older */
  assert_found (store, b->id, b);
  found = vmsan_content_store_find (store, b->id, NULL);
  g_assert_cmpstr (found->name, ==, "");
}

/* ---- Kernels ------------------------------------------------------------------------------- */

static const guint64 module_sizes[] = { 100, 4096, 777 };
static const VmsanModule modules[] = { { (char *) "virtio_blk", 100 },
                                       { (char *) "overlay", 4096 },
                                       { (char *) "virtio-rng", 777 } };

/* Whoever may add kernels must not get one into the machines of others by adding it last. */
static void
test_the_default_is_roots_or_ones_own (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_KERNEL);
  vmsan_autofd int first = new_kernel (f, "first");
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContent) users = add_kernel (store, first, -1, NULL, 0, "users", &error);
  g_autoptr (VmsanContent) found = NULL;

  g_assert_no_error (error);
  assert_found (store, NULL, users);
  g_assert_null (vmsan_content_store_find_default (store, USER + 1, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "your own"));
  g_clear_error (&error);
  g_assert_null (vmsan_content_store_find_default (store, 0, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);

  users->added_by = 0;
  found = vmsan_content_store_find_default (store, USER + 1, NULL);
  g_assert_true (found == users);
}

static void
test_a_kernel_is_its_content_and_its_modules (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_KERNEL);
  vmsan_autofd int fd = new_kernel (f, "k");
  vmsan_autofd int modules_fd = new_modules (f, module_sizes, 3);
  const VmsanModule swapped[] = { modules[1], modules[0], modules[2] };
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContent) with = add_kernel (store, fd, modules_fd, modules, 3, "k", &error);
  g_autoptr (VmsanContent) again = add_kernel (store, fd, modules_fd, modules, 3, "k", &error);
  g_autoptr (VmsanContent) without = add_kernel (store, fd, -1, NULL, 0, "bare", &error);
  g_autoptr (VmsanContent) found = NULL;
  vmsan_autofd int content_fd = -1;
  struct stat st;

  g_assert_no_error (error);
  g_assert_true (with == again);
  g_assert_cmpstr (with->id, !=, without->id);
  g_assert_cmpuint (n_added, ==, 2);
  assert_found (store, NULL, without); /* the newest */
  content_fd = vmsan_content_store_open_content (store, with->id, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fstat (content_fd, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);

  /* The sizes do not fit the modules in this order: the second would begin within the first. */
  g_assert_null (add_kernel (store, fd, modules_fd, swapped, 3, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (count_files (f, "kernels"), ==, 2);

  g_clear_object (&store);
  store = open_store (f, VMSAN_CONTENT_KERNEL);
  assert_warnings (0);
  found = vmsan_content_store_find (store, "k", NULL);
  g_assert_cmpstr (found->format, ==, "bzimage");
  g_assert_cmpstr (found->version, ==, "6.1-test");
  g_assert_cmpuint (g_strv_length (found->modules), ==, 3);
  g_assert_cmpstr (found->modules[0], ==, "virtio_blk");
  g_assert_cmpstr (found->modules[2], ==, "virtio-rng");
}

static void
assert_modules_refused (
    StorageFixture *f, VmsanContentStore *store, const VmsanModule *list, guint n, int code)
{
  vmsan_autofd int fd = new_kernel (f, "k");
  vmsan_autofd int modules_fd = new_modules (f, module_sizes, 3);
  g_autoptr (GError) error = NULL;

  g_assert_null (add_kernel (store, fd, modules_fd, list, n, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, code);
}

static void
test_a_bad_list_of_modules_is_refused (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_KERNEL);
  g_autofree char *long_name = g_strnfill (56, 'a');
  const char *names[] = { "", "../x", "a/b", "a.ko", "-a", "a b", "é", long_name };
  VmsanModule many[65];
  VmsanModule huge[] = { { (char *) "a", G_MAXUINT64 }, { (char *) "b", 5 } };
  VmsanModule large[] = { { (char *) "a", 40 << 20 }, { (char *) "b", 40 << 20 } };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      const VmsanModule bad = { (char *) names[i], 4973 };

      assert_modules_refused (f, store, &bad, 1, VMSAN_ERROR_INVALID_ARGUMENT);
    }
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = modules[0];
  assert_modules_refused (f, store, many, G_N_ELEMENTS (many), VMSAN_ERROR_LIMIT_EXCEEDED);
  assert_modules_refused (f, store, huge, 2, VMSAN_ERROR_LIMIT_EXCEEDED);
  assert_modules_refused (f, store, large, 2, VMSAN_ERROR_LIMIT_EXCEEDED);
  assert_modules_refused (f, store, modules, 2, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (count_files (f, "kernels"), ==, 0);
}

static void
test_what_is_no_kernel_is_refused (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f, VMSAN_CONTENT_KERNEL);
  vmsan_autofd int fd = new_image (f, 65536, "x");
  g_autoptr (GError) error = NULL;

  g_assert_null (add_kernel (store, fd, -1, NULL, 0, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (count_files (f, "kernels"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kernel_fixture_configure ();
  g_log_set_writer_func (count_warnings, NULL, NULL);
  have_mounts = storage_enter_mount_namespace ();

  storage_test ("/content-store/an-image-is-stored-under-the-hash-of-its-content",
                test_an_image_is_stored_under_the_hash_of_its_content);
  storage_test ("/content-store/what-only-root-could-read-is-shared",
                test_what_only_root_could_read_is_shared);
  storage_test ("/content-store/zeros-and-odd-extents-are-copied-exactly",
                test_zeros_and_odd_extents_are_copied_exactly);
  storage_test ("/content-store/the-same-content-is-stored-once",
                test_the_same_content_is_stored_once);
  storage_test ("/content-store/the-same-content-at-once-is-stored-once",
                test_the_same_content_at_once_is_stored_once);
  storage_test ("/content-store/a-name-is-checked-and-unique", test_a_name_is_checked_and_unique);
  storage_test ("/content-store/only-readable-files-and-pipes-are-taken",
                test_only_readable_files_and_pipes_are_taken);
  storage_test ("/content-store/what-is-no-image-leaves-nothing",
                test_what_is_no_image_leaves_nothing);
  storage_test ("/content-store/the-id-is-that-of-what-is-stored-not-of-a-file-that-changes",
                test_the_id_is_that_of_what_is_stored_not_of_a_file_that_changes);
  storage_test ("/content-store/a-source-that-ends-early-fails",
                test_a_source_that_ends_early_fails);
  storage_test ("/content-store/cancelling-leaves-nothing", test_cancelling_leaves_nothing);
  storage_test ("/content-store/too-many-adds-at-once-are-busy",
                test_too_many_adds_at_once_are_busy);
  storage_test ("/content-store/no-room-is-noticed-before-writing",
                test_no_room_is_noticed_before_writing);
  storage_test ("/content-store/an-entry-is-found-by-id-prefix-and-name",
                test_an_entry_is_found_by_id_prefix_and_name);
  storage_test ("/content-store/a-prefix-of-two-ids-is-ambiguous",
                test_a_prefix_of_two_ids_is_ambiguous);
  storage_test ("/content-store/removing-is-final-for-all-but-those-who-have-it-open",
                test_removing_is_final_for_all_but_those_who_have_it_open);
  storage_test ("/content-store/entries-survive-and-left-overs-do-not",
                test_entries_survive_and_left_overs_do_not);
  storage_test ("/content-store/a-damaged-entry-is-set-aside-and-all-others-shown",
                test_a_damaged_entry_is_set_aside_and_all_others_shown);
  storage_test ("/content-store/an-entry-without-its-files-is-set-aside",
                test_an_entry_without_its_files_is_set_aside);
  storage_test ("/content-store/strange-names-and-double-names-do-no-harm",
                test_strange_names_and_double_names_do_no_harm);
  storage_test ("/content-store/the-default-is-roots-or-ones-own",
                test_the_default_is_roots_or_ones_own);
  storage_test ("/content-store/a-kernel-is-its-content-and-its-modules",
                test_a_kernel_is_its_content_and_its_modules);
  storage_test ("/content-store/a-bad-list-of-modules-is-refused",
                test_a_bad_list_of_modules_is_refused);
  storage_test ("/content-store/what-is-no-kernel-is-refused", test_what_is_no_kernel_is_refused);
  return g_test_run ();
}
