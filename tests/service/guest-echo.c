/* SPDX-License-Identifier: GPL-2.0-or-later */

/* guest-echo PORT: in a guest, gives back whatever comes to PORT over TCP and UDP, until killed. */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64

static int
listen_at (int type, unsigned short port)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons (port) };
  int fd = socket (AF_INET, type | SOCK_CLOEXEC, 0);
  int on = 1;

  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind (fd, (struct sockaddr *) &at, sizeof at) < 0 ||
      (type == SOCK_STREAM && listen (fd, 16) < 0))
    {
      perror ("guest-echo");
      exit (1);
    }
  return fd;
}

static void
answer_datagram (int fd)
{
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  char data[2048];
  ssize_t n = recvfrom (fd, data, sizeof data, 0, (struct sockaddr *) &from, &size);

  if (n > 0)
    sendto (fd, data, n, 0, (struct sockaddr *) &from, size);
}

/* 0 when the connection is over. */
static int
answer_stream (int fd)
{
  char data[2048];
  ssize_t n = recv (fd, data, sizeof data, 0);

  return n > 0 && send (fd, data, n, MSG_NOSIGNAL) == n;
}

int
main (int argc, char **argv)
{
  struct pollfd fds[2 + MAX_CONNECTIONS];
  unsigned n_fds = 2;

  if (argc != 2)
    return 2;
  fds[0] = (struct pollfd){ listen_at (SOCK_STREAM, atoi (argv[1])), POLLIN, 0 };
  fds[1] = (struct pollfd){ listen_at (SOCK_DGRAM, atoi (argv[1])), POLLIN, 0 };
  puts ("ready");
  fflush (stdout);
  while (poll (fds, n_fds, -1) >= 0 || errno == EINTR)
    {
      for (unsigned i = n_fds - 1; i >= 2; i--)
        if (fds[i].revents != 0 && !answer_stream (fds[i].fd))
          {
            close (fds[i].fd);
            fds[i] = fds[--n_fds];
          }
      if (fds[1].revents != 0)
        answer_datagram (fds[1].fd);
      if (fds[0].revents != 0 && n_fds < 2 + MAX_CONNECTIONS)
        {
          fds[n_fds].fd = accept (fds[0].fd, NULL, NULL);
          fds[n_fds].events = POLLIN;
          fds[n_fds].revents = 0;
          if (fds[n_fds].fd >= 0)
            n_fds++;
        }
    }
  return 1;
}
