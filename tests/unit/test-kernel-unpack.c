/* SPDX-License-Identifier: GPL-2.0-or-later */

/* bzImages of all kinds, good and hostile, through the real unpacker, and what the store keeps of
 * them. */

#include "kernel-fixture.h"
#include "storage-fixture.h"
#include "storage/confined-tool.h"
#include "storage/content-store.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <sys/mman.h>

#define ELF_SIZE (300 * 1024)
#define LZ4_RUN  255 /* of one byte that continues a length */

static gint n_warnings;

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

/* ---- Payloads ------------------------------------------------------------------------------ */

/* The least that passes for a kernel, and bytes that do not all compress to nothing. */
static GByteArray *
new_elf (guint machine, guint64 segment_size)
{
  const Elf64_Ehdr header = {
    .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
    .e_type = ET_EXEC,
    .e_machine = machine,
    .e_phoff = sizeof header,
    .e_phentsize = sizeof (Elf64_Phdr),
    .e_phnum = 1,
  };
  const Elf64_Phdr segment = { .p_type = PT_LOAD, .p_offset = 4096, .p_filesz = segment_size };
  GByteArray *elf = g_byte_array_new ();
  g_autoptr (GRand) random = g_rand_new_with_seed (1);

  g_byte_array_set_size (elf, ELF_SIZE);
  memset (elf->data, 0, ELF_SIZE);
  for (guint i = 4096; i < ELF_SIZE / 2; i++)
    elf->data[i] = g_rand_int_range (random, 0, 16);
  memcpy (elf->data, &header, sizeof header);
  memcpy (elf->data + sizeof header, &segment, sizeof segment);
  return elf;
}

static GByteArray *
new_good_elf (void)
{
  return new_elf (EM_X86_64, ELF_SIZE - 4096);
}

static la_ssize_t
append (struct archive *archive, void *data, const void *bytes, size_t size)
{
  g_byte_array_append (data, bytes, size);
  return size;
}

static GByteArray *
pack_by_libarchive (const GByteArray *content, int filter)
{
  GByteArray *packed = g_byte_array_new ();
  struct archive *archive = archive_write_new ();
  struct archive_entry *entry = archive_entry_new ();

  g_assert_cmpint (archive_write_add_filter (archive, filter), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_set_format_raw (archive), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_set_bytes_per_block (archive, 0), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_open (archive, packed, NULL, append, NULL), ==, ARCHIVE_OK);
  archive_entry_set_filetype (entry, AE_IFREG);
  g_assert_cmpint (archive_write_header (archive, entry), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_data (archive, content->data, content->len), ==, content->len);
  g_assert_cmpint (archive_write_close (archive), ==, ARCHIVE_OK);
  archive_entry_free (entry);
  archive_write_free (archive);
  return packed;
}

/* The legacy frame, which the kernel's build makes and libarchive only reads: a magic number, and
 * blocks with their size before them. One block of nothing but literals will do. */
static GByteArray *
pack_lz4 (const GByteArray *content)
{
  static const guint8 head[] = { 0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0 };
  GByteArray *packed = g_byte_array_new ();
  guint8 token = 0xf0;
  guint rest = content->len - 15;

  g_byte_array_append (packed, head, sizeof head);
  g_byte_array_append (packed, &token, 1);
  for (guint8 more = LZ4_RUN; more == LZ4_RUN; rest -= more)
    {
      more = MIN (rest, LZ4_RUN);
      g_byte_array_append (packed, &more, 1);
    }
  g_byte_array_append (packed, content->data, content->len);
  kernel_fixture_put (packed, 4, packed->len - sizeof head, 4);
  return packed;
}

static const struct
{
  const char *name;
  int filter; /* NONE: pack_lz4() */
} packers[] = {
  { "gzip", ARCHIVE_FILTER_GZIP }, { "bzip2", ARCHIVE_FILTER_BZIP2 },
  { "LZMA", ARCHIVE_FILTER_LZMA }, { "XZ", ARCHIVE_FILTER_XZ },
  { "ZSTD", ARCHIVE_FILTER_ZSTD }, { "LZ4", ARCHIVE_FILTER_NONE },
};

