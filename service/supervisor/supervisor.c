/* SPDX-License-Identifier: GPL-2.0-or-later */

/* vmsan-supervisor [--jailer UID] CONSOLE_FD LOG_FD STATUS_FD MAX_BYTES -- PROGRAM [ARGUMENT...]
 *
 * The first process in a virtual machine monitor's PID namespace. vmsand starts it, already
 * confined and with the monitor's uid, and it starts the monitor. It is there so that the monitor
 * needs vmsand for nothing: vmsand may restart, and afterwards is not the monitor's parent.
 *
 * - Whatever the monitor writes to its standard output and error goes into a pipe of ours, and from
 *   there to the log. CONSOLE_FD is the read end of a second pipe, whose write end the monitor
 *   inherits (as any other descriptor) and uses for the guest's console; it goes to the same log,
 *   in the order in which it comes. -1: there is none.
 * - LOG_FD is a regular file, open for reading and writing, that is kept within MAX_BYTES (log.h).
 * - When the monitor ends, STATUS_FD, open for writing, gets one line, "exit N" or "signal N", and
 *   is synced; then we exit with N, or 128 + N. So the file is the status for a vmsand that is not
 *   our parent, and a file without a line means that we were killed or the machine stopped.
 * - SIGTERM is passed on. All orphans are reaped. When we die, the monitor does.
 * - With --jailer it is started as root, and so is PROGRAM, which makes a jail and becomes UID in
 * it; we become UID at once. A jailer may leave the monitor as an orphan and end: so the status is
 *   that of whoever ends last, and SIGTERM ends us, and so all.
 * - CONSOLE_FD, LOG_FD and STATUS_FD are closed in the monitor; all other descriptors are the
 *   monitor's alone, so that a peer of it sees end of file when the monitor closes them.
 *
 * A monitor that a guest took over has our uid and sees us. Not being dumpable, we cannot be traced
 * nor can our descriptors be reached through /proc. It can kill us, which kills it.
 *
 * Exit code: the monitor's, or 127 when it could not be executed (the reason is in the log), or 125
 * when our own arguments or set-up are wrong (the reason is on standard error). */

#include "log.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SETUP_FAILED 125
#define EXIT_EXEC_FAILED  127

typedef struct
{
  Options options;
  Log log;
  int output_fd; /* read end of the pipe for standard output and error */
  int signal_fd;
  pid_t monitor;
  int monitor_ended;
  int wait_status;
} Supervisor;

static void __attribute__ ((noreturn)) die (const char *what, const char *why)
{
  fprintf (stderr, "vmsan-supervisor: %s: %s\n", what, why);
  exit (EXIT_SETUP_FAILED);
}

/* ---- The monitor --------------------------------------------------------------------------- */

