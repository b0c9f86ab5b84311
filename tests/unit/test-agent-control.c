/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/agent-control.h"

#include "agent-peer.h"
#include "sys/error.h"

typedef struct
{
  Pair pair;
  VmsanAgentControl *control;
  GCancellable *cancellable;
  GAsyncResult *result;
  guint n_closed;
  GString *events;
} Session;

static void
on_closed (VmsanAgentControl *control, const char *message, Session *self)
{
  g_assert_true (g_utf8_validate (message, -1, NULL));
  self->n_closed++;
}

static void
on_ended (VmsanAgentControl *control, guint stream, Session *self)
{
  g_string_append_printf (self->events, "ended %u;", stream);
}

static void
on_busy (VmsanAgentControl *control, guint stream, Session *self)
{
  g_string_append_printf (self->events, "busy %u;", stream);
}

static void
set_up (Session *self, gconstpointer data)
{
  self->pair = pair_new ();
  self->control = vmsan_agent_control_new (self->pair.host);
  self->cancellable = g_cancellable_new ();
  self->events = g_string_new (NULL);
  g_signal_connect (self->control, "closed", G_CALLBACK (on_closed), self);
  g_signal_connect (self->control, "stream-ended", G_CALLBACK (on_ended), self);
  g_signal_connect (self->control, "stream-busy", G_CALLBACK (on_busy), self);
}

static void
tear_down (Session *self, gconstpointer data)
{
  g_clear_object (&self->result);
  run_loop ();
  /* Nothing holds it any more, and with it goes the connection. */
  g_assert_cmpuint (G_OBJECT (self->control)->ref_count, ==, 1);
  g_object_unref (self->control);
  if (self->pair.guest >= 0)
    {
      guint8 buffer[4096];

      while (recv (self->pair.guest, buffer, sizeof buffer, 0) > 0)
        ;
      g_assert_true (peer_sees_end (self->pair.guest) || errno == ECONNRESET);
      close (self->pair.guest);
    }
  g_assert_cmpuint (G_OBJECT (self->cancellable)->ref_count, ==, 1);
  g_object_unref (self->cancellable);
  g_string_free (self->events, TRUE);
}

static void
close_guest (Session *self)
{
  close (self->pair.guest);
  self->pair.guest = -1;
}

static void
configure (Session *self, guint deadline_ms)
{
  VmsanGuestConfiguration configuration = { "web", "/sbin/init" };

  vmsan_agent_control_configure_async (self->control, &configuration, deadline_ms,
                                       self->cancellable, vm_fixture_keep_result, &self->result);
}

static void
assert_configure_fails (Session *self, VmsanError code, const char *words)
{
  g_autoptr (GError) error = NULL;
  guint boot_ms = 0;

  vm_fixture_wait_for_result (&self->result);
  g_assert_false (
      vmsan_agent_control_configure_finish (self->control, self->result, &boot_ms, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
}

/* A payload of one field. */
static void
write_field_frame (Session *self, guint8 type, guint16 tag, gconstpointer data, gsize length)
{
  guint8 payload[4096];
  gsize used = 0;

  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, tag, data, length));
  peer_write_frame (self->pair.guest, type, payload, used);
}

