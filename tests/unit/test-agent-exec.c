/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/agent-exec.h"

#include "agent-peer.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-control.h"
#include "vm/agent-handshake.h"

#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/un.h>

static VmsanExecRequest *
request_new (const char *const *argv, const char *input, guint64 timeout_ms)
{
  g_autoptr (GBytes) bytes = input != NULL ? g_bytes_new (input, strlen (input)) : NULL;
  g_autoptr (GError) error = NULL;
  VmsanExecRequest *request =
      vmsan_exec_request_new (argv, NULL, NULL, NULL, timeout_ms, bytes, &error);

  g_assert_no_error (error);
  return request;
}

#define ARGV(...)                                                                                  \
  (const char *const[])                                                                            \
  {                                                                                                \
    __VA_ARGS__, NULL                                                                              \
  }

/* ---- The request --------------------------------------------------------------------------- */

static void
refuse_request (const char *const *argv,
                const char *const *env,
                const char *cwd,
                GBytes *input,
                const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_exec_request_new (argv, env, cwd, NULL, 0, input, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_what_cannot_be_run_is_refused (void)
{
  g_autofree char *long_text = g_strnfill (VMSAN_FRAME_PAYLOAD_MAX - 7, 'x');
  g_autofree char *large = g_malloc0 (VMSAN_RUN_STDIN_MAX + 1);
  g_autoptr (GBytes) input = g_bytes_new (large, VMSAN_RUN_STDIN_MAX + 1);
  const char *many[VMSAN_ARGS_MAX + 2] = { NULL };

  refuse_request ((const char *const[]){ NULL }, NULL, NULL, NULL, "no program");
  refuse_request (ARGV (""), NULL, NULL, NULL, "no program");
  refuse_request (ARGV ("x"), ARGV ("NAME"), NULL, NULL, "NAME=VALUE");
  refuse_request (ARGV ("x"), ARGV ("A=1", "=x"), NULL, NULL, "entry 2");
  refuse_request (ARGV ("x"), NULL, "tmp", NULL, "cwd");
  refuse_request (ARGV ("x"), NULL, "", NULL, "cwd");
  refuse_request (ARGV ("x"), NULL, NULL, input, "stdin");
  refuse_request (ARGV (long_text), NULL, NULL, NULL, "longer than");
  for (guint i = 0; i <= VMSAN_ARGS_MAX; i++)
    many[i] = "x";
  refuse_request (many, NULL, NULL, NULL, "1024");
  refuse_request (ARGV ("x"), many, NULL, NULL, "1024");
}

static void
test_a_request_fits_a_frame_to_the_last_byte (void)
{
  g_autofree char *text = g_strnfill (VMSAN_FRAME_PAYLOAD_MAX - 8, 'x');
  g_autoptr (VmsanExecRequest) request = request_new (ARGV (text), NULL, 0);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (g_bytes_get_size (request->payload), ==, VMSAN_FRAME_PAYLOAD_MAX);
  /* Then a timeout has no room. */
  g_assert_null (vmsan_exec_request_new (ARGV (text), NULL, NULL, NULL, 1, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
}

static void
test_a_request_has_everything_in_order (void)
{
  static const struct
  {
    guint16 tag;
    const char *text;
  } expected[] = { { VMSAN_FIELD_ARG, "ls" },    { VMSAN_FIELD_ARG, "" },
                   { VMSAN_FIELD_ENV, "A=b=c" }, { VMSAN_FIELD_ENV, "B=" },
                   { VMSAN_FIELD_CWD, "/tmp" },  { VMSAN_FIELD_USER, "nobody" } };
  g_autoptr (VmsanExecRequest) request =
      vmsan_exec_request_new (ARGV ("ls", ""), ARGV ("A=b=c", "B="), "/tmp", "nobody", 1500, NULL,
                              NULL);
  VmsanFieldReader reader;
  VmsanField field = { 0 };
  guint64 timeout_ms = 0;

  vmsan_field_reader_init (&reader, g_bytes_get_data (request->payload, NULL),
                           g_bytes_get_size (request->payload));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
      g_assert_cmpuint (field.tag, ==, expected[i].tag);
      g_assert_cmpmem (field.data, field.length, expected[i].text, strlen (expected[i].text));
    }
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, VMSAN_FIELD_TIMEOUT_MS);
  g_assert_true (vmsan_field_get_u64 (&field, &timeout_ms));
  g_assert_cmpuint (timeout_ms, ==, 1500);
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 0);
}

/* ---- Run, against a hostile guest ---------------------------------------------------------- */

typedef struct
{
  Pair pair;
  GCancellable *cancellable;
  GAsyncResult *result;
} Session;

static void
start (Session *self, const char *input, guint64 timeout_ms)
{
  g_autoptr (VmsanExecRequest) request = request_new (ARGV ("program"), input, timeout_ms);
  g_autoptr (GBytes) payload = NULL;

  vmsan_agent_run_async (self->pair.host, request, self->cancellable, vm_fixture_keep_result,
                         &self->result);
  payload = peer_read_frame (self->pair.guest, VMSAN_FRAME_EXEC);
  g_assert_true (g_bytes_equal (payload, request->payload));
}

static void
set_up (Session *self, gconstpointer data)
{
  self->pair = pair_new ();
  self->cancellable = g_cancellable_new ();
}

static void
tear_down (Session *self, gconstpointer data)
{
  guint8 buffer[4096];

  g_clear_object (&self->result);
  run_loop ();
  g_assert_cmpuint (G_OBJECT (self->cancellable)->ref_count, ==, 1);
  g_object_unref (self->cancellable);
  /* It hangs up, whatever happened. */
  while (recv (self->pair.guest, buffer, sizeof buffer, 0) > 0)
    ;
  g_assert_true (peer_sees_end (self->pair.guest) || errno == ECONNRESET);
  close (self->pair.guest);
}

static VmsanRunResult *
assert_ends (Session *self)
{
  g_autoptr (GError) error = NULL;
  VmsanRunResult *run;

  vm_fixture_wait_for_result (&self->result);
  run = vmsan_agent_run_finish (self->result, &error);
  g_assert_no_error (error);
  return run;
}

static void
assert_fails (Session *self, VmsanError code, const char *words)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (&self->result);
  g_assert_null (vmsan_agent_run_finish (self->result, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
}

static void
write_exited (Session *self, guint32 exit_code, guint32 signal_number, guint32 timed_out)
{
  VmsanExited exited = { exit_code, signal_number, timed_out };

  peer_write_frame (self->pair.guest, VMSAN_FRAME_EXITED, &exited, sizeof exited);
}

static void
test_input_goes_after_started_and_output_comes_back (Session *self, gconstpointer data)
{
  g_autoptr (VmsanRunResult) run = NULL;
  g_autoptr (GBytes) input = NULL;
  g_autoptr (GBytes) eof = NULL;
  guint8 byte;

  start (self, "input", 0);
  run_loop ();
  g_assert_cmpint (recv (self->pair.guest, &byte, 1, MSG_PEEK), <, 0);
  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STARTED, 77);
  run_loop ();
  input = peer_read_frame (self->pair.guest, VMSAN_FRAME_STDIN);
  g_assert_cmpmem (g_bytes_get_data (input, NULL), g_bytes_get_size (input), "input", 5);
  eof = peer_read_frame (self->pair.guest, VMSAN_FRAME_STDIN_EOF);

  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STDIN_CREDIT, 100);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT, "o\0", 2);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDERR, "e", 1);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT, "u", 1);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDOUT_EOF, NULL, 0);
  peer_write_frame (self->pair.guest, VMSAN_FRAME_STDERR_EOF, NULL, 0);
  write_exited (self, 42, 0, 0);
  run = assert_ends (self);
  g_assert_cmpint (run->exit_code, ==, 42);
  g_assert_cmpint (run->signal_number, ==, 0);
  g_assert_cmpmem (run->output->data, run->output->len, "o\0u", 3);
  g_assert_cmpmem (run->errors->data, run->errors->len, "e", 1);
}

