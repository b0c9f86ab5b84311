/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: it lives no longer than the monitor. */

#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_FD 3

extern const char blob_agent[], blob_agent_end[], blob_busybox[], blob_busybox_end[];

static pid_t pid = -1;
static struct sockaddr_un address;
static socklen_t address_size;

static bool
write_all (int fd, const char *data, size_t size)
{
  while (size > 0)
    {
      ssize_t n = write (fd, data, size);

      if (n <= 0)
        return false;
      data += n;
      size -= (size_t) n;
    }
  return true;
}

/* A jail has no programs, unlike an image. Outside a jail there are some, and nothing is done. */
static bool
fill_root (void)
{
  static const char *const applets[] = {
    "sh",    "cat", "echo",   "env", "false", "head",      "id",    "kill", "ls",
    "mkdir", "ps",  "printf", "rm",  "seq",   "sha256sum", "sleep", "true", "wc",
  };
  int fd;
  bool good;

  if (access ("/bin/sh", X_OK) == 0)
    return true;
  fd = mkdir ("/bin", 0755) == 0 ? open ("/bin/busybox", O_WRONLY | O_CREAT | O_EXCL, 0755) : -1;
  good = fd >= 0 && write_all (fd, blob_busybox, (size_t) (blob_busybox_end - blob_busybox));
  if (fd >= 0)
    close (fd);
  for (size_t i = 0; good && i < sizeof applets / sizeof applets[0]; i++)
    {
      char link[64] = "/bin/";

      good = symlink ("busybox", strcat (link, applets[i])) == 0;
    }
  return good;
}

/* A listening socket with a name that only we know, in the network namespace. */
static int
open_listener (void)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sun_family = AF_UNIX;
  address_size = sizeof address;
  if (fd >= 0 && bind (fd, (struct sockaddr *) &address, sizeof address.sun_family) == 0 &&
      listen (fd, 64) == 0 && getsockname (fd, (struct sockaddr *) &address, &address_size) == 0)
    return fd;
  return -1;
}

static void
run_agent (int program, int listener)
{
  static char name[] = "vmsan-agent", option[] = "--host-socket=fd:3";
  char *const argv[] = { name, option, NULL };
  char *const envp[] = { NULL };
  sigset_t none;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  if (dup2 (listener, LISTENER_FD) >= 0)
    fexecve (program, argv, envp);
  _exit (127);
}

/* Returns when the child has executed its program: until then it has our descriptors, and whoever
 * waits for our end would find devices in use. */
static bool
fork_agent (int program, int listener)
{
  int ends[2];
  char byte;

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return false;
  pid = fork ();
  if (pid == 0)
    run_agent (program, listener);
  close (ends[1]);
  while (pid > 0 && read (ends[0], &byte, 1) < 0 && errno == EINTR)
    continue;
  close (ends[0]);
  return pid > 0;
}

/* Descriptors that no dup2() to LISTENER_FD closes. */
static int
move_up (int fd)
{
  int moved = fd >= 0 ? fcntl (fd, F_DUPFD_CLOEXEC, LISTENER_FD + 1) : -1;

  close (fd);
  return moved;
}

const char *
guest_start (void)
{
  int program = move_up (memfd_create ("vmsan-agent", MFD_CLOEXEC));
  int listener = move_up (open_listener ());
  const char *fault = NULL;

  if (!fill_root ())
    fault = "cannot write the guest's programs";
  else if (program < 0 || listener < 0 ||
           !write_all (program, blob_agent, (size_t) (blob_agent_end - blob_agent)))
    fault = "cannot prepare the guest's agent";
  else if (!fork_agent (program, listener))
    fault = "cannot start the guest's agent";
  close (program);
  close (listener);
  return fault;
}

pid_t
guest_pid (void)
{
  return pid;
}

void
guest_forget (void)
{
  pid = -1;
}

int
guest_connect (void)
{
  int fd = pid > 0 ? socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

  if (fd >= 0 && connect (fd, (struct sockaddr *) &address, address_size) == 0)
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

void
guest_freeze (bool frozen)
{
  if (pid > 0)
    kill (pid, frozen ? SIGSTOP : SIGCONT);
}

void
guest_power_off (void)
{
  if (pid > 0)
    kill (pid, SIGTERM);
}
