/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The agent as an ordinary process on a Unix socket: real sessions with real programs.
 *
 * The client here is plain and blocking; everything it waits for has a deadline. */

#include "agent/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000

typedef struct
{
  pid_t pid;
  char *directory;
  char *path;
  guint8 token[VMSAN_TOKEN_SIZE];
  int control;
} Agent;

/* What an exec session told. */
typedef struct
{
  GString *out;
  GString *err;
  guint n_out_eof;
  guint n_err_eof;
  guint32 credit;
  guint32 pid;
  gboolean failed;
  guint32 failure;
  VmsanExited exited;
} Result;

/* ---- A client ------------------------------------------------------------------------------ */

static void
wait_for (int fd, short events)
{
  struct pollfd poll_fd = { fd, events, 0 };

  g_assert_cmpint (poll (&poll_fd, 1, DEADLINE_MS), ==, 1);
}

static void
send_all (int fd, const void *data, gsize length)
{
  const guint8 *bytes = data;

  while (length > 0)
    {
      const gssize n = send (fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

      if (n < 0 && errno == EAGAIN)
        {
          wait_for (fd, POLLOUT);
          continue;
        }
      g_assert_cmpint (n, >, 0);
      bytes += n;
      length -= (gsize) n;
    }
}

/* FALSE when the stream ended. */
static gboolean
receive_all (int fd, void *data, gsize length)
{
  guint8 *bytes = data;

  while (length > 0)
    {
      gssize n;

      wait_for (fd, POLLIN);
      n = read (fd, bytes, length);
      if (n == 0 || (n < 0 && errno == ECONNRESET))
        return FALSE;
      g_assert_cmpint (n, >, 0);
      bytes += n;
      length -= (gsize) n;
    }
  return TRUE;
}

static void
send_frame (int fd, guint8 type, const void *payload, gsize length)
{
  const VmsanFrameHeader header = { .type = type, .length = (guint32) length };

  send_all (fd, &header, sizeof header);
  send_all (fd, payload, length);
}

/* 0 when the stream ended. */
static guint8
receive_frame (int fd, guint8 *payload, guint32 *length)
{
  VmsanFrameHeader header;

  if (!receive_all (fd, &header, sizeof header))
    return 0;
  g_assert_cmpuint (header.length, <=, VMSAN_FRAME_PAYLOAD_MAX);
  g_assert_true (receive_all (fd, payload, header.length));
  *length = header.length;
  return header.type;
}

static int
connect_to (const Agent *agent)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, agent->path, sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  return fd;
}

static guint16
greet (int fd, guint16 kind, const guint8 *token, guint16 version)
{
  VmsanHello hello = { .version = version, .kind = kind };
  VmsanWelcome welcome;

  memcpy (hello.magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (hello.token, token, VMSAN_TOKEN_SIZE);
  for (gsize i = 0; i < VMSAN_NONCE_SIZE; i++)
    hello.nonce[i] = (guint8) g_random_int ();
  send_all (fd, &hello, sizeof hello);
  g_assert_true (receive_all (fd, &welcome, sizeof welcome));
  g_assert_cmpmem (welcome.magic, VMSAN_MAGIC_SIZE, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  g_assert_cmpmem (welcome.nonce, VMSAN_NONCE_SIZE, hello.nonce, VMSAN_NONCE_SIZE);
  return welcome.status;
}

/* ---- The fixture --------------------------------------------------------------------------- */

static int
make_listener (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, 64), ==, 0);
  return fd;
}

static void
agent_start (Agent *agent)
{
  g_autofree char *argument = NULL;
  int listener;

  *agent = (Agent){ .control = -1, .directory = g_dir_make_tmp ("vmsan-test-XXXXXX", NULL) };
  agent->path = g_build_filename (agent->directory, "socket", NULL);
  memset (agent->token, 0xa5, sizeof agent->token);
  listener = make_listener (agent->path);
  argument = g_strdup_printf ("--host-socket=fd:%d", listener);
  agent->pid = fork ();
  if (agent->pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      execl (g_getenv ("VMSAN_AGENT"), "vmsan-agent", argument, NULL);
      _exit (127);
    }
  close (listener);
}

static void
configure (Agent *agent, const guint8 *fields, gsize length)
{
  guint8 payload[VMSAN_FRAME_PAYLOAD_MAX];
  guint32 received;

  agent->control = connect_to (agent);
  g_assert_cmpint (greet (agent->control, VMSAN_SESSION_CONTROL, agent->token, 1), ==,
                   VMSAN_WELCOME_OK);
  send_frame (agent->control, VMSAN_FRAME_CONFIGURE, fields, length);
  g_assert_cmpint (receive_frame (agent->control, payload, &received), ==, VMSAN_FRAME_READY);
}