static void
test_a_signal_is_told_and_counted_as_by_a_shell (Session *self, gconstpointer data)
{
  g_autoptr (VmsanRunResult) run = NULL;

  start (self, NULL, 0);
  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STARTED, 77);
  write_exited (self, 0, 15, 0);
  run = assert_ends (self);
  g_assert_cmpint (run->exit_code, ==, 143);
  g_assert_cmpint (run->signal_number, ==, 15);
}

static void
test_a_program_killed_for_its_timeout_is_an_error (Session *self, gconstpointer data)
{
  start (self, NULL, 60000);
  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STARTED, 77);
  write_exited (self, 0, 9, 1);
  assert_fails (self, VMSAN_ERROR_TIMED_OUT, "timeout");
}

/* The agent hangs, or is not what it says: the caller's time counts all the same. */
static void
test_the_timeout_does_not_depend_on_the_guest (Session *self, gconstpointer data)
{
  start (self, NULL, 1);
  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STARTED, 77);
  assert_fails (self, VMSAN_ERROR_TIMED_OUT, "timeout");
}

/* However a session ends without EXITED, there is no exit code. */
static void
test_a_lost_connection_is_never_an_exit_code (void)
{
  g_autoptr (GByteArray) all = g_byte_array_new ();
  static const guint8 frames[] = {
    VMSAN_FRAME_STARTED,    0, 0, 0, 4,  0, 0, 0, 1,   0,   0, 0, /* */
    VMSAN_FRAME_STDOUT,     0, 0, 0, 2,  0, 0, 0, 'o', 'k',       /* */
    VMSAN_FRAME_STDOUT_EOF, 0, 0, 0, 0,  0, 0, 0,                 /* */
    VMSAN_FRAME_EXITED,     0, 0, 0, 12, 0, 0, 0, 0,   0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  };

  for (gsize length = 0; length < sizeof frames; length++)
    {
      Session session = { 0 };

      set_up (&session, NULL);
      start (&session, NULL, 0);
      peer_write (session.pair.guest, frames, length);
      shutdown (session.pair.guest, SHUT_WR);
      assert_fails (&session, VMSAN_ERROR_GUEST_FAILED, "");
      tear_down (&session, NULL);
    }
}

