/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: reads at most HEAD_SIZE bytes, and every answer that is no comes with what to do.
 *
 * Layouts: Documentation/filesystems/ext4/super.rst, squashfs and erofs on-disk headers,
 * Documentation/arch/x86/boot.rst, elf(5), and POSIX pax for tar. */

#include "storage/image-probe.h"

#include "sys/error.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The last magic that matters is that of btrfs at 64 KiB. */
#define HEAD_SIZE (64 * 1024 + 4096)

#define EXT4_SUPER                1024
#define EXT4_INCOMPAT_RECOVER     0x0004
#define EXT4_INCOMPAT_JOURNAL_DEV 0x0008
#define EXT4_INCOMPAT_64BIT       0x0080

#define EROFS_SUPER 1024
#define EROFS_MAGIC 0xE0F5E1E2u

#define BOOT_FLAG_AT     0x1fe
#define BOOT_MAGIC_AT    0x202
#define BOOT_VERSION_AT  0x206
#define BOOT_SIZE_AT     0x1f4
#define BOOT_LOADFLAGS   0x211
#define BOOT_XLOADFLAGS  0x236
#define BOOT_HEADER_SIZE 0x268

typedef struct
{
  const guint8 *data;
  gsize size;
} Head;

typedef struct
{
  guint offset;
  guint length;
  const char *magic;
  const char *what;
  const char *advice;
} Signature;

/* Compressed: the builder unpacks these, when there is a tar in them. */
static const Signature compressions[] = {
  { 0, 2, "\x1f\x8b", "gzip", NULL },
  { 0, 6,
    "\xfd"
    "7zXZ\0",
    "xz", NULL },
  { 0, 4, "\x28\xb5\x2f\xfd", "zstd", NULL },
  { 0, 3, "BZh", "bzip2", NULL },
};

static const Signature others[] = {
  { 0, 4, "QFI\xfb", "a qcow2 disk",
    "convert it with “qemu-img convert -O raw” and give the file "
    "system in it, not the whole disk" },
  { 0, 4, "KDMV", "a VMDK disk",
    "convert it with “qemu-img convert -O raw” and give the file "
    "system in it, not the whole disk" },
  { 0, 8, "vhdxfile", "a VHDX disk",
    "convert it with “qemu-img convert -O raw” and give the file "
    "system in it, not the whole disk" },
  { 0x40, 4, "\x7f\x10\xda\xbe", "a VDI disk",
    "convert it with “qemu-img convert -O raw” and give "
    "the file system in it, not the whole disk" },
  { 0x8001, 5, "CD001", "an ISO 9660 image", "give a tar of its content" },
  { 512, 8, "EFI PART", "a whole disk with a GPT",
    "give the root file system alone, copied out of "
    "its partition" },
  { 4096, 8, "EFI PART", "a whole disk with a GPT",
    "give the root file system alone, copied out of "
    "its partition" },
  { 0, 6, "LUKS\xba\xbe", "an encrypted LUKS volume", "give the file system in it" },
  { 0, 4, "XFSB", "an XFS file system", "give a tar of its content" },
  { 0x10040, 8, "_BHRfS_M", "a btrfs file system", "give a tar of its content" },
  { 0, 6, "070701", "a cpio archive", "give a tar of its content" },
  { 0, 6, "070702", "a cpio archive", "give a tar of its content" },
  { 0, 4, "PK\x03\x04", "a zip archive", "give a tar of its content" },
  { 0, 2, "MZ", "a program or kernel",
    "a kernel is added with AddKernel (vmsan-client kernel add)" },
  { 0, 4,
    "\x7f"
    "ELF",
    "a program or kernel", "a kernel is added with AddKernel (vmsan-client kernel add)" },
  { 510, 2, "\x55\xaa", "a whole disk with a boot sector",
    "give the root file system alone, "
    "copied out of its partition" },
};

/* ---- Bounded reading ----------------------------------------------------------------------- */

