/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What comes from a guest is cut into frames exactly, and refused when the protocol forbids it. */

#include "vmsan-error.h"
#include "vmsan-frame-reader.h"

#include <string.h>

static void
put_frame (GByteArray *bytes, guint8 type, const void *payload, gsize length)
{
  const VmsanFrameHeader header = { .type = type, .length = (guint32) length };

  g_byte_array_append (bytes, (const guint8 *) &header, sizeof header);
  if (length > 0)
    g_byte_array_append (bytes, payload, (guint) length);
}

static void
put_u32 (GByteArray *bytes, guint8 type, guint32 value)
{
  put_frame (bytes, type, &value, sizeof value);
}

static void
put_exited (GByteArray *bytes, guint32 code, guint32 signal_number, guint32 timed_out)
{
  const VmsanExited exited = { code, signal_number, timed_out };

  put_frame (bytes, VMSAN_FRAME_EXITED, &exited, sizeof exited);
}

/* Feeds @bytes in pieces of @step; each frame becomes a line of @log, an error ends it. */
static void
feed (VmsanFrameReader *reader, const GByteArray *bytes, gsize step, GString *log)
{
  for (gsize at = 0; at < bytes->len;)
    {
      g_autoptr (GError) error = NULL;
      VmsanFrame frame;
      gsize size;
      guint8 *space = vmsan_frame_reader_get_space (reader, &size);
      int got;

      g_assert_cmpuint (size, >, 0);
      size = MIN (size, MIN (step, bytes->len - at));
      memcpy (space, bytes->data + at, size);
      vmsan_frame_reader_commit (reader, size);
      at += size;

      while ((got = vmsan_frame_reader_next (reader, &frame, &error)) == 1)
        {
          g_string_append_printf (log, "%d:%u:%.*s", frame.type, frame.value, (int) frame.length,
                                  (const char *) frame.data);
          if (frame.type == VMSAN_FRAME_EXITED)
            g_string_append_printf (log, "%u/%u/%u", frame.exited.exit_code,
                                    frame.exited.signal_number, frame.exited.timed_out);
          if (frame.message != NULL)
            g_string_append (log, frame.message);
          g_string_append_c (log, '\n');
        }
      if (got < 0)
        {
          g_assert_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL);
          g_string_append (log, "error\n");
          return;
        }
    }
}

static void
test_any_cut (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  put_u32 (bytes, VMSAN_FRAME_STARTED, 7);
  put_u32 (bytes, VMSAN_FRAME_STDIN_CREDIT, 100);
  put_frame (bytes, VMSAN_FRAME_STDOUT, "out", 3);
  put_frame (bytes, VMSAN_FRAME_STDERR, "err", 3);
  put_frame (bytes, VMSAN_FRAME_STDOUT_EOF, NULL, 0);
  put_frame (bytes, VMSAN_FRAME_STDERR, "more", 4);
  put_frame (bytes, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  put_exited (bytes, 3, 0, 0);

  for (gsize step = 1; step <= bytes->len; step++)
    {
      g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
      g_autoptr (GString) log = g_string_new (NULL);

      feed (reader, bytes, step, log);
      g_assert_cmpstr (log->str, ==,
                       "48:7:\n50:100:\n51:0:out\n52:0:err\n53:0:\n52:0:more\n54:0:\n55:0:3/0/0\n");
    }
}

static void
test_largest_frame (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree guint8 *payload = g_malloc (VMSAN_FRAME_PAYLOAD_MAX);
  const gsize steps[] = { 1000, 65536, 65543, 65544, 65545, 200000, 400000 };

  memset (payload, 'x', VMSAN_FRAME_PAYLOAD_MAX);
  put_u32 (bytes, VMSAN_FRAME_STARTED, 1);
  for (guint i = 0; i < 5; i++)
    put_frame (bytes, VMSAN_FRAME_STDOUT, payload, VMSAN_FRAME_PAYLOAD_MAX);

  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
      g_autoptr (GString) log = g_string_new (NULL);

      feed (reader, bytes, steps[i], log);
      g_assert_cmpuint (log->len, ==,
                        strlen ("48:1:\n") +
                            5 * (strlen ("51:0:") + VMSAN_FRAME_PAYLOAD_MAX + strlen ("\n")));
    }
}

static void
test_exec_failed (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  const guint32 code = VMSAN_EXEC_NO_USER;
  const char *evil = "no user\033[2J\xc2\x9b\xff\xe2\x80\xae x";
  guint8 payload[256];
  gsize used = 0;

  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, 999, "later", 5));
  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_CODE, &code, 4));
  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_MESSAGE, evil,
                                     strlen (evil)));
  put_frame (bytes, VMSAN_FRAME_EXEC_FAILED, payload, used);
  feed (reader, bytes, 1, log);
  g_assert_cmpstr (log->str, ==, "49:3:no user?[2J??\xef\xbf\xbd??? x\n");
}

