/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What runs inside a machine for the benchmarks: static, and without GLib.
 *
 * guest-load fork ROUNDS PROGRAM  runs it that often and prints the median microseconds
 * guest-load flood BYTES          writes them to standard output
 * guest-load serve PATH           the bare channel: listens on a socket there, or, when PATH is not
 *                                 absolute, opens the virtio port of that name; for each 8 bytes
 *                                 that come it sends them back, or, when they are a number above
 *                                 zero, as many bytes as that
 */

#include "times.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (64 << 10) /* as the agent's largest frame */

static void __attribute__ ((noreturn)) fail (const char *what)
{
  fprintf (stderr, "guest-load: %s: %s\n", what, strerror (errno));
  exit (1);
}

/* fork() and execve(), as the agent has to; not vfork(), which is cheaper. */
static void
measure_fork (int rounds, const char *program)
{
  int64_t *times = calloc (rounds, sizeof *times);
  char *argv[] = { (char *) program, NULL };

  for (int i = 0; i < rounds; i++)
    {
      int64_t start = now_ns ();
      pid_t pid = fork ();
      int status;

      if (pid == 0)
        {
          execv (program, argv);
          _exit (127);
        }
      if (pid < 0 || waitpid (pid, &status, 0) != pid || status != 0)
        fail (program);
      times[i] = now_ns () - start;
    }
  qsort (times, rounds, sizeof *times, compare_times);
  printf ("%.1f\n", times[rounds / 2] / 1e3);
  free (times);
}

static void
send_bytes (int fd, uint64_t bytes)
{
  static char chunk[CHUNK];

  while (bytes > 0)
    {
      ssize_t n = write (fd, chunk, bytes < CHUNK ? bytes : CHUNK);

      if (n < 0)
        fail ("writing");
      bytes -= n;
    }
}

static int
accept_on (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int fd;

  if (strlen (path) >= sizeof address.sun_path)
    fail (path);
  strcpy (address.sun_path, path);
  if (bind (listener, (struct sockaddr *) &address, sizeof address) < 0 || listen (listener, 1) < 0)
    fail (path);
  fd = accept (listener, NULL, NULL);
  if (fd < 0)
    fail ("accepting");
  return fd;
}

static int
open_port (const char *name)
{
  DIR *directory = opendir ("/sys/class/virtio-ports");
  struct dirent *entry;

  while (directory != NULL && (entry = readdir (directory)) != NULL)
    {
      char path[512], found[128] = "";
      FILE *file;

      snprintf (path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
      file = fopen (path, "re");
      if (file == NULL)
        continue;
      if (fscanf (file, "%127s", found) != 1)
        found[0] = '\0';
      fclose (file);
      if (strcmp (found, name) == 0)
        {
          snprintf (path, sizeof path, "/dev/%s", entry->d_name);
          return open (path, O_RDWR | O_CLOEXEC);
        }
    }
  errno = ENOENT;
  return -1;
}

static void
serve (const char *path)
{
  int fd = path[0] == '/' ? accept_on (path) : open_port (path);
  uint64_t wanted;

  if (fd < 0)
    fail (path);
  for (;;)
    {
      ssize_t n = read (fd, &wanted, sizeof wanted);

      if (n == 0 && path[0] == '/')
        return;
      if (n == 0)
        usleep (1000); /* the host's end of the port is not open */
      else if (n != sizeof wanted)
        fail ("reading");
      else if (wanted > 0)
        send_bytes (fd, wanted);
      else if (write (fd, &wanted, sizeof wanted) != sizeof wanted)
        fail ("writing");
    }
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "fork") == 0)
    measure_fork (atoi (argv[2]), argv[3]);
  else if (argc == 3 && strcmp (argv[1], "flood") == 0)
    send_bytes (STDOUT_FILENO, strtoull (argv[2], NULL, 10));
  else if (argc == 3 && strcmp (argv[1], "serve") == 0)
    serve (argv[2]);
  else
    {
      fprintf (stderr, "Usage: see the head of guest-load.c\n");
      return 1;
    }
  return 0;
}