static void
test_a_guest_is_configured_and_ready (Session *self, gconstpointer data)
{
  g_autoptr (GBytes) payload = NULL;
  g_autoptr (GError) error = NULL;
  VmsanFieldReader reader;
  VmsanField field = { 0 };
  const guint32 boot = 1234;
  guint boot_ms = 0;
  guint64 now_ns = 0;
  char text[64];

  configure (self, 20000);
  payload = peer_read_frame (self->pair.guest, VMSAN_FRAME_CONFIGURE);
  vmsan_field_reader_init (&reader, g_bytes_get_data (payload, NULL), g_bytes_get_size (payload));
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, VMSAN_FIELD_HOSTNAME);
  g_assert_true (vmsan_field_get_text (&field, text, sizeof text));
  g_assert_cmpstr (text, ==, "web");
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, VMSAN_FIELD_INIT);
  g_assert_true (vmsan_field_get_text (&field, text, sizeof text));
  g_assert_cmpstr (text, ==, "/sbin/init");
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, VMSAN_FIELD_REALTIME_NS);
  g_assert_true (vmsan_field_get_u64 (&field, &now_ns));
  g_assert_cmpuint (now_ns / 1000000000, >, 1600000000);
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 0);

  write_field_frame (self, VMSAN_FRAME_READY, VMSAN_FIELD_BOOT_MS, &boot, sizeof boot);
  vm_fixture_wait_for_result (&self->result);
  g_assert_true (
      vmsan_agent_control_configure_finish (self->control, self->result, &boot_ms, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (boot_ms, ==, 1234);
  g_assert_cmpuint (self->n_closed, ==, 0);
}

static void
test_ready_byte_by_byte_with_unknown_fields (Session *self, gconstpointer data)
{
  guint8 frame[64] = { VMSAN_FRAME_READY };
  gsize used = 8;
  const guint32 huge = G_MAXUINT32;
  guint boot_ms = 0;

  configure (self, 20000);
  vmsan_field_append (frame, sizeof frame, &used, 9999, "new", 3);
  vmsan_field_append (frame, sizeof frame, &used, VMSAN_FIELD_BOOT_MS, &huge, sizeof huge);
  frame[4] = used - 8;
  peer_write_slowly (self->pair.guest, frame, used);
  vm_fixture_wait_for_result (&self->result);
  g_assert_true (
      vmsan_agent_control_configure_finish (self->control, self->result, &boot_ms, NULL));
  g_assert_cmpuint (boot_ms, ==, G_MAXINT);
}

static void
test_a_guest_says_why_it_failed (Session *self, gconstpointer data)
{
  configure (self, 20000);
  write_field_frame (self, VMSAN_FRAME_FAILED, VMSAN_FIELD_MESSAGE, "no disk\033[2J\n", 12);
  assert_configure_fails (self, VMSAN_ERROR_GUEST_FAILED, "no disk?[2J?");
}

static void
test_a_guest_that_goes_away_is_an_error (Session *self, gconstpointer data)
{
  configure (self, 20000);
  close_guest (self);
  assert_configure_fails (self, VMSAN_ERROR_GUEST_FAILED, "went away");
  g_assert_cmpuint (self->n_closed, ==, 1);
  /* And it is not asked again. */
  g_clear_object (&self->result);
  configure (self, 20000);
  assert_configure_fails (self, VMSAN_ERROR_GUEST_FAILED, "does not answer");
  g_assert_false (vmsan_agent_control_shutdown (self->control, VMSAN_SHUTDOWN_POWER_OFF, NULL));
  g_assert_cmpuint (self->n_closed, ==, 1);
}

static void
test_a_guest_that_is_not_ready_in_time_is_an_error (Session *self, gconstpointer data)
{
  const guint32 boot = 1;

  configure (self, 20);
  assert_configure_fails (self, VMSAN_ERROR_TIMED_OUT, "in time");
  /* Too late changes nothing. */
  write_field_frame (self, VMSAN_FRAME_READY, VMSAN_FIELD_BOOT_MS, &boot, sizeof boot);
  run_loop ();
  g_assert_cmpuint (self->n_closed, ==, 0);
}

static void
test_cancelling_ends_the_wait (Session *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint boot_ms = 0;

  configure (self, 20000);
  run_loop ();
  g_assert_null (self->result);
  g_cancellable_cancel (self->cancellable);
  vm_fixture_wait_for_result (&self->result);
  g_assert_false (
      vmsan_agent_control_configure_finish (self->control, self->result, &boot_ms, &error));
  g_assert_nonnull (error);
}

static void
test_streams_that_are_busy_or_free_are_told (Session *self, gconstpointer data)
{
  guint8 payload[64];
  gsize used = 0;
  const guint32 ports[] = { 1, 30, G_MAXUINT32 };
  g_autoptr (GBytes) request = NULL;

  g_assert_true (vmsan_agent_control_list (self->control, NULL));
  request = peer_read_frame (self->pair.guest, VMSAN_FRAME_LIST);
  g_assert_cmpuint (g_bytes_get_size (request), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (ports); i++)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_PORT, &ports[i], 4);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_SESSIONS, payload, used);
  write_field_frame (self, VMSAN_FRAME_SESSION_ENDED, VMSAN_FIELD_PORT, &ports[0], 4);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_PONG, "12345678", 8);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_SESSIONS, NULL, 0);
  run_loop ();
  g_assert_cmpstr (self->events->str, ==, "busy 1;busy 30;busy 4294967295;ended 1;");
  g_assert_cmpuint (self->n_closed, ==, 0);
}

static void
test_a_shutdown_says_how (Session *self, gconstpointer data)
{
  g_autoptr (GBytes) payload = NULL;
  VmsanFieldReader reader;
  VmsanField field = { 0 };
  guint32 action = 0;

  g_assert_true (vmsan_agent_control_shutdown (self->control, VMSAN_SHUTDOWN_REBOOT, NULL));
  payload = peer_read_frame (self->pair.guest, VMSAN_FRAME_SHUTDOWN);
  vmsan_field_reader_init (&reader, g_bytes_get_data (payload, NULL), g_bytes_get_size (payload));
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, VMSAN_FIELD_ACTION);
  g_assert_true (vmsan_field_get_u32 (&field, &action));
  g_assert_cmpuint (action, ==, VMSAN_SHUTDOWN_REBOOT);
}

