/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a hostile guest may send in an exec session, against libvmsan's reader of it. As a libFuzzer
 * target with -DVMSAN_LIBFUZZER; else a bounded run over mutations of good sessions, whose seed and
 * number of rounds can be given: fuzz-client-frames [ROUNDS [SEED]]. */

#include "vmsan-error.h"
#include "vmsan-frame-reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What must hold for every frame that comes out. */
static void
check_frame (const VmsanFrame *frame, gboolean *started)
{
  switch ((int) frame->type)
    {
    case VMSAN_FRAME_STARTED:
      g_assert_false (*started);
      *started = TRUE;
      break;
    case VMSAN_FRAME_EXEC_FAILED:
      g_assert_false (*started);
      g_assert_cmpuint (frame->value, !=, 0);
      g_assert_nonnull (frame->message);
      g_assert_true (g_utf8_validate (frame->message, -1, NULL));
      for (const char *p = frame->message; *p != '\0'; p = g_utf8_next_char (p))
        g_assert_true (g_unichar_isprint (g_utf8_get_char (p)));
      break;
    case VMSAN_FRAME_STDOUT:
    case VMSAN_FRAME_STDERR:
      g_assert_true (*started);
      g_assert_cmpuint (frame->length, <=, VMSAN_FRAME_PAYLOAD_MAX);
      /* Reads all of it, for the address sanitizer. */
      for (gsize i = 0; i < frame->length; i++)
        *(volatile const guint8 *) (frame->data + i);
      break;
    case VMSAN_FRAME_STDOUT_EOF:
    case VMSAN_FRAME_STDERR_EOF:
    case VMSAN_FRAME_STDIN_CREDIT:
      g_assert_true (*started);
      break;
    case VMSAN_FRAME_EXITED:
      g_assert_true (*started);
      g_assert_cmpuint (frame->exited.exit_code, <=, 255);
      g_assert_true (frame->exited.exit_code == 0 || frame->exited.signal_number == 0);
      break;
    default:
      g_error ("a frame of type %d came out", frame->type);
    }
}

/* The same bytes in two cuts must give the same frames: @step bytes at a time. Returns a checksum
 * of what came out. */
static guint
feed (const uint8_t *data, size_t size, size_t step)
{
  g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
  gboolean started = FALSE;
  guint sum = 0;

  for (size_t at = 0; at < size;)
    {
      g_autoptr (GError) error = NULL;
      VmsanFrame frame;
      gsize room;
      guint8 *space = vmsan_frame_reader_get_space (reader, &room);
      int got;

      g_assert_cmpuint (room, >, 0);
      room = MIN (room, MIN (step, size - at));
      memcpy (space, data + at, room);
      vmsan_frame_reader_commit (reader, room);
      at += room;
      while ((got = vmsan_frame_reader_next (reader, &frame, &error)) == 1)
        {
          check_frame (&frame, &started);
          sum = sum * 31 + (guint) frame.type + (guint) frame.length + frame.value;
        }
      if (got < 0)
        {
          g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL);
          return sum * 31 + 1;
        }
    }
  return sum;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  guint whole = feed (data, size, MAX (size, 1));

  g_assert_cmpuint (feed (data, size, 7), ==, whole);
  return 0;
}

#ifndef VMSAN_LIBFUZZER

static void
put (GByteArray *bytes, guint8 type, const void *payload, guint32 length)
{
  const VmsanFrameHeader header = { .type = type, .length = length };

  g_byte_array_append (bytes, (const guint8 *) &header, sizeof header);
  if (length > 0)
    g_byte_array_append (bytes, payload, length);
}

static GByteArray *
make_session (GRand *random)
{
  static const guint8 types[] = { VMSAN_FRAME_STDOUT,       VMSAN_FRAME_STDERR,
                                  VMSAN_FRAME_STDIN_CREDIT, VMSAN_FRAME_STDOUT_EOF,
                                  VMSAN_FRAME_STDERR_EOF,   VMSAN_FRAME_PONG };
  static const guint32 lengths[] = { 0, 1, 4, 4, 0, 8, 12, 100, 65536 };
  static guint8 payload[VMSAN_FRAME_PAYLOAD_MAX];
  GByteArray *bytes = g_byte_array_new ();
  const guint32 number = 1;
  const VmsanExited exited = { (guint32) g_rand_int_range (random, 0, 300), 0, 0 };
  int n = g_rand_int_range (random, 0, 12);

  if (g_rand_int_range (random, 0, 4) == 0)
    {
      guint8 fields[128];
      gsize used = 0;

      vmsan_field_append (fields, sizeof fields, &used, VMSAN_FIELD_CODE, &number, 4);
      vmsan_field_append (fields, sizeof fields, &used, VMSAN_FIELD_MESSAGE, "no\033 program", 11);
      put (bytes, VMSAN_FRAME_EXEC_FAILED, fields, (guint32) used);
      return bytes;
    }
  put (bytes, VMSAN_FRAME_STARTED, &number, sizeof number);
  for (int i = 0; i < n; i++)
    put (bytes, types[g_rand_int_range (random, 0, G_N_ELEMENTS (types))], payload,
         lengths[g_rand_int_range (random, 0, G_N_ELEMENTS (lengths))]);
  put (bytes, VMSAN_FRAME_EXITED, &exited, sizeof exited);
  return bytes;
}

/* Flips, overwrites, cuts and doubles, mostly near the beginning, where the structure is. */
static void
mutate (GRand *random, GByteArray *bytes)
{
  int n = g_rand_int_range (random, 0, 4);

  for (int i = 0; i < n && bytes->len > 0; i++)
    {
      guint reach = g_rand_boolean (random) ? MIN (bytes->len, 64) : bytes->len;
      guint at = (guint) g_rand_int_range (random, 0, (gint32) reach);

      switch (g_rand_int_range (random, 0, 4))
        {
        case 0:
          bytes->data[at] ^= (guint8) (1 << g_rand_int_range (random, 0, 8));
          break;
        case 1:
          bytes->data[at] = (guint8) g_rand_int_range (random, 0, 256);
          break;
        case 2:
          g_byte_array_set_size (bytes, at);
          break;
        default:
          {
            guint8 copy[32];
            guint length = MIN (bytes->len - at, sizeof copy);

            /* Appending may move what is appended. */
            memcpy (copy, bytes->data + at, length);
            g_byte_array_append (bytes, copy, length);
          }
        }
    }
}

int
main (int argc, char **argv)
{
  guint rounds = argc > 1 ? (guint) atoi (argv[1]) : 20000;
  guint32 seed = argc > 2 ? (guint32) strtoul (argv[2], NULL, 0) : 1;
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);

  for (guint i = 0; i < rounds; i++)
    {
      g_autoptr (GByteArray) bytes = make_session (random);

      mutate (random, bytes);
      /* An own allocation of just this size, so that a read behind its end is seen. */
      {
        g_autofree guint8 *exact = g_memdup2 (bytes->data, bytes->len);

        LLVMFuzzerTestOneInput (exact, bytes->len);
      }
    }
  printf ("%u sessions with seed %u\n", rounds, seed);
  return 0;
}

#endif
