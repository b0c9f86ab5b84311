/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: numbers are given in the order in which datagrams are sent, and none is given twice. */

#include "input.h"
#include "modes.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS 16

typedef struct
{
  struct sockaddr_storage address;
  socklen_t size;
} Target;

/* Returns how many, or 0 when a line is not understood. */
static unsigned
read_targets (Target *targets)
{
  char line[128], host[64];
  unsigned port, n = 0;

  /* Only this far, so that what follows is for poll() to find. */
  setvbuf (stdin, NULL, _IONBF, 0);
  while (fgets (line, sizeof line, stdin) != NULL && line[0] != '\n')
    {
      if (n == MAX_TARGETS || sscanf (line, "%63s %u", host, &port) != 2 ||
          !input_parse_address (host, (uint16_t) port, &targets[n].address, &targets[n].size))
        {
          fprintf (stderr, "not understood: %s", line);
          return 0;
        }
      n++;
    }
  return n;
}

/* Answers each line that has come; false at the end of the input. */
static bool
answer_lines (uint32_t next)
{
  char buffer[256];
  const ssize_t n = read (STDIN_FILENO, buffer, sizeof buffer);

  for (ssize_t i = 0; i < n; i++)
    if (buffer[i] == '\n')
      printf ("next %u\n", next);
  fflush (stdout);
  return n > 0;
}

static bool
send_next (const int *fds, const Target *target, uint32_t number)
{
  const uint32_t data = htonl (number);

  return sendto (fds[target->address.ss_family == AF_INET6], &data, sizeof data, 0,
                 (const struct sockaddr *) &target->address, target->size) == sizeof data;
}

int
run_stream (int interval_us)
{
  const struct timespec interval = { .tv_nsec = interval_us * 1000L };
  const int fds[] = { socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                      socket (AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
  struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
  Target targets[MAX_TARGETS];
  const unsigned n_targets = read_targets (targets);
  uint32_t next = 0;
  unsigned n_failed = 0;

  if (n_targets == 0 || fds[0] < 0 || fds[1] < 0)
    return EXIT_FAILURE;
  while (poll (&input, 1, 0) == 0 || answer_lines (next))
    {
      for (unsigned i = 0; i < n_targets; i++)
        if (!send_next (fds, &targets[i], next++))
          n_failed++;
      nanosleep (&interval, NULL);
    }
  printf ("end %u %u\n", next, n_failed);
  return EXIT_SUCCESS;
}
