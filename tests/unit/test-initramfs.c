/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The initramfs of a kernel, read back by a parser of its own, and its cache. */

#include "storage/content-store.h"
#include "storage/cpio.h"
#include "kernel-fixture.h"
#include "storage-fixture.h"

#include <string.h>
#include <sys/sysmacros.h>

/* ---- Reading a cpio ------------------------------------------------------------------------ */

typedef struct
{
  char *name;
  guint mode;
  guint links;
  guint major;
  guint minor;
  char *content;
  gsize size;
} Entry;

static void
entry_free (gpointer data)
{
  Entry *self = data;

  g_free (self->name);
  g_free (self->content);
  g_free (self);
}

static guint
read_hex (const char *data, guint field)
{
  g_autofree char *digits = g_strndup (data + 6 + 8 * field, 8);
  char *end = NULL;
  guint64 value = g_ascii_strtoull (digits, &end, 16);

  g_assert_cmpstr (end, ==, "");
  return value;
}

/* As the kernel reads it: everything aligned to four, up to the trailer, which must end the file.
 */
static GPtrArray *
parse (const char *data, gsize size)
{
  GPtrArray *entries = g_ptr_array_new_with_free_func (entry_free);
  gsize at = 0;

  for (;;)
    {
      Entry *entry;
      gsize name_size;

      g_assert_cmpuint (at % 4, ==, 0);
      g_assert_cmpuint (at + 110, <=, size);
      g_assert_true (strncmp (data + at, "070701", 6) == 0);
      name_size = read_hex (data + at, 11);
      g_assert_cmpuint (at + 110 + name_size, <=, size);
      g_assert_cmpuint (strlen (data + at + 110) + 1, ==, name_size);
      if (g_str_equal (data + at + 110, "TRAILER!!!"))
        {
          g_assert_cmpuint ((at + 110 + name_size + 3) / 4 * 4, ==, size);
          return entries;
        }
      entry = g_new0 (Entry, 1);
      entry->name = g_strdup (data + at + 110);
      entry->mode = read_hex (data + at, 1);
      entry->links = read_hex (data + at, 4);
      entry->size = read_hex (data + at, 6);
      entry->major = read_hex (data + at, 9);
      entry->minor = read_hex (data + at, 10);
      g_assert_cmpuint (read_hex (data + at, 2), ==, 0);
      g_assert_cmpuint (read_hex (data + at, 3), ==, 0);
      at = (at + 110 + name_size + 3) / 4 * 4;
      g_assert_cmpuint (at + entry->size, <=, size);
      entry->content = g_memdup2 (data + at, entry->size);
      at = (at + entry->size + 3) / 4 * 4;
      g_ptr_array_add (entries, entry);
    }
}

static GPtrArray *
parse_fd (int fd)
{
  struct stat st;
  g_autofree char *data = NULL;

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  data = g_malloc0 (st.st_size + 1);
  g_assert_cmpint (pread (fd, data, st.st_size, 0), ==, st.st_size);
  return parse (data, st.st_size);
}

/* ---- A kernel and an agent ----------------------------------------------------------------- */

static const VmsanModule modules[] = { { (char *) "virtio_blk", 70 },
                                       { (char *) "overlay", 200001 },
                                       { (char *) "virtio-rng", 133 } };

typedef struct
{
  VmsanContent *content;
  gboolean done;
} Result;

static void
on_added (GObject *source, GAsyncResult *result, gpointer data)
{
  Result *self = data;
  g_autoptr (GError) error = NULL;

  self->content = vmsan_content_store_add_finish (VMSAN_CONTENT_STORE (source), result, &error);
  g_assert_no_error (error);
  self->done = TRUE;
}

static int
new_file (StorageFixture *f)
{
  g_autofree char *path = g_build_filename (f->directory, "file", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (unlink (path), ==, 0);
  return fd;
}

static int
new_kernel (StorageFixture *f)
{
  int fd = new_file (f);

  g_assert_cmpint (ftruncate (fd, 18 * 1024), ==, 0);
  storage_put_number (fd, 0x1f1, 3, 1);
  storage_put_number (fd, 0x1f4, 1024, 4);
  storage_put_number (fd, 0x1fe, 0xAA55, 2);
  g_assert_cmpint (pwrite (fd, "HdrS", 4, 0x202), ==, 4);
  storage_put_number (fd, 0x206, 0x020f, 2);
  storage_put_number (fd, 0x211, 1, 1);
  storage_put_number (fd, 0x236, 1, 2);
  return fd;
}

/* Module @i is an ELF head and then the letter 'a' + i. */
static int
new_modules (StorageFixture *f, guint n)
{
  int fd = new_file (f);
  guint64 offset = 0;

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *fill = g_strnfill (modules[i].size_bytes, 'a' + i);

      g_assert_cmpint (pwrite (fd, fill, modules[i].size_bytes, offset), ==, modules[i].size_bytes);
      g_assert_cmpint (pwrite (fd, "\177ELF\002\001\001", 7, offset), ==, 7);
      storage_put_number (fd, offset + 16, 1, 2);
      storage_put_number (fd, offset + 18, 62, 2);
      offset += modules[i].size_bytes;
    }
  return fd;
}

