/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a file holds, told by its first bytes and never by its name.
 *
 * Only a bounded head is read and no length in it is trusted further than to find out that the
 * file is cut off. What is something else is named, with what to do about it. */

#pragma once

#include <gio/gio.h>

/**
 * VmsanImageFormat:
 * @VMSAN_IMAGE_EXT4: ext2, ext3 or ext4 without partition table
 * @VMSAN_IMAGE_SQUASHFS: squashfs 4
 * @VMSAN_IMAGE_EROFS: EROFS
 * @VMSAN_IMAGE_TAR: a tar archive, or something compressed that should be one: for the builder
 */
typedef enum
{
  VMSAN_IMAGE_EXT4,
  VMSAN_IMAGE_SQUASHFS,
  VMSAN_IMAGE_EROFS,
  VMSAN_IMAGE_TAR,
} VmsanImageFormat;

/* "ext4", "squashfs", "erofs" or "tar". */
const char *vmsan_image_format_to_string (VmsanImageFormat format);

/* Recognizes the file behind @fd of @size bytes; its offset stays as it is. INVALID_ARGUMENT or
 * NOT_SUPPORTED with advice. */
gboolean vmsan_image_probe (int fd, guint64 size, VmsanImageFormat *format, GError **error);

/* Recognizes a kernel for x86-64: @format becomes "bzimage" or "elf". */
gboolean vmsan_kernel_probe (int fd, guint64 size, const char **format, GError **error);

/* Refuses what is no uncompressed kernel module for x86-64; @head are its first bytes. */
gboolean vmsan_module_probe (const char *name, const guint8 *head, gsize head_size, GError **error);