static void
test_a_program_that_is_not_there_is_not_found (void)
{
  static const struct
  {
    guint32 code;
    VmsanError error;
  } codes[] = {
    { VMSAN_EXEC_NOT_FOUND, VMSAN_ERROR_NOT_FOUND },
    { VMSAN_EXEC_NOT_EXECUTABLE, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_EXEC_NO_USER, VMSAN_ERROR_GUEST_FAILED },
    { VMSAN_EXEC_NO_RESOURCES, VMSAN_ERROR_LIMIT_EXCEEDED },
    { 0, VMSAN_ERROR_GUEST_FAILED },
    { G_MAXUINT32, VMSAN_ERROR_GUEST_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      Session session = { 0 };
      guint8 payload[64];
      gsize used = 0;

      set_up (&session, NULL);
      start (&session, "ignored", 0);
      vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_CODE, &codes[i].code, 4);
      vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_MESSAGE, "bad\033[1m", 7);
      peer_write_frame (session.pair.guest, VMSAN_FRAME_EXEC_FAILED, payload, used);
      assert_fails (&session, codes[i].error, "bad?[1m");
      tear_down (&session, NULL);
    }
}

typedef struct
{
  const char *what;
  gboolean started;
  guint8 type;
  const char *payload;
  gsize length;
} Nonsense;

