/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/agent-frames.h"

#include "agent-peer.h"
#include "sys/error.h"

typedef struct
{
  Pair pair;
  VmsanFrameReader reader;
  guint8 type;
  const guint8 *payload;
  gsize length;
  GError *error;
} Reading;

static void
set_up (Reading *self, gconstpointer data)
{
  self->pair = pair_new ();
}

static void
tear_down (Reading *self, gconstpointer data)
{
  vmsan_frame_reader_clear (&self->reader);
  g_clear_error (&self->error);
  close (self->pair.host);
  if (self->pair.guest >= 0)
    close (self->pair.guest);
}

static VmsanFrameResult
read_one (Reading *self)
{
  return vmsan_frame_reader_read (&self->reader, self->pair.host, &self->type, &self->payload,
                                  &self->length, &self->error);
}

static gssize
count_unread (Reading *self)
{
  static guint8 buffer[256 << 10];

  return recv (self->pair.host, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
}

static void
test_a_frame_comes_byte_by_byte (Reading *self, gconstpointer data)
{
  static const guint8 frame[] = { VMSAN_FRAME_STDOUT, 0, 0, 0, 3, 0, 0, 0, 'a', 0, 'c' };

  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_AGAIN);
  for (guint round = 0; round < 3; round++)
    for (gsize i = 0; i < sizeof frame; i++)
      {
        peer_write (self->pair.guest, frame + i, 1);
        g_assert_cmpint (read_one (self), ==,
                         i + 1 < sizeof frame ? VMSAN_FRAME_AGAIN : VMSAN_FRAME_COMPLETE);
      }
  g_assert_no_error (self->error);
  g_assert_cmpuint (self->type, ==, VMSAN_FRAME_STDOUT);
  g_assert_cmpmem (self->payload, self->length, "a\0c", 3);
}

static void
test_nothing_behind_a_frame_is_read (Reading *self, gconstpointer data)
{
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT, "one", 3);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDERR, NULL, 0);
  peer_write (self->pair.guest, "rest", 4);
  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_COMPLETE);
  g_assert_cmpmem (self->payload, self->length, "one", 3);
  g_assert_cmpint (count_unread (self), ==, 8 + 4);
  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_COMPLETE);
  g_assert_cmpuint (self->type, ==, VMSAN_FRAME_STDERR);
  g_assert_cmpuint (self->length, ==, 0);
  g_assert_cmpint (count_unread (self), ==, 4);
}

static void
test_the_largest_frame_is_taken_and_no_larger (Reading *self, gconstpointer data)
{
  g_autofree guint8 *large = g_malloc (VMSAN_FRAME_PAYLOAD_MAX);
  static const guint32 lengths[] = { VMSAN_FRAME_PAYLOAD_MAX + 1, G_MAXINT32, G_MAXUINT32,
                                     G_MAXUINT32 - 7 };

  memset (large, 'x', VMSAN_FRAME_PAYLOAD_MAX);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT, large, VMSAN_FRAME_PAYLOAD_MAX);
  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_COMPLETE);
  g_assert_cmpmem (self->payload, self->length, large, VMSAN_FRAME_PAYLOAD_MAX);

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      VmsanFrameHeader header = { .type = VMSAN_FRAME_STDOUT, .length = lengths[i] };

      vmsan_frame_reader_clear (&self->reader);
      peer_write (self->pair.guest, &header, sizeof header);
      g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_ERROR);
      g_assert_error (self->error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
      g_clear_error (&self->error);
    }
}

static void
test_a_header_with_anything_in_its_gap_is_malformed (Reading *self, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      VmsanFrameHeader header = { .type = VMSAN_FRAME_STDOUT };

      header.zero[i] = 1;
      peer_write (self->pair.guest, &header, sizeof header);
      g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_ERROR);
      g_assert_error (self->error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
      g_clear_error (&self->error);
      /* And stays so: nothing is made of what follows. */
      g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_ERROR);
      g_clear_error (&self->error);
      vmsan_frame_reader_clear (&self->reader);
    }
}

static void
test_an_end_between_frames_is_an_end (Reading *self, gconstpointer data)
{
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT, "x", 1);
  close (self->pair.guest);
  self->pair.guest = -1;
  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_COMPLETE);
  g_assert_cmpint (read_one (self), ==, VMSAN_FRAME_EOF);
  g_assert_no_error (self->error);
}