static void
set_up (Agent *agent, gconstpointer data)
{
  guint8 payload[256];
  gsize used = 0;

  agent_start (agent);
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_ENV, "DEFAULT=yes", 11);
  configure (agent, payload, used);
}

/* Ends the agent as its host does, and checks that it ends well. */
static void
tear_down (Agent *agent, gconstpointer data)
{
  const guint32 action = VMSAN_SHUTDOWN_POWER_OFF;
  guint8 payload[16];
  gsize used = 0;
  int wait_status;

  if (agent->control < 0)
    {
      agent->control = connect_to (agent);
      g_assert_cmpint (greet (agent->control, VMSAN_SESSION_CONTROL, agent->token, 1), ==,
                       VMSAN_WELCOME_OK);
    }
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_ACTION, &action, sizeof action);
  send_frame (agent->control, VMSAN_FRAME_SHUTDOWN, payload, used);
  g_assert_cmpint (waitpid (agent->pid, &wait_status, 0), ==, agent->pid);
  g_assert_cmpint (wait_status, ==, 0);
  close (agent->control);
  g_unlink (agent->path);
  g_rmdir (agent->directory);
  g_free (agent->path);
  g_free (agent->directory);
}

/* ---- Exec sessions ------------------------------------------------------------------------- */

static void
result_free (Result *result)
{
  g_string_free (result->out, TRUE);
  g_string_free (result->err, TRUE);
  g_free (result);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Result, result_free)

typedef struct
{
  const char *script; /* for sh -c; or */
  const char *program;
  const char *cwd;
  const char *user;
  const char *env;
  guint64 timeout_ms;
  gboolean terminal;
} Spec;

static int
open_session (const Agent *agent)
{
  const int fd = connect_to (agent);

  g_assert_cmpint (greet (fd, VMSAN_SESSION_CALLER, agent->token, 1), ==, VMSAN_WELCOME_OK);
  return fd;
}

static void
send_exec (int fd, const Spec *spec)
{
  static const guint16 size[2] = { 24, 80 };
  const char *args[] = { spec->script != NULL ? "sh" : spec->program, "-c", spec->script };
  guint8 payload[8192];
  gsize used = 0;
  const struct
  {
    guint16 tag;
    const char *text;
  } texts[] = {
    { VMSAN_FIELD_CWD, spec->cwd },
    { VMSAN_FIELD_USER, spec->user },
    { VMSAN_FIELD_ENV, spec->env },
  };

  for (gsize i = 0; i < (spec->script != NULL ? 3 : 1); i++)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_ARG, args[i], strlen (args[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    if (texts[i].text != NULL)
      vmsan_field_append (payload, sizeof payload, &used, texts[i].tag, texts[i].text,
                          strlen (texts[i].text));
  if (spec->timeout_ms > 0)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_TIMEOUT_MS, &spec->timeout_ms,
                        8);
  if (spec->terminal)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_TTY, size, sizeof size);
  send_frame (fd, VMSAN_FRAME_EXEC, payload, used);
}

/* Takes one frame; FALSE when it was the last. */
static gboolean
take_frame (int fd, Result *result)
{
  static guint8 payload[VMSAN_FRAME_PAYLOAD_MAX];
  VmsanFieldReader reader;
  VmsanField field;
  guint32 length, number;

  switch (receive_frame (fd, payload, &length))
    {
    case VMSAN_FRAME_STARTED:
      g_assert_cmpuint (length, ==, 4);
      memcpy (&result->pid, payload, 4);
      return TRUE;
    case VMSAN_FRAME_STDIN_CREDIT:
      g_assert_cmpuint (length, ==, 4);
      memcpy (&number, payload, 4);
      result->credit += number;
      return TRUE;
    case VMSAN_FRAME_STDOUT:
      g_assert_cmpuint (result->n_out_eof, ==, 0);
      g_string_append_len (result->out, (const char *) payload, length);
      return TRUE;
    case VMSAN_FRAME_STDERR:
      g_assert_cmpuint (result->n_err_eof, ==, 0);
      g_string_append_len (result->err, (const char *) payload, length);
      return TRUE;
    case VMSAN_FRAME_STDOUT_EOF:
      result->n_out_eof++;
      return TRUE;
    case VMSAN_FRAME_STDERR_EOF:
      result->n_err_eof++;
      return TRUE;
    case VMSAN_FRAME_EXITED:
      g_assert_cmpuint (length, ==, sizeof result->exited);
      memcpy (&result->exited, payload, sizeof result->exited);
      g_assert_cmpuint (result->n_out_eof, ==, 1);
      g_assert_cmpuint (result->n_err_eof, ==, 1);
      return FALSE;
    case VMSAN_FRAME_EXEC_FAILED:
      result->failed = TRUE;
      vmsan_field_reader_init (&reader, payload, length);
      while (vmsan_field_reader_next (&reader, &field) == 1)
        if (field.tag == VMSAN_FIELD_CODE)
          g_assert_true (vmsan_field_get_u32 (&field, &result->failure));
        else if (field.tag == VMSAN_FIELD_MESSAGE)
          g_string_append_len (result->err, (const char *) field.data, field.length);
      return FALSE;
    default:
      g_assert_not_reached ();
    }
}

