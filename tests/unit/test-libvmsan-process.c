/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A VmsanProcess against the other end of a socket pair that plays the guest, well or badly. */

#include "agent/protocol.h"
#include "vmsan-error.h"
#include "vmsan-process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define MIB         (1024 * 1024)

typedef struct
{
  VmsanProcess *process;
  int guest; /* blocking; -1 when closed */
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  fixture->process = vmsan_process_new_for_fd (fds[0]);
  fixture->guest = fds[1];
}

static void
close_guest (Fixture *fixture)
{
  if (fixture->guest >= 0)
    close (fixture->guest);
  fixture->guest = -1;
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  gpointer weak = fixture->process;

  g_object_add_weak_pointer (G_OBJECT (fixture->process), &weak);
  g_object_unref (fixture->process);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_null (weak);
  close_guest (fixture);
}

/* ---- The guest's side ---------------------------------------------------------------------- */

static void
say (Fixture *fixture, guint8 type, const void *payload, gsize length)
{
  const VmsanFrameHeader header = { .type = type, .length = (guint32) length };
  g_autoptr (GByteArray) frame = g_byte_array_new ();

  g_byte_array_append (frame, (const guint8 *) &header, sizeof header);
  g_byte_array_append (frame, payload, (guint) length);
  g_assert_cmpint (send (fixture->guest, frame->data, frame->len, MSG_NOSIGNAL), ==, frame->len);
}

static void
say_u32 (Fixture *fixture, guint8 type, guint32 value)
{
  say (fixture, type, &value, sizeof value);
}

static void
say_exited (Fixture *fixture, guint32 code, guint32 signal_number, guint32 timed_out)
{
  const VmsanExited exited = { code, signal_number, timed_out };

  say (fixture, VMSAN_FRAME_EXITED, &exited, sizeof exited);
}

static void
hear_bytes (Fixture *fixture, void *buffer, gsize size)
{
  gsize at = 0;

  while (at < size)
    {
      struct pollfd fd = { fixture->guest, POLLIN, 0 };
      gssize n;

      g_assert_cmpint (poll (&fd, 1, DEADLINE_MS), ==, 1);
      n = read (fixture->guest, (char *) buffer + at, size - at);
      g_assert_cmpint (n, >, 0);
      at += (gsize) n;
    }
}

static GBytes *
hear (Fixture *fixture, guint8 type)
{
  VmsanFrameHeader header;
  guint8 *payload;

  hear_bytes (fixture, &header, sizeof header);
  g_assert_cmpuint (header.type, ==, type);
  g_assert_cmpuint (header.length, <=, VMSAN_FRAME_PAYLOAD_MAX);
  payload = g_malloc (header.length + 1);
  hear_bytes (fixture, payload, header.length);
  return g_bytes_new_take (payload, header.length);
}

static gboolean
guest_sees_end (Fixture *fixture)
{
  struct pollfd fd = { fixture->guest, POLLIN, 0 };
  char buffer[64];
  gssize n;

  /* An end of input may come first. */
  do
    {
      g_assert_cmpint (poll (&fd, 1, DEADLINE_MS), ==, 1);
      n = recv (fixture->guest, buffer, sizeof buffer, 0);
    }
  while (n > 0);
  /* It is a reset when something that was said had not been read. */
  return n == 0 || errno == ECONNRESET;
}

/* ---- Our side ------------------------------------------------------------------------------ */