static const Nonsense nonsense[] = {
  { "output before the start", FALSE, VMSAN_FRAME_STDOUT, "x", 1 },
  { "an exit before the start", FALSE, VMSAN_FRAME_EXITED, "\0\0\0\0\0\0\0\0\0\0\0\0", 12 },
  { "a start without a pid", FALSE, VMSAN_FRAME_STARTED, "", 0 },
  { "a second start", TRUE, VMSAN_FRAME_STARTED, "\1\0\0\0", 4 },
  { "a failure after the start", TRUE, VMSAN_FRAME_EXEC_FAILED, "", 0 },
  { "half a failure", FALSE, VMSAN_FRAME_EXEC_FAILED, "\x16\0\0", 3 },
  { "a code of one byte", FALSE, VMSAN_FRAME_EXEC_FAILED, "\x16\0\0\0\1\0\0\0x", 9 },
  { "a short exit", TRUE, VMSAN_FRAME_EXITED, "\0\0\0\0\0\0\0\0\0\0\0", 11 },
  { "a long exit", TRUE, VMSAN_FRAME_EXITED, "\0\0\0\0\0\0\0\0\0\0\0\0\0", 13 },
  { "exit code 256", TRUE, VMSAN_FRAME_EXITED, "\0\1\0\0\0\0\0\0\0\0\0\0", 12 },
  { "exit code -1", TRUE, VMSAN_FRAME_EXITED, "\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 12 },
  { "signal 65", TRUE, VMSAN_FRAME_EXITED, "\0\0\0\0\x41\0\0\0\0\0\0\0", 12 },
  { "code and signal", TRUE, VMSAN_FRAME_EXITED, "\1\0\0\0\x09\0\0\0\0\0\0\0", 12 },
  { "type zero", TRUE, 0, "", 0 },
  { "an unknown type", TRUE, 200, "", 0 },
  { "the host's own type", TRUE, VMSAN_FRAME_STDIN, "x", 1 },
  { "a frame of another session", TRUE, VMSAN_FRAME_READY, "", 0 },
};

static void
test_nonsense_ends_the_session_with_an_error (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (nonsense); i++)
    {
      Session session = { 0 };

      g_test_message ("%s", nonsense[i].what);
      set_up (&session, NULL);
      start (&session, "input", 0);
      if (nonsense[i].started)
        peer_write_u32_frame (session.pair.guest, VMSAN_FRAME_STARTED, 1);
      peer_write_frame (session.pair.guest, nonsense[i].type, nonsense[i].payload,
                        nonsense[i].length);
      assert_fails (&session, VMSAN_ERROR_GUEST_FAILED, "");
      tear_down (&session, NULL);
    }
}

static void
test_output_is_bounded (void)
{
  g_autofree guint8 *chunk = g_malloc0 (VMSAN_FRAME_PAYLOAD_MAX);
  const guint full = VMSAN_RUN_OUTPUT_MAX / VMSAN_FRAME_PAYLOAD_MAX;

  for (guint over = 0; over <= 1; over++)
    {
      Session session = { 0 };

      set_up (&session, NULL);
      start (&session, NULL, 0);
      peer_write_u32_frame (session.pair.guest, VMSAN_FRAME_STARTED, 1);
      for (guint i = 0; i < full; i++)
        {
          peer_write_frame (session.pair.guest, i % 2 ? VMSAN_FRAME_STDOUT : VMSAN_FRAME_STDERR,
                            chunk, VMSAN_FRAME_PAYLOAD_MAX);
          run_loop ();
        }
      if (over)
        peer_write_frame (session.pair.guest, VMSAN_FRAME_STDERR, "x", 1);
      else
        write_exited (&session, 0, 0, 0);
      if (over)
        assert_fails (&session, VMSAN_ERROR_LIMIT_EXCEEDED, "1 MiB");
      else
        {
          g_autoptr (VmsanRunResult) run = assert_ends (&session);

          g_assert_cmpuint (run->output->len + run->errors->len, ==, VMSAN_RUN_OUTPUT_MAX);
        }
      tear_down (&session, NULL);
    }
}

