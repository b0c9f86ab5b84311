/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What files are taken for, with file systems from the real tools and heads made by hand. */

#include "storage/image-probe.h"
#include "storage-fixture.h"

#include <elf.h>
#include <string.h>

static int
open_new (StorageFixture *f, const char *name, guint64 size)
{
  g_autofree char *path = storage_path (f, name);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ftruncate (fd, size), ==, 0);
  return fd;
}

static guint64
get_size (int fd)
{
  struct stat st;

  g_assert_cmpint (fstat (fd, &st), ==, 0);
  return st.st_size;
}

static void
assert_image (int fd, VmsanImageFormat expected)
{
  g_autoptr (GError) error = NULL;
  VmsanImageFormat format = -1;

  g_assert_true (vmsan_image_probe (fd, get_size (fd), &format, &error));
  g_assert_no_error (error);
  g_assert_cmpint (format, ==, expected);
}

static void
assert_no_image (int fd, const char *word)
{
  g_autoptr (GError) error = NULL;
  VmsanImageFormat format;

  g_assert_false (vmsan_image_probe (fd, get_size (fd), &format, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  if (strstr (error->message, word) == NULL)
    g_error ("“%s” does not mention “%s”", error->message, word);
}

static void
run (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, &status,
                &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, NULL))
    g_error ("%s: %s", argv[0], output);
}

/* What no tool can compress to less. */
static void
write_noise (StorageFixture *f, const char *name)
{
  vmsan_autofd int fd = open_new (f, name, 0);

  for (guint i = 0; i < 16384; i++)
    {
      guint32 word = g_test_rand_int ();

      storage_put (fd, i * sizeof word, &word, sizeof word);
    }
}

/* ---- Images -------------------------------------------------------------------------------- */

static void
test_real_file_systems_are_recognized (StorageFixture *f, gconstpointer data)
{
  g_autofree char *ext4 = storage_path (f, "ext4");
  g_autofree char *ext2 = storage_path (f, "ext2");
  g_autofree char *squashfs = storage_path (f, "squashfs");
  g_autofree char *erofs = storage_path (f, "erofs");
  g_autofree char *tree = storage_path (f, "tree");
  const char *const mke2fs[] = { "/usr/sbin/mke2fs", "-q", "-t", "ext4", ext4, "8M", NULL };
  const char *const mke2fs2[] = { "/usr/sbin/mke2fs", "-q", "-t", "ext2", ext2, "2M", NULL };
  const char *const mksquashfs[] = { "mksquashfs", tree, squashfs, "-quiet", "-no-progress", NULL };
  const char *const mkfs_erofs[] = { "mkfs.erofs", "--quiet", erofs, tree, NULL };
  const struct
  {
    const char *const *argv;
    const char *name;
    VmsanImageFormat format;
  } cases[] = {
    { mke2fs, "ext4", VMSAN_IMAGE_EXT4 },
    { mke2fs2, "ext2", VMSAN_IMAGE_EXT4 },
    { mksquashfs, "squashfs", VMSAN_IMAGE_SQUASHFS },
    { mkfs_erofs, "erofs", VMSAN_IMAGE_EROFS },
  };

  g_assert_cmpint (mkdir (tree, 0755), ==, 0);
  write_noise (f, "tree/file");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = storage_path (f, cases[i].name);
      vmsan_autofd int fd = -1;

      run (cases[i].argv);
      fd = open (path, O_RDWR | O_CLOEXEC);
      assert_image (fd, cases[i].format);
      g_assert_cmpint (lseek (fd, 0, SEEK_CUR), ==, 0);
      g_assert_cmpint (ftruncate (fd, get_size (fd) - 8192), ==, 0);
      assert_no_image (fd, "cut off");
    }
}

static void
put_ext4 (int fd, guint32 incompat)
{
  storage_put_number (fd, 1024 + 0x00, 16, 4);
  storage_put_number (fd, 1024 + 0x04, 64, 4);
  storage_put_number (fd, 1024 + 0x18, 2, 4);
  storage_put_number (fd, 1024 + 0x20, 32768, 4);
  storage_put_number (fd, 1024 + 0x38, 0xEF53, 2);
  storage_put_number (fd, 1024 + 0x60, incompat, 4);
}

