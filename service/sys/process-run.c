/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: when vmsan_process_run() returns, nothing that it started is running any more. */

#include "sys/process.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* As much as fits an error message; the tool's last words say what went wrong. */
#define STDERR_MAX_BYTES 1024

typedef struct
{
  char bytes[STDERR_MAX_BYTES];
  gsize size;
} Tail;

static void
tail_append (Tail *tail, const char *bytes, gsize size)
{
  gsize keep;

  if (size >= STDERR_MAX_BYTES)
    {
      memcpy (tail->bytes, bytes + size - STDERR_MAX_BYTES, STDERR_MAX_BYTES);
      tail->size = STDERR_MAX_BYTES;
      return;
    }
  keep = MIN (tail->size, STDERR_MAX_BYTES - size);
  memmove (tail->bytes, tail->bytes + tail->size - keep, keep);
  memcpy (tail->bytes + keep, bytes, size);
  tail->size = keep + size;
}

/* As one line of valid UTF-8: it ends up in messages and logs. */
static char *
tail_to_text (const Tail *tail)
{
  char *text = g_utf8_make_valid (tail->bytes, tail->size);

  for (char *p = text; *p != '\0'; p++)
    {
      if (g_ascii_iscntrl (*p))
        *p = ' ';
    }
  return g_strstrip (text);
}

/* Reads what is there, but never for ever: a tool that only writes must still meet its deadline.
 * FALSE at end of file. */
static gboolean
drain (int fd, Tail *tail)
{
  char buffer[4096];
  gssize n;

  do
    n = read (fd, buffer, sizeof buffer);
  while (n < 0 && errno == EINTR);
  if (n > 0)
    tail_append (tail, buffer, n);
  return n > 0 || (n < 0 && errno == EAGAIN);
}

typedef enum
{
  RUN_ENDED,
  RUN_TIMED_OUT,
  RUN_CANCELLED,
} RunEnd;

static RunEnd
watch (VmsanProcess *process, int stderr_fd, guint deadline_ms, GPollFD *cancel_fd, Tail *tail)
{
  gint64 deadline = g_get_monotonic_time () + (gint64) deadline_ms * 1000;
  struct pollfd fds[] = {
    { .fd = vmsan_process_get_pidfd (process), .events = POLLIN },
    { .fd = stderr_fd, .events = POLLIN },
    { .fd = cancel_fd != NULL ? cancel_fd->fd : -1, .events = POLLIN },
  };

  for (;;)
    {
      gint64 left_ms = (deadline - g_get_monotonic_time () + 999) / 1000;

      if (left_ms <= 0)
        return RUN_TIMED_OUT;
      if (poll (fds, G_N_ELEMENTS (fds), MIN (left_ms, G_MAXINT)) < 0)
        continue; /* EINTR; the results are not set */
      if (fds[2].revents != 0)
        return RUN_CANCELLED;
      if (fds[1].revents != 0 && !drain (stderr_fd, tail))
        fds[1].fd = -1;
      if (fds[0].revents != 0)
        return RUN_ENDED;
    }
}

/* The child is the first of its PID namespace, so all that it started is gone when it is. */
static int
kill_and_wait (VmsanProcess *process)
{
  siginfo_t info = { 0 };

  vmsan_process_kill (process, SIGKILL, NULL);
  while (waitid (P_PIDFD, vmsan_process_get_pidfd (process), &info, WEXITED | WNOWAIT | __WALL) <
             0 &&
         errno == EINTR)
    ;
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

/* The pipe holds no more than this; the loop ends even if someone else keeps writing. */
static void
drain_rest (int fd, Tail *tail)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

  for (int i = 0; i < 64 && poll (&poll_fd, 1, 0) > 0; i++)
    {
      if (!drain (fd, tail))
        return;
    }
}

static gboolean
set_result (
    const char *program, RunEnd end, int code, guint deadline_ms, const Tail *tail, GError **error)
{
  g_autofree char *text = tail_to_text (tail);
  g_autofree char *how = NULL;

  if (end == RUN_CANCELLED)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED, "“%s” was cancelled", program);
      return FALSE;
    }
  if (end == RUN_TIMED_OUT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                   "“%s” did not end within %u ms and was killed%s%s", program, deadline_ms,
                   *text != '\0' ? "; it said: " : "", text);
      return FALSE;
    }
  if (code == 0)
    return TRUE;
  how = code > 0 ? g_strdup_printf ("ended with exit code %d", code)
                 : g_strdup_printf ("was killed by signal %d (%s)", -code, g_strsignal (-code));
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "“%s” %s%s%s", program, how,
               *text != '\0' ? "; it said: " : "", text);
  return FALSE;
}

/* @spec with standard error going to @stderr_fd; the array is the caller's to free. */
static VmsanSpawnSpec
redirect_stderr (const VmsanSpawnSpec *spec, int stderr_fd)
{
  VmsanSpawnSpec redirected = *spec;
  VmsanSpawnFd *fds = g_new0 (VmsanSpawnFd, spec->n_fds + 1);
  guint n = 0;

  for (guint i = 0; i < spec->n_fds; i++)
    {
      if (spec->fds[i].target != STDERR_FILENO)
        fds[n++] = spec->fds[i];
    }
  fds[n++] = (VmsanSpawnFd){ stderr_fd, STDERR_FILENO };
  redirected.fds = fds;
  redirected.n_fds = n;
  redirected.flags |= VMSAN_SPAWN_NEW_PID_NS;
  return redirected;
}

gboolean
vmsan_process_run (const VmsanSpawnSpec *spec,
                   guint deadline_ms,
                   GCancellable *cancellable,
                   GError **error)
{
  g_autoptr (VmsanProcess) process = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnSpec redirected;
  GPollFD cancel_fd;
  gboolean pollable;
  Tail tail = { .size = 0 };
  RunEnd end;
  int ends[2];
  int code;

  if (pipe2 (ends, O_CLOEXEC | O_NONBLOCK) < 0)
    return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);
  read_fd = ends[0];
  write_fd = ends[1];
  /* The tool itself must not see EAGAIN. */
  if (fcntl (write_fd, F_SETFL, 0) < 0)
    return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);

  redirected = redirect_stderr (spec, write_fd);
  process = vmsan_process_spawn (&redirected, error);
  g_free ((gpointer) redirected.fds);
  vmsan_fd_close (&write_fd);
  if (process == NULL)
    return FALSE;

  pollable = g_cancellable_make_pollfd (cancellable, &cancel_fd);
  end = watch (process, read_fd, deadline_ms, pollable ? &cancel_fd : NULL, &tail);
  if (pollable)
    g_cancellable_release_fd (cancellable);

  code = kill_and_wait (process);
  drain_rest (read_fd, &tail);
  return set_result (spec->argv[0], end, code, deadline_ms, &tail, error);
}