static void
test_an_end_within_a_frame_is_an_error (Reading *self, gconstpointer data)
{
  static const guint8 frame[] = { VMSAN_FRAME_STDOUT, 0, 0, 0, 3, 0, 0, 0, 'a', 'b' };

  for (gsize length = 1; length <= sizeof frame; length++)
    {
      Reading cut = { .pair = pair_new () };

      peer_write (cut.pair.guest, frame, length);
      close (cut.pair.guest);
      cut.pair.guest = -1;
      g_assert_cmpint (read_one (&cut), ==, VMSAN_FRAME_ERROR);
      g_assert_error (cut.error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
      tear_down (&cut, NULL);
    }
}

static void
test_what_is_sent_arrives (Reading *self, gconstpointer data)
{
  g_autofree guint8 *large = g_malloc (VMSAN_FRAME_PAYLOAD_MAX);
  g_autoptr (GBytes) first = NULL;
  g_autoptr (GBytes) second = NULL;

  memset (large, 'y', VMSAN_FRAME_PAYLOAD_MAX);
  g_assert_true (vmsan_frame_send (self->pair.host, VMSAN_FRAME_LIST, NULL, 0, &self->error));
  g_assert_true (vmsan_frame_send (self->pair.host, VMSAN_FRAME_STDIN, large,
                                   VMSAN_FRAME_PAYLOAD_MAX, &self->error));
  g_assert_no_error (self->error);
  first = peer_read_frame (self->pair.guest, VMSAN_FRAME_LIST);
  second = peer_read_frame (self->pair.guest, VMSAN_FRAME_STDIN);
  g_assert_cmpuint (g_bytes_get_size (first), ==, 0);
  g_assert_cmpmem (g_bytes_get_data (second, NULL), g_bytes_get_size (second), large,
                   VMSAN_FRAME_PAYLOAD_MAX);
}

/* It must neither wait nor be killed by SIGPIPE. */
static void
test_a_guest_that_does_not_read_is_an_error (Reading *self, gconstpointer data)
{
  g_autofree guint8 *large = g_malloc0 (VMSAN_FRAME_PAYLOAD_MAX);
  guint sent = 0;

  while (vmsan_frame_send (self->pair.host, VMSAN_FRAME_STDIN, large, VMSAN_FRAME_PAYLOAD_MAX,
                           &self->error))
    g_assert_cmpuint (++sent, <, 1000);
  g_assert_cmpuint (sent, >, 0);
  g_assert_error (self->error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
  g_clear_error (&self->error);

  close (self->pair.guest);
  self->pair.guest = -1;
  g_assert_false (vmsan_frame_send (self->pair.host, VMSAN_FRAME_LIST, NULL, 0, &self->error));
  g_assert_error (self->error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
}

static void
test_texts_of_a_guest_are_fit_to_be_shown (void)
{
  static const struct
  {
    const char *data;
    guint32 length;
    const char *shown;
  } texts[] = {
    { "", 0, "" },
    { "no such file: é", 16, "no such file: é" },
    { "a\033[2Jb\r\n\tc", 10, "a?[2Jb???c" },
    { "a\0b", 3, "a\357\277\275b" },
    { "\xc2\x9b"
      "31m",
      5, "?31m" }, /* CSI of one character */
    { "\xff", 1, "\357\277\275" },
    { "\xe2\x80\xae"
      "x",
      4, "?x" }, /* right-to-left override */
  };
  g_autofree char *long_text = g_strnfill (5000, 'x');
  VmsanField field = { .length = 5000, .data = (const guint8 *) long_text };
  g_autofree char *cut = vmsan_frame_field_to_text (&field);

  g_assert_cmpuint (strlen (cut), ==, 1024);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      VmsanField text = { .length = texts[i].length, .data = (const guint8 *) texts[i].data };
      g_autofree char *shown = vmsan_frame_field_to_text (&text);

      g_assert_cmpstr (shown, ==, texts[i].shown);
    }
}

#define frame_test(path, function)                                                                 \
  g_test_add ("/agent-frames/" path, Reading, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  frame_test ("a-frame-comes-byte-by-byte", test_a_frame_comes_byte_by_byte);
  frame_test ("nothing-behind-a-frame-is-read", test_nothing_behind_a_frame_is_read);
  frame_test ("the-largest-frame-is-taken-and-no-larger",
              test_the_largest_frame_is_taken_and_no_larger);
  frame_test ("a-header-with-anything-in-its-gap-is-malformed",
              test_a_header_with_anything_in_its_gap_is_malformed);
  frame_test ("an-end-between-frames-is-an-end", test_an_end_between_frames_is_an_end);
  frame_test ("an-end-within-a-frame-is-an-error", test_an_end_within_a_frame_is_an_error);
  frame_test ("what-is-sent-arrives", test_what_is_sent_arrives);
  frame_test ("a-guest-that-does-not-read-is-an-error",
              test_a_guest_that_does_not_read_is_an_error);
  g_test_add_func ("/agent-frames/texts-of-a-guest-are-fit-to-be-shown",
                   test_texts_of_a_guest_are_fit_to_be_shown);
  return g_test_run ();
}