static guint8 *
read_head (int fd, gsize *size, GError **error)
{
  g_autofree guint8 *data = g_malloc (HEAD_SIZE);
  gsize done = 0;

  while (done < HEAD_SIZE)
    {
      gssize n = pread (fd, data + done, HEAD_SIZE - done, done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          vmsan_error_set_errno (error, errno, "Reading the file failed");
          return NULL;
        }
      if (n == 0)
        break;
      done += n;
    }
  *size = done;
  return g_steal_pointer (&data);
}

/* Bytes behind the end read as 0, which is no magic and no sane size. */
static guint64
get_number (const Head *head, gsize offset, guint n_bytes)
{
  guint64 value = 0;

  for (guint i = 0; i < n_bytes; i++)
    if (offset + i < head->size)
      value |= (guint64) head->data[offset + i] << (8 * i);
  return value;
}

static gboolean
has_bytes (const Head *head, gsize offset, const char *magic, gsize length)
{
  return head->size >= offset + length && memcmp (head->data + offset, magic, length) == 0;
}

static const Signature *
find_signature (const Head *head, const Signature *table, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (has_bytes (head, table[i].offset, table[i].magic, table[i].length))
      return &table[i];
  return NULL;
}

static gboolean
check_length (const char *what, guint64 needed, guint64 size, GError **error)
{
  if (needed <= size)
    return TRUE;
  return vmsan_error_refuse (error,
                             "This %s is cut off: it says that it has %" G_GUINT64_FORMAT
                             " bytes, and the file has %" G_GUINT64_FORMAT "; copy it again",
                             what, needed, size);
}

/* ---- Images -------------------------------------------------------------------------------- */

static gboolean
check_ext4 (const Head *head, guint64 size, GError **error)
{
  guint64 log_block_size = get_number (head, EXT4_SUPER + 0x18, 4);
  guint64 inodes = get_number (head, EXT4_SUPER + 0x00, 4);
  guint64 blocks = get_number (head, EXT4_SUPER + 0x04, 4);
  guint64 blocks_per_group = get_number (head, EXT4_SUPER + 0x20, 4);
  guint64 incompat = get_number (head, EXT4_SUPER + 0x60, 4);

  if ((incompat & EXT4_INCOMPAT_64BIT) != 0)
    blocks |= get_number (head, EXT4_SUPER + 0x150, 4) << 32;
  if (log_block_size > 6 || inodes == 0 || blocks == 0 || blocks_per_group == 0 ||
      blocks > G_MAXUINT64 >> 17)
    return vmsan_error_refuse (
        error, "This ext4 file system has a superblock that makes no sense; make it "
               "again or give a tar of its content");
  if ((incompat & EXT4_INCOMPAT_JOURNAL_DEV) != 0)
    return vmsan_error_refuse (error,
                               "This is the journal of an ext4 file system; give the file system");
  if ((incompat & EXT4_INCOMPAT_RECOVER) != 0)
    return vmsan_error_refuse (
        error, "This ext4 file system was not unmounted cleanly, and machines cannot "
               "repair a read-only image; run “e2fsck -fy” on it first");
  return check_length ("ext4 file system", blocks << (10 + log_block_size), size, error);
}

static gboolean
check_squashfs (const Head *head, guint64 size, GError **error)
{
  guint64 major = get_number (head, 28, 2);

  if (major != 4)
    return vmsan_error_refuse (
        error,
        "This squashfs has version %u, and Linux mounts version 4 only; make it "
        "again with a current mksquashfs",
        (guint) major);
  return check_length ("squashfs", get_number (head, 40, 8), size, error);
}

static gboolean
check_erofs (const Head *head, guint64 size, GError **error)
{
  guint64 block_bits = get_number (head, EROFS_SUPER + 12, 1);
  guint64 blocks = get_number (head, EROFS_SUPER + 36, 4);

  if (block_bits < 9 || block_bits > 16 || blocks == 0)
    return vmsan_error_refuse (error,
                               "This EROFS has a superblock that makes no sense; make it again");
  return check_length ("EROFS", blocks << block_bits, size, error);
}

