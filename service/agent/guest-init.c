/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/guest-init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 10000

static const char *const candidates[] = {
  "/sbin/init",
  "/usr/sbin/init",
  "/lib/systemd/systemd",
  "/usr/lib/systemd/systemd",
};

/* How each kind of init is asked, by the name of the program that process 1 runs. systemd(1)
 * SIGNALS; busybox/init.c. */
static const struct
{
  const char *program;
  int power_off; /* offset from SIGRTMIN when negative */
  int reboot;
} kinds[] = {
  { "systemd", -4, -5 },
  { "busybox", SIGUSR2, SIGTERM },
};

static bool
is_program (const char *path)
{
  struct stat status;

  return stat (path, &status) == 0 && S_ISREG (status.st_mode) && access (path, X_OK) == 0;
}

bool
agent_guest_init_find (const char *wanted, char program[PATH_MAX], AgentError *error)
{
  strcpy (program, "none");
  if (strcmp (wanted, "none") == 0)
    return true;
  if (strcmp (wanted, "auto") != 0)
    {
      if (!is_program (wanted))
        return agent_error_set (error, "the image has no program “%.300s” to start", wanted);
      strcpy (program, wanted);
      return true;
    }
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
    if (is_program (candidates[i]))
      {
        strcpy (program, candidates[i]);
        return true;
      }
  return true;
}

/* Process 1 from here on. */
static void
become_init (const char *program, int report_fd)
{
  char *const args[] = { (char *) program, NULL };
  char *const env[] = { "HOME=/", "TERM=linux",
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
  sigset_t none;
  int error;

  signal (SIGPIPE, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  execve (program, args, env);
  error = errno;
  if (write (report_fd, &error, sizeof error) < 0)
    agent_log ("cannot start %s: errno %d", program, error);
  close (report_fd);
  /* The copy tells the host and ends the machine. A process 1 that ended would be a panic. */
  for (;;)
    if (waitpid (-1, NULL, 0) < 0)
      pause ();
}

bool
agent_guest_init_start (const char *program, char **argv, AgentError *error)
{
  struct pollfd report;
  int ends[2], number = 0;
  ssize_t n;
  pid_t pid;

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return agent_error_set_errno (error, "cannot start %.300s", program);
  pid = fork ();
  if (pid < 0)
    return agent_error_set_errno (error, "cannot start %.300s", program);
  if (pid > 0)
    {
      close (ends[0]);
      become_init (program, ends[1]);
    }
  close (ends[1]);
  /* systemd spares processes that are called so when it ends all others ("ROOT STORAGE DAEMONS").
   */
  argv[0][0] = '@';
  setsid ();
  for (int i = 1; i < SIGRTMAX; i++)
    if (i == SIGHUP || i == SIGQUIT || i == SIGUSR1 || i == SIGUSR2)
      signal (i, SIG_IGN);
  report = (struct pollfd){ ends[0], POLLIN, 0 };
  n = poll (&report, 1, START_MS) > 0 ? read (ends[0], &number, sizeof number) : -1;
  close (ends[0]);
  if (n == 0)
    return true;
  errno = n == sizeof number ? number : ETIMEDOUT;
  return agent_error_set_errno (error, "cannot start %.300s", program);
}

bool
agent_guest_init_ask_shutdown (bool reboot)
{
  char path[PATH_MAX];
  const ssize_t n = readlink ("/proc/1/exe", path, sizeof path - 1);
  const char *name;

  if (n <= 0)
    return false;
  path[n] = '\0';
  name = strrchr (path, '/');
  for (size_t i = 0; name != NULL && i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp (name + 1, kinds[i].program) == 0)
      {
        const int number = reboot ? kinds[i].reboot : kinds[i].power_off;

        return kill (1, number < 0 ? SIGRTMIN - number : number) == 0;
      }
  return false;
}
