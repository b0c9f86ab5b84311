/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Inputs for fuzz targets that are built without libFuzzer: damaged from good ones, the same for
 * the same seed. */

#pragma once

#include <glib.h>
#include <string.h>

typedef struct
{
  GRand *random;
  GByteArray *bytes;
} FuzzInput;

static inline guint
fuzz_below (FuzzInput *self, guint limit)
{
  return g_rand_int (self->random) % limit;
}

static inline void
fuzz_append (FuzzInput *self, gconstpointer data, gsize size)
{
  g_byte_array_append (self->bytes, data, size);
}

/* Changes up to five places; @pieces: bytes that mean something to the parser. */
static inline void
fuzz_damage (FuzzInput *self, const char *pieces, guint n_pieces)
{
  for (guint n = fuzz_below (self, 6); n > 0 && self->bytes->len > 0; n--)
    {
      guint at = fuzz_below (self, self->bytes->len);
      guint8 *byte = self->bytes->data + at;

      switch (fuzz_below (self, 6))
        {
        case 0:
          *byte = g_rand_int (self->random);
          break;
        case 1:
          *byte ^= 1u << fuzz_below (self, 8);
          break;
        case 2:
          *byte = pieces[fuzz_below (self, n_pieces)];
          break;
        case 3:
          g_byte_array_remove_index (self->bytes, at);
          break;
        case 4: /* some of it once more, elsewhere */
          {
            guint from = fuzz_below (self, self->bytes->len);
            guint most = 1 + fuzz_below (self, 32);
            guint length = MIN (self->bytes->len - from, most);
            g_autofree guint8 *copy = g_memdup2 (self->bytes->data + from, length);

            g_byte_array_append (self->bytes, copy, length);
            break;
          }
        default:
          if (fuzz_below (self, 4) == 0)
            g_byte_array_set_size (self->bytes, at);
          break;
        }
    }
}

/* Calls @run with @n inputs that @make made. argv: SEED, and the FIRST to begin with. Each input
 * depends on seed and number only, so that one alone can be looked at. */
static inline int
fuzz_main (int argc,
           char **argv,
           guint n,
           void (*make) (FuzzInput *input),
           int (*run) (const guint8 *data, gsize size))
{
  guint32 seed = argc > 1 ? g_ascii_strtoull (argv[1], NULL, 0) : 1;
  guint first = argc > 2 ? g_ascii_strtoull (argv[2], NULL, 0) : 0;

  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  for (guint i = first; i < n; i++)
    {
      FuzzInput input = { g_rand_new_with_seed (seed * n + i), g_byte_array_new () };
      guint8 *exact;
      gsize size;

      if (i % 2000 == 0)
        g_printerr ("seed %u, input %u\n", seed, i);
      make (&input);
      /* In memory of just its size, so that reading behind its end is noticed. */
      size = input.bytes->len;
      exact = g_memdup2 (input.bytes->data, size);
      run (exact, size);
      g_free (exact);
      g_byte_array_unref (input.bytes);
      g_rand_free (input.random);
    }
  return 0;
}