static Result *
result_new (void)
{
  Result *result = g_new0 (Result, 1);

  result->out = g_string_new ("");
  result->err = g_string_new ("");
  return result;
}

/* Runs to the end with @input, and checks that the stream ends behind the last frame. */
static Result *
run (const Agent *agent, const Spec *spec, const char *input, gsize length)
{
  const int fd = open_session (agent);
  Result *result = result_new ();
  gboolean ended = FALSE, more = TRUE;
  guint8 rest;

  send_exec (fd, spec);
  while (more)
    {
      while (length > 0 && result->credit > 0)
        {
          const gsize n = MIN (MIN (length, result->credit), VMSAN_FRAME_PAYLOAD_MAX);

          send_frame (fd, VMSAN_FRAME_STDIN, input, n);
          result->credit -= (guint32) n;
          input += n;
          length -= n;
        }
      if (length == 0 && result->pid != 0 && !ended)
        {
          send_frame (fd, VMSAN_FRAME_STDIN_EOF, NULL, 0);
          ended = TRUE;
        }
      more = take_frame (fd, result);
    }
  g_assert_false (receive_all (fd, &rest, 1));
  close (fd);
  return result;
}

static Result *
run_script (const Agent *agent, const char *script)
{
  return run (agent, &(Spec){ .script = script }, NULL, 0);
}

/* A process that nobody of this test may see again: its pid is read from the program's output. */
static void
assert_gone (pid_t pid)
{
  /* Its parent ends it before it says so, but init may take a moment to reap what it inherits. */
  for (guint i = 0; i < DEADLINE_MS; i++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
      g_autofree char *stat = NULL;

      if (!g_file_get_contents (path, &stat, NULL, NULL) || strstr (stat, ") Z ") != NULL)
        return;
      poll (NULL, 0, 1);
    }
  g_error ("process %d is still there", pid);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_exit_codes (Agent *agent, gconstpointer data)
{
  for (guint code = 0; code < 256; code++)
    {
      g_autofree char *script = g_strdup_printf ("exit %u", code);
      g_autoptr (Result) result = run_script (agent, script);

      g_assert_cmpuint (result->exited.exit_code, ==, code);
      g_assert_cmpuint (result->exited.signal_number, ==, 0);
      g_assert_cmpuint (result->exited.timed_out, ==, 0);
    }
}

static void
test_signals_that_end (Agent *agent, gconstpointer data)
{
  static const int signals[] = { SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM };

  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      g_autofree char *script = g_strdup_printf ("kill -%d $$", signals[i]);
      g_autoptr (Result) result = run_script (agent, script);

      g_assert_cmpuint (result->exited.exit_code, ==, 0);
      g_assert_cmpuint (result->exited.signal_number, ==, (guint) signals[i]);
    }
}

static void
test_streams_are_apart (Agent *agent, gconstpointer data)
{
  g_autoptr (Result) result =
      run_script (agent, "echo out; echo err >&2; echo $DEFAULT; exec >&-; echo more >&2");

  g_assert_cmpstr (result->out->str, ==, "out\nyes\n");
  g_assert_cmpstr (result->err->str, ==, "err\nmore\n");
}

static void
test_data_comes_back_whole (Agent *agent, gconstpointer data)
{
  const gsize length = 8u << 20;
  g_autofree char *bytes = g_malloc (length);
  g_autoptr (Result) result = NULL;

  for (gsize i = 0; i < length; i++)
    bytes[i] = (char) g_random_int ();
  result = run (agent, &(Spec){ .program = "cat" }, bytes, length);
  g_assert_cmpmem (result->out->str, result->out->len, bytes, length);
}

