/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no byte outside the image is read, and what is found lies within it. */

#include "bzimage.h"

#include <string.h>

#define SECTOR           512
#define PARAGRAPH        16
#define SETUP_SECTS_AT   0x1f1
#define SYSSIZE_AT       0x1f4
#define MAGIC_AT         0x202
#define VERSION_AT       0x206
#define PAYLOAD_AT       0x248
#define PAYLOAD_SIZE_AT  0x24c
#define HEADER_SIZE      0x250
#define VERSION_2_08     0x0208 /* the first with a payload in the header */
#define SETUP_SECTS_NONE 4      /* what 0 means, for backwards compatibility */
#define SIZE_BYTES       4      /* of the unpacked size behind the stream */

static const struct
{
  const char *name;
  uint8_t magic[2];
} compressions[] = {
  [COMPRESSION_UNKNOWN] = { "unknown", { 0 } },
  [COMPRESSION_GZIP] = { "gzip", { 0x1f, 0x8b } },
  [COMPRESSION_BZIP2] = { "bzip2", { 0x42, 0x5a } },
  [COMPRESSION_LZMA] = { "LZMA", { 0x5d, 0x00 } },
  [COMPRESSION_XZ] = { "XZ", { 0xfd, 0x37 } },
  [COMPRESSION_LZO] = { "LZO", { 0x89, 0x4c } },
  [COMPRESSION_LZ4] = { "LZ4", { 0x02, 0x21 } },
  [COMPRESSION_ZSTD] = { "ZSTD", { 0x28, 0xb5 } },
};

#define N_COMPRESSIONS (sizeof compressions / sizeof compressions[0])

const char *
compression_to_string (enum compression compression)
{
  return compressions[compression].name;
}

static uint32_t
read_u32 (const uint8_t *data)
{
  return data[0] | data[1] << 8 | data[2] << 16 | (uint32_t) data[3] << 24;
}

static enum compression
find_compression (const uint8_t *data)
{
  for (unsigned i = COMPRESSION_UNKNOWN + 1; i < N_COMPRESSIONS; i++)
    if (memcmp (data, compressions[i].magic, sizeof compressions[i].magic) == 0)
      return i;
  return COMPRESSION_UNKNOWN;
}

const char *
bzimage_find_payload (const uint8_t *image, size_t size, struct payload *payload)
{
  uint64_t code_at, code_size, payload_at, payload_size;
  unsigned setup_sects;

  if (size < HEADER_SIZE || memcmp (image + MAGIC_AT, "HdrS", 4) != 0)
    return "It has no boot header";
  if ((image[VERSION_AT] | image[VERSION_AT + 1] << 8) < VERSION_2_08)
    return "Its boot protocol is older than 2.08 and does not say where the kernel is";

  setup_sects = image[SETUP_SECTS_AT] != 0 ? image[SETUP_SECTS_AT] : SETUP_SECTS_NONE;
  code_at = (setup_sects + 1) * SECTOR;
  if (code_at > size)
    return "It is cut off";
  /* Behind the code there may be a signature. */
  code_size = (uint64_t) read_u32 (image + SYSSIZE_AT) * PARAGRAPH;
  if (code_size > size - code_at)
    code_size = size - code_at;

  payload_at = read_u32 (image + PAYLOAD_AT);
  payload_size = read_u32 (image + PAYLOAD_SIZE_AT);
  if (payload_size <= 2 * SIZE_BYTES)
    return "Its boot header says that there is no payload";
  if (payload_at > code_size || payload_size > code_size - payload_at)
    return "Its boot header says that the payload reaches beyond its end";

  payload->data = image + code_at + payload_at;
  payload->size = payload_size;
  payload->compression = find_compression (payload->data);
  payload->unpacked_size = read_u32 (payload->data + payload_size - SIZE_BYTES);
  /* A gzip stream ends with the size by itself; the kernel's build appends it to all others. */
  if (payload->compression != COMPRESSION_GZIP)
    payload->size -= SIZE_BYTES;
  return NULL;
}
