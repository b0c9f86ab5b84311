/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: bytes pass unchanged; nothing that a slow or closed end of a pipe does keeps signals
 * from passing; the end comes when the program has ended, whatever our standard input does. */

#include "config.h"

#include "exec-streams.h"

#include "app.h"

#include <errno.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (64 * 1024)

/* The same signal so often means that the program will not listen. */
#define IMPATIENCE 3

typedef struct _Exec Exec;

/* From one of the program's outputs to one of our descriptors. */
typedef struct
{
  Exec *exec;
  GInputStream *from;
  int to;
  gboolean regular; /* a file: writing never waits for anybody */
  gboolean done;
  gssize length; /* of what is in the buffer */
  guint8 buffer[CHUNK];
} Copy;

struct _Exec
{
  VmsanProcess *process;
  GCancellable *input_cancellable;
  Copy *copies[2];
  guint times[64]; /* that a signal came */
  gboolean ended;
  gboolean timed_out;
  GError *failure; /* of the wait */
};

/* ---- Output -------------------------------------------------------------------------------- */

static void copy_next (Copy *copy);

static int
write_all (int fd, const guint8 *data, gsize size)
{
  while (size > 0)
    {
      gssize n = write (fd, data, size);

      if (n < 0 && errno == EAGAIN)
        {
          /* Somebody else made the terminal or pipe non-blocking. */
          struct pollfd poll_fd = { fd, POLLOUT, 0 };

          poll (&poll_fd, 1, -1);
        }
      else if (n < 0 && errno != EINTR)
        return errno;
      else if (n > 0)
        {
          data += n;
          size -= (gsize) n;
        }
    }
  return 0;
}

/* What a program here would get as SIGPIPE goes to the one in the guest; it may carry on without
 * this output, as some do here. */
static void
copy_broken (Copy *copy, int write_errno)
{
  if (write_errno == EPIPE)
    vmsan_process_send_signal (copy->exec->process, SIGPIPE, NULL);
  else
    app_print_error (_ ("Could not write output: %s"), g_strerror (write_errno));
  g_input_stream_close (copy->from, NULL, NULL);
  copy->done = TRUE;
}

static void
copy_written (Copy *copy, int write_errno)
{
  if (write_errno == 0)
    copy_next (copy);
  else
    copy_broken (copy, write_errno);
}

static void
write_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const Copy *copy = data;

  g_task_return_int (task, write_all (copy->to, copy->buffer, (gsize) copy->length));
}

static void
written_in_thread (GObject *object, GAsyncResult *result, gpointer user_data)
{
  copy_written (user_data, (int) g_task_propagate_int (G_TASK (result), NULL));
}

/* A pipe that says that it is writable takes PIPE_BUF bytes without waiting (pipe(7)); for more,
 * only a thread can wait without holding up signals. */
static gboolean
can_write_here (const Copy *copy)
{
  struct pollfd poll_fd = { copy->to, POLLOUT, 0 };

  return copy->regular || (copy->length <= _POSIX_PIPE_BUF && poll (&poll_fd, 1, 0) == 1);
}

static void
copy_read (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Copy *copy = user_data;
  g_autoptr (GTask) task = NULL;

  /* An error here is the session's, and the wait reports it. */
  copy->length = g_input_stream_read_finish (copy->from, result, NULL);
  if (copy->length <= 0)
    {
      copy->done = TRUE;
      return;
    }
  if (can_write_here (copy))
    {
      copy_written (copy, write_all (copy->to, copy->buffer, (gsize) copy->length));
      return;
    }
  task = g_task_new (NULL, NULL, written_in_thread, copy);
  g_task_set_task_data (task, copy, NULL);
  g_task_run_in_thread (task, write_in_thread);
}

static void
copy_next (Copy *copy)
{
  g_input_stream_read_async (copy->from, copy->buffer, CHUNK, G_PRIORITY_DEFAULT, NULL, copy_read,
                             copy);
}

static Copy *
copy_start (Exec *exec, GInputStream *from, int to)
{
  Copy *copy = g_new0 (Copy, 1);
  struct stat info;

  copy->exec = exec;
  copy->from = from;
  copy->to = to;
  copy->regular = fstat (to, &info) == 0 && S_ISREG (info.st_mode);
  copy_next (copy);
  return copy;
}

/* ---- Input --------------------------------------------------------------------------------- */

/* The program may end without reading all: that is no error. */
static void
input_done (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (g_output_stream_splice_finish (G_OUTPUT_STREAM (object), result, &error) >= 0 ||
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
      g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE))
    return;
  app_print_error (_ ("Could not read standard input: %s"), error->message);
}

static void
input_start (Exec *exec)
{
  g_autoptr (GInputStream) input = g_unix_input_stream_new (STDIN_FILENO, FALSE);

  g_output_stream_splice_async (vmsan_process_get_stdin (exec->process), input,
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, G_PRIORITY_DEFAULT,
                                exec->input_cancellable, input_done, NULL);
}

