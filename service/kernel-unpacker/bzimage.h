/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where in a bzImage the compressed kernel is; Documentation/arch/x86/boot.rst of Linux. */

#pragma once

#include <stddef.h>
#include <stdint.h>

/* What kernels are compressed with, by the list of boot.rst. */
enum compression
{
  COMPRESSION_UNKNOWN,
  COMPRESSION_GZIP,
  COMPRESSION_BZIP2,
  COMPRESSION_LZMA,
  COMPRESSION_XZ,
  COMPRESSION_LZO,
  COMPRESSION_LZ4,
  COMPRESSION_ZSTD,
};

/* "gzip"; "unknown". */
const char *compression_to_string (enum compression compression);

struct payload
{
  const uint8_t *data; /* in the image */
  size_t size;         /* of the compressed stream, the size behind it left out */
  enum compression compression;
  uint32_t unpacked_size; /* as it says */
};

/* Fills in @payload from the whole @image. NULL, or a static text that says what is wrong with the
 * image; then @payload is not changed. */
const char *bzimage_find_payload (const uint8_t *image, size_t size, struct payload *payload);