/* A header block whose checksum is right; so v7 archives without a magic are known as well. */
static gboolean
is_tar (const Head *head)
{
  guint64 sum = 0;
  guint64 said;
  char digits[9] = { 0 };

  if (head->size < 512 || head->data[0] == '\0')
    return FALSE;
  memcpy (digits, head->data + 148, 8);
  said = g_ascii_strtoull (g_strchug (digits), NULL, 8);
  for (guint i = 0; i < 512; i++)
    sum += i >= 148 && i < 156 ? ' ' : head->data[i];
  return said == sum;
}

const char *
vmsan_image_format_to_string (VmsanImageFormat format)
{
  static const char *const names[] = { "ext4", "squashfs", "erofs", "tar" };

  return names[format];
}

static gboolean
probe_image_head (const Head *head, guint64 size, VmsanImageFormat *format, GError **error)
{
  const Signature *other;

  if (size == 0)
    return vmsan_error_refuse (
        error, "The file is empty; give a raw ext4, squashfs or EROFS file system or a "
               "tar archive");
  if (get_number (head, EXT4_SUPER + 0x38, 2) == 0xEF53)
    {
      *format = VMSAN_IMAGE_EXT4;
      return check_ext4 (head, size, error);
    }
  if (has_bytes (head, 0, "hsqs", 4))
    {
      *format = VMSAN_IMAGE_SQUASHFS;
      return check_squashfs (head, size, error);
    }
  if (get_number (head, EROFS_SUPER, 4) == EROFS_MAGIC)
    {
      *format = VMSAN_IMAGE_EROFS;
      return check_erofs (head, size, error);
    }
  if (is_tar (head) || find_signature (head, compressions, G_N_ELEMENTS (compressions)) != NULL)
    {
      *format = VMSAN_IMAGE_TAR;
      return TRUE;
    }
  other = find_signature (head, others, G_N_ELEMENTS (others));
  if (other != NULL)
    return vmsan_error_refuse (error, "This is %s, which cannot be an image; %s", other->what,
                               other->advice);
  return vmsan_error_refuse (
      error, "The file is not recognized; an image is a raw ext4, squashfs or EROFS file "
             "system, or a tar archive of a root directory");
}

gboolean
vmsan_image_probe (int fd, guint64 size, VmsanImageFormat *format, GError **error)
{
  g_autofree guint8 *data = NULL;
  Head head = { 0 };

  data = read_head (fd, &head.size, error);
  if (data == NULL)
    return FALSE;
  head.data = data;
  if (!probe_image_head (&head, size, format, error))
    return FALSE;
  /* A virtual disk ends with a whole sector; Firecracker would hide the rest from the guest. */
  if (*format != VMSAN_IMAGE_TAR && size % 512 != 0)
    return vmsan_error_refuse (
        error,
        "The image has %" G_GUINT64_FORMAT " bytes, which is no multiple of 512, so a "
        "machine could not see its end; pad it with “truncate -s %%4096 FILE”",
        size);
  return TRUE;
}

/* ---- Kernels ------------------------------------------------------------------------------- */

static gboolean
check_bzimage (const Head *head, guint64 size, GError **error)
{
  guint64 setup_sectors = get_number (head, 0x1f1, 1);
  guint64 needed;

  if (head->size < BOOT_HEADER_SIZE || get_number (head, BOOT_FLAG_AT, 2) != 0xAA55)
    return vmsan_error_refuse (error, "This kernel is cut off; copy it again");
  /* From protocol 2.12 on a kernel says whether it has a 64-bit entry point. */
  if (get_number (head, BOOT_VERSION_AT, 2) < 0x020c ||
      (get_number (head, BOOT_LOADFLAGS, 1) & 1) == 0 ||
      (get_number (head, BOOT_XLOADFLAGS, 2) & 1) == 0)
    return vmsan_error_refuse (
        error, "This kernel is no 64-bit bzImage of Linux 3.8 or later; give one for "
               "x86-64");
  if (setup_sectors == 0)
    setup_sectors = 4; /* boot.rst: for backwards compatibility */
  needed = (setup_sectors + 1) * 512 + get_number (head, BOOT_SIZE_AT, 4) * 16;
  /* The size is in paragraphs of 16 bytes, rounded up. */
  return check_length ("kernel", needed - MIN (needed, 16), size, error);
}