/* ---- Signals and the end ------------------------------------------------------------------- */

static void
forward (Exec *exec, int signal_number)
{
  g_autoptr (GError) error = NULL;

  if (++exec->times[signal_number] >= IMPATIENCE)
    vmsan_process_hang_up (exec->process);
  else if (!vmsan_process_send_signal (exec->process, signal_number, &error) &&
           !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED))
    app_print_error (_ ("Could not pass on signal %d: %s"), signal_number, error->message);
}

static gboolean
on_sigint (gpointer exec)
{
  forward (exec, SIGINT);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_sigterm (gpointer exec)
{
  forward (exec, SIGTERM);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_sighup (gpointer exec)
{
  forward (exec, SIGHUP);
  return G_SOURCE_CONTINUE;
}

/* GLib watches no SIGQUIT; a descriptor does. */
static gboolean
on_sigquit (int fd, GIOCondition condition, gpointer exec)
{
  char byte;

  while (read (fd, &byte, 1) == 1)
    forward (exec, SIGQUIT);
  return G_SOURCE_CONTINUE;
}

static int quit_pipe[2] = { -1, -1 };

static void
note_sigquit (int signal_number)
{
  int saved_errno = errno;
  gssize ignored = write (quit_pipe[1], "", 1);

  /* The pipe is full: enough of them wait. */
  (void) ignored;
  errno = saved_errno;
}

static guint
watch_sigquit (Exec *exec)
{
  const struct sigaction action = { .sa_handler = note_sigquit, .sa_flags = SA_RESTART };

  if (!g_unix_open_pipe (quit_pipe, FD_CLOEXEC, NULL))
    return 0;
  g_unix_set_fd_nonblocking (quit_pipe[0], TRUE, NULL);
  g_unix_set_fd_nonblocking (quit_pipe[1], TRUE, NULL);
  sigaction (SIGQUIT, &action, NULL);
  return g_unix_fd_add (quit_pipe[0], G_IO_IN, on_sigquit, exec);
}

static gboolean
on_deadline (gpointer user_data)
{
  Exec *exec = user_data;

  exec->timed_out = TRUE;
  vmsan_process_hang_up (exec->process);
  return G_SOURCE_REMOVE;
}

static void
on_ended (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Exec *exec = user_data;

  vmsan_process_wait_finish (exec->process, result, &exec->failure);
  exec->ended = TRUE;
}

static int
exit_code (const Exec *exec)
{
  if (exec->timed_out || vmsan_process_get_timed_out (exec->process))
    return APP_EXEC_TIMED_OUT;
  if (exec->failure != NULL)
    {
      app_print_error ("%s", exec->failure->message);
      return APP_EXEC_FAILED;
    }
  if (vmsan_process_get_term_signal (exec->process) != 0)
    return 128 + vmsan_process_get_term_signal (exec->process);
  return vmsan_process_get_exit_code (exec->process);
}

static void
connect_all (Exec *exec)
{
  exec->copies[0] = copy_start (exec, vmsan_process_get_stdout (exec->process), STDOUT_FILENO);
  exec->copies[1] = copy_start (exec, vmsan_process_get_stderr (exec->process), STDERR_FILENO);
  input_start (exec);
  vmsan_process_wait (exec->process, NULL, on_ended, exec);
}

int
exec_streams_run (VmsanProcess *process, guint64 deadline_ms)
{
  Exec exec = { .process = process, .input_cancellable = g_cancellable_new () };
  guint sources[5] = { 0 };

  sources[0] = g_unix_signal_add (SIGINT, on_sigint, &exec);
  sources[1] = g_unix_signal_add (SIGTERM, on_sigterm, &exec);
  sources[2] = g_unix_signal_add (SIGHUP, on_sighup, &exec);
  sources[3] = watch_sigquit (&exec);
  connect_all (&exec);
  if (deadline_ms > 0)
    sources[4] = g_timeout_add_full (G_PRIORITY_DEFAULT, (guint) MIN (deadline_ms, G_MAXUINT),
                                     on_deadline, &exec, NULL);

  while (!exec.ended || !exec.copies[0]->done || !exec.copies[1]->done)
    g_main_context_iteration (NULL, TRUE);

  /* A read of a terminal or pipe that is still waiting ends now or with this process. */
  g_cancellable_cancel (exec.input_cancellable);
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    if (sources[i] != 0 && !(i == 4 && exec.timed_out))
      g_source_remove (sources[i]);
  g_object_unref (exec.input_cancellable);
  for (gsize i = 0; i < G_N_ELEMENTS (exec.copies); i++)
    g_free (exec.copies[i]);
  {
    int code = exit_code (&exec);

    g_clear_error (&exec.failure);
    return code;
  }
}