static void
test_input_that_is_not_read (Agent *agent, gconstpointer data)
{
  const gsize length = 2u << 20;
  g_autofree char *bytes = g_malloc0 (length);
  g_autoptr (Result) closed = run (agent, &(Spec){ .script = "exec <&-; echo x" }, bytes, 100);
  g_autoptr (Result) ended = NULL;

  g_assert_cmpstr (closed->out->str, ==, "x\n");
  /* A program that closes its input has all of it thrown away. */
  ended = run (agent, &(Spec){ .script = "exec <&-; sleep 0.2; echo y" }, bytes, length);
  g_assert_cmpstr (ended->out->str, ==, "y\n");
}

static void
test_signals_pass_waiting_input (Agent *agent, gconstpointer data)
{
  const guint32 number = SIGUSR1;
  const int fd = open_session (agent);
  g_autoptr (Result) result = result_new ();
  g_autofree char *bytes = g_malloc0 (VMSAN_FRAME_PAYLOAD_MAX);

  send_exec (fd, &(Spec){ .script = "trap 'echo caught; exit 7' USR1; echo on; while :; do sleep "
                                    "0.05; done" });
  while (result->out->len == 0 || result->credit == 0)
    g_assert_true (take_frame (fd, result));
  g_assert_cmpuint (result->credit, ==, VMSAN_STDIN_WINDOW);
  for (guint i = 0; i < VMSAN_STDIN_WINDOW / VMSAN_FRAME_PAYLOAD_MAX; i++)
    send_frame (fd, VMSAN_FRAME_STDIN, bytes, VMSAN_FRAME_PAYLOAD_MAX);
  send_frame (fd, VMSAN_FRAME_SIGNAL, &number, sizeof number);
  while (take_frame (fd, result))
    ;
  g_assert_cmpstr (result->out->str, ==, "on\ncaught\n");
  g_assert_cmpuint (result->exited.exit_code, ==, 7);
  close (fd);
}

static void
test_background_children (Agent *agent, gconstpointer data)
{
  /* One holds the output silently, one writes for ever. */
  g_autoptr (Result) silent = run_script (agent, "sleep 60 & echo $!");
  g_autoptr (Result) loud = run_script (agent, "yes & echo $! >&2; sleep 0.05");

  g_assert_cmpuint (silent->exited.exit_code, ==, 0);
  g_assert_cmpuint (loud->exited.exit_code, ==, 0);
  g_assert_cmpuint (loud->out->len, >, 0);
  g_assert_cmpint (kill (atoi (silent->out->str), SIGKILL), ==, 0);
  /* It is told that nobody reads. */
  assert_gone (atoi (loud->err->str));
}

static void
test_timeouts (Agent *agent, gconstpointer data)
{
  g_autoptr (Result) result =
      run (agent,
           &(Spec){ .script =
                        "setsid sh -c 'echo $$; sleep 60 & echo $!; wait' & echo $$; trap '' TERM; "
                        "sleep 60",
                    .timeout_ms = 500 },
           NULL, 0);
  g_auto (GStrv) pids = g_strsplit (g_strstrip (result->out->str), "\n", -1);

  g_assert_cmpuint (result->exited.timed_out, ==, 1);
  g_assert_cmpuint (result->exited.signal_number, ==, SIGKILL);
  g_assert_cmpuint (g_strv_length (pids), ==, 3);
  for (gsize i = 0; i < 3; i++)
    assert_gone (atoi (pids[i]));
}

static void
test_hangup (Agent *agent, gconstpointer data)
{
  const int fd = open_session (agent);
  g_autoptr (Result) result = result_new ();
  g_auto (GStrv) pids = NULL;

  send_exec (fd,
             &(Spec){ .script =
                          "trap '' HUP; setsid sleep 60 & echo $!; sleep 60 & echo $!; echo $$; "
                          "wait; sleep 60" });
  while (result->out->len == 0 || result->out->str[result->out->len - 1] != '\n' ||
         g_strrstr (result->out->str, "\n") == NULL ||
         (pids = (g_strfreev (pids), g_strsplit (result->out->str, "\n", -1)),
          g_strv_length (pids) < 4))
    g_assert_true (take_frame (fd, result));
  close (fd);
  for (gsize i = 0; i < 3; i++)
    assert_gone (atoi (pids[i]));
}

