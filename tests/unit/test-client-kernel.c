/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which kernel of a machine is taken, and which of its modules in which order. */

#include "host-kernel.h"
#include "kernel-modules.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef struct
{
  char *root;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->root = g_dir_make_tmp ("vmsan-kernel-XXXXXX", NULL);
  g_assert_nonnull (fixture->root);
}

static void
remove_tree (const char *path)
{
  if (g_file_test (path, G_FILE_TEST_IS_DIR) && !g_file_test (path, G_FILE_TEST_IS_SYMLINK))
    {
      g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
      const char *name;

      while ((name = g_dir_read_name (directory)) != NULL)
        {
          g_autofree char *child = g_build_filename (path, name, NULL);

          remove_tree (child);
        }
    }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  remove_tree (fixture->root);
  g_free (fixture->root);
}

static char *
put (Fixture *fixture, const char *name, const char *content)
{
  char *path = g_build_filename (fixture->root, name, NULL);
  g_autofree char *directory = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, content, -1, NULL));
  return path;
}

static void
put_kernel (Fixture *fixture, const char *version)
{
  g_autofree char *kernel = g_strconcat ("boot/vmlinuz-", version, NULL);
  g_autofree char *modules = g_strconcat ("lib/modules/", version, "/modules.dep", NULL);

  g_free (put (fixture, kernel, "kernel"));
  g_free (put (fixture, modules, ""));
}

static void
assert_found (Fixture *fixture, const char *running, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HostKernel) kernel = host_kernel_find (fixture->root, NULL, running, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (kernel->version, ==, expected);
}

