/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/agent-handshake.h"

#include "agent-peer.h"
#include "sys/error.h"

#define LONG_MS 20000

typedef struct
{
  Pair pair;
  GCancellable *cancellable;
  GAsyncResult *result;
  VmsanHello hello;
  VmsanWelcome welcome; /* the right answer */
} Shake;

static const guint8 token[VMSAN_TOKEN_SIZE] = "0123456789abcdef0123456789abcde";

static void
start (Shake *self, guint deadline_ms)
{
  vmsan_agent_handshake_async (self->pair.host, VMSAN_SESSION_CALLER, token, deadline_ms,
                               self->cancellable, vm_fixture_keep_result, &self->result);
}

static void
set_up (Shake *self, gconstpointer data)
{
  self->pair = pair_new ();
  self->cancellable = g_cancellable_new ();
  start (self, data != NULL ? GPOINTER_TO_UINT (data) : LONG_MS);
  self->hello = peer_read_hello (self->pair.guest, &self->welcome);
}

static void
close_guest (Shake *self)
{
  if (self->pair.guest >= 0)
    close (self->pair.guest);
  self->pair.guest = -1;
}

static void
tear_down (Shake *self, gconstpointer data)
{
  g_assert_nonnull (self->result);
  g_clear_object (&self->result);
  /* Nothing of it may be left on the loop. */
  run_loop ();
  g_assert_cmpuint (G_OBJECT (self->cancellable)->ref_count, ==, 1);
  g_object_unref (self->cancellable);
  close (self->pair.host);
  close_guest (self);
}

static void
assert_succeeds (Shake *self)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (&self->result);
  g_assert_true (vmsan_agent_handshake_finish (self->result, &error));
  g_assert_no_error (error);
}