static void
test_what_cannot_start (Agent *agent, gconstpointer data)
{
  g_autofree char *text = g_build_filename (agent->directory, "text", NULL);
  g_autofree char *no_loader = g_build_filename (agent->directory, "no-loader", NULL);
  const struct
  {
    Spec spec;
    guint32 code;
  } cases[] = {
    { { .program = "no-such-program" }, VMSAN_EXEC_NOT_FOUND },
    { { .program = "/no/such/program" }, VMSAN_EXEC_NOT_FOUND },
    { { .program = "/etc/passwd/x" }, VMSAN_EXEC_NOT_FOUND },
    { { .program = "true", .env = "PATH=/nowhere" }, VMSAN_EXEC_NOT_FOUND },
    { { .program = "/etc/passwd" }, VMSAN_EXEC_NOT_EXECUTABLE },
    { { .program = "/etc" }, VMSAN_EXEC_NOT_EXECUTABLE },
    { { .program = text }, VMSAN_EXEC_NOT_EXECUTABLE },
    { { .program = no_loader }, VMSAN_EXEC_NOT_EXECUTABLE },
    { { .program = "" }, VMSAN_EXEC_BAD_REQUEST },
    { { .program = "true", .cwd = "/no/such/directory" }, VMSAN_EXEC_NO_DIRECTORY },
    { { .program = "true", .cwd = "/etc/passwd" }, VMSAN_EXEC_NO_DIRECTORY },
    { { .program = "true", .cwd = "relative" }, VMSAN_EXEC_BAD_REQUEST },
    { { .program = "true", .user = "no-such-user" }, VMSAN_EXEC_NO_USER },
    { { .program = "true", .user = "root:no-such-group" }, VMSAN_EXEC_NO_USER },
    { { .program = "true", .env = "nothing" }, VMSAN_EXEC_BAD_REQUEST },
  };

  g_assert_true (g_file_set_contents (text, "no program", -1, NULL));
  g_assert_true (g_file_set_contents (no_loader, "#!/no/such/interpreter\n", -1, NULL));
  g_assert_cmpint (g_chmod (text, 0755), ==, 0);
  g_assert_cmpint (g_chmod (no_loader, 0755), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Result) result = run (agent, &cases[i].spec, NULL, 0);

      g_assert_true (result->failed);
      g_assert_cmpuint (result->failure, ==, cases[i].code);
      g_assert_cmpstr (result->err->str, !=, "");
    }
  g_unlink (text);
  g_unlink (no_loader);
}

static void
test_surroundings (Agent *agent, gconstpointer data)
{
  g_autoptr (Result) result =
      run (agent,
           &(Spec){ .script = "pwd; umask; echo $X; ls /proc/self/fd | wc -l; grep Sig[BI] "
                              "/proc/self/status; ps -o sid= -p $$ | tr -d ' '; echo $$",
                    .cwd = "/usr",
                    .env = "X=a b" },
           NULL, 0);
  g_auto (GStrv) lines = g_strsplit (result->out->str, "\n", -1);

  g_assert_cmpstr (lines[0], ==, "/usr");
  g_assert_cmpstr (lines[1], ==, "0022");
  g_assert_cmpstr (lines[2], ==, "a b");
  g_assert_cmpstr (lines[3], ==, "4"); /* 0 to 2, and the directory that ls reads */
  g_assert_cmpstr (lines[4], ==, "SigBlk:\t0000000000000000");
  g_assert_cmpstr (lines[5], ==, "SigIgn:\t0000000000000000");
  g_assert_cmpstr (lines[6], ==, lines[7]); /* it leads a session of its own */
}

static void
test_users (Agent *agent, gconstpointer data)
{
  g_autoptr (Result) result = NULL;

  if (geteuid () != 0)
    {
      g_test_skip ("only root can become another user");
      return;
    }
  result = run (agent, &(Spec){ .script = "id -u; id -g; id -G; echo $HOME", .user = "4711:4712" },
                NULL, 0);
  g_assert_cmpstr (result->out->str, ==, "4711\n4712\n4712\n/\n");
}