/* The stream, and the size behind it as the kernel's build appends it. */
static GByteArray *
new_payload (const GByteArray *content, guint packer)
{
  guint32 size = GUINT32_TO_LE (content->len);
  GByteArray *payload = packers[packer].filter == ARCHIVE_FILTER_NONE
                            ? pack_lz4 (content)
                            : pack_by_libarchive (content, packers[packer].filter);

  if (packers[packer].filter != ARCHIVE_FILTER_GZIP)
    g_byte_array_append (payload, (const guint8 *) &size, sizeof size);
  return payload;
}

static GByteArray *
new_image (const GByteArray *content, guint packer)
{
  g_autoptr (GByteArray) payload = new_payload (content, packer);

  return kernel_fixture_new (payload->data, payload->len);
}

/* ---- Unpacking ----------------------------------------------------------------------------- */

static int
to_file (StorageFixture *f, const GByteArray *bytes)
{
  g_autofree char *path = g_build_filename (f->directory, "kernel", NULL);
  g_autoptr (GError) error = NULL;
  int fd;

  g_file_set_contents (path, (const char *) bytes->data, bytes->len, &error);
  g_assert_no_error (error);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static int
new_output (StorageFixture *f)
{
  g_autofree char *path = g_build_filename (f->directory, "vmlinux", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0400);

  g_assert_cmpint (fd, >=, 0);
  unlink (path);
  return fd;
}

static void
assert_content (int fd, const GByteArray *expected)
{
  g_autofree guint8 *bytes = g_malloc (expected->len + 1);

  g_assert_cmpint (pread (fd, bytes, expected->len + 1, 0), ==, expected->len);
  g_assert_cmpmem (bytes, expected->len, expected->data, expected->len);
}

static gboolean
unpack (StorageFixture *f, const GByteArray *image, int output_fd, GError **error)
{
  vmsan_autofd int fd = to_file (f, image);

  return vmsan_kernel_unpack (fd, output_fd, NULL, error);
}

static void
assert_refused (StorageFixture *f, const GByteArray *image, int code, const char *text)
{
  vmsan_autofd int output_fd = new_output (f);
  g_autoptr (GError) error = NULL;

  g_assert_false (unpack (f, image, output_fd, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  if (strstr (error->message, text) == NULL)
    g_error ("“%s” does not say “%s”", error->message, text);
}

static void
test_every_compression_of_kernels_is_unpacked (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) elf = new_good_elf ();

  for (guint i = 0; i < G_N_ELEMENTS (packers); i++)
    {
      g_autoptr (GByteArray) image = new_image (elf, i);
      vmsan_autofd int output_fd = new_output (f);
      g_autoptr (GError) error = NULL;

      g_test_message ("%s", packers[i].name);
      unpack (f, image, output_fd, &error);
      g_assert_no_error (error);
      assert_content (output_fd, elf);
    }
}

/* Cut off in the middle and just before its end, by a header that is right about that. */
static void
test_a_stream_that_is_cut_off_is_refused (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) elf = new_good_elf ();
  guint32 size = GUINT32_TO_LE (elf->len);

  for (guint i = 0; i < G_N_ELEMENTS (packers); i++)
    {
      g_autoptr (GByteArray) whole = new_payload (elf, i);
      const guint lengths[] = { 6, 100, whole->len / 2, whole->len - 40 };

      for (guint j = 0; j < G_N_ELEMENTS (lengths); j++)
        {
          g_autoptr (GByteArray) cut = g_byte_array_new ();
          g_autoptr (GByteArray) image = NULL;

          g_byte_array_append (cut, whole->data, lengths[j]);
          g_byte_array_append (cut, (const guint8 *) &size, sizeof size);
          image = kernel_fixture_new (cut->data, cut->len);
          assert_refused (f, image, VMSAN_ERROR_INVALID_ARGUMENT, packers[i].name);
        }
    }
}

static void
test_a_stream_with_a_changed_byte_does_no_harm (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GRand) random = g_rand_new_with_seed (2);

  for (guint i = 0; i < G_N_ELEMENTS (packers); i++)
    {
      g_autoptr (GByteArray) payload = new_payload (elf, i);

      for (guint j = 0; j < 8; j++)
        {
          guint at = g_rand_int_range (random, 2, payload->len);
          g_autoptr (GByteArray) image = NULL;
          vmsan_autofd int output_fd = new_output (f);
          g_autoptr (GError) error = NULL;
          struct stat st;

          payload->data[at] ^= 1 << g_rand_int_range (random, 0, 8);
          image = kernel_fixture_new (payload->data, payload->len);
          /* Not all of them have a checksum; but the size is right, or there is none. */
          if (unpack (f, image, output_fd, &error))
            {
              g_assert_cmpint (fstat (output_fd, &st), ==, 0);
              g_assert_cmpint (st.st_size, ==, ELF_SIZE);
            }
          else
            g_assert_true (g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT) ||
                           g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED));
        }
    }
}