static void
assert_fails (Shake *self, VmsanError code)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (&self->result);
  g_assert_false (vmsan_agent_handshake_finish (self->result, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
}

static void
assert_next_bytes (Shake *self, const char *bytes)
{
  char buffer[64];
  gssize n = recv (self->pair.host, buffer, sizeof buffer, MSG_DONTWAIT);

  g_assert_cmpmem (buffer, MAX (n, 0), bytes, strlen (bytes));
}

static void
test_the_hello_says_who_calls (Shake *self, gconstpointer data)
{
  Shake other = { .pair = pair_new () };

  g_assert_cmpmem (self->hello.magic, VMSAN_MAGIC_SIZE, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
  g_assert_cmpmem (self->hello.token, VMSAN_TOKEN_SIZE, token, VMSAN_TOKEN_SIZE);
  g_assert_cmpuint (self->hello.version, ==, VMSAN_PROTOCOL_VERSION);
  g_assert_cmpuint (self->hello.kind, ==, VMSAN_SESSION_CALLER);
  g_assert_cmpuint (self->hello.zero, ==, 0);

  /* The nonce is new each time. */
  start (&other, LONG_MS);
  other.hello = peer_read_hello (other.pair.guest, &other.welcome);
  g_assert_true (memcmp (self->hello.nonce, other.hello.nonce, VMSAN_NONCE_SIZE) != 0);
  close_guest (&other);
  close_guest (self);
  assert_fails (&other, VMSAN_ERROR_GUEST_FAILED);
  assert_fails (self, VMSAN_ERROR_GUEST_FAILED);
  g_object_unref (other.result);
  close (other.pair.host);
}

static void
test_not_one_byte_behind_the_welcome_is_read (Shake *self, gconstpointer data)
{
  guint8 bytes[sizeof self->welcome + 5];

  memcpy (bytes, &self->welcome, sizeof self->welcome);
  memcpy (bytes + sizeof self->welcome, "first", 5);
  peer_write (self->pair.guest, bytes, sizeof bytes);
  assert_succeeds (self);
  assert_next_bytes (self, "first");
}

static void
test_a_welcome_comes_byte_by_byte (Shake *self, gconstpointer data)
{
  peer_write_slowly (self->pair.guest, &self->welcome, sizeof self->welcome);
  peer_write (self->pair.guest, "first", 5);
  assert_succeeds (self);
  assert_next_bytes (self, "first");
}

static void
test_left_overs_are_skipped (Shake *self, gconstpointer data)
{
  g_autofree guint8 *old = g_malloc (100000);
  VmsanWelcome other = self->welcome;

  for (guint i = 0; i < 100000; i++)
    old[i] = i * 31;
  other.nonce[VMSAN_NONCE_SIZE - 1] ^= 1;
  peer_write (self->pair.guest, old, 100000);
  peer_write (self->pair.guest, &other, sizeof other); /* of an earlier session */
  peer_write (self->pair.guest, &self->welcome, 9);    /* cut off, then again from the start */
  peer_write (self->pair.guest, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  peer_write (self->pair.guest, &self->welcome, sizeof self->welcome);
  peer_write (self->pair.guest, "first", 5);
  assert_succeeds (self);
  assert_next_bytes (self, "first");
}

/* Left-overs of any length before the welcome, and the welcome in pieces of any length. */
static void
test_every_alignment_is_found (void)
{
  for (guint before = 0; before <= 70; before++)
    for (guint piece = 1; piece <= 33; piece += 4)
      {
        Shake shake = { 0 };
        g_autoptr (GByteArray) bytes = g_byte_array_new ();

        set_up (&shake, NULL);
        for (guint i = 0; i < before; i++)
          g_byte_array_append (bytes, (const guint8 *) VMSAN_WELCOME_MAGIC + i % 3, 1);
        g_byte_array_append (bytes, (const guint8 *) &shake.welcome, sizeof shake.welcome);
        g_byte_array_append (bytes, (const guint8 *) "first", 5);
        for (guint i = 0; i < bytes->len; i += piece)
          {
            peer_write (shake.pair.guest, bytes->data + i, MIN (piece, bytes->len - i));
            run_loop ();
          }
        assert_succeeds (&shake);
        assert_next_bytes (&shake, "first");
        tear_down (&shake, NULL);
      }
}

static void
test_a_welcome_for_another_is_none (Shake *self, gconstpointer data)
{
  self->welcome.nonce[0] ^= 0x80;
  peer_write (self->pair.guest, &self->welcome, sizeof self->welcome);
  run_loop ();
  g_assert_null (self->result);
  close_guest (self);
  assert_fails (self, VMSAN_ERROR_GUEST_FAILED);
}

static void
test_endless_garbage_ends_it (Shake *self, gconstpointer data)
{
  guint8 garbage[4096];
  gsize written = 0;

  memset (garbage, VMSAN_WELCOME_MAGIC[0], sizeof garbage);
  while (self->result == NULL)
    {
      gssize n = send (self->pair.guest, garbage, sizeof garbage, MSG_NOSIGNAL);

      written += MAX (n, 0);
      g_main_context_iteration (NULL, n < 0);
      g_assert_cmpuint (written, <, VMSAN_PROTOCOL_SKIP_MAX + (1 << 20));
    }
  g_assert_cmpuint (written, >, VMSAN_PROTOCOL_SKIP_MAX);
  assert_fails (self, VMSAN_ERROR_GUEST_FAILED);
}

static void
test_silence_ends_at_the_deadline (Shake *self, gconstpointer data)
{
  assert_fails (self, VMSAN_ERROR_TIMED_OUT);
}

static void
test_half_a_welcome_ends_at_the_deadline (Shake *self, gconstpointer data)
{
  peer_write (self->pair.guest, &self->welcome, sizeof self->welcome - 1);
  assert_fails (self, VMSAN_ERROR_TIMED_OUT);
}

static void
test_cancelling_ends_it (Shake *self, gconstpointer data)
{
  peer_write (self->pair.guest, &self->welcome, 5);
  run_loop ();
  g_cancellable_cancel (self->cancellable);
  vm_fixture_wait_for_result (&self->result);
  g_assert_false (vmsan_agent_handshake_finish (self->result, NULL));
}

static void
test_a_cancelled_one_does_not_begin (void)
{
  Shake shake = { .pair = pair_new (), .cancellable = g_cancellable_new () };
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (shake.cancellable);
  start (&shake, LONG_MS);
  vm_fixture_wait_for_result (&shake.result);
  g_assert_false (vmsan_agent_handshake_finish (shake.result, &error));
  g_assert_nonnull (error);
  tear_down (&shake, NULL);
}

static void
test_a_closed_stream_is_an_error (Shake *self, gconstpointer data)
{
  peer_write (self->pair.guest, &self->welcome, 20);
  close_guest (self);
  assert_fails (self, VMSAN_ERROR_GUEST_FAILED);
}

static void
test_a_stream_that_takes_nothing_is_an_error (void)
{
  Shake shake = { .pair = pair_new (), .cancellable = g_cancellable_new () };
  static const guint8 filling[4096];

  while (send (shake.pair.host, filling, sizeof filling, MSG_NOSIGNAL) > 0)
    ;
  while (send (shake.pair.host, filling, 1, MSG_NOSIGNAL) > 0)
    ;
  start (&shake, LONG_MS);
  assert_fails (&shake, VMSAN_ERROR_GUEST_FAILED);
  tear_down (&shake, NULL);
}

static void
test_each_refusal_has_its_error (void)
{
  static const struct
  {
    guint16 version, status;
    VmsanError code;
  } answers[] = {
    { VMSAN_PROTOCOL_VERSION, VMSAN_WELCOME_BAD_TOKEN, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_PROTOCOL_VERSION, VMSAN_WELCOME_BAD_VERSION, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_PROTOCOL_VERSION, VMSAN_WELCOME_NOT_READY, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_PROTOCOL_VERSION, VMSAN_WELCOME_BUSY, VMSAN_ERROR_BUSY },
    { VMSAN_PROTOCOL_VERSION, VMSAN_WELCOME_BUSY + 1, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_PROTOCOL_VERSION, G_MAXUINT16, VMSAN_ERROR_GUEST_FAILED },
    { 0, VMSAN_WELCOME_OK, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_PROTOCOL_VERSION + 1, VMSAN_WELCOME_OK, VMSAN_ERROR_GUEST_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      Shake shake = { 0 };

      set_up (&shake, NULL);
      shake.welcome.version = answers[i].version;
      shake.welcome.status = answers[i].status;
      peer_write (shake.pair.guest, &shake.welcome, sizeof shake.welcome);
      assert_fails (&shake, answers[i].code);
      tear_down (&shake, NULL);
    }
}

#define shake_test(path, deadline_ms, function)                                                    \
  g_test_add ("/agent-handshake/" path, Shake, GUINT_TO_POINTER (deadline_ms), set_up, function,   \
              tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  shake_test ("the-hello-says-who-calls", LONG_MS, test_the_hello_says_who_calls);
  shake_test ("not-one-byte-behind-the-welcome-is-read", LONG_MS,
              test_not_one_byte_behind_the_welcome_is_read);
  shake_test ("a-welcome-comes-byte-by-byte", LONG_MS, test_a_welcome_comes_byte_by_byte);
  shake_test ("left-overs-are-skipped", LONG_MS, test_left_overs_are_skipped);
  g_test_add_func ("/agent-handshake/every-alignment-is-found", test_every_alignment_is_found);
  shake_test ("a-welcome-for-another-is-none", LONG_MS, test_a_welcome_for_another_is_none);
  shake_test ("endless-garbage-ends-it", LONG_MS, test_endless_garbage_ends_it);
  shake_test ("silence-ends-at-the-deadline", 20, test_silence_ends_at_the_deadline);
  shake_test ("half-a-welcome-ends-at-the-deadline", 20, test_half_a_welcome_ends_at_the_deadline);
  shake_test ("cancelling-ends-it", LONG_MS, test_cancelling_ends_it);
  g_test_add_func ("/agent-handshake/a-cancelled-one-does-not-begin",
                   test_a_cancelled_one_does_not_begin);
  shake_test ("a-closed-stream-is-an-error", LONG_MS, test_a_closed_stream_is_an_error);
  g_test_add_func ("/agent-handshake/a-stream-that-takes-nothing-is-an-error",
                   test_a_stream_that_takes_nothing_is_an_error);
  g_test_add_func ("/agent-handshake/each-refusal-has-its-error", test_each_refusal_has_its_error);
  return g_test_run ();
}