static VmsanContent *
add_kernel (StorageFixture *f, VmsanContentStore *store, guint n_modules)
{
  vmsan_autofd int kernel_fd = new_kernel (f);
  vmsan_autofd int modules_fd = new_modules (f, n_modules);
  Result result = { 0 };

  vmsan_content_store_add_kernel_async (store, kernel_fd, modules_fd, modules, n_modules, NULL,
                                        "6.1", 0, NULL, on_added, &result);
  while (!result.done)
    g_main_context_iteration (NULL, TRUE);
  return result.content;
}

static char *
write_agent (StorageFixture *f, const char *content)
{
  char *path = g_build_filename (f->directory, "agent", NULL);
  g_autoptr (GError) error = NULL;

  /* Replaced as packages do it: another inode. */
  g_assert_true (g_file_set_contents (path, content, -1, &error));
  g_assert_no_error (error);
  return path;
}

static void
assert_entry (
    GPtrArray *entries, guint index, const char *name, guint mode, guint major, guint minor)
{
  const Entry *entry = g_ptr_array_index (entries, index);

  g_assert_cmpstr (entry->name, ==, name);
  g_assert_cmpuint (entry->mode, ==, mode);
  g_assert_cmpuint (entry->links, ==, S_ISDIR (mode) ? 2 : 1);
  g_assert_cmpuint (entry->major, ==, major);
  g_assert_cmpuint (entry->minor, ==, minor);
}

static guint
count_cached (StorageFixture *f, const VmsanContent *kernel)
{
  g_autofree char *name = g_strconcat ("kernels/", kernel->id, NULL);
  g_auto (GStrv) names = vmsan_managed_root_list (f->root, name, 100, NULL);
  guint n = 0;

  for (guint i = 0; names[i] != NULL; i++)
    n += g_str_has_prefix (names[i], "initramfs-") || names[i][0] == '.';
  return n;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_it_holds_the_agent_and_the_modules_in_order (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);
  g_autoptr (VmsanContent) kernel = add_kernel (f, store, 3);
  g_autofree char *agent = write_agent (f, "the agent");
  vmsan_autofd int fd = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  g_autoptr (GPtrArray) entries = NULL;
  const Entry *init;
  struct stat st;

  g_assert_no_error (error);
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);
  entries = parse_fd (fd);
  g_assert_cmpuint (entries->len, ==, 10);
  assert_entry (entries, 0, "dev", S_IFDIR | 0755, 0, 0);
  assert_entry (entries, 1, "proc", S_IFDIR | 0555, 0, 0);
  assert_entry (entries, 2, "sys", S_IFDIR | 0555, 0, 0);
  assert_entry (entries, 3, "dev/console", S_IFCHR | 0600, 5, 1);
  assert_entry (entries, 4, "dev/null", S_IFCHR | 0666, 1, 3);
  assert_entry (entries, 5, "init", S_IFREG | 0755, 0, 0);
  assert_entry (entries, 6, "modules", S_IFDIR | 0755, 0, 0);
  assert_entry (entries, 7, "modules/00-virtio_blk.ko", S_IFREG | 0444, 0, 0);
  assert_entry (entries, 8, "modules/01-overlay.ko", S_IFREG | 0444, 0, 0);
  assert_entry (entries, 9, "modules/02-virtio-rng.ko", S_IFREG | 0444, 0, 0);
  init = g_ptr_array_index (entries, 5);
  g_assert_cmpmem (init->content, init->size, "the agent", 9);
  for (guint i = 0; i < 3; i++)
    {
      const Entry *module = g_ptr_array_index (entries, 7 + i);

      g_assert_cmpuint (module->size, ==, modules[i].size_bytes);
      g_assert_true (memcmp (module->content, "\177ELF", 4) == 0);
      g_assert_cmpint (module->content[40], ==, 'a' + i);
      g_assert_cmpint (module->content[module->size - 1], ==, 'a' + i);
    }
}