static void
test_terminal (Agent *agent, gconstpointer data)
{
  static const guint16 size[2] = { 50, 132 };
  const int fd = open_session (agent);
  g_autoptr (Result) result = result_new ();

  send_exec (fd, &(Spec){ .script =
                              "stty size; tty >&2; stty -echo; echo on; read line; stty size; echo "
                              "$line $TERM; cat; echo end; exec sleep 60",
                          .terminal = TRUE });
  while (strstr (result->out->str, "on\r\n") == NULL)
    g_assert_true (take_frame (fd, result));
  send_frame (fd, VMSAN_FRAME_WINDOW_SIZE, size, sizeof size);
  send_frame (fd, VMSAN_FRAME_STDIN, "typed\n", 6);
  while (strstr (result->out->str, "xterm") == NULL)
    g_assert_true (take_frame (fd, result));
  /* The end of input, then an interrupt from the keyboard. */
  send_frame (fd, VMSAN_FRAME_STDIN, "tail\004\004", 6);
  while (strstr (result->out->str, "end") == NULL)
    g_assert_true (take_frame (fd, result));
  send_frame (fd, VMSAN_FRAME_STDIN, "\003", 1);
  while (take_frame (fd, result))
    ;
  g_assert_true (g_str_has_prefix (result->out->str, "24 80\r\n/dev/pts/"));
  g_assert_nonnull (strstr (result->out->str, "on\r\n50 132\r\ntyped xterm\r\ntailend\r\n"));
  g_assert_cmpuint (result->exited.signal_number, ==, SIGINT);
  g_assert_cmpuint (result->err->len, ==, 0);
  close (fd);
}

static void
test_terminal_input_ends (Agent *agent, gconstpointer data)
{
  g_autoptr (Result) result =
      run (agent, &(Spec){ .script = "stty -echo; echo on; cat", .terminal = TRUE }, "x", 1);

  g_assert_cmpuint (result->exited.exit_code, ==, 0);
  g_assert_nonnull (strstr (result->out->str, "x"));
}

static void
test_terminal_keeps_output (Agent *agent, gconstpointer data)
{
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (Result) result =
          run (agent, &(Spec){ .script = "seq 5000", .terminal = TRUE }, NULL, 0);

      g_assert_true (g_str_has_suffix (result->out->str, "4999\r\n5000\r\n"));
      g_assert_cmpuint (result->out->len, ==, 23893 + 5000);
    }
}

