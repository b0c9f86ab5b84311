/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A bzImage around any payload, and the program that unpacks it. */

#pragma once

#include "storage/kernel-unpack.h"

#include <string.h>

#define KERNEL_SETUP_SECTS 3
#define KERNEL_CODE_AT     ((KERNEL_SETUP_SECTS + 1) * 512)
#define KERNEL_PAYLOAD_AT  0x40 /* in the code */

static inline void
kernel_fixture_configure (void)
{
  const VmsanKernelUnpackConfig config = { .program = g_getenv ("VMSAN_KERNEL_UNPACKER") };

  g_assert_nonnull (config.program);
  vmsan_kernel_unpack_configure (&config);
}

/* @value in little-endian order. */
static inline void
kernel_fixture_put (GByteArray *image, gsize at, guint64 value, guint n_bytes)
{
  guint64 little = GUINT64_TO_LE (value);

  g_assert_cmpuint (at + n_bytes, <=, image->len);
  memcpy (image->data + at, &little, n_bytes);
}

/* As Documentation/arch/x86/boot.rst says; with something behind the code, as a signature would be.
 * (transfer full) */
static inline GByteArray *
kernel_fixture_new (gconstpointer payload, gsize size)
{
  static const char signature[] = "the signature";
  GByteArray *image = g_byte_array_new ();
  gsize code_size = (KERNEL_PAYLOAD_AT + size + 15) / 16 * 16;

  g_byte_array_set_size (image, KERNEL_CODE_AT + code_size);
  memset (image->data, 0, image->len);
  memcpy (image->data + KERNEL_CODE_AT + KERNEL_PAYLOAD_AT, payload, size);
  g_byte_array_append (image, (const guint8 *) signature, sizeof signature);
  kernel_fixture_put (image, 0x1f1, KERNEL_SETUP_SECTS, 1);
  kernel_fixture_put (image, 0x1f4, code_size / 16, 4);
  kernel_fixture_put (image, 0x1fe, 0xAA55, 2);
  memcpy (image->data + 0x202, "HdrS", 4);
  kernel_fixture_put (image, 0x206, 0x020f, 2);
  kernel_fixture_put (image, 0x211, 1, 1);
  kernel_fixture_put (image, 0x236, 1, 2);
  kernel_fixture_put (image, 0x248, KERNEL_PAYLOAD_AT, 4);
  kernel_fixture_put (image, 0x24c, size, 4);
  return image;
}