static void
test_cancelling_hangs_up (Session *self, gconstpointer data)
{
  start (self, NULL, 60000);
  peer_write_u32_frame (self->pair.guest, VMSAN_FRAME_STARTED, 1);
  run_loop ();
  g_cancellable_cancel (self->cancellable);
  vm_fixture_wait_for_result (&self->result);
  g_assert_null (vmsan_agent_run_finish (self->result, NULL));
}

static void
test_a_guest_that_is_gone_is_an_error (void)
{
  Session session = { .pair = pair_new () };
  g_autoptr (VmsanExecRequest) request = request_new (ARGV ("program"), NULL, 0);

  close (session.pair.guest);
  vmsan_agent_run_async (session.pair.host, request, NULL, vm_fixture_keep_result, &session.result);
  assert_fails (&session, VMSAN_ERROR_GUEST_FAILED, "");
  g_object_unref (session.result);
}

/* ---- Run, against the agent itself --------------------------------------------------------- */

typedef struct
{
  char *directory;
  char *path;
  GSubprocess *process;
  VmsanAgentControl *control;
} Agent;

static const guint8 token[VMSAN_TOKEN_SIZE] = "a token of thirty-two bytes....";

static int
agent_connect (Agent *self, guint16 kind)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_strlcpy (address.sun_path, self->path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (const struct sockaddr *) &address, sizeof address));
  vmsan_agent_handshake_async (fd, kind, token, 20000, NULL, vm_fixture_keep_result, &result);
  vm_fixture_wait_for_result (&result);
  g_assert_true (vmsan_agent_handshake_finish (result, &error));
  g_assert_no_error (error);
  return fd;
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (bind (fd, (const struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 16));
  return fd;
}

static void
agent_set_up (Agent *self, gconstpointer data)
{
  VmsanGuestConfiguration configuration = { "host", "none" };
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  guint boot_ms;

  g_assert_nonnull (g_getenv ("VMSAN_AGENT"));
  self->directory = g_dir_make_tmp ("vmsan-agent-XXXXXX", NULL);
  self->path = g_build_filename (self->directory, "socket", NULL);
  /* It inherits the listening socket, so there is nothing to wait for. What it has allocated ends
   * with it. */
  g_subprocess_launcher_setenv (launcher, "LSAN_OPTIONS", "detect_leaks=0", TRUE);
  g_subprocess_launcher_take_fd (launcher, listen_at (self->path), 3);
  self->process = g_subprocess_launcher_spawn (launcher, &error, g_getenv ("VMSAN_AGENT"),
                                               "--host-socket=fd:3", NULL);
  g_assert_no_error (error);
  self->control = vmsan_agent_control_new (agent_connect (self, VMSAN_SESSION_CONTROL));
  vmsan_agent_control_configure_async (self->control, &configuration, 20000, NULL,
                                       vm_fixture_keep_result, &result);
  vm_fixture_wait_for_result (&result);
  g_assert_true (vmsan_agent_control_configure_finish (self->control, result, &boot_ms, &error));
  g_assert_no_error (error);
}

static void
agent_tear_down (Agent *self, gconstpointer data)
{
  /* One that was killed is gone already. */
  if (data == NULL)
    {
      g_assert_true (vmsan_agent_control_shutdown (self->control, VMSAN_SHUTDOWN_POWER_OFF, NULL));
      g_assert_true (g_subprocess_wait (self->process, NULL, NULL));
      g_assert_true (g_subprocess_get_if_exited (self->process));
      g_assert_cmpint (g_subprocess_get_exit_status (self->process), ==, 0);
    }
  g_object_unref (self->control);
  g_object_unref (self->process);
  g_unlink (self->path);
  g_assert_no_errno (g_rmdir (self->directory));
  g_free (self->path);
  g_free (self->directory);
}

static VmsanRunResult *
agent_run (
    Agent *self, const char *const *argv, const char *input, guint64 timeout_ms, GError **error)
{
  g_autoptr (VmsanExecRequest) request = request_new (argv, input, timeout_ms);
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_agent_run_async (agent_connect (self, VMSAN_SESSION_CALLER), request, NULL,
                         vm_fixture_keep_result, &result);
  vm_fixture_wait_for_result (&result);
  return vmsan_agent_run_finish (result, error);
}

