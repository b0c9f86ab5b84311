/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Snapshots on disk, from a writer who may be hostile. Needs root, for files of other users. */

#include "vmm/snapshot-files.h"

#include "storage-fixture.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MACHINE_UID 64242
#define STAGING     "staging"

typedef struct
{
  StorageFixture storage;
  const char *path;
  int fd;
} World;

static void
put_file (World *self, const char *name, const char *text, uid_t owner)
{
  g_autofree char *path = g_build_filename (self->path, STAGING, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
  g_assert_no_errno (chown (path, owner, owner));
}

static void
put_snapshot (World *self)
{
  if (mkdirat (self->fd, STAGING, 0700) < 0)
    g_assert_cmpint (errno, ==, EEXIST);
  g_assert_no_errno (fchownat (self->fd, STAGING, MACHINE_UID, MACHINE_UID, 0));
  put_file (self, VMSAN_SNAPSHOT_STATE, "the state", MACHINE_UID);
  put_file (self, VMSAN_SNAPSHOT_MEMORY, "all of the memory", MACHINE_UID);
}

/* The same files, as their writer's. */
static void
give_back (World *self)
{
  static const char *const names[] = { STAGING, STAGING "/" VMSAN_SNAPSHOT_STATE,
                                       STAGING "/" VMSAN_SNAPSHOT_MEMORY };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_no_errno (fchownat (self->fd, names[i], MACHINE_UID, MACHINE_UID, 0));
}

static void
set_up (World *self, gconstpointer data)
{
  storage_set_up (&self->storage, data);
  self->path = self->storage.root_path;
  self->fd = open (self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (self->fd, >=, 0);
  put_snapshot (self);
}

static void
tear_down (World *self, gconstpointer data)
{
  vmsan_fd_close (&self->fd);
  storage_tear_down (&self->storage, data);
}

static const VmsanSnapshotMeta meta = {
  .driver = "firecracker",
  .version = "1.14.1",
  .format = 8,
  .kernel_id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
  .protocol = 1,
  .vcpus = 2,
  .memory_mib = 256,
};

static gboolean
seal (World *self, const char *name, GError **error)
{
  return vmsan_snapshot_seal (self->fd, STAGING, name, MACHINE_UID, &meta, error);
}

static void
assert_not_sealed (World *self, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (seal (self, "s1", &error));
  g_assert_error (error, VMSAN_ERROR, code);
  g_assert_cmpint (faccessat (self->fd, "s1", F_OK, 0), <, 0);
}

static void
assert_not_opened (World *self, const char *name, int code)
{
  g_auto (VmsanSnapshotMeta) read = { 0 };
  g_autoptr (GError) error = NULL;
  int state_fd = -1, memory_fd = -1;

  g_assert_false (vmsan_snapshot_open (self->fd, name, &state_fd, &memory_fd, &read, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  g_assert_cmpint (state_fd, ==, -1);
  g_assert_cmpint (memory_fd, ==, -1);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_what_is_sealed_is_opened_as_it_was (World *self, gconstpointer data)
{
  g_auto (VmsanSnapshotMeta) read = { 0 };
  g_autoptr (GError) error = NULL;
  vmsan_autofd int state_fd = -1;
  vmsan_autofd int memory_fd = -1;
  char text[64] = "";
  struct stat st;

  assert_not_opened (self, "s1", VMSAN_ERROR_NOT_FOUND);
  seal (self, "s1", &error);
  g_assert_no_error (error);
  g_assert_cmpint (faccessat (self->fd, STAGING, F_OK, 0), <, 0);
  vmsan_snapshot_open (self->fd, "s1", &state_fd, &memory_fd, &read, &error);
  g_assert_no_error (error);
  g_assert_cmpint (vmsan_fd_read_all (memory_fd, text, sizeof text, NULL), ==, 17);
  g_assert_cmpstr (text, ==, "all of the memory");
  g_assert_no_errno (fstat (state_fd, &st));
  g_assert_cmpuint (st.st_uid, ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);
  g_assert_cmpint (fcntl (state_fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
  g_assert_cmpstr (read.driver, ==, meta.driver);
  g_assert_cmpstr (read.version, ==, meta.version);
  g_assert_cmpstr (read.kernel_id, ==, meta.kernel_id);
  g_assert_cmpuint (read.format, ==, meta.format);
  g_assert_cmpuint (read.protocol, ==, meta.protocol);
  g_assert_cmpuint (read.vcpus, ==, meta.vcpus);
  g_assert_cmpuint (read.memory_mib, ==, meta.memory_mib);
}

static void
test_a_name_is_given_once (World *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  seal (self, "s1", &error);
  g_assert_no_error (error);
  put_snapshot (self);
  g_assert_false (seal (self, "s1", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
}

static void
test_what_no_monitor_made_is_not_sealed (World *self, gconstpointer data)
{
  g_autofree char *state = g_build_filename (self->path, STAGING, VMSAN_SNAPSHOT_STATE, NULL);
  g_autofree char *other = g_build_filename (self->path, "other", NULL);

  /* a file of the host's, by a link of either kind */
  g_assert_no_errno (unlink (state));
  g_assert_no_errno (symlink ("/etc/passwd", state));
  assert_not_sealed (self, VMSAN_ERROR_FAILED);
  g_assert_no_errno (unlink (state));
  put_file (self, VMSAN_SNAPSHOT_STATE, "x", MACHINE_UID);
  g_assert_no_errno (link (state, other));
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
  g_assert_no_errno (unlink (other));
  /* somebody else's, none, and no file */
  put_file (self, VMSAN_SNAPSHOT_STATE, "x", MACHINE_UID + 1);
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
  put_file (self, VMSAN_SNAPSHOT_STATE, "", MACHINE_UID);
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
  g_assert_no_errno (unlink (state));
  assert_not_sealed (self, VMSAN_ERROR_NOT_FOUND);
  g_assert_no_errno (mkfifo (state, 0600));
  g_assert_no_errno (chown (state, MACHINE_UID, MACHINE_UID));
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
}

/* It could change under those who use it. */
static void
test_what_is_still_written_to_is_not_sealed (World *self, gconstpointer data)
{
  g_autofree char *memory = g_build_filename (self->path, STAGING, VMSAN_SNAPSHOT_MEMORY, NULL);
  vmsan_autofd int fd = open (memory, O_RDWR | O_CLOEXEC);
  void *map = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_autoptr (GError) error = NULL;

  g_assert_true (map != MAP_FAILED);
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
  vmsan_fd_close (&fd);
  give_back (self);
  assert_not_sealed (self, VMSAN_ERROR_VMM_FAILED);
  g_assert_no_errno (munmap (map, 4096));
  give_back (self);
  seal (self, "s1", &error);
  g_assert_no_error (error);
}

static void
test_what_has_changed_is_not_opened (World *self, gconstpointer data)
{
  static const char *const descriptions[] = {
    "", "{", "[]", "{}", "{\"snapshot\": 2}", "{\"snapshot\": 1}", "{\"snapshot\": \"1\"}",
  };
  g_autofree char *description = g_build_filename (self->path, "s1", "snapshot.json", NULL);
  g_autofree char *memory = g_build_filename (self->path, "s1", VMSAN_SNAPSHOT_MEMORY, NULL);
  g_autofree char *good = NULL;
  g_autoptr (GError) error = NULL;

  seal (self, "s1", &error);
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (description, &good, NULL, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (descriptions); i++)
    {
      g_assert_true (g_file_set_contents (description, descriptions[i], -1, NULL));
      assert_not_opened (self, "s1", VMSAN_ERROR_DAMAGED);
    }
  g_assert_true (g_file_set_contents (description, good, -1, NULL));
  g_assert_no_errno (truncate (memory, 3));
  assert_not_opened (self, "s1", VMSAN_ERROR_DAMAGED);
}

static const struct
{
  const char *name;
  void (*function) (World *, gconstpointer);
} tests[] = {
  { "what-is-sealed-is-opened-as-it-was", test_what_is_sealed_is_opened_as_it_was },
  { "a-name-is-given-once", test_a_name_is_given_once },
  { "what-no-monitor-made-is-not-sealed", test_what_no_monitor_made_is_not_sealed },
  { "what-is-still-written-to-is-not-sealed", test_what_is_still_written_to_is_not_sealed },
  { "what-has-changed-is-not-opened", test_what_has_changed_is_not_opened },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/snapshot-files/", tests[i].name, NULL);

      g_test_add (path, World, NULL, set_up, tests[i].function, tear_down);
    }
  return g_test_run ();
}