/* A header with one value that is wrong, @at the given place. */
static void
assert_header_refused (
    StorageFixture *f, gsize at, guint64 value, guint n_bytes, int code, const char *text)
{
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);

  kernel_fixture_put (image, at, value, n_bytes);
  assert_refused (f, image, code, text);
}

static void
test_a_header_that_lies_is_refused (StorageFixture *f, gconstpointer data)
{
  const int invalid = VMSAN_ERROR_INVALID_ARGUMENT;
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);

  assert_header_refused (f, 0x202, 0, 4, invalid, "no boot header");
  assert_header_refused (f, 0x206, 0x0207, 2, invalid, "2.08");
  assert_header_refused (f, 0x1f4, 1, 4, invalid, "beyond its end");
  assert_header_refused (f, 0x248, G_MAXUINT32, 4, invalid, "beyond its end");
  assert_header_refused (f, 0x248, image->len, 4, invalid, "beyond its end");
  assert_header_refused (f, 0x24c, G_MAXUINT32, 4, invalid, "beyond its end");
  assert_header_refused (f, 0x24c, image->len, 4, invalid, "beyond its end");
  assert_header_refused (f, 0x24c, 0, 4, invalid, "no payload");
  assert_header_refused (f, 0x24c, 8, 4, invalid, "no payload");
  assert_header_refused (f, 0x1f1, 0, 1, invalid, "beyond its end"); /* 0 means 4 */
  g_byte_array_set_size (image, 1024);
  assert_refused (f, image, invalid, "cut off");
  g_byte_array_set_size (image, 0x24f);
  assert_refused (f, image, invalid, "no boot header");
}

static void
assert_size_refused (StorageFixture *f, guint packer, guint32 size, int code, const char *text)
{
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) payload = new_payload (elf, packer);
  g_autoptr (GByteArray) image = NULL;

  kernel_fixture_put (payload, payload->len - 4, size, 4);
  image = kernel_fixture_new (payload->data, payload->len);
  assert_refused (f, image, code, text);
}

static void
test_a_payload_has_the_size_that_it_says (StorageFixture *f, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (packers); i++)
    {
      assert_size_refused (f, i, ELF_SIZE - 1, VMSAN_ERROR_INVALID_ARGUMENT, packers[i].name);
      assert_size_refused (f, i, ELF_SIZE + 1, VMSAN_ERROR_INVALID_ARGUMENT, packers[i].name);
      assert_size_refused (f, i, 0, VMSAN_ERROR_INVALID_ARGUMENT, packers[i].name);
      assert_size_refused (f, i, (512 << 20) + 1, VMSAN_ERROR_LIMIT_EXCEEDED, "512 MiB");
      assert_size_refused (f, i, G_MAXUINT32, VMSAN_ERROR_LIMIT_EXCEEDED, "512 MiB");
    }
}