static void
done (GObject *object, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static gboolean
too_late (gpointer data)
{
  g_error ("nothing happened within the deadline");
  return G_SOURCE_REMOVE;
}

static GAsyncResult *
run_until (GAsyncResult **result)
{
  guint deadline = g_timeout_add (DEADLINE_MS, too_late, NULL);

  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (deadline);
  return *result;
}

static void
assert_read (GInputStream *stream, const char *expected)
{
  g_autoptr (GError) error = NULL;
  char buffer[256];
  gsize got = 0;

  g_input_stream_read_all (stream, buffer, strlen (expected), &got, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (buffer, got, expected, strlen (expected));
}

static void
assert_end (GInputStream *stream)
{
  g_autoptr (GError) error = NULL;
  char byte;

  g_assert_cmpint (g_input_stream_read (stream, &byte, 1, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

static void
test_blocking (Fixture *fixture, gconstpointer data)
{
  GInputStream *out = vmsan_process_get_stdout (fixture->process);
  GInputStream *err = vmsan_process_get_stderr (fixture->process);
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 42);
  g_assert_true (vmsan_process_wait_started_sync (fixture->process, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (vmsan_process_get_pid (fixture->process), ==, 42);

  say (fixture, VMSAN_FRAME_STDERR, "warn\0ing", 8);
  say (fixture, VMSAN_FRAME_STDOUT, "hello", 5);
  say (fixture, VMSAN_FRAME_STDOUT_EOF, NULL, 0);
  assert_read (out, "hello");
  assert_end (out);
  say (fixture, VMSAN_FRAME_STDERR, "!", 1);
  say (fixture, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  say_exited (fixture, 7, 0, 0);
  assert_read (err, "warn");

  g_assert_true (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (vmsan_process_has_exited (fixture->process));
  g_assert_cmpint (vmsan_process_get_exit_code (fixture->process), ==, 7);
  g_assert_cmpint (vmsan_process_get_term_signal (fixture->process), ==, 0);
  g_assert_cmpint (g_input_stream_skip (err, 5, NULL, NULL), ==, 5);
  assert_end (err);
}

static void
read_whole (GObject *object, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

/* Everything asynchronous at once: both outputs to their ends, input, and the exit. */
static void
test_asynchronous (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GOutputStream) out_sink = g_memory_output_stream_new_resizable ();
  g_autoptr (GOutputStream) err_sink = g_memory_output_stream_new_resizable ();
  g_autoptr (GAsyncResult) started = NULL, out = NULL, err = NULL, in = NULL, closed = NULL,
                           waited = NULL;
  g_autoptr (GBytes) input = NULL;
  g_autoptr (GError) error = NULL;

  vmsan_process_wait_started (fixture->process, NULL, done, &started);
  say_u32 (fixture, VMSAN_FRAME_STARTED, 9);
  g_assert_true (
      vmsan_process_wait_started_finish (fixture->process, run_until (&started), &error));

  g_output_stream_splice_async (out_sink, vmsan_process_get_stdout (fixture->process),
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL, read_whole, &out);
  g_output_stream_splice_async (err_sink, vmsan_process_get_stderr (fixture->process),
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, 0, NULL, read_whole, &err);
  g_output_stream_write_all_async (vmsan_process_get_stdin (fixture->process), "input", 5, 0, NULL,
                                   done, &in);
  vmsan_process_wait (fixture->process, NULL, done, &waited);

  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, 1000);
  g_assert_true (g_output_stream_write_all_finish (vmsan_process_get_stdin (fixture->process),
                                                   run_until (&in), NULL, &error));
  g_output_stream_close_async (vmsan_process_get_stdin (fixture->process), 0, NULL, done, &closed);
  run_until (&closed);
  input = hear (fixture, VMSAN_FRAME_STDIN);
  g_assert_cmpmem (g_bytes_get_data (input, NULL), g_bytes_get_size (input), "input", 5);
  g_bytes_unref (hear (fixture, VMSAN_FRAME_STDIN_EOF));

  for (guint i = 0; i < 50; i++)
    {
      say (fixture, VMSAN_FRAME_STDOUT, "ab", 2);
      say (fixture, VMSAN_FRAME_STDERR, "c", 1);
    }
  say (fixture, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  g_assert_cmpint (g_output_stream_splice_finish (err_sink, run_until (&err), &error), ==, 50);
  g_assert_no_error (error);
  g_assert_null (out);
  say (fixture, VMSAN_FRAME_STDOUT_EOF, NULL, 0);
  g_assert_cmpint (g_output_stream_splice_finish (out_sink, run_until (&out), &error), ==, 100);
  g_assert_no_error (error);
  g_assert_null (waited);
  say_exited (fixture, 0, 15, 1);
  g_assert_true (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_cmpint (vmsan_process_get_exit_code (fixture->process), ==, -1);
  g_assert_cmpint (vmsan_process_get_term_signal (fixture->process), ==, 15);
  g_assert_true (vmsan_process_get_timed_out (fixture->process));
}

/* How a session can stop without an exit status; each must be an error, for waiting and reading. */
static void
test_lost (Fixture *fixture, gconstpointer data)
{
  const VmsanFrameHeader header = { .type = VMSAN_FRAME_EXITED, .length = 12 };
  g_autoptr (GError) error = NULL;
  char byte;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  say (fixture, VMSAN_FRAME_STDOUT, "partial", 7);
  say (fixture, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  g_assert_cmpint (send (fixture->guest, &header, sizeof header, MSG_NOSIGNAL), ==, sizeof header);
  close_guest (fixture);

  g_assert_false (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
  g_assert_false (vmsan_process_has_exited (fixture->process));
  g_assert_cmpint (vmsan_process_get_exit_code (fixture->process), ==, -1);
  g_clear_error (&error);

  assert_read (vmsan_process_get_stdout (fixture->process), "partial");
  g_assert_cmpint (g_input_stream_read (vmsan_process_get_stdout (fixture->process), &byte, 1, NULL,
                                        &error),
                   ==, -1);
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
  assert_end (vmsan_process_get_stderr (fixture->process));
}

static void
test_lost_while_waiting (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GAsyncResult) waited = NULL, read = NULL;
  g_autoptr (GError) error = NULL;
  char byte;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  vmsan_process_wait (fixture->process, NULL, done, &waited);
  g_input_stream_read_async (vmsan_process_get_stdout (fixture->process), &byte, 1, 0, NULL, done,
                             &read);
  close_guest (fixture);
  g_assert_false (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
  g_clear_error (&error);
  g_assert_cmpint (g_input_stream_read_finish (vmsan_process_get_stdout (fixture->process),
                                               run_until (&read), &error),
                   ==, -1);
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
}

static void
test_not_started (Fixture *fixture, gconstpointer data)
{
  const guint32 code = VMSAN_EXEC_NOT_EXECUTABLE;
  g_autoptr (GError) error = NULL;
  guint8 payload[64];
  gsize used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_CODE, &code, sizeof code);
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_MESSAGE, "/etc: a directory", 17);
  say (fixture, VMSAN_FRAME_EXEC_FAILED, payload, used);
  g_assert_false (vmsan_process_wait_started_sync (fixture->process, NULL, &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_NOT_EXECUTABLE);
  g_assert_nonnull (strstr (error->message, "/etc: a directory"));
  g_clear_error (&error);
  g_assert_false (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_NOT_EXECUTABLE);
  /* Nobody would read what is said now. */
  g_clear_error (&error);
  g_assert_false (vmsan_process_send_signal (fixture->process, 15, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

static void
test_violation (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  say (fixture, VMSAN_FRAME_PONG, "12345678", 8);
  g_assert_false (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL);
  g_assert_true (guest_sees_end (fixture));
}

static void
test_too_much_credit (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, VMSAN_STDIN_WINDOW);
  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, 1);
  g_assert_false (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL);
}

static void
test_input_waits_for_credit (Fixture *fixture, gconstpointer data)
{
  GOutputStream *in = vmsan_process_get_stdin (fixture->process);
  GPollableOutputStream *pollable = G_POLLABLE_OUTPUT_STREAM (in);
  g_autoptr (GBytes) first = NULL, second = NULL, signal = NULL;
  g_autoptr (GError) error = NULL;
  guint32 number;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  g_assert_true (vmsan_process_wait_started_sync (fixture->process, NULL, NULL));
  g_assert_false (g_pollable_output_stream_is_writable (pollable));
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (pollable, "abcdef", 6, NULL, &error),
                   ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_clear_error (&error);

  /* A signal needs none. */
  g_assert_true (vmsan_process_send_signal (fixture->process, 15, &error));
  signal = hear (fixture, VMSAN_FRAME_SIGNAL);
  memcpy (&number, g_bytes_get_data (signal, NULL), sizeof number);
  g_assert_cmpuint (number, ==, 15);

  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, 4);
  g_assert_cmpint (g_output_stream_write (in, "abcdef", 6, NULL, &error), ==, 4);
  first = hear (fixture, VMSAN_FRAME_STDIN);
  g_assert_cmpmem (g_bytes_get_data (first, NULL), g_bytes_get_size (first), "abcd", 4);
  g_assert_false (g_pollable_output_stream_is_writable (pollable));
  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, 4);
  g_assert_cmpint (g_output_stream_write (in, "ef", 2, NULL, &error), ==, 2);
  second = hear (fixture, VMSAN_FRAME_STDIN);
  g_assert_cmpmem (g_bytes_get_data (second, NULL), g_bytes_get_size (second), "ef", 2);
  g_assert_true (g_output_stream_close (in, NULL, &error));
  g_bytes_unref (hear (fixture, VMSAN_FRAME_STDIN_EOF));
}

/* The socket takes only a part of a frame; the rest must follow, whole and in order. */
static void
test_full_socket (Fixture *fixture, gconstpointer data)
{
  GOutputStream *in = vmsan_process_get_stdin (fixture->process);
  g_autofree guint8 *input = g_malloc (VMSAN_STDIN_WINDOW);
  g_autoptr (GAsyncResult) written = NULL;
  g_autoptr (GError) error = NULL;
  gsize got = 0;
  int size = 4096;

  for (guint i = 0; i < VMSAN_STDIN_WINDOW; i++)
    input[i] = (guint8) (i * 31 / 7);
  setsockopt (fixture->guest, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, VMSAN_STDIN_WINDOW);
  g_output_stream_write_all_async (in, input, VMSAN_STDIN_WINDOW, 0, NULL, done, &written);
  while (got < VMSAN_STDIN_WINDOW)
    {
      VmsanFrameHeader header;
      g_autofree guint8 *payload = NULL;
      gsize have = 0;

      /* Both ends in one thread: pump ours, read what is there. */
      while (have < sizeof header)
        {
          gssize n;

          while (g_main_context_iteration (NULL, FALSE))
            continue;
          n = recv (fixture->guest, (guint8 *) &header + have, sizeof header - have, MSG_DONTWAIT);
          if (n > 0)
            have += (gsize) n;
        }
      g_assert_cmpuint (header.type, ==, VMSAN_FRAME_STDIN);
      payload = g_malloc (header.length);
      for (have = 0; have < header.length;)
        {
          gssize n;

          while (g_main_context_iteration (NULL, FALSE))
            continue;
          n = recv (fixture->guest, payload + have, header.length - have, MSG_DONTWAIT);
          if (n > 0)
            have += (gsize) n;
        }
      g_assert_cmpmem (payload, header.length, input + got, header.length);
      got += header.length;
    }
  g_assert_true (g_output_stream_write_all_finish (in, run_until (&written), NULL, &error));
}

/* How many bytes of output the guest gets rid of while nobody reads, up to @limit. */
static gsize
fill (Fixture *fixture, gsize limit)
{
  const VmsanFrameHeader header = { .type = VMSAN_FRAME_STDOUT, .length = 32768 };
  guint8 frame[sizeof header + 32768] = { 0 };
  gsize total = 0, at = 0;
  guint quiet = 0;

  memcpy (frame, &header, sizeof header);
  /* When a hundred turns of our loop move nothing, nothing will. */
  while (quiet < 100 && total < limit)
    {
      gssize n = send (fixture->guest, frame + at, sizeof frame - at, MSG_DONTWAIT | MSG_NOSIGNAL);

      if (n > 0)
        {
          total += (gsize) n;
          at = (at + (gsize) n) % sizeof frame;
          quiet = 0;
        }
      else
        quiet++;
      g_main_context_iteration (NULL, FALSE);
    }
  return total;
}

static void
test_backpressure (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GAsyncResult) waited = NULL;
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  vmsan_process_wait (fixture->process, NULL, done, &waited);
  g_assert_cmpuint (fill (fixture, 8 * MIB), <, 2 * MIB);
  g_assert_null (waited);

  /* Blocking for ever is not an answer either. */
  g_assert_false (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_clear_error (&error);

  /* Reading some makes room for about as much. */
  g_assert_cmpint (g_input_stream_skip (vmsan_process_get_stdout (fixture->process), 200000, NULL,
                                        &error),
                   >, 0);
  g_assert_cmpuint (fill (fixture, 8 * MIB), <, MIB);

  /* Closing the output throws the rest away, and the exit comes through. */
  g_assert_true (g_input_stream_close (vmsan_process_get_stdout (fixture->process), NULL, &error));
  g_assert_cmpuint (fill (fixture, 8 * MIB), >=, 8 * MIB);
  close_guest (fixture);
  g_assert_false (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
}

/* Frames that were received while an output was full are not announced by the socket again. */
static void
test_exit_behind_full_output (Fixture *fixture, gconstpointer data)
{
  GInputStream *out = vmsan_process_get_stdout (fixture->process);
  g_autofree guint8 *payload = g_malloc0 (VMSAN_FRAME_PAYLOAD_MAX);
  g_autoptr (GAsyncResult) waited = NULL, skipped = NULL;
  g_autoptr (GError) error = NULL;
  const gsize size = 4 * VMSAN_FRAME_PAYLOAD_MAX;
  int buffer = 1 << 20;
  gsize got = 0;

  setsockopt (fixture->guest, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  vmsan_process_wait (fixture->process, NULL, done, &waited);
  for (gsize i = 0; i < 4; i++)
    {
      say (fixture, VMSAN_FRAME_STDOUT, payload, VMSAN_FRAME_PAYLOAD_MAX);
      while (g_main_context_iteration (NULL, FALSE))
        continue;
    }
  say (fixture, VMSAN_FRAME_STDOUT, "last", 4);
  say (fixture, VMSAN_FRAME_STDOUT_EOF, NULL, 0);
  say (fixture, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  say_exited (fixture, 5, 0, 0);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_null (waited);

  while (got < size)
    {
      gssize n = g_input_stream_skip (out, size - got, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpint (n, >, 0);
      got += (gsize) n;
    }
  assert_read (out, "last");
  assert_end (out);
  g_assert_true (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_cmpint (vmsan_process_get_exit_code (fixture->process), ==, 5);
}

static void
test_cancel (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) waited = NULL;
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  vmsan_process_wait (fixture->process, cancellable, done, &waited);
  g_cancellable_cancel (cancellable);
  g_assert_false (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (vmsan_process_wait_sync (fixture->process, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  /* The program was not touched. */
  say_exited (fixture, 0, 0, 0);
  g_clear_error (&error);
  g_assert_true (vmsan_process_wait_sync (fixture->process, NULL, &error));
}

static void
test_hang_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GAsyncResult) waited = NULL;
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  vmsan_process_wait (fixture->process, NULL, done, &waited);
  vmsan_process_hang_up (fixture->process);
  g_assert_true (guest_sees_end (fixture));
  g_assert_false (vmsan_process_wait_finish (fixture->process, run_until (&waited), &error));
  g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST);
}

static void
test_drop (void)
{
  Fixture fixture;

  set_up (&fixture, NULL);
  say_u32 (&fixture, VMSAN_FRAME_STARTED, 1);
  g_assert_true (vmsan_process_wait_started_sync (fixture.process, NULL, NULL));
  g_object_unref (fixture.process);
  g_assert_true (guest_sees_end (&fixture));
  close_guest (&fixture);
}

/* The guest stops taking input, but its last words still count. */
static void
test_last_words (Fixture *fixture, gconstpointer data)
{
  GOutputStream *in = vmsan_process_get_stdin (fixture->process);
  g_autoptr (GError) error = NULL;

  say_u32 (fixture, VMSAN_FRAME_STARTED, 1);
  say_u32 (fixture, VMSAN_FRAME_STDIN_CREDIT, 1000);
  g_assert_true (vmsan_process_wait_started_sync (fixture->process, NULL, NULL));
  say (fixture, VMSAN_FRAME_STDOUT, "bye", 3);
  say_exited (fixture, 3, 0, 0);
  close_guest (fixture);
  g_assert_cmpint (g_output_stream_write (in, "x", 1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  assert_read (vmsan_process_get_stdout (fixture->process), "bye");
  assert_end (vmsan_process_get_stdout (fixture->process));
  g_clear_error (&error);
  g_assert_true (vmsan_process_wait_sync (fixture->process, NULL, &error));
  g_assert_cmpint (vmsan_process_get_exit_code (fixture->process), ==, 3);
}

static void
test_signal_numbers (Fixture *fixture, gconstpointer data)
{
  const int bad[] = { 0, -1, 65, 1000 };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (vmsan_process_send_signal (fixture->process, bad[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name, function)                                                                       \
  g_test_add ("/libvmsan/process/" name, Fixture, NULL, set_up, function, tear_down)
  TEST ("blocking-use-needs-no-main-loop", test_blocking);
  TEST ("asynchronous-use-keeps-streams-apart", test_asynchronous);
  TEST ("end-of-connection-is-an-error-not-an-exit", test_lost);
  TEST ("end-of-connection-wakes-everybody", test_lost_while_waiting);
  TEST ("a-program-that-does-not-start-says-why", test_not_started);
  TEST ("a-violation-closes-the-connection", test_violation);
  TEST ("more-credit-than-the-window-is-a-violation", test_too_much_credit);
  TEST ("input-waits-for-credit-and-signals-do-not", test_input_waits_for_credit);
  TEST ("input-survives-a-full-socket", test_full_socket);
  TEST ("unread-output-holds-the-guest-back", test_backpressure);
  TEST ("exit-behind-full-output-is-seen", test_exit_behind_full_output);
  TEST ("cancelling-a-wait-leaves-the-program", test_cancel);
  TEST ("hang-up-closes-the-connection", test_hang_up);
  TEST ("last-words-count", test_last_words);
  TEST ("impossible-signals-are-refused", test_signal_numbers);
  g_test_add_func ("/libvmsan/process/dropping-it-hangs-up", test_drop);
  return g_test_run ();
}