static void
test_choice (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HostKernel) named = NULL;

  g_assert_null (host_kernel_find (fixture->root, NULL, "6.1", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);

  put_kernel (fixture, "6.1.0-9-amd64");
  put_kernel (fixture, "6.1.0-10-amd64");
  assert_found (fixture, "5.0", "6.1.0-10-amd64");
  assert_found (fixture, "6.1.0-9-amd64", "6.1.0-9-amd64");
  put_kernel (fixture, "6.1.0-9-cloud-amd64");
  put_kernel (fixture, "6.1.0-11-cloud-amd64");
  assert_found (fixture, "6.1.0-9-amd64", "6.1.0-11-cloud-amd64");
  assert_found (fixture, "6.1.0-9-cloud-amd64", "6.1.0-11-cloud-amd64");

  /* One without modules is of no use. */
  g_free (put (fixture, "boot/vmlinuz-6.9.0-cloud-amd64", "kernel"));
  assert_found (fixture, "5.0", "6.1.0-11-cloud-amd64");

  named = host_kernel_find (fixture->root, "6.1.0-9-amd64", "5.0", &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_suffix (named->kernel_path, "/boot/vmlinuz-6.1.0-9-amd64"));
  g_assert_null (host_kernel_find (fixture->root, "6.9.0-cloud-amd64", "5.0", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (host_kernel_find (fixture->root, "../boot", "5.0", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* A small world: some built in, some modular, with dashes, chains, hints and a circle. */
static const char dep[] =
    "kernel/drivers/virtio/virtio_mmio.ko:\n"
    "kernel/drivers/block/virtio_blk.ko:\n"
    "kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/rng-core.ko.xz\n"
    "kernel/rng-core.ko.xz:\n"
    "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko kernel/fs/mbcache.ko\n"
    "kernel/fs/jbd2/jbd2.ko:\n"
    "kernel/lib/crc16.ko:\n"
    "kernel/fs/mbcache.ko:\n"
    "kernel/crypto/crc32c_generic.ko:\n"
    "kernel/net/vmw_vsock/vsock.ko:\n"
    "kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko: kernel/net/vmw_vsock/vsock.ko\n"
    "kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko: "
    "kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko kernel/net/vmw_vsock/vsock.ko\n"
    "kernel/fs/overlayfs/overlay.ko:\n"
    "kernel/sound/unwanted.ko:\n"
    "kernel/fs/erofs/erofs.ko: kernel/lib/loop_a.ko\n"
    "kernel/lib/loop_a.ko: kernel/lib/loop_b.ko\n"
    "kernel/lib/loop_b.ko: kernel/lib/loop_a.ko\n";
static const char builtin[] = "kernel/drivers/virtio/virtio.ko\n"
                              "kernel/drivers/virtio/virtio_ring.ko\n"
                              "kernel/drivers/char/virtio_console.ko\n";

static GArray *
pick (Fixture *fixture, const char *dep_text, const char *builtin_text, GError **error)
{
  g_autofree char *directory = g_build_filename (fixture->root, "m", NULL);

  g_free (put (fixture, "m/modules.dep", dep_text));
  g_free (put (fixture, "m/modules.builtin", builtin_text));
  return kernel_modules_pick (directory, error);
}

static int
find (GArray *modules, const char *name)
{
  for (guint i = 0; i < modules->len; i++)
    if (strcmp (g_array_index (modules, KernelModule, i).name, name) == 0)
      return (int) i;
  return -1;
}

static void
assert_before (GArray *modules, const char *first, const char *second)
{
  g_assert_cmpint (find (modules, first), >=, 0);
  g_assert_cmpint (find (modules, second), >, find (modules, first));
}

static void
test_order (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GArray) modules = NULL;

  g_free (put (fixture, "m/modules.softdep",
               "# comment\nsoftdep ext4 pre: crc32c nowhere post: unwanted\n"));
  g_free (
      put (fixture, "m/modules.alias", "alias crc32c crc32c_generic\nalias pci:v0000* unwanted\n"));
  modules = pick (fixture, dep, builtin, &error);
  g_assert_no_error (error);

  for (guint i = 0; i < modules->len; i++)
    g_assert_true (g_hash_table_add (seen, g_array_index (modules, KernelModule, i).name));
  assert_before (modules, "jbd2", "ext4");
  assert_before (modules, "crc16", "ext4");
  assert_before (modules, "mbcache", "ext4");
  assert_before (modules, "crc32c_generic", "ext4");
  assert_before (modules, "rng_core", "virtio_rng");
  assert_before (modules, "vsock", "vmw_vsock_virtio_transport_common");
  assert_before (modules, "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport");
  assert_before (modules, "virtio_mmio", "overlay");
  assert_before (modules, "loop_a", "erofs");
  g_assert_cmpint (find (modules, "virtio"), ==, -1);
  g_assert_cmpint (find (modules, "virtio_console"), ==, -1);
  g_assert_cmpint (find (modules, "unwanted"), ==, -1);
  g_assert_true (
      g_str_has_suffix (g_array_index (modules, KernelModule, find (modules, "virtio_rng")).path,
                        "/m/kernel/drivers/char/hw_random/virtio-rng.ko.xz"));
}

static void
test_missing (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *none = g_build_filename (fixture->root, "none", NULL);

  g_assert_null (pick (fixture, dep, "kernel/drivers/virtio/virtio.ko\n", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "virtio_ring"));
  g_clear_error (&error);
  g_assert_null (kernel_modules_pick (none, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
}

static void
put_compressed (const char *path, int (*add_filter) (struct archive *), const char *content)
{
  struct archive *archive = archive_write_new ();
  struct archive_entry *entry = archive_entry_new ();

  archive_write_set_format_raw (archive);
  g_assert_cmpint (add_filter (archive), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_open_filename (archive, path), ==, ARCHIVE_OK);
  archive_entry_set_filetype (entry, AE_IFREG);
  archive_entry_set_pathname (entry, "x");
  g_assert_cmpint (archive_write_header (archive, entry), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_data (archive, content, strlen (content)), ==, strlen (content));
  archive_entry_free (entry);
  g_assert_cmpint (archive_write_free (archive), ==, ARCHIVE_OK);
}

static void
test_uncompressed (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GArray) modules = g_array_new (FALSE, FALSE, sizeof (KernelModule));
  g_autoptr (GVariant) list = NULL;
  g_autoptr (GVariant) expected = NULL;
  g_autoptr (GError) error = NULL;
  const char *names[] = { "a.ko", "b.ko.gz", "c.ko.xz", "d.ko.zst", "e.ko" };
  int (*filters[]) (struct archive *) = {
    archive_write_add_filter_none, archive_write_add_filter_gzip, archive_write_add_filter_xz,
    archive_write_add_filter_zstd, archive_write_add_filter_none
  };
  const char *contents[] = { "first", "second", "third", "fourth", "" };
  char content[64];
  int fd;

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      KernelModule module = { g_strndup (names[i], 1),
                              g_build_filename (fixture->root, names[i], NULL) };

      put_compressed (module.path, filters[i], contents[i]);
      g_array_append_val (modules, module);
    }
  fd = kernel_modules_load (modules, &list, &error);
  g_assert_no_error (error);
  expected = g_variant_ref_sink (
      g_variant_new_parsed ("[('a', uint64 5), ('b', 6), ('c', 5), ('d', 6), ('e', 0)]"));
  g_assert_true (g_variant_equal (list, expected));
  g_assert_cmpint (pread (fd, content, sizeof content, 0), ==, 22);
  g_assert_cmpmem (content, 22, "firstsecondthirdfourth", 22);
  /* Nobody changes it behind the service's back. */
  g_assert_cmpint (ftruncate (fd, 1), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  close (fd);

  for (guint i = 0; i < modules->len; i++)
    {
      g_free (g_array_index (modules, KernelModule, i).name);
      g_free (g_array_index (modules, KernelModule, i).path);
    }
}

/* Against the kernel of the machine, where it has one: real files, real order. */
static void
test_this_machine (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HostKernel) kernel = NULL;
  g_autoptr (GArray) modules = NULL;
  g_autoptr (GVariant) list = NULL;
  GVariantIter iter;
  const char *name;
  struct utsname host;
  guint64 size, total = 0;
  int fd;

  uname (&host);
  kernel = host_kernel_find ("", NULL, host.release, &error);
  if (kernel == NULL)
    {
      g_test_skip ("no kernel with modules is installed on this machine");
      return;
    }
  modules = kernel_modules_pick (kernel->modules_directory, &error);
  g_assert_no_error (error);
  fd = kernel_modules_load (modules, &list, &error);
  g_assert_no_error (error);

  g_variant_iter_init (&iter, list);
  while (g_variant_iter_next (&iter, "(&st)", &name, &size))
    {
      char magic[4];

      g_test_message ("%s, %" G_GUINT64_FORMAT " bytes", name, size);
      g_assert_cmpint (pread (fd, magic, 4, (off_t) total), ==, 4);
      g_assert_cmpmem (magic, 4, "\177ELF", 4);
      total += size;
    }
  g_assert_cmpint (lseek (fd, 0, SEEK_END), ==, (goffset) total);
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name, function)                                                                       \
  g_test_add ("/client/kernel/" name, Fixture, NULL, set_up, function, tear_down)
  TEST ("best-is-cloud-then-running-then-newest", test_choice);
  TEST ("modules-come-behind-what-they-need", test_order);
  TEST ("missing-necessities-are-named", test_missing);
  TEST ("modules-are-uncompressed-and-sealed", test_uncompressed);
  g_test_add_func ("/client/kernel/this-machine", test_this_machine);
  return g_test_run ();
}