static void
test_every_exit_code_comes_back (Agent *self, gconstpointer data)
{
  for (guint code = 0; code <= 255; code++)
    {
      g_autofree char *script = g_strdup_printf ("exit %u", code);
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanRunResult) run =
          agent_run (self, ARGV ("/bin/sh", "-c", script), NULL, 0, &error);

      g_assert_no_error (error);
      g_assert_cmpint (run->exit_code, ==, (int) code);
      g_assert_cmpint (run->signal_number, ==, 0);
    }
}

static void
test_every_way_to_be_killed_comes_back (Agent *self, gconstpointer data)
{
  static const int signals[] = { 1, 2, 6, 9, 11, 15, 31 };

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      g_autofree char *script = g_strdup_printf ("kill -%d $$", signals[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanRunResult) run =
          agent_run (self, ARGV ("/bin/sh", "-c", script), NULL, 0, &error);

      g_assert_no_error (error);
      g_assert_cmpint (run->signal_number, ==, signals[i]);
      g_assert_cmpint (run->exit_code, ==, 128 + signals[i]);
    }
}

static void
test_input_and_both_outputs_stay_apart (Agent *self, gconstpointer data)
{
  g_autofree char *large = g_strnfill (VMSAN_RUN_STDIN_MAX, 'i');
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanRunResult) small =
      agent_run (self, ARGV ("/bin/sh", "-c", "cat; echo e >&2"), "x", 0, &error);
  g_autoptr (VmsanRunResult) none = agent_run (self, ARGV ("/bin/cat"), NULL, 0, &error);
  g_autoptr (VmsanRunResult) full = agent_run (self, ARGV ("/bin/cat"), large, 0, &error);
  g_autoptr (VmsanRunResult) unread = agent_run (self, ARGV ("/bin/true"), large, 0, &error);

  g_assert_no_error (error);
  g_assert_cmpmem (small->output->data, small->output->len, "x", 1);
  g_assert_cmpmem (small->errors->data, small->errors->len, "e\n", 2);
  g_assert_cmpuint (none->output->len, ==, 0);
  g_assert_cmpmem (full->output->data, full->output->len, large, VMSAN_RUN_STDIN_MAX);
  g_assert_cmpint (unread->exit_code, ==, 0);
}