/* It says that it is small, and is not. */
static void
test_a_bomb_writes_no_more_than_it_says (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) zeros = g_byte_array_new ();

  g_byte_array_set_size (zeros, 64 << 20);
  memset (zeros->data, 0, zeros->len);
  for (guint i = 0; i < G_N_ELEMENTS (packers); i++)
    {
      g_autoptr (GByteArray) payload = NULL;
      g_autoptr (GByteArray) image = NULL;
      vmsan_autofd int output_fd = new_output (f);
      g_autoptr (GError) error = NULL;
      struct stat st;

      if (packers[i].filter == ARCHIVE_FILTER_NONE)
        g_byte_array_set_size (zeros, 4 << 20); /* what a block may hold */
      payload = new_payload (zeros, i);
      kernel_fixture_put (payload, payload->len - 4, 1 << 20, 4);
      image = kernel_fixture_new (payload->data, payload->len);
      g_assert_false (unpack (f, image, output_fd, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_cmpint (fstat (output_fd, &st), ==, 0);
      g_assert_cmpint (st.st_size, <=, 1 << 20);
    }
}

static void
test_what_is_not_known_is_named (StorageFixture *f, gconstpointer data)
{
  static const guint8 lzo[] = "\x89LZO\0\r\n\x1a\n and so on";
  static const guint8 unknown[] = "\xab\xcd and so on";
  g_autoptr (GByteArray) first = kernel_fixture_new (lzo, sizeof lzo);
  g_autoptr (GByteArray) second = kernel_fixture_new (unknown, sizeof unknown);

  assert_refused (f, first, VMSAN_ERROR_INVALID_ARGUMENT, "LZO, which vmsan cannot unpack");
  assert_refused (f, second, VMSAN_ERROR_INVALID_ARGUMENT, "not known (it begins with ab cd)");
}

static void
test_what_is_packed_must_be_an_elf_kernel (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) other_machine = new_elf (EM_AARCH64, 4096);
  g_autoptr (GByteArray) cut_off = new_elf (EM_X86_64, ELF_SIZE);
  g_autoptr (GByteArray) bzimage = new_image (other_machine, 0);
  g_autoptr (GByteArray) text = g_byte_array_new ();
  GByteArray *const contents[] = { other_machine, cut_off, bzimage, text };

  g_byte_array_append (text, (const guint8 *) "hello, world", 12);
  for (guint i = 0; i < G_N_ELEMENTS (contents); i++)
    {
      g_autoptr (GByteArray) image = new_image (contents[i], 0);

      assert_refused (f, image, VMSAN_ERROR_INVALID_ARGUMENT, "no whole ELF kernel");
    }
}

/* ---- The unpacker -------------------------------------------------------------------------- */

static void
test_the_unpacker_is_bounded_and_not_trusted (StorageFixture *f, gconstpointer data)
{
  const VmsanKernelUnpackConfig missing = { .program = "/no/such/unpacker" };
  const VmsanKernelUnpackConfig liar = { .program = "/usr/bin/true" };
  const VmsanKernelUnpackConfig hurried = {
    .program = g_getenv ("VMSAN_KERNEL_UNPACKER"),
    .deadline_ms = 1,
  };
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  vmsan_autofd int output_fd = new_output (f);
  vmsan_autofd int fd = -1;
  int ends[2];

  image = new_image (elf, 0);
  fd = to_file (f, image);
  vmsan_kernel_unpack_configure (&missing);
  assert_refused (f, image, VMSAN_ERROR_UNAVAILABLE, "/no/such/unpacker");
  vmsan_kernel_unpack_configure (&liar);
  assert_refused (f, image, VMSAN_ERROR_INVALID_ARGUMENT, "no whole ELF kernel");

  /* It waits for a pipe that nobody reads. */
  vmsan_kernel_unpack_configure (&hurried);
  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  g_assert_false (vmsan_kernel_unpack (fd, ends[1], NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, "1 ms"));
  g_clear_error (&error);
  close (ends[0]);
  close (ends[1]);

  kernel_fixture_configure ();
  g_cancellable_cancel (cancellable);
  g_assert_false (vmsan_kernel_unpack (fd, output_fd, cancellable, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
}

typedef struct
{
  int kernel_fd;
  int output_fd;
  GCancellable *cancellable;
  GError *error;
} Unpacking;

static gpointer
unpack_in_thread (gpointer data)
{
  Unpacking *self = data;

  vmsan_kernel_unpack (self->kernel_fd, self->output_fd, self->cancellable, &self->error);
  return NULL;
}

/* The status of the only child of any of our threads, when that has @line; else NULL. */
static char *
read_child_status (const char *line)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);
  g_autofree char *text = NULL;
  const char *task;
  int pid = 0;

  while (pid == 0 && (task = g_dir_read_name (tasks)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/children", task);
      g_autofree char *children = NULL;

      if (g_file_get_contents (path, &children, NULL, NULL))
        pid = atoi (children);
    }
  if (pid != 0)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%d/status", pid);

      g_file_get_contents (path, &text, NULL, NULL);
    }
  return text != NULL && strstr (text, line) != NULL ? g_steal_pointer (&text) : NULL;
}