static void
test_an_ext4_that_would_not_mount_is_refused (StorageFixture *f, gconstpointer data)
{
  vmsan_autofd int fd = open_new (f, "image", 64 * 4096);

  put_ext4 (fd, 0);
  assert_image (fd, VMSAN_IMAGE_EXT4);
  put_ext4 (fd, 0x4);
  assert_no_image (fd, "e2fsck");
  put_ext4 (fd, 0x8);
  assert_no_image (fd, "journal");
  put_ext4 (fd, 0x80);
  assert_image (fd, VMSAN_IMAGE_EXT4);
  storage_put_number (fd, 1024 + 0x150, 1, 4);
  assert_no_image (fd, "cut off");
  storage_put_number (fd, 1024 + 0x150, 0xffffffff, 4);
  assert_no_image (fd, "makes no sense");
  put_ext4 (fd, 0);
  storage_put_number (fd, 1024 + 0x18, 7, 4);
  assert_no_image (fd, "makes no sense");
  put_ext4 (fd, 0);
  storage_put_number (fd, 1024 + 0x20, 0, 4);
  assert_no_image (fd, "makes no sense");
  put_ext4 (fd, 0);
  g_assert_cmpint (ftruncate (fd, 64 * 4096 + 100), ==, 0);
  assert_no_image (fd, "multiple of 512");
}

static void
test_tar_is_recognized_by_its_checksum (StorageFixture *f, gconstpointer data)
{
  g_autofree char *tree = storage_path (f, "tree");
  static const char *const formats[] = { "v7", "ustar", "oldgnu", "gnu", "pax" };

  g_assert_cmpint (mkdir (tree, 0755), ==, 0);
  storage_write (f, "tree/file", "hello");
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_autofree char *path = storage_path (f, formats[i]);
      g_autofree char *format = g_strconcat ("--format=", formats[i], NULL);
      const char *const argv[] = { "tar", format, "-C", tree, "-cf", path, ".", NULL };
      vmsan_autofd int fd = -1;

      run (argv);
      fd = open (path, O_RDWR | O_CLOEXEC);
      assert_image (fd, VMSAN_IMAGE_TAR);
      storage_put (fd, 0, "X", 1);
      assert_no_image (fd, "not recognized");
    }
}

static void
test_compressed_files_go_to_the_builder (StorageFixture *f, gconstpointer data)
{
  static const struct
  {
    const char *magic;
    gsize size;
  } cases[] = { { "\x1f\x8b", 2 },
                { "\xfd"
                  "7zXZ",
                  6 },
                { "\x28\xb5\x2f\xfd", 4 },
                { "BZh", 3 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      vmsan_autofd int fd = open_new (f, "image", 1234);

      storage_put (fd, 0, cases[i].magic, cases[i].size);
      assert_image (fd, VMSAN_IMAGE_TAR);
    }
}

static void
test_other_things_are_named_with_advice (StorageFixture *f, gconstpointer data)
{
  static const struct
  {
    guint64 offset;
    const char *magic;
    gsize size;
    const char *word;
  } cases[] = {
    { 0, "QFI\xfb", 4, "qcow2" },
    { 0, "QFI\xfb", 4, "qemu-img convert" },
    { 0, "KDMV", 4, "VMDK" },
    { 0x8001, "CD001", 5, "ISO 9660" },
    { 512, "EFI PART", 8, "GPT" },
    { 510, "\x55\xaa", 2, "boot sector" },
    { 0, "LUKS\xba\xbe", 6, "LUKS" },
    { 0, "XFSB", 4, "XFS" },
    { 0x10040, "_BHRfS_M", 8, "btrfs" },
    { 0, "070701", 6, "cpio" },
    { 0, "PK\x03\x04", 4, "zip" },
    { 0, "MZ", 2, "AddKernel" },
    { 0,
      "\x7f"
      "ELF",
      4, "AddKernel" },
    { 0, "hello", 5, "not recognized" },
    { 0, "hsqs", 4, "version" },
  };
  vmsan_autofd int empty = open_new (f, "empty", 0);
  vmsan_autofd int tiny = open_new (f, "tiny", 1);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      vmsan_autofd int fd = open_new (f, "image", 128 * 1024);

      storage_put (fd, cases[i].offset, cases[i].magic, cases[i].size);
      assert_no_image (fd, cases[i].word);
    }
  assert_no_image (empty, "empty");
  assert_no_image (tiny, "not recognized");
}

/* No head, however short or odd, makes the probe read out of bounds (which the sanitizers see) or
 * fail without a message. */