static void
test_malformed_frames (Agent *agent, gconstpointer data)
{
  const guint32 bad_signal = 65;
  const struct
  {
    guint8 type;
    const void *payload;
    guint32 length;
  } cases[] = {
    { VMSAN_FRAME_EXEC, "", 0 },
    { VMSAN_FRAME_STDIN_EOF, "x", 1 },
    { VMSAN_FRAME_SIGNAL, "x", 1 },
    { VMSAN_FRAME_SIGNAL, &bad_signal, 4 },
    { VMSAN_FRAME_WINDOW_SIZE, "x", 1 },
    { VMSAN_FRAME_STDOUT, "x", 1 },
    { VMSAN_FRAME_CONFIGURE, "", 0 },
    { 0, "", 0 },
    { 255, "", 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const int fd = open_session (agent);
      g_autoptr (Result) result = result_new ();

      send_exec (fd, &(Spec){ .script = "echo on; sleep 60" });
      while (result->out->len == 0)
        g_assert_true (take_frame (fd, result));
      send_frame (fd, cases[i].type, cases[i].payload, cases[i].length);
      while (take_frame (fd, result))
        ;
      g_assert_cmpuint (result->exited.signal_number, ==, SIGKILL);
      g_assert_cmpuint (result->exited.timed_out, ==, 0);
      close (fd);
    }
}

static void
test_more_input_than_granted (Agent *agent, gconstpointer data)
{
  const int fd = open_session (agent);
  g_autoptr (Result) result = result_new ();
  g_autofree char *bytes = g_malloc0 (VMSAN_FRAME_PAYLOAD_MAX);

  send_exec (fd, &(Spec){ .script = "echo on; sleep 60" });
  while (result->out->len == 0)
    g_assert_true (take_frame (fd, result));
  for (guint i = 0; i < VMSAN_STDIN_WINDOW / VMSAN_FRAME_PAYLOAD_MAX; i++)
    send_frame (fd, VMSAN_FRAME_STDIN, bytes, VMSAN_FRAME_PAYLOAD_MAX);
  /* A pipe takes 64 KiB, which is granted again; all beyond that is too much. */
  send_frame (fd, VMSAN_FRAME_STDIN, bytes, VMSAN_FRAME_PAYLOAD_MAX);
  send_frame (fd, VMSAN_FRAME_STDIN, bytes, 1);
  while (take_frame (fd, result))
    ;
  g_assert_cmpuint (result->exited.signal_number, ==, SIGKILL);
  close (fd);
}

static void
test_first_frames (Agent *agent, gconstpointer data)
{
  static const guint8 types[] = { VMSAN_FRAME_STDIN, VMSAN_FRAME_SIGNAL, VMSAN_FRAME_CONFIGURE, 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      const int fd = open_session (agent);
      g_autoptr (Result) result = result_new ();

      send_frame (fd, types[i], "\11\0\0\0", 4);
      g_assert_false (take_frame (fd, result));
      g_assert_true (result->failed);
      g_assert_cmpuint (result->failure, ==, VMSAN_EXEC_BAD_REQUEST);
      close (fd);
    }
}

static void
test_hellos (Agent *agent, gconstpointer data)
{
  const guint8 wrong[VMSAN_TOKEN_SIZE] = { 1 };
  const struct
  {
    guint16 kind;
    const guint8 *token;
    guint16 version;
    guint16 status;
  } cases[] = {
    { VMSAN_SESSION_CALLER, wrong, 1, VMSAN_WELCOME_BAD_TOKEN },
    { VMSAN_SESSION_CONTROL, wrong, 1, VMSAN_WELCOME_BAD_TOKEN },
    { VMSAN_SESSION_CALLER, agent->token, 0, VMSAN_WELCOME_BAD_VERSION },
    { 0, agent->token, 1, VMSAN_WELCOME_BAD_TOKEN },
    { 3, agent->token, 1, VMSAN_WELCOME_BAD_TOKEN },
    { VMSAN_SESSION_CALLER, agent->token, 77, VMSAN_WELCOME_OK },
  };
  g_autofree char *garbage = g_malloc (VMSAN_PROTOCOL_SKIP_MAX + 4096);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const int fd = connect_to (agent);
      guint8 byte;

      g_assert_cmpint (greet (fd, cases[i].kind, cases[i].token, cases[i].version), ==,
                       cases[i].status);
      if (cases[i].status != VMSAN_WELCOME_OK)
        g_assert_false (receive_all (fd, &byte, 1));
      close (fd);
    }
  /* Garbage without end is not listened to. */
  memset (garbage, 0177, VMSAN_PROTOCOL_SKIP_MAX + 4096);
  {
    const int fd = connect_to (agent);
    gsize sent = 0;
    gssize n;

    while (sent < VMSAN_PROTOCOL_SKIP_MAX + 4096 &&
           (n = send (fd, garbage, 4096, MSG_NOSIGNAL)) > 0)
      sent += (gsize) n;
    while (sent >= VMSAN_PROTOCOL_SKIP_MAX && send (fd, garbage, 4096, MSG_NOSIGNAL) > 0)
      ;
    g_assert_true (errno == EPIPE || errno == ECONNRESET);
    close (fd);
  }
}

static void
test_control_session (Agent *agent, gconstpointer data)
{
  guint8 payload[VMSAN_FRAME_PAYLOAD_MAX];
  guint32 length;
  const int old = agent->control;

  send_frame (old, VMSAN_FRAME_PING, "12345678", 8);
  g_assert_cmpint (receive_frame (old, payload, &length), ==, VMSAN_FRAME_PONG);
  g_assert_cmpmem (payload, length, "12345678", 8);
  send_frame (old, VMSAN_FRAME_LIST, NULL, 0);
  g_assert_cmpint (receive_frame (old, payload, &length), ==, VMSAN_FRAME_SESSIONS);
  g_assert_cmpuint (length, ==, 0);
  /* Who has the token takes over, also while the old session looks alive. */
  configure (agent, NULL, 0);
  g_assert_false (receive_all (old, payload, 1));
  close (old);
  /* Malformed frames end it; the agent goes on. */
  send_frame (agent->control, VMSAN_FRAME_PING, "1234567", 7);
  g_assert_false (receive_all (agent->control, payload, 1));
  close (agent->control);
  agent->control = -1;
}

static void
test_before_it_is_configured (void)
{
  static const guint8 zero[VMSAN_TOKEN_SIZE] = { 0 };
  Agent agent;
  int fd;

  agent_start (&agent);
  fd = connect_to (&agent);
  g_assert_cmpint (greet (fd, VMSAN_SESSION_CALLER, zero, 1), ==, VMSAN_WELCOME_NOT_READY);
  close (fd);
  fd = connect_to (&agent);
  g_assert_cmpint (greet (fd, VMSAN_SESSION_CONTROL, agent.token, 1), ==, VMSAN_WELCOME_OK);
  close (fd);
  /* The token is set by now. */
  fd = connect_to (&agent);
  g_assert_cmpint (greet (fd, VMSAN_SESSION_CONTROL, zero, 1), ==, VMSAN_WELCOME_BAD_TOKEN);
  close (fd);
  fd = connect_to (&agent);
  g_assert_cmpint (greet (fd, VMSAN_SESSION_CALLER, agent.token, 1), ==, VMSAN_WELCOME_NOT_READY);
  close (fd);
  tear_down (&agent, NULL);
}

