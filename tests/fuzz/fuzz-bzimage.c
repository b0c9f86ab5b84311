/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Fuzzing of the boot header of kernels that callers add: what is found lies in the image. */

#include "fuzz-input.h"
#include "kernel-unpacker/bzimage.h"
#include "sanitizer-options.h"

#define N_INPUTS 100000

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  struct payload payload = { 0 };
  const char *problem = bzimage_find_payload (data, size, &payload);

  if (problem != NULL)
    {
      g_assert_cmpuint (strlen (problem), <, 200);
      g_assert_null (payload.data);
      return 0;
    }
  g_assert_true (payload.data > data);
  g_assert_cmpuint (payload.size, >=, 4);
  g_assert_cmpuint (payload.data - data, <, size);
  g_assert_cmpuint (payload.size, <=, size - (payload.data - data));
  /* A size follows what does not end with one. */
  if (payload.compression != COMPRESSION_GZIP)
    g_assert_cmpuint (payload.size + 4, <=, size - (payload.data - data));
  g_assert_nonnull (compression_to_string (payload.compression));
  return 0;
}

#ifndef VMSAN_LIBFUZZER
/* Near what is right, and far from it. */
static guint32
make_number (FuzzInput *input, guint32 right)
{
  switch (fuzz_below (input, 8))
    {
    case 0:
      return right + fuzz_below (input, 64) - 32;
    case 1:
      return G_MAXUINT32 - fuzz_below (input, 64);
    case 2:
      return fuzz_below (input, 64);
    case 3:
      return g_rand_int (input->random);
    default:
      return right;
    }
}

static void
put (FuzzInput *input, guint at, guint32 value, guint n_bytes)
{
  guint32 little = GUINT32_TO_LE (value);

  memcpy (input->bytes->data + at, &little, n_bytes);
}

static void
make_image (FuzzInput *input)
{
  static const guint8 magics[][2] = { { 0x1f, 0x8b }, { 0x02, 0x21 }, { 0x28, 0xb5 }, { 0 } };
  static const char pieces[] = "\x00\x01\x02\x08\x0f\x7f\x80\xff";
  guint payload_size = 16 + fuzz_below (input, 256);
  guint setup_sects = 1 + fuzz_below (input, 4);
  guint code_at = (setup_sects + 1) * 512;
  guint code_size = (payload_size + 15) / 16 * 16;

  g_byte_array_set_size (input->bytes, code_at + code_size);
  memset (input->bytes->data, 0, input->bytes->len);
  memcpy (input->bytes->data + 0x202, "HdrS", 4);
  put (input, 0x1f1, fuzz_below (input, 8) == 0 ? fuzz_below (input, 256) : setup_sects, 1);
  put (input, 0x1f4, make_number (input, code_size / 16), 4);
  put (input, 0x206, 0x0207 + fuzz_below (input, 9), 2);
  put (input, 0x248, make_number (input, 0), 4);
  put (input, 0x24c, make_number (input, payload_size), 4);
  memcpy (input->bytes->data + code_at, magics[fuzz_below (input, G_N_ELEMENTS (magics))], 2);
  if (fuzz_below (input, 2) == 0)
    fuzz_damage (input, pieces, sizeof pieces - 1);
}

int
main (int argc, char **argv)
{
  return fuzz_main (argc, argv, N_INPUTS, make_image, LLVMFuzzerTestOneInput);
}
#endif