static gboolean
is_elf_x86_64 (const Head *head)
{
  return head->size >= sizeof (Elf64_Ehdr) && has_bytes (head, 0, ELFMAG, SELFMAG) &&
         get_number (head, EI_CLASS, 1) == ELFCLASS64 &&
         get_number (head, EI_DATA, 1) == ELFDATA2LSB &&
         get_number (head, G_STRUCT_OFFSET (Elf64_Ehdr, e_machine), 2) == EM_X86_64;
}

static guint64
get_elf_type (const Head *head)
{
  return get_number (head, G_STRUCT_OFFSET (Elf64_Ehdr, e_type), 2);
}

/* Program headers have one size, and a few of them follow the ELF header at once: so linkers write
 * them, and so they are all in the head. */
static gboolean
check_vmlinux (const Head *head, guint64 size, GError **error)
{
  guint64 table = get_number (head, G_STRUCT_OFFSET (Elf64_Ehdr, e_phoff), 8);
  guint64 entry_size = get_number (head, G_STRUCT_OFFSET (Elf64_Ehdr, e_phentsize), 2);
  guint64 n = get_number (head, G_STRUCT_OFFSET (Elf64_Ehdr, e_phnum), 2);

  if (!is_elf_x86_64 (head) || get_elf_type (head) != ET_EXEC || n == 0 ||
      table < sizeof (Elf64_Ehdr) || entry_size != sizeof (Elf64_Phdr))
    return vmsan_error_refuse (
        error, "This ELF file is no kernel for x86-64; give a bzImage or an uncompressed "
               "vmlinux");
  if (table > head->size || n * sizeof (Elf64_Phdr) > head->size - table)
    return vmsan_error_refuse (error, "This kernel is cut off; copy it again");
  for (guint64 i = 0; i < n; i++)
    {
      guint64 header = table + i * sizeof (Elf64_Phdr);
      guint64 offset = get_number (head, header + G_STRUCT_OFFSET (Elf64_Phdr, p_offset), 8);
      guint64 length = get_number (head, header + G_STRUCT_OFFSET (Elf64_Phdr, p_filesz), 8);

      if (offset > size || length > size - offset)
        return vmsan_error_refuse (error, "This kernel is cut off; copy it again");
    }
  return TRUE;
}

gboolean
vmsan_kernel_probe (int fd, guint64 size, const char **format, GError **error)
{
  g_autofree guint8 *data = NULL;
  const Signature *compression;
  Head head = { 0 };

  data = read_head (fd, &head.size, error);
  if (data == NULL)
    return FALSE;
  head.data = data;
  if (has_bytes (&head, BOOT_MAGIC_AT, "HdrS", 4))
    {
      *format = "bzimage";
      return check_bzimage (&head, size, error);
    }
  if (has_bytes (&head, 0, ELFMAG, SELFMAG))
    {
      *format = "elf";
      return check_vmlinux (&head, size, error);
    }
  compression = find_signature (&head, compressions, G_N_ELEMENTS (compressions));
  if (compression != NULL)
    return vmsan_error_refuse (error,
                               "This is a file compressed with %s; decompress the kernel first",
                               compression->what);
  return vmsan_error_refuse (
      error, "The file is not recognized; a kernel is a bzImage (such as /boot/vmlinuz) "
             "or an ELF vmlinux for x86-64");
}

gboolean
vmsan_module_probe (const char *name, const guint8 *data, gsize head_size, GError **error)
{
  const Head head = { data, head_size };
  const Signature *compression = find_signature (&head, compressions, G_N_ELEMENTS (compressions));

  if (compression != NULL)
    return vmsan_error_refuse (error, "The module “%s” is compressed with %s; decompress it first",
                               name, compression->what);
  if (!is_elf_x86_64 (&head) || get_elf_type (&head) != ET_REL)
    return vmsan_error_refuse (
        error,
        "“%s” is no kernel module for x86-64; check that the sizes in the module "
        "list are those of the modules, in order",
        name);
  return TRUE;
}