static void
test_too_many (Agent *agent, gconstpointer data)
{
  int fds[64];

  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = connect_to (agent);
      g_assert_cmpint (greet (fds[i], VMSAN_SESSION_CALLER, agent->token, 1), ==, VMSAN_WELCOME_OK);
    }
  {
    const int fd = connect_to (agent);

    g_assert_cmpint (greet (fd, VMSAN_SESSION_CALLER, agent->token, 1), ==, VMSAN_WELCOME_BUSY);
    close (fd);
  }
  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  /* Room again: each answers once its process is gone. */
  for (guint i = 0; i < DEADLINE_MS; i++)
    {
      const int fd = connect_to (agent);
      const guint16 status = greet (fd, VMSAN_SESSION_CALLER, agent->token, 1);

      close (fd);
      if (status == VMSAN_WELCOME_OK)
        return;
      g_assert_cmpint (status, ==, VMSAN_WELCOME_BUSY);
      poll (NULL, 0, 1);
    }
  g_assert_not_reached ();
}

static void
test_many_at_once (Agent *agent, gconstpointer data)
{
  int fds[32];

  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = open_session (agent);
      send_exec (fds[i], &(Spec){ .script = "head -c 1000000 /dev/zero; read x; exit $x" });
    }
  /* Nobody reads, yet each is served. */
  for (gsize i = G_N_ELEMENTS (fds); i-- > 0;)
    {
      g_autoptr (Result) result = result_new ();
      g_autofree char *line = g_strdup_printf ("%zu\n", i);

      while (result->credit == 0)
        g_assert_true (take_frame (fds[i], result));
      send_frame (fds[i], VMSAN_FRAME_STDIN, line, strlen (line));
      while (take_frame (fds[i], result))
        ;
      g_assert_cmpuint (result->exited.exit_code, ==, i);
      g_assert_cmpuint (result->out->len, ==, 1000000);
      close (fds[i]);
    }
}

typedef void (*Test) (Agent *agent, gconstpointer data);

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *path;
    Test test;
  } tests[] = {
    { "/agent/every-exit-code-is-exact", test_exit_codes },
    { "/agent/every-signal-is-exact", test_signals_that_end },
    { "/agent/stdout-and-stderr-are-apart", test_streams_are_apart },
    { "/agent/data-comes-back-whole", test_data_comes_back_whole },
    { "/agent/input-that-is-not-read-keeps-nobody", test_input_that_is_not_read },
    { "/agent/signals-pass-waiting-input", test_signals_pass_waiting_input },
    { "/agent/background-children-keep-nobody", test_background_children },
    { "/agent/a-timeout-ends-everything", test_timeouts },
    { "/agent/a-hangup-ends-everything", test_hangup },
    { "/agent/what-cannot-start-says-why", test_what_cannot_start },
    { "/agent/programs-find-clean-surroundings", test_surroundings },
    { "/agent/programs-run-as-their-user", test_users },
    { "/agent/a-terminal-is-one", test_terminal },
    { "/agent/input-of-a-terminal-ends", test_terminal_input_ends },
    { "/agent/a-terminal-loses-no-output", test_terminal_keeps_output },
    { "/agent/malformed-frames-end-the-session", test_malformed_frames },
    { "/agent/more-input-than-granted-ends-the-session", test_more_input_than_granted },
    { "/agent/a-session-begins-with-exec", test_first_frames },
    { "/agent/hellos-are-judged", test_hellos },
    { "/agent/the-control-session-can-be-taken-over", test_control_session },
    { "/agent/many-sessions-at-once", test_many_at_once },
    { "/agent/too-many-sessions-are-told", test_too_many },
  };

  g_test_init (&argc, &argv, NULL);
  alarm (110); /* kills a test that hangs */
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Agent, NULL, set_up, tests[i].test, tear_down);
  g_test_add_func ("/agent/callers-wait-until-it-is-configured", test_before_it_is_configured);
  return g_test_run ();
}