static void
test_random_heads_are_answered (StorageFixture *f, gconstpointer data)
{
  static const char *const magics[] = { "", "hsqs",
                                        "\x7f"
                                        "ELF",
                                        "\x1f\x8b", "QFI\xfb" };
  vmsan_autofd int fd = open_new (f, "image", 0);

  for (guint i = 0; i < 3000; i++)
    {
      guint8 bytes[4096];
      gsize size = g_test_rand_int_range (0, sizeof bytes);
      const char *magic = magics[i % G_N_ELEMENTS (magics)];
      g_autoptr (GError) image_error = NULL;
      g_autoptr (GError) kernel_error = NULL;
      VmsanImageFormat image_format;
      const char *kernel_format;

      for (gsize j = 0; j < sizeof bytes; j++)
        bytes[j] = g_test_rand_int ();
      memcpy (bytes, magic, strlen (magic));
      if (i % 3 == 0)
        memcpy (bytes + 0x202, "HdrS", 4);
      if (i % 3 == 1)
        memcpy (bytes + 1024 + 0x38, "\x53\xef", 2);
      g_assert_cmpint (ftruncate (fd, 0), ==, 0);
      storage_put (fd, 0, bytes, size);
      if (!vmsan_image_probe (fd, size, &image_format, &image_error))
        g_assert_nonnull (image_error);
      if (!vmsan_kernel_probe (fd, size, &kernel_format, &kernel_error))
        g_assert_nonnull (kernel_error);
    }
}

/* ---- Kernels ------------------------------------------------------------------------------- */