static void __attribute__ ((noreturn))
run_monitor (const Options *options, int output_fd, pid_t supervisor, const sigset_t *mask)
{
  /* Without a PID namespace nothing else would end the monitor with us. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid () != supervisor)
    _exit (EXIT_EXEC_FAILED);
  if (dup2 (output_fd, STDOUT_FILENO) < 0 || dup2 (output_fd, STDERR_FILENO) < 0 ||
      sigprocmask (SIG_SETMASK, mask, NULL) < 0)
    _exit (EXIT_EXEC_FAILED);
  execv (options->program[0], options->program);
  fprintf (stderr, "vmsan-supervisor: executing “%s” failed: %s\n", options->program[0],
           strerror (errno));
  _exit (EXIT_EXEC_FAILED);
}

static void
start_monitor (Supervisor *self)
{
  pid_t supervisor = getpid ();
  sigset_t handled, before;
  int ends[2];

  sigemptyset (&handled);
  sigaddset (&handled, SIGCHLD);
  sigaddset (&handled, SIGTERM);
  if (sigprocmask (SIG_BLOCK, &handled, &before) < 0)
    die ("blocking signals", strerror (errno));
  self->signal_fd = signalfd (-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
  if (self->signal_fd < 0)
    die ("making a signalfd", strerror (errno));
  if (pipe2 (ends, O_CLOEXEC) < 0)
    die ("making a pipe", strerror (errno));

  self->monitor = fork ();
  if (self->monitor < 0)
    die ("making a process", strerror (errno));
  if (self->monitor == 0)
    run_monitor (&self->options, ends[1], supervisor, &before);
  close (ends[1]);
  self->output_fd = ends[0];
}

/* ---- Descriptors --------------------------------------------------------------------------- */

static int
compare_numbers (const void *a, const void *b)
{
  return *(const int *) a - *(const int *) b;
}

/* Ours are never the monitor's. */
static void
hide_from_monitor (const Options *options)
{
  const int own[] = { options->console_fd, options->log_fd, options->status_fd };

  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    {
      if (own[i] >= 0 && fcntl (own[i], F_SETFD, FD_CLOEXEC) < 0)
        die ("hiding a descriptor", strerror (errno));
    }
}

/* The monitor's are not ours: with a copy of them here its peers would wait for ever for an end of
 * file. All gaps between the descriptors to keep are closed. */
static void
close_all_others (const Supervisor *self)
{
  int keep[] = { STDERR_FILENO,           self->options.console_fd, self->options.log_fd,
                 self->options.status_fd, self->output_fd,          self->signal_fd };
  size_t n = sizeof keep / sizeof keep[0];

  qsort (keep, n, sizeof keep[0], compare_numbers);
  for (size_t i = 0; i < n; i++)
    {
      unsigned first = keep[i] + 1;
      unsigned last = i + 1 < n ? (unsigned) keep[i + 1] - 1 : ~0u;

      /* -1 and 0 to 2 stay; 0 to 2 are no descriptors of the monitor's own */
      if (keep[i] < STDERR_FILENO || first > last)
        continue;
      if (syscall (SYS_close_range, first, last, 0) < 0)
        die ("closing the monitor's descriptors", strerror (errno));
    }
}

/* ---- Privileges ---------------------------------------------------------------------------- */

/* Changing the uid drops all capabilities, and makes us dumpable again on some hosts. */
static void
become (uid_t uid)
{
  if (syscall (SYS_setgroups, 0, NULL) < 0 || syscall (SYS_setresgid, uid, uid, uid) < 0 ||
      syscall (SYS_setresuid, uid, uid, uid) < 0 || prctl (PR_SET_DUMPABLE, 0) < 0)
    die ("dropping privileges", strerror (errno));
}

/* ---- Events -------------------------------------------------------------------------------- */

/* Several children may have ended for one SIGCHLD. */
static void
reap_all (Supervisor *self)
{
  int jailed = self->options.jailed_uid != 0;
  int status;
  pid_t pid;

  while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
    {
      if (pid != self->monitor && !jailed)
        continue;
      self->monitor_ended = !jailed;
      self->wait_status = status;
    }
  if (jailed && pid < 0 && errno == ECHILD)
    self->monitor_ended = 1;
}

static void
handle_signals (Supervisor *self)
{
  struct signalfd_siginfo info;

  while (read (self->signal_fd, &info, sizeof info) == (ssize_t) sizeof info)
    {
      if (info.ssi_signo != SIGTERM || self->monitor_ended)
        continue;
      if (self->options.jailed_uid == 0)
        {
          kill (self->monitor, SIGTERM);
          continue;
        }
      /* As the first process of its own PID namespace it would not hear it: it dies with us. */
      self->monitor_ended = 1;
      self->wait_status = SIGTERM;
      return;
    }
  reap_all (self);
}

/* Moves one bufferful to the log, so that neither pipe nor the signals wait for a flood in the
 * other. 0 at end of file or error. */
static int
copy_to_log (Supervisor *self, int fd)
{
  char buffer[65536];
  ssize_t n;

  do
    n = read (fd, buffer, sizeof buffer);
  while (n < 0 && errno == EINTR);
  if (n > 0)
    log_append (&self->log, buffer, n);
  return n > 0;
}

static void
watch_monitor (Supervisor *self)
{
  struct pollfd fds[] = {
    { .fd = self->signal_fd, .events = POLLIN },
    { .fd = self->output_fd, .events = POLLIN },
    { .fd = self->options.console_fd, .events = POLLIN },
  };

  while (!self->monitor_ended)
    {
      if (poll (fds, sizeof fds / sizeof fds[0], -1) < 0)
        continue;
      for (int i = 1; i < 3; i++)
        {
          if (fds[i].revents != 0 && !copy_to_log (self, fds[i].fd))
            fds[i].fd = -1;
        }
      if (fds[0].revents != 0)
        handle_signals (self);
    }
}

/* What the monitor wrote last; no more than a pipe can hold, as an orphan of it may keep writing.
 */
static void
drain (Supervisor *self, int fd)
{
  struct pollfd one = { .fd = fd, .events = POLLIN };

  for (int left = 16; left > 0 && poll (&one, 1, 0) > 0; left--)
    {
      if (!copy_to_log (self, fd))
        return;
    }
}

/* The code that we exit with. */
static int
record_status (const Supervisor *self)
{
  int signalled = WIFSIGNALED (self->wait_status);
  int number = signalled ? WTERMSIG (self->wait_status) : WEXITSTATUS (self->wait_status);
  char line[32];
  int size = snprintf (line, sizeof line, "%s %d\n", signalled ? "signal" : "exit", number);
  ssize_t n;

  do
    n = pwrite (self->options.status_fd, line, size, 0);
  while (n < 0 && errno == EINTR);
  if (n != size || fdatasync (self->options.status_fd) < 0)
    fprintf (stderr, "vmsan-supervisor: recording “%s %d” failed: %s\n",
             signalled ? "signal" : "exit", number, strerror (errno));
  return signalled ? 128 + number : number;
}

int
main (int argc, char **argv)
{
  Supervisor self = { 0 };
  const char *wrong = options_parse (&self.options, argc, argv);

  if (wrong != NULL)
    die ("arguments", wrong);
  if (prctl (PR_SET_DUMPABLE, 0) < 0)
    die ("hiding from other processes", strerror (errno));
  if (log_open (&self.log, self.options.log_fd, self.options.max_bytes) < 0)
    die ("opening the log", strerror (errno));

  hide_from_monitor (&self.options);
  start_monitor (&self);
  if (self.options.jailed_uid != 0)
    become (self.options.jailed_uid);
  close_all_others (&self);
  watch_monitor (&self);
  drain (&self, self.output_fd);
  if (self.options.console_fd >= 0)
    drain (&self, self.options.console_fd);
  return record_status (&self);
}