typedef struct
{
  const char *what;
  guint8 type;
  const char *payload;
  gsize length;
} Nonsense;

static const Nonsense nonsense[] = {
  { "type zero", 0, "", 0 },
  { "an unknown type", 255, "", 0 },
  { "the host's own type", VMSAN_FRAME_CONFIGURE, "", 0 },
  { "a frame of another session", VMSAN_FRAME_STDOUT, "x", 1 },
  { "half a field", VMSAN_FRAME_READY, "\x14\0\0", 3 },
  { "a field that is longer than its frame", VMSAN_FRAME_READY, "\x14\0\0\0\xff\xff\xff\xff", 8 },
  { "a field with something in its gap", VMSAN_FRAME_READY, "\x14\0\1\0\0\0\0\0", 8 },
  { "a boot time of two bytes", VMSAN_FRAME_READY, "\x14\0\0\0\2\0\0\0xx", 10 },
  { "rubbish behind a good field", VMSAN_FRAME_READY, "\x14\0\0\0\4\0\0\0xxxxy", 13 },
  { "a failure without a message", VMSAN_FRAME_FAILED, "", 0 },
  { "a port of one byte", VMSAN_FRAME_SESSION_ENDED, "\x17\0\0\0\1\0\0\0x", 9 },
  { "half a port", VMSAN_FRAME_SESSIONS, "\x17\0\0\0\4\0\0\0x", 9 },
};

static void
test_nonsense_ends_the_session_and_nothing_else (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (nonsense); i++)
    {
      Session session = { 0 };

      g_test_message ("%s", nonsense[i].what);
      set_up (&session, NULL);
      configure (&session, 20000);
      peer_write_frame (session.pair.guest, nonsense[i].type, nonsense[i].payload,
                        nonsense[i].length);
      assert_configure_fails (&session, VMSAN_ERROR_GUEST_FAILED, "went away");
      g_assert_cmpuint (session.n_closed, ==, 1);
      tear_down (&session, NULL);
    }
}

/* Whatever a guest never reads piles up until its stream is full, and then it has no session. */
static void
test_a_guest_that_does_not_read_loses_its_session (Session *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint sent = 0;

  while (vmsan_agent_control_list (self->control, &error))
    g_assert_cmpuint (++sent, <, 1000000);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
  g_assert_cmpuint (self->n_closed, ==, 1);
}

static void
test_a_guest_that_never_stops_sending_does_not_keep_the_loop (Session *self, gconstpointer data)
{
  guint turns = 0;

  for (guint i = 0; i < 100; i++)
    peer_write_frame (self->pair.guest, VMSAN_FRAME_PONG, "12345678", 8);
  while (g_main_context_iteration (NULL, FALSE))
    turns++;
  g_assert_cmpuint (turns, >=, 100);
}

#define session_test(path, function)                                                               \
  g_test_add ("/agent-control/" path, Session, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  session_test ("a-guest-is-configured-and-ready", test_a_guest_is_configured_and_ready);
  session_test ("ready-byte-by-byte-with-unknown-fields",
                test_ready_byte_by_byte_with_unknown_fields);
  session_test ("a-guest-says-why-it-failed", test_a_guest_says_why_it_failed);
  session_test ("a-guest-that-goes-away-is-an-error", test_a_guest_that_goes_away_is_an_error);
  session_test ("a-guest-that-is-not-ready-in-time-is-an-error",
                test_a_guest_that_is_not_ready_in_time_is_an_error);
  session_test ("cancelling-ends-the-wait", test_cancelling_ends_the_wait);
  session_test ("streams-that-are-busy-or-free-are-told",
                test_streams_that_are_busy_or_free_are_told);
  session_test ("a-shutdown-says-how", test_a_shutdown_says_how);
  g_test_add_func ("/agent-control/nonsense-ends-the-session-and-nothing-else",
                   test_nonsense_ends_the_session_and_nothing_else);
  session_test ("a-guest-that-does-not-read-loses-its-session",
                test_a_guest_that_does_not_read_loses_its_session);
  session_test ("a-guest-that-never-stops-sending-does-not-keep-the-loop",
                test_a_guest_that_never_stops_sending_does_not_keep_the_loop);
  return g_test_run ();
}