/* It waits for a pipe that nobody reads. */
static void
test_the_unpacker_has_no_power (StorageFixture *f, gconstpointer data)
{
  gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  g_autofree char *uid = g_strdup_printf ("Uid:\t%u\t", vmsan_tool_get_id ());
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  vmsan_autofd int kernel_fd = to_file (f, image);
  Unpacking unpacking = { .kernel_fd = kernel_fd, .cancellable = cancellable };
  g_autofree char *status = NULL;
  GThread *thread;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  unpacking.output_fd = ends[1];
  thread = g_thread_new ("unpack", unpack_in_thread, &unpacking);
  while ((status = read_child_status ("Seccomp:\t2")) == NULL && g_get_monotonic_time () < deadline)
    g_thread_yield ();
  g_cancellable_cancel (cancellable);
  g_thread_join (thread);
  close (ends[0]);
  close (ends[1]);

  g_assert_error (unpacking.error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_clear_error (&unpacking.error);
  g_assert_nonnull (status);
  g_assert_nonnull (strstr (status, uid));
  g_assert_nonnull (strstr (status, "NoNewPrivs:\t1"));
  g_assert_nonnull (strstr (status, "CapPrm:\t0000000000000000"));
  g_assert_nonnull (strstr (status, "CapEff:\t0000000000000000"));
}

/* ---- The store ----------------------------------------------------------------------------- */

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

static VmsanContent *
add (VmsanContentStore *store, int fd, GError **error)
{
  Result result = { 0 };

  vmsan_content_store_add_kernel_async (store, fd, -1, NULL, 0, "k", NULL, 0, NULL, on_result,
                                        &result);
  while (!result.done)
    g_main_context_iteration (NULL, TRUE);
  if (result.error != NULL)
    g_propagate_error (error, result.error);
  return result.content;
}

static VmsanContent *
add_image (StorageFixture *f, VmsanContentStore *store, const GByteArray *image)
{
  vmsan_autofd int fd = to_file (f, image);
  g_autoptr (GError) error = NULL;
  VmsanContent *content = add (store, fd, &error);

  g_assert_no_error (error);
  return content;
}

static VmsanContentStore *
open_store (StorageFixture *f)
{
  g_autoptr (GError) error = NULL;
  VmsanContentStore *store = vmsan_content_store_open (f->root, VMSAN_CONTENT_KERNEL, &error);

  g_assert_no_error (error);
  return store;
}

static void
assert_elf (VmsanContentStore *store, const char *id, const GByteArray *elf)
{
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = vmsan_content_store_open_elf (store, id, &error);
  struct stat st;

  g_assert_no_error (error);
  assert_content (fd, elf);
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0444);
}

static void
test_both_forms_of_a_kernel_are_kept (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);
  g_autoptr (VmsanContent) packed = add_image (f, store, image);
  g_autoptr (VmsanContent) found = NULL;
  g_autofree char *modules =
      g_strdup_printf ("%s/kernels/%s/modules.cpio", f->root_path, packed->id);
  vmsan_autofd int content_fd = vmsan_content_store_open_content (store, packed->id, NULL);
  struct stat st;

  g_assert_cmpstr (packed->format, ==, "bzimage");
  g_assert_cmpstr (packed->no_elf, ==, "");
  assert_content (content_fd, image);
  assert_elf (store, packed->id, elf);
  g_assert_cmpint (stat (modules, &st), ==, 0);
  g_assert_cmpuint (packed->size_bytes, ==, image->len + elf->len + st.st_size);

  g_clear_object (&store);
  store = open_store (f);
  found = vmsan_content_store_find (store, "k", NULL);
  g_assert_nonnull (found);
  assert_elf (store, found->id, elf);
  g_assert_cmpint (n_warnings, ==, 0);
}

static void
test_an_elf_kernel_is_kept_once (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (VmsanContent) content = add_image (f, store, elf);
  g_autofree char *vmlinux = g_strconcat ("kernels/", content->id, "/vmlinux", NULL);

  g_assert_cmpstr (content->format, ==, "elf");
  g_assert_true (vmsan_content_check_elf (content, NULL));
  g_assert_false (storage_exists (f, vmlinux));
  assert_elf (store, content->id, elf);
}