static void
assert_kernel (int fd, const char *expected)
{
  g_autoptr (GError) error = NULL;
  const char *format = NULL;

  g_assert_true (vmsan_kernel_probe (fd, get_size (fd), &format, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (format, ==, expected);
}

static void
assert_no_kernel (int fd, const char *word)
{
  g_autoptr (GError) error = NULL;
  const char *format;

  g_assert_false (vmsan_kernel_probe (fd, get_size (fd), &format, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  if (strstr (error->message, word) == NULL)
    g_error ("“%s” does not mention “%s”", error->message, word);
}

static void
put_bzimage (int fd)
{
  storage_put_number (fd, 0x1f1, 3, 1);
  storage_put_number (fd, 0x1f4, 1024, 4); /* 16 KiB behind 2 KiB of setup */
  storage_put_number (fd, 0x1fe, 0xAA55, 2);
  storage_put (fd, 0x202, "HdrS", 4);
  storage_put_number (fd, 0x206, 0x020f, 2);
  storage_put_number (fd, 0x211, 1, 1);
  storage_put_number (fd, 0x236, 1, 2);
}

static void
test_a_bzimage_must_be_whole_and_64_bit (StorageFixture *f, gconstpointer data)
{
  vmsan_autofd int fd = open_new (f, "kernel", 18 * 1024);

  put_bzimage (fd);
  assert_kernel (fd, "bzimage");
  storage_put_number (fd, 0x206, 0x020b, 2);
  assert_no_kernel (fd, "64-bit");
  put_bzimage (fd);
  storage_put_number (fd, 0x236, 0, 2);
  assert_no_kernel (fd, "64-bit");
  put_bzimage (fd);
  storage_put_number (fd, 0x211, 0, 1);
  assert_no_kernel (fd, "64-bit");
  put_bzimage (fd);
  g_assert_cmpint (ftruncate (fd, 17 * 1024), ==, 0);
  assert_no_kernel (fd, "cut off");
  g_assert_cmpint (ftruncate (fd, 0x240), ==, 0);
  assert_no_kernel (fd, "cut off");
}

static void
test_the_hosts_kernels_are_recognized (StorageFixture *f, gconstpointer data)
{
  g_autoptr (GDir) dir = g_dir_open ("/boot", 0, NULL);
  const char *name;
  guint n = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/boot", name, NULL);
      vmsan_autofd int fd = -1;

      if (!g_str_has_prefix (name, "vmlinuz-"))
        continue;
      fd = open (path, O_RDONLY | O_CLOEXEC);
      g_assert_cmpint (fd, >=, 0);
      assert_kernel (fd, "bzimage");
      assert_no_image (fd, "AddKernel");
      n++;
    }
  if (n == 0)
    g_test_skip ("there is no kernel in /boot");
}

static void
put_elf (int fd, guint type, guint machine)
{
  const Elf64_Ehdr header = {
    .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
    .e_type = type,
    .e_machine = machine,
    .e_phoff = sizeof header,
    .e_phentsize = sizeof (Elf64_Phdr),
    .e_phnum = 2,
  };
  const Elf64_Phdr segments[2] = { { .p_offset = 1024, .p_filesz = 3072 }, { .p_type = PT_NOTE } };

  storage_put (fd, 0, &header, sizeof header);
  storage_put (fd, sizeof header, segments, sizeof segments);
}

static void
test_an_elf_kernel_is_for_x86_64 (StorageFixture *f, gconstpointer data)
{
  const guint64 segment = sizeof (Elf64_Ehdr); /* the first one's header */
  vmsan_autofd int fd = open_new (f, "kernel", 4096);

  put_elf (fd, ET_EXEC, EM_X86_64);
  assert_kernel (fd, "elf");
  put_elf (fd, ET_EXEC, EM_AARCH64);
  assert_no_kernel (fd, "x86-64");
  put_elf (fd, ET_REL, EM_X86_64);
  assert_no_kernel (fd, "x86-64");
  put_elf (fd, ET_EXEC, EM_X86_64);
  storage_put_number (fd, G_STRUCT_OFFSET (Elf64_Ehdr, e_phoff), 1 << 20, 8);
  assert_no_kernel (fd, "cut off");
  storage_put_number (fd, G_STRUCT_OFFSET (Elf64_Ehdr, e_phoff), G_MAXUINT64, 8);
  assert_no_kernel (fd, "cut off");
  put_elf (fd, ET_EXEC, EM_X86_64);
  storage_put_number (fd, G_STRUCT_OFFSET (Elf64_Ehdr, e_phentsize), 32, 2);
  assert_no_kernel (fd, "x86-64");
  put_elf (fd, ET_EXEC, EM_X86_64);
  storage_put_number (fd, segment + G_STRUCT_OFFSET (Elf64_Phdr, p_filesz), 3073, 8);
  assert_no_kernel (fd, "cut off");
  put_elf (fd, ET_EXEC, EM_X86_64);
  storage_put_number (fd, segment + G_STRUCT_OFFSET (Elf64_Phdr, p_offset), G_MAXUINT64, 8);
  assert_no_kernel (fd, "cut off");
  storage_put (fd, 0, "\x1f\x8b\0\0\0\0", 6);
  assert_no_kernel (fd, "decompress");
  storage_put (fd, 0, "hello!", 6);
  assert_no_kernel (fd, "not recognized");
}

static void
test_a_module_is_an_uncompressed_object_for_x86_64 (StorageFixture *f, gconstpointer data)
{
  Elf64_Ehdr header = {
    .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
    .e_type = ET_REL,
    .e_machine = EM_X86_64,
  };
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_module_probe ("m", (const guint8 *) &header, sizeof header, &error));
  g_assert_false (vmsan_module_probe ("m", (const guint8 *) &header, 20, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (vmsan_module_probe ("m",
                                      (const guint8 *) "\xfd"
                                                       "7zXZ\0",
                                      6, &error));
  g_assert_nonnull (strstr (error->message, "xz"));
  g_clear_error (&error);
  header.e_type = ET_EXEC;
  g_assert_false (vmsan_module_probe ("m", (const guint8 *) &header, sizeof header, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  storage_test ("/image-probe/real-file-systems-are-recognized",
                test_real_file_systems_are_recognized);
  storage_test ("/image-probe/an-ext4-that-would-not-mount-is-refused",
                test_an_ext4_that_would_not_mount_is_refused);
  storage_test ("/image-probe/tar-is-recognized-by-its-checksum",
                test_tar_is_recognized_by_its_checksum);
  storage_test ("/image-probe/compressed-files-go-to-the-builder",
                test_compressed_files_go_to_the_builder);
  storage_test ("/image-probe/other-things-are-named-with-advice",
                test_other_things_are_named_with_advice);
  storage_test ("/image-probe/random-heads-are-answered", test_random_heads_are_answered);
  storage_test ("/image-probe/a-bzimage-must-be-whole-and-64-bit",
                test_a_bzimage_must_be_whole_and_64_bit);
  storage_test ("/image-probe/the-hosts-kernels-are-recognized",
                test_the_hosts_kernels_are_recognized);
  storage_test ("/image-probe/an-elf-kernel-is-for-x86-64", test_an_elf_kernel_is_for_x86_64);
  storage_test ("/image-probe/a-module-is-an-uncompressed-object-for-x86-64",
                test_a_module_is_an_uncompressed_object_for_x86_64);
  return g_test_run ();
}