static void
test_too_much_output_ends_the_program (Agent *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanRunResult) run = NULL;

  g_assert_null (agent_run (self, ARGV ("/usr/bin/yes"), NULL, 0, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED);
  g_clear_error (&error);
  run = agent_run (self, ARGV ("/usr/bin/head", "-c", "1048576", "/dev/zero"), NULL, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (run->output->len, ==, VMSAN_RUN_OUTPUT_MAX);
}

static void
test_what_cannot_start_is_said (Agent *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (agent_run (self, ARGV ("/nonexistent/program"), NULL, 0, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "/nonexistent/program"));
  g_clear_error (&error);
  g_assert_null (agent_run (self, ARGV ("/etc/hostname"), NULL, 0, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
}

static void
test_a_timeout_kills_the_program_and_its_children (Agent *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      agent_run (self, ARGV ("/bin/sh", "-c", "sleep 1000 & sleep 1000"), NULL, 50, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, "was killed"));
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static gboolean
is_true (gpointer data)
{
  return *(gboolean *) data;
}

/* An opened FIFO tells that the program runs; the same, closed, lets what is left of it end. */
static void
test_an_agent_that_dies_is_never_an_exit_code (Agent *self, gconstpointer data)
{
  g_autofree char *started = g_build_filename (self->directory, "started", NULL);
  g_autofree char *held = g_build_filename (self->directory, "held", NULL);
  g_autofree char *script = g_strdup_printf ("echo >%s; exec cat >/dev/null <%s", started, held);
  g_autoptr (VmsanExecRequest) request = request_new (ARGV ("/bin/sh", "-c", script), NULL, 0);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  gboolean runs = FALSE;
  vmsan_autofd int started_fd = -1;
  vmsan_autofd int held_fd = -1;

  g_assert_no_errno (mkfifo (started, 0600));
  g_assert_no_errno (mkfifo (held, 0600));
  started_fd = open (started, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  held_fd = open (held, O_RDWR | O_CLOEXEC);
  g_unix_fd_add (started_fd, G_IO_IN, on_readable, &runs);
  vmsan_agent_run_async (agent_connect (self, VMSAN_SESSION_CALLER), request, NULL,
                         vm_fixture_keep_result, &result);
  vm_fixture_wait_until (is_true, &runs);
  g_subprocess_force_exit (self->process);
  g_assert_true (g_subprocess_wait (self->process, NULL, NULL));
  vm_fixture_wait_for_result (&result);
  g_assert_null (vmsan_agent_run_finish (result, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED);
  g_assert_no_errno (g_unlink (started));
  g_assert_no_errno (g_unlink (held));
}

#define session_test(path, function)                                                               \
  g_test_add ("/agent-exec/" path, Session, NULL, set_up, function, tear_down)
#define agent_test(path, killed, function)                                                         \
  g_test_add ("/agent-exec/agent/" path, Agent, killed, agent_set_up, function, agent_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/agent-exec/what-cannot-be-run-is-refused", test_what_cannot_be_run_is_refused);
  g_test_add_func ("/agent-exec/a-request-fits-a-frame-to-the-last-byte",
                   test_a_request_fits_a_frame_to_the_last_byte);
  g_test_add_func ("/agent-exec/a-request-has-everything-in-order",
                   test_a_request_has_everything_in_order);
  session_test ("input-goes-after-started-and-output-comes-back",
                test_input_goes_after_started_and_output_comes_back);
  session_test ("a-signal-is-told-and-counted-as-by-a-shell",
                test_a_signal_is_told_and_counted_as_by_a_shell);
  session_test ("a-program-killed-for-its-timeout-is-an-error",
                test_a_program_killed_for_its_timeout_is_an_error);
  session_test ("the-timeout-does-not-depend-on-the-guest",
                test_the_timeout_does_not_depend_on_the_guest);
  g_test_add_func ("/agent-exec/a-lost-connection-is-never-an-exit-code",
                   test_a_lost_connection_is_never_an_exit_code);
  g_test_add_func ("/agent-exec/a-program-that-is-not-there-is-not-found",
                   test_a_program_that_is_not_there_is_not_found);
  g_test_add_func ("/agent-exec/nonsense-ends-the-session-with-an-error",
                   test_nonsense_ends_the_session_with_an_error);
  g_test_add_func ("/agent-exec/output-is-bounded", test_output_is_bounded);
  session_test ("cancelling-hangs-up", test_cancelling_hangs_up);
  g_test_add_func ("/agent-exec/a-guest-that-is-gone-is-an-error",
                   test_a_guest_that_is_gone_is_an_error);
  agent_test ("every-exit-code-comes-back", NULL, test_every_exit_code_comes_back);
  agent_test ("every-way-to-be-killed-comes-back", NULL, test_every_way_to_be_killed_comes_back);
  agent_test ("input-and-both-outputs-stay-apart", NULL, test_input_and_both_outputs_stay_apart);
  agent_test ("too-much-output-ends-the-program", NULL, test_too_much_output_ends_the_program);
  agent_test ("what-cannot-start-is-said", NULL, test_what_cannot_start_is_said);
  agent_test ("a-timeout-kills-the-program-and-its-children", NULL,
              test_a_timeout_kills_the_program_and_its_children);
  agent_test ("an-agent-that-dies-is-never-an-exit-code", GINT_TO_POINTER (1),
              test_an_agent_that_dies_is_never_an_exit_code);
  return g_test_run ();
}