static void
test_a_kernel_that_is_there_is_not_unpacked_again (StorageFixture *f, gconstpointer data)
{
  const VmsanKernelUnpackConfig missing = { .program = "/no/such/unpacker" };
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);
  g_autoptr (VmsanContent) first = add_image (f, store, image);
  g_autoptr (VmsanContent) second = NULL;

  vmsan_kernel_unpack_configure (&missing);
  second = add_image (f, store, image);
  kernel_fixture_configure ();
  g_assert_true (first == second);
}

static void
test_a_kernel_without_an_elf_is_kept_with_the_reason (StorageFixture *f, gconstpointer data)
{
  static const guint8 unknown[] = "\xab\xcd and so on";
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) image = kernel_fixture_new (unknown, sizeof unknown);
  g_autoptr (VmsanContent) content = add_image (f, store, image);
  g_autoptr (VmsanContent) found = NULL;
  g_autofree char *vmlinux = g_strconcat ("kernels/", content->id, "/vmlinux", NULL);
  g_autoptr (GError) error = NULL;
  vmsan_autofd int content_fd = vmsan_content_store_open_content (store, content->id, &error);

  g_assert_no_error (error);
  assert_content (content_fd, image);
  g_assert_cmpstr (content->no_elf, ==, "Its compression is not known (it begins with ab cd)");
  g_assert_cmpint (vmsan_content_store_open_elf (store, content->id, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "ab cd"));
  g_assert_false (storage_exists (f, vmlinux));

  g_clear_object (&store);
  store = open_store (f);
  found = vmsan_content_store_find (store, "k", NULL);
  g_assert_cmpstr (found->no_elf, ==, content->no_elf);
  g_assert_cmpint (n_warnings, ==, 0);
}

static void
test_a_host_that_cannot_unpack_leaves_nothing (StorageFixture *f, gconstpointer data)
{
  const VmsanKernelUnpackConfig missing = { .program = "/no/such/unpacker" };
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);
  g_auto (GStrv) left = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = to_file (f, image);

  vmsan_kernel_unpack_configure (&missing);
  g_assert_null (add (store, fd, &error));
  kernel_fixture_configure ();
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  left = vmsan_managed_root_list (f->root, "kernels", 10, NULL);
  g_assert_cmpuint (g_strv_length (left), ==, 0);
}

/* Its meta.json with something else in it. */
static void
edit_meta (StorageFixture *f, const char *id, const char *from, const char *to)
{
  g_autofree char *path = g_strdup_printf ("%s/kernels/%s/meta.json", f->root_path, id);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *meta = NULL;

  g_assert_true (g_file_get_contents (path, &meta, NULL, NULL));
  g_string_assign (text, meta);
  g_assert_cmpuint (g_string_replace (text, from, to, 1), ==, 1);
  g_assert_true (g_file_set_contents (path, text->str, text->len, NULL));
}

static void
test_a_kernel_of_before_says_what_to_do (StorageFixture *f, gconstpointer data)
{
  static const guint8 unknown[] = "\xab\xcd and so on";
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) image = kernel_fixture_new (unknown, sizeof unknown);
  g_autoptr (VmsanContent) content = add_image (f, store, image);
  g_autoptr (VmsanContent) found = NULL;
  g_autofree char *member = g_strdup_printf ("\"no-elf\" : \"%s\",", content->no_elf);
  g_autoptr (GError) error = NULL;

  g_clear_object (&store);
  edit_meta (f, content->id, "\"version\" : 2", "\"version\" : 1");
  edit_meta (f, content->id, member, "");
  store = open_store (f);
  g_assert_cmpint (n_warnings, ==, 0);
  found = vmsan_content_store_find (store, "k", NULL);
  g_assert_nonnull (found);
  g_assert_false (vmsan_content_check_elf (found, &error));
  g_assert_nonnull (strstr (error->message, "remove it and add it again"));
}

