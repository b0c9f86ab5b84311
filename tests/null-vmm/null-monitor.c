/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The monitor process of the null driver: it stands where QEMU would, and does nothing.
 *
 * null-monitor [--die-after-ms=N] [--exit-code=N] [-- PROGRAM [ARG…]]
 *
 * With a program (the guest agent serving on the host) it runs that and ends with its exit code.
 * SIGTERM is the power button, SIGUSR1 pauses the program, SIGUSR2 lets it go on. How it ended
 * goes to descriptor 3, for a service that is not its parent any more; descriptor 4 is closed once
 * signals are waited for, as PID 1 loses those that come earlier. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FD 3
#define READY_FD  4

static void
end (int exit_code)
{
  dprintf (STATUS_FD, "exit %d\n", exit_code);
  _exit (exit_code);
}

static pid_t
start_program (char **argv, const sigset_t *blocked)
{
  pid_t pid = fork ();

  if (pid < 0)
    end (126);
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      sigprocmask (SIG_UNBLOCK, blocked, NULL);
      close (STATUS_FD);
      execv (argv[0], argv);
      fprintf (stderr, "null-monitor: %s: %s\n", argv[0], strerror (errno));
      _exit (127);
    }
  return pid;
}

/* Reaps everything, as PID 1 has to; ends with the program. */
static void
reap (pid_t program)
{
  int status;
  pid_t pid;

  while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
    if (pid == program)
      end (WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status));
}

static void
die_after (long ms)
{
  struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

  if (ms == 0)
    timer.it_value.tv_usec = 1; /* zero would switch it off */
  setitimer (ITIMER_REAL, &timer, NULL);
}

static void
serve (const sigset_t *signals, pid_t program, int exit_code)
{
  for (;;)
    switch (sigwaitinfo (signals, NULL))
      {
      case SIGALRM:
        end (exit_code);
        break;
      case SIGTERM:
        end (0);
        break;
      case SIGUSR1:
        if (program > 0)
          kill (program, SIGSTOP);
        break;
      case SIGUSR2:
        if (program > 0)
          kill (program, SIGCONT);
        break;
      default:
        reap (program);
      }
}

int
main (int argc, char **argv)
{
  const int caught[] = { SIGALRM, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2 };
  int exit_code = 0;
  pid_t program = -1;
  sigset_t signals;
  int i;

  sigemptyset (&signals);
  for (i = 0; i < (int) (sizeof caught / sizeof caught[0]); i++)
    sigaddset (&signals, caught[i]);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  close (READY_FD);

  for (i = 1; i < argc && strcmp (argv[i], "--") != 0; i++)
    if (strncmp (argv[i], "--exit-code=", 12) == 0)
      exit_code = atoi (argv[i] + 12);
    else if (strncmp (argv[i], "--die-after-ms=", 15) == 0)
      die_after (atol (argv[i] + 15));
    else
      end (125);
  if (i + 1 < argc)
    program = start_program (argv + i + 1, &signals);
  serve (&signals, program, exit_code);
}