/* Each is a whole session with one thing wrong at its end. */
static void
test_violations (void)
{
  static const struct
  {
    const char *name;
    gboolean started;
    guint8 type;
    guint8 payload[24];
    guint32 length;
  } cases[] = {
    { "output before the start", FALSE, VMSAN_FRAME_STDOUT, "x", 1 },
    { "exit before the start", FALSE, VMSAN_FRAME_EXITED, { 0 }, 12 },
    { "start with a short pid", FALSE, VMSAN_FRAME_STARTED, { 1 }, 3 },
    { "failure without fields", FALSE, VMSAN_FRAME_EXEC_FAILED, { 0 }, 0 },
    { "field longer than its frame", FALSE, VMSAN_FRAME_EXEC_FAILED, { 22, 0, 0, 0, 5 }, 12 },
    { "field with padding", FALSE, VMSAN_FRAME_EXEC_FAILED, { 22, 0, 1, 0, 4, 0, 0, 0, 1 }, 12 },
    { "half a field header", FALSE, VMSAN_FRAME_EXEC_FAILED, { 22, 0, 0 }, 3 },
    { "second start", TRUE, VMSAN_FRAME_STARTED, { 1 }, 4 },
    { "failure after the start",
      TRUE,
      VMSAN_FRAME_EXEC_FAILED,
      { 22, 0, 0, 0, 4, 0, 0, 0, 1 },
      12 },
    { "host's frame", TRUE, VMSAN_FRAME_STDIN, "x", 1 },
    { "control frame", TRUE, VMSAN_FRAME_PONG, { 0 }, 8 },
    { "unknown type", TRUE, 200, { 0 }, 0 },
    { "type 0", TRUE, 0, { 0 }, 0 },
    { "credit of a wrong size", TRUE, VMSAN_FRAME_STDIN_CREDIT, { 1 }, 8 },
    { "end of output with content", TRUE, VMSAN_FRAME_STDOUT_EOF, "x", 1 },
    { "short exit status", TRUE, VMSAN_FRAME_EXITED, { 0 }, 8 },
    { "long exit status", TRUE, VMSAN_FRAME_EXITED, { 0 }, 16 },
    { "exit code 256", TRUE, VMSAN_FRAME_EXITED, { 0, 1 }, 12 },
    { "signal 200", TRUE, VMSAN_FRAME_EXITED, { 0, 0, 0, 0, 200 }, 12 },
    { "code and signal", TRUE, VMSAN_FRAME_EXITED, { 1, 0, 0, 0, 9 }, 12 },
    { "timed out twice", TRUE, VMSAN_FRAME_EXITED, { 0, 0, 0, 0, 9, 0, 0, 0, 2 }, 12 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GByteArray) bytes = g_byte_array_new ();
      g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
      g_autoptr (GString) log = g_string_new (NULL);

      g_test_message ("%s", cases[i].name);
      if (cases[i].started)
        put_u32 (bytes, VMSAN_FRAME_STARTED, 1);
      put_frame (bytes, cases[i].type, cases[i].payload, cases[i].length);
      feed (reader, bytes, 4096, log);
      g_assert_cmpstr (log->str, ==, cases[i].started ? "48:1:\nerror\n" : "error\n");

      /* It stays broken. */
      g_string_truncate (log, 0);
      g_byte_array_set_size (bytes, 0);
      put_exited (bytes, 0, 0, 0);
      feed (reader, bytes, 4096, log);
      g_assert_cmpstr (log->str, ==, "error\n");
    }
}

static void
test_header_violations (void)
{
  const VmsanFrameHeader headers[] = {
    { .type = VMSAN_FRAME_STARTED, .length = VMSAN_FRAME_PAYLOAD_MAX + 1 },
    { .type = VMSAN_FRAME_STARTED, .length = G_MAXUINT32 },
    { .type = VMSAN_FRAME_STARTED, .zero = { 0, 0, 1 }, .length = 4 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      g_autoptr (GByteArray) bytes = g_byte_array_new ();
      g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
      g_autoptr (GString) log = g_string_new (NULL);

      g_byte_array_append (bytes, (const guint8 *) &headers[i], sizeof headers[i]);
      feed (reader, bytes, 1, log);
      g_assert_cmpstr (log->str, ==, "error\n");
    }
}

static void
test_nothing_after_the_end (void)
{
  const guint8 ends[] = { VMSAN_FRAME_STDOUT_EOF, VMSAN_FRAME_STDERR_EOF };
  const guint8 outputs[] = { VMSAN_FRAME_STDOUT, VMSAN_FRAME_STDERR };

  for (gsize i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_autoptr (GByteArray) bytes = g_byte_array_new ();
      g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
      g_autoptr (GString) log = g_string_new (NULL);

      put_u32 (bytes, VMSAN_FRAME_STARTED, 1);
      put_frame (bytes, ends[i], NULL, 0);
      put_frame (bytes, outputs[i], "x", 1);
      feed (reader, bytes, 4096, log);
      g_assert_true (g_str_has_suffix (log->str, ":\nerror\n"));
    }
  {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autoptr (VmsanFrameReader) reader = vmsan_frame_reader_new ();
    g_autoptr (GString) log = g_string_new (NULL);

    put_u32 (bytes, VMSAN_FRAME_STARTED, 1);
    put_exited (bytes, 0, 9, 1);
    put_frame (bytes, VMSAN_FRAME_STDOUT, "x", 1);
    feed (reader, bytes, 4096, log);
    g_assert_cmpstr (log->str, ==, "48:1:\n55:0:0/9/1\nerror\n");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/libvmsan/frames/any-cut-gives-the-same-frames", test_any_cut);
  g_test_add_func ("/libvmsan/frames/largest-frame-fits", test_largest_frame);
  g_test_add_func ("/libvmsan/frames/failure-message-is-printable", test_exec_failed);
  g_test_add_func ("/libvmsan/frames/violations-are-refused-for-good", test_violations);
  g_test_add_func ("/libvmsan/frames/bad-headers-are-refused", test_header_violations);
  g_test_add_func ("/libvmsan/frames/nothing-comes-after-an-end", test_nothing_after_the_end);
  return g_test_run ();
}