static void
test_it_is_packed_once_for_each_agent (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);
  g_autoptr (VmsanContent) kernel = add_kernel (f, store, 0);
  g_autofree char *agent = write_agent (f, "first");
  g_autofree char *same = NULL;
  g_autofree char *other = NULL;
  vmsan_autofd int a = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  vmsan_autofd int b = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  vmsan_autofd int c = -1;
  vmsan_autofd int d = -1;
  g_autoptr (GPtrArray) entries = NULL;
  g_autoptr (GPtrArray) old_entries = NULL;
  struct stat st[4];

  /* The same content in another file: nothing to pack. After a restart neither. */
  same = write_agent (f, "first");
  g_clear_object (&store);
  store = vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);
  c = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  other = write_agent (f, "other");
  d = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fstat (a, &st[0]) | fstat (b, &st[1]) | fstat (c, &st[2]) | fstat (d, &st[3]),
                   ==, 0);
  g_assert_cmpuint (st[0].st_ino, ==, st[1].st_ino);
  g_assert_cmpuint (st[0].st_ino, ==, st[2].st_ino);
  g_assert_cmpuint (st[0].st_ino, !=, st[3].st_ino);
  entries = parse_fd (d);
  g_assert_cmpmem (((Entry *) g_ptr_array_index (entries, 5))->content, 5, "other", 5);
  old_entries = parse_fd (a);
  g_assert_cmpmem (((Entry *) g_ptr_array_index (old_entries, 5))->content, 5, "first", 5);
  g_assert_cmpuint (count_cached (f, kernel), ==, 1);
}

static void
test_a_half_packed_one_is_not_used (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);
  g_autoptr (VmsanContent) kernel = add_kernel (f, store, 1);
  g_autofree char *half = g_strdup_printf ("kernels/%s/.initramfs-12345678", kernel->id);
  g_autofree char *agent = write_agent (f, "agent");
  g_autoptr (GPtrArray) entries = NULL;
  vmsan_autofd int fd = -1;

  storage_write (f, half, "070701");
  fd = vmsan_content_store_open_initramfs (store, kernel->id, agent, &error);
  g_assert_no_error (error);
  entries = parse_fd (fd);
  g_assert_cmpuint (entries->len, ==, 8);
  g_assert_cmpuint (count_cached (f, kernel), ==, 1);
}

static void
test_a_missing_agent_or_kernel_is_named (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanContentStore) store =
      vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);
  g_autoptr (VmsanContent) kernel = add_kernel (f, store, 0);
  g_autofree char *agent = write_agent (f, "agent");
  g_autofree char *empty = NULL;

  g_assert_cmpint (vmsan_content_store_open_initramfs (store, kernel->id, "/no/agent", &error), <,
                   0);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "/no/agent"));
  g_clear_error (&error);
  g_assert_cmpint (vmsan_content_store_open_initramfs (store, kernel->id, f->directory, &error), <,
                   0);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_clear_error (&error);
  g_assert_cmpint (vmsan_content_store_open_initramfs (store, "00", agent, &error), <, 0);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  empty = write_agent (f, "");
  g_assert_cmpint (vmsan_content_store_open_initramfs (store, kernel->id, empty, &error), <, 0);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_cmpuint (count_cached (f, kernel), ==, 0);
}

static void
test_an_entry_too_large_for_the_format_is_refused (StorageFixture *f, gconstpointer data)
{
  vmsan_autofd int fd = new_file (f);
  VmsanCpio cpio = { .fd = fd };
  g_autoptr (GError) error = NULL;

  g_assert_false (
      vmsan_cpio_add (&cpio, "x", S_IFREG | 0644, G_GUINT64_CONSTANT (1) << 32, 0, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kernel_fixture_configure ();
  storage_test ("/initramfs/it-holds-the-agent-and-the-modules-in-order",
                test_it_holds_the_agent_and_the_modules_in_order);
  storage_test ("/initramfs/it-is-packed-once-for-each-agent",
                test_it_is_packed_once_for_each_agent);
  storage_test ("/initramfs/a-half-packed-one-is-not-used", test_a_half_packed_one_is_not_used);
  storage_test ("/initramfs/a-missing-agent-or-kernel-is-named",
                test_a_missing_agent_or_kernel_is_named);
  storage_test ("/initramfs/an-entry-too-large-for-the-format-is-refused",
                test_an_entry_too_large_for_the_format_is_refused);
  return g_test_run ();
}