static void
test_an_entry_that_lost_its_elf_is_set_aside (StorageFixture *f, gconstpointer data)
{
  g_autoptr (VmsanContentStore) store = open_store (f);
  g_autoptr (GByteArray) elf = new_good_elf ();
  g_autoptr (GByteArray) image = new_image (elf, 0);
  g_autoptr (VmsanContent) content = add_image (f, store, image);
  g_autofree char *vmlinux = g_strconcat ("kernels/", content->id, "/vmlinux", NULL);
  g_autofree char *path = storage_path (f, vmlinux);

  g_clear_object (&store);
  g_assert_cmpint (unlink (path), ==, 0);
  store = open_store (f);
  g_assert_cmpint (n_warnings, ==, 1);
  n_warnings = 0;
  g_assert_null (vmsan_content_store_find (store, "k", NULL));
}

/* ---- The real thing ------------------------------------------------------------------------ */

/* Debian's kernels: what is in them says which kernel it is. */
static void
test_the_hosts_kernels_are_unpacked (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GDir) dir = g_dir_open ("/boot", 0, NULL);
  const char *name;
  guint n = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/boot", name, NULL);
      g_autofree char *banner = NULL;
      g_autoptr (GMappedFile) mapped = NULL;
      g_autoptr (GError) error = NULL;
      vmsan_autofd int output_fd = -1;
      vmsan_autofd int fd = -1;
      const Elf64_Ehdr *header;

      if (!g_str_has_prefix (name, "vmlinuz-"))
        continue;
      fd = open (path, O_RDONLY | O_CLOEXEC);
      output_fd = new_output (f);
      vmsan_kernel_unpack (fd, output_fd, NULL, &error);
      g_assert_no_error (error);
      mapped = g_mapped_file_new_from_fd (output_fd, FALSE, &error);
      g_assert_no_error (error);
      header = (gconstpointer) g_mapped_file_get_contents (mapped);
      g_assert_cmpuint (header->e_machine, ==, EM_X86_64);
      g_assert_cmpuint (header->e_type, ==, ET_EXEC);
      banner = g_strdup_printf ("Linux version %s ", name + strlen ("vmlinuz-"));
      g_assert_nonnull (
          memmem (header, g_mapped_file_get_length (mapped), banner, strlen (banner)));
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (count_warnings, NULL, NULL);
  kernel_fixture_configure ();
#define ADD(name, function) storage_test ("/kernel-unpack/" name, function)
  ADD ("every-compression-of-kernels-is-unpacked", test_every_compression_of_kernels_is_unpacked);
  ADD ("a-stream-that-is-cut-off-is-refused", test_a_stream_that_is_cut_off_is_refused);
  ADD ("a-stream-with-a-changed-byte-does-no-harm", test_a_stream_with_a_changed_byte_does_no_harm);
  ADD ("a-header-that-lies-is-refused", test_a_header_that_lies_is_refused);
  ADD ("a-payload-has-the-size-that-it-says", test_a_payload_has_the_size_that_it_says);
  ADD ("a-bomb-writes-no-more-than-it-says", test_a_bomb_writes_no_more_than_it_says);
  ADD ("what-is-not-known-is-named", test_what_is_not_known_is_named);
  ADD ("what-is-packed-must-be-an-elf-kernel", test_what_is_packed_must_be_an_elf_kernel);
  ADD ("the-unpacker-is-bounded-and-not-trusted", test_the_unpacker_is_bounded_and_not_trusted);
  ADD ("the-unpacker-has-no-power", test_the_unpacker_has_no_power);
  ADD ("both-forms-of-a-kernel-are-kept", test_both_forms_of_a_kernel_are_kept);
  ADD ("an-elf-kernel-is-kept-once", test_an_elf_kernel_is_kept_once);
  ADD ("a-kernel-that-is-there-is-not-unpacked-again",
       test_a_kernel_that_is_there_is_not_unpacked_again);
  ADD ("a-kernel-without-an-elf-is-kept-with-the-reason",
       test_a_kernel_without_an_elf_is_kept_with_the_reason);
  ADD ("a-host-that-cannot-unpack-leaves-nothing", test_a_host_that_cannot_unpack_leaves_nothing);
  ADD ("a-kernel-of-before-says-what-to-do", test_a_kernel_of_before_says_what_to_do);
  ADD ("an-entry-that-lost-its-elf-is-set-aside", test_an_entry_that_lost_its_elf_is_set_aside);
  ADD ("the-hosts-kernels-are-unpacked", test_the_hosts_kernels_are_unpacked);
  return g_test_run ();
}
